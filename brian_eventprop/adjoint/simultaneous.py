"""Arrivals at the time of a spike of their target, and where in their order they may stand.

Spikes cause arrivals without delay, which come before the resets of neurons that spike at the same
time.  Some may as well come later: the states are the same then, but a derivative in the time of an
arrival is that of a later one only if it comes as late as that would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sympy.core.relational import Relational

from brian_eventprop.adjoint.autapses import comes_after_reset, reset_map, transition
from brian_eventprop.adjoint.groups import GroupAdjoint
from brian_eventprop.adjoint.pathways import PathwayAdjoint, is_additive
from brian_eventprop.adjoint.symbolic.expressions import PiecewiseConstant
from brian_eventprop.adjoint.symbolic.reverse import commute, compose


@dataclass(frozen=True, eq=False)
class Arrival:
    """A pathway into a group, among those whose arrivals may come at one time.

    Attributes
    ----------
    pathway, target
        The pathway and the group.
    at_once
        The pathways into the group from the groups of the same loop.
    delay_trained
        Whether the gradient of its delays is wanted.
    """

    pathway: PathwayAdjoint
    target: GroupAdjoint
    at_once: tuple[PathwayAdjoint, ...]
    delay_trained: bool

    @cached_property
    def after_reset(self) -> tuple[bool, bool]:
        """Whether an arrival at a neuron that spikes may as well come after its reset.

        For a target that is free then and for one that is frozen.
        """
        if self.pathway.synaptic:  # what it reads and writes is not only the target's
            return (not self.pathway.touches_target,) * 2
        group, free = self.target.group, self._free_of_order("free")
        may_be_frozen = group.frozen and group.refractory is not None
        return free, self._free_of_order("frozen") if may_be_frozen else free

    def _free_of_order(self, mode):
        others = [self._transition(p, mode) for p in self.at_once]
        before = [other for other in others if not commute(other, self._reset)]
        own = self._transition(self.pathway, mode)
        return all(commute(own, other) for other in (self._reset, *before))

    @cached_property
    def last(self) -> bool:
        """Whether an arrival may as well come after all that happens at once to its target."""
        rule, frozen = self.pathway.free, self.pathway.frozen
        if self.pathway.synaptic:
            return False
        if self.pathway.lift is not None or rule.statements != frozen.statements:
            return False
        others = [self._transition(p, mode) for p in self.at_once for mode in ("free", "frozen")]
        own = self._transition(self.pathway, "free")
        return all(commute(own, other) for other in (self._reset, *others))

    @cached_property
    def grows_from_zero(self) -> bool:
        """Whether the gradient of a delay of 0, which can only grow, needs a rule of its own.

        A later arrival comes after all that happens at once.  Where they commute the loss goes on
        from there, with a derivative that is another one than between those that arrive at once.
        """
        inside = any(p is self.pathway for p in self.at_once)
        if not (self.delay_trained and inside) or is_additive(self.at_once):
            return False
        if any(p.synaptic for p in self.at_once):
            return False
        return comes_after_reset(self.pathway, self.target, self.at_once)

    @cached_property
    def _reset(self):
        return reset_map(self.target)

    def _transition(self, p, mode):
        """What an arrival makes of each state, with constants that are its pathway's own."""
        return transition(p, mode, self._reset, f"{p.pathway.name}.")


def decides_at_crossing(target: GroupAdjoint, at_once: Iterable[PathwayAdjoint]) -> bool:
    """Return whether what happens at a crossing has a condition that may change right there.

    The reset, and arrivals that come before it, find the threshold exceeded, as in Brian2.
    """
    states = target.group.states
    maps = [compose(target.reset, states)]
    maps += [compose(p.free.statements, [f"post__{s}" for s in states]) for p in at_once]
    return any(e.has(Relational, PiecewiseConstant) for m in maps for e in m.values())
