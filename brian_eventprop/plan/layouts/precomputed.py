"""Inputs whose arrivals are summed before the first step: the precomputed input drive."""

from brian_eventprop.plan.layouts import limits
from brian_eventprop.plan.layouts.tiled import Tiled


class Precomputed(Tiled):
    """Many synapses from spikes that are known; the backward pass is that of tiles."""

    precomputed = True
    send = ""

    @staticmethod
    def fits(facts):
        least = max(limits.PRECOMPUTED_SYNAPSES, limits.FAN_IN * facts.n_target)
        return facts.additive and facts.from_input and facts.has_record and facts.size >= least

    def pack(self, binder, delays, shape, n_steps, passes):
        arrays = binder.tile_layout(delays, shape, n_steps, passes)
        order = arrays.pop("order")
        return order, order, arrays
