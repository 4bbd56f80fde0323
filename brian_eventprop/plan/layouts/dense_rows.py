"""Dense rows: every source has one synapse onto every target, all of a source's with one delay."""

import numpy as np

from brian_eventprop.plan.layouts.layout import SynapseLayout
from brian_eventprop.reading.spec import NetworkValues


class DenseRows(SynapseLayout):
    """A spike adds a row of weights; the backward pass reads a history of rows."""

    paired = False
    by_row = True
    send = "SEND_ROWS"
    during, after = "add_times_of_rows", "collect_rows"

    @staticmethod
    def fits(facts):
        return facts.additive and facts.has_dense_rows and facts.has_record

    def pack(self, binder, delays, shape, n_steps, passes):
        arrays = binder.row_layout(delays, n_steps)
        order = arrays.pop("order")
        return order, order, arrays


def has_dense_rows(pathway, network: NetworkValues, n_source: int, n_target: int, trained) -> bool:
    """Return whether every source has one synapse onto every target, all with one delay.

    It must stay so in training: delays of single synapses may not be among the ``trained`` keys.
    """
    if not pathway.size or pathway.size != n_source * n_target:
        return False
    pair = network.senders(pathway) * n_target + network.receivers(pathway)
    order = np.argsort(pair, kind="stable")
    if not np.array_equal(pair[order], np.arange(pathway.size)):
        return False
    delays = network.values[pathway.delay]
    if pathway.axonal or len(delays) == 1:
        return True
    rows = np.asarray(delays)[order].reshape(n_source, n_target)
    return pathway.delay not in trained and bool(np.all(rows == rows[:, :1]))
