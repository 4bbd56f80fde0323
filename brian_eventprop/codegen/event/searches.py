"""Calls of the functions that take a single neuron on: the closed flow, or steps of Runge-Kutta."""

from __future__ import annotations

from functools import cached_property


class Searches:
    """How templates let neuron ``j`` of a group go on from the state ``x`` at the time ``t``."""

    def __init__(self, group):
        self.group = group

    def state_at(self, s: str, frozen: str = "False") -> str:
        """Return the call that gives ``y``, the state a time `s` later."""
        g = self.group
        if g.closed:
            return f"{g.a('flow')}({frozen}, x, {s}, j, K, y)"
        return f"{g.a('step')}({frozen}, x, t, {s}, j, C, P, k, y)"

    def advance_to(self, s: str) -> str:
        """Return the call of the backward pass for ``z``, the state a time `s` after ``y``."""
        g = self.group
        if g.closed:
            return f"{g.a('flow')}(frozen, y, {s}, j, K, z)"
        return f"{g.a('advance_to')}(frozen, y, t, {s}, j, C, P, stages, z, again)"

    @cached_property
    def parameters(self) -> list[str]:
        """The last parameters of ``find_crossing``."""
        g = self.group
        if g.closed:
            return ["j", "C", "P", "K", "y", "z", "stack"]
        found = ["j", "C", "P", "k", "y", "z", "stack", "hint", *["path"] * g.spikes]
        return found + ["since", "event", "trial", "VR", "ME", "MS", "dx", "w"] * bool(g.maxima)

    def find_crossing(self, searching: str, event: str = "latest[j]") -> str:
        """Return the call that goes on until ``stop``, or if `searching` to the first crossing."""
        given = {"since": "t - event_log[latest[j], 0]", "event": event}
        arguments = ", ".join(given.get(name, name) for name in self.parameters)
        return f"{self.group.a('find_crossing')}({searching}, frozen, x, t, stop - t, {arguments})"
