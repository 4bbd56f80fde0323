"""Arrivals that are queued and delivered one after the other, because their order matters."""

import numpy as np

from brian_eventprop.plan.layouts.layout import SynapseLayout


class Queue(SynapseLayout):
    """For every synapse; its delivery is what the equations say, not a library's."""

    ring = paired = False
    send = during = after = ""

    @staticmethod
    def fits(facts):
        return True

    def pack(self, binder, delays, shape, n_steps, passes):
        order, post, rows, steps, start = binder.queue_layout(delays)
        arrays = {"post": post, "rows": rows, "steps": steps, "start": start}
        ends = {"synapse": order, "pre": binder.touched[order]}
        return order, order, arrays | {role: end.astype(np.int32) for role, end in ends.items()}
