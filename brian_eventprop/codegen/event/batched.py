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

from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.flow import ONE
from brian_eventprop.adjoint.pathways import INCREMENT
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol


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

    increment = INCREMENT

    def __init__(self, group):
        self.group = group
        states = {p.adjoint.increment.state for p in group.incoming}
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


def allows_batches(group) -> bool:
    """Whether the equations of a group allow batched arrivals; a run looks at the numbers."""
    if not group.closed or not group.incoming or group.flow_needs_state:
        return False
    if group.maxima or group.breaks:
        return False
    if any(p.adjoint.increment is None or p.adjoint.increment.read for p in group.incoming):
        return False
    for closed in (group.flow.free, group.flow.frozen):
        for terms in closed.entries.values():
            if any(len(set(term.rates)) < len(term.rates) for term in terms):
                return False
    return not group.spikes or linear_guard(group.adjoint) is not None


def linear_guard(adjoint) -> list[sp.Expr] | None:
    """Derivatives of the guard in the states and its value at 0; None if it is not linear."""
    if adjoint.crossing is None:
        return None
    g = adjoint.crossing.g
    states = [symbol(s) for s in adjoint.group.states]
    moving = {*states, symbol("t")}
    slopes = [diff(g, s) for s in states]
    if g.has(sp.Piecewise) or any(e.free_symbols & moving for e in slopes):
        return None
    rest = g.xreplace({s: sp.Integer(0) for s in states})
    return None if rest.free_symbols & moving else [*slopes, rest]
