"""Batched arrivals: the layout of the event solver for linear groups with many additive synapses.

Between two events of its own a linear neuron only sums what arrives.  With distinct rates K_r
every entry of exp(A h) is a sum of M_r exp(K_r h), and for an arrival at t + d in a window that
ends at t1, with t0 the beginning of an epoch of many windows,

    exp(K_r (t1 - t - d)) = exp(-K_r d) * exp(K_r (t0 - t)) * exp(K_r (t1 - t0)):

a constant of the synapse, one of the spike and one of the window.  So an arrival costs a product
per rate, and only neurons that a bound cannot prove to stay below their threshold within a window
look up its arrivals.  They go to the first of them before which a crossing cannot be ruled out,
again by sums (`fill_profile`).  Backwards the adjoint within a window has the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.flow import ONE, ContinuousFlow
from brian_eventprop.adjoint.guards import linear_guard
from brian_eventprop.adjoint.system import AdjointSystem


@dataclass(frozen=True)
class Slot:
    """A column of the accumulators: the state that receives and the rate, both by number."""

    state: int
    rate: int


class BatchedLayout:
    """Columns of the accumulators of a group that takes its arrivals in batches.

    Attributes
    ----------
    slots
        One per receiving state and rate in its column of exp(A h).
    receivers
        The receiving states by number.
    """

    def __init__(self, group):
        self.group = group
        states = {arrival.pathway.increment.state for arrival in group.setting.arrivals}
        self.receivers = [k for k, s in enumerate(group.states) if s in states]
        self.slots = [Slot(k, r) for k in self.receivers for r in self._rates(k)]
        self.n_rates = len(group.flow.free.rates)
        self.constant = any(s == ONE for _, s in group.flow.free.entries)

    def _rates(self, k):
        used = set()
        for closed in (self.group.flow.free, self.group.flow.frozen):
            for (_, source), terms in closed.entries.items():
                if source == self.group.states[k]:
                    used |= {r for term in terms for r in term.rates}
        return sorted(used)

    @property
    def by_receiver(self) -> list[list[int]]:
        """The slots of each receiving state."""
        numbers = range(len(self.slots))
        return [[n for n in numbers if self.slots[n].state == k] for k in self.receivers]

    @property
    def width(self) -> int:
        """Columns of the accumulators: of positive amounts, and of negative ones in neurons that
        spike, as the two sides of the bound on their guard."""
        return len(self.slots) * (2 if self.group.spikes else 1)

    @property
    def depth(self) -> int:
        """Columns of the adjoint of arrivals: at least two, for the mark of parted windows."""
        return max(len(self.slots), 2)

    @property
    def sums(self) -> int:
        """First row of the sums of arrivals in the profile of a window; see `fill_profile`."""
        return 1 + 2 * self.n_rates

    @property
    def top(self) -> int:
        """Row of the bounds on the guard in it, the last one."""
        return self.sums + len(self.slots)

    def of(self, pathway) -> list[tuple[int, int, int]]:
        """Columns of a pathway: (slot, rate, column in the table of its synapses)."""
        state = self.group.states.index(pathway.adjoint.increment.state)
        own = [(s, slot.rate) for s, slot in enumerate(self.slots) if slot.state == state]
        return [(s, rate, i) for i, (s, rate) in enumerate(own)]


def batched_groups(system: AdjointSystem, flows: Mapping[str, ContinuousFlow]) -> frozenset[str]:
    """Return the groups whose equations allow batched arrivals; a run looks at the numbers."""
    return frozenset(
        g.group.name
        for g in system.groups
        if _allows_batches(g, flows[g.group.name])
        and _increments([p for p in system.pathways if p.pathway.target == g.group.name])
    )


def _allows_batches(adjoint, flow):
    if not flow.closed or flow.parameters or adjoint.group.timed_values or adjoint.jumps:
        return False
    if adjoint.released is not None:
        return False
    if any(r.kind != "final" for r in adjoint.readouts):
        return False
    for closed in (flow.free, flow.frozen):
        for terms in closed.entries.values():
            if any(len(set(term.rates)) < len(term.rates) for term in terms):
                return False
    return adjoint.crossing is None or linear_guard(adjoint) is not None


def _increments(arriving):
    """Whether there are pathways, and all of them only add a constant."""
    increments = [p.increment for p in arriving]
    return bool(increments) and not any(i is None or i.read for i in increments)
