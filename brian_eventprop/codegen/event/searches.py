"""Calls of the functions that take a single neuron on: the closed flow, or steps of Runge-Kutta."""

from __future__ import annotations

from functools import cached_property


class Watch:
    """A guard whose crossing is searched for: the threshold, or the end of refractoriness.

    Attributes
    ----------
    crossing, bounds
        The guard, and how finely it is looked at.
    frozen
        Whether the neuron is refractory until then, as it stands in the code.
    release
        Whether it is the end of refractoriness.
    """

    def __init__(self, group, crossing, bounds, release: bool = False):
        self.group, self.crossing, self.bounds, self.release = group, crossing, bounds, release
        self.frozen = str(release)

    def a(self, role: str) -> str:
        """Identifier of a function of this search."""
        return self.group.a(f"release_{role}" if self.release else role)

    @property
    def decides(self) -> bool:
        """Whether what happens at the crossing has a condition that may change right there."""
        return not self.release and self.group.decides_at_crossing

    @property
    def strict(self) -> bool:
        """Whether the state that is found must be behind the crossing."""
        return self.release or not self.group.resets_guard

    @property
    def text(self) -> str:
        """The condition in the user's words."""
        group = self.group.adjoint.group
        return f"not ({group.refractory_condition})" if self.release else group.threshold

    def state_at(self, s: str) -> str:
        """Return the call that gives ``y``, the state a time `s` later."""
        return self.group.search.state_at(s, self.frozen)


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

    def find_crossing(self, searching: str, event: str = "latest[j]", watch=None) -> str:
        """Return the call that goes on until ``stop``, or if `searching` to the first crossing.

        The crossing is that of the threshold, unless another `Watch` is given.
        """
        given = {"since": "t - event_log[latest[j], 0]", "event": event}
        arguments = ", ".join(given.get(name, name) for name in self.parameters)
        name = (watch or self.group).a("find_crossing")
        return f"{name}({searching}, frozen, x, t, stop - t, {arguments})"
