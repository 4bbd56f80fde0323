"""Synapses that add, sent through a ring; the backward pass reads a record tile by tile."""

from brian_eventprop.plan.layouts.layout import SynapseLayout


class Tiled(SynapseLayout):
    """The record has the arrival adjoints of all steps of a trial, for a tile of neurons each."""

    @staticmethod
    def fits(facts):
        return facts.additive

    def pack(self, binder, delays, shape, n_steps, passes):
        arrays = binder.tile_layout(delays, shape, n_steps, passes)
        back = arrays.pop("order")
        arrays |= binder.ring_layout(delays, shape, n_steps, passes)
        return arrays.pop("order"), back, arrays
