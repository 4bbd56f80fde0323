"""Synapses whose gradients each spike adds to at once, when the backward pass comes to it."""

from brian_eventprop.plan.layouts import limits
from brian_eventprop.plan.layouts.layout import SynapseLayout


class PerSpike(SynapseLayout):
    """A ring of arrival adjoints is enough: few synapses, or no record of the whole trial."""

    per_spike = True
    during, after = "accumulate", ""

    @staticmethod
    def fits(facts):
        few = facts.size <= limits.PER_SPIKE_SYNAPSES
        return facts.additive and (few or not facts.has_record)

    def pack(self, binder, delays, shape, n_steps, passes):
        arrays = binder.lane_layout(delays, shape, n_steps, passes)
        order = arrays.pop("order")
        return order, order, arrays
