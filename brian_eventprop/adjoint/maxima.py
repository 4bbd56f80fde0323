"""Maxima that arrivals make or end: how a readout and its slope change with what arrives.

A maximum of m that an arrival makes moves with it.  Let f be the slope of m in time, before (f-)
and after (f+) the arrival.  A kernel takes m at the time of the largest sample, so its dL/dt_a has
m_x (A_y f-) - f+ of it already, which is f- - f+ where m does not jump.  What is missing, because
the sample should move, is

- f+ where m jumps up and then falls;
- f+ where a rise turns into a fall: the maximum is at the arrival.  Where m falls before it, or
  still rises after it, the maximum is elsewhere, by less than a step; of f- - f+ the part above 0
  is right, so that min(f+, 0) - min(f-, 0) is missing;
- f- where m jumps down after a rise: the maximum is just before the jump, which no sample sees.

Arrivals of one step share it as they change m (a jump) or f (a turn).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.groups import GroupAdjoint, StateReadout, slope_of, tidy
from brian_eventprop.adjoint.symbolic.expressions import symbol, to_sympy


@dataclass(frozen=True)
class ArrivalMaximum:
    """A maximum readout and its slope (for each mode), as more and more states are after arrivals.

    The first of ``values`` and of the slopes is before them, each next one has one more stage of
    states after them; ``was.v`` is the state v before the arrivals.
    """

    number: int
    values: tuple[sp.Expr, ...]
    slopes: Mapping[str, tuple[sp.Expr, ...]]

    @property
    def jumps(self) -> bool:
        """Whether arrivals may make the readout itself jump."""
        return any(value != self.values[0] for value in self.values)

    @property
    def moves(self) -> bool:
        """Whether arrivals may make or end the maximum at all."""
        return self.jumps or any(r != slopes[0] for slopes in self.slopes.values() for r in slopes)


def was(state: str) -> sp.Symbol:
    """A state before the arrivals of a step."""
    return symbol(f"was.{state}")


def derive_maxima(
    adjoint: GroupAdjoint, stages: Iterable[Iterable[str]]
) -> tuple[ArrivalMaximum, ...]:
    """Derive the maxima of a group that arrivals may make or end.

    Parameters
    ----------
    adjoint
        The group.
    stages
        The states that arrivals change: one stage after the other.
    """
    stages = [tuple(stage) for stage in stages]
    earlier = [
        {symbol(s): was(s) for stage in stages[k:] for s in stage} for k in range(len(stages) + 1)
    ]
    maxima = [r for r in adjoint.readouts if r.kind == "maximum"]
    found = [_maximum(adjoint, readout, earlier) for readout in maxima]
    return tuple(maximum for maximum in found if maximum.moves)


def _maximum(adjoint: GroupAdjoint, readout: StateReadout, earlier) -> ArrivalMaximum:
    value = to_sympy(readout.expression)
    slopes = {
        mode: slope_of(readout, adjoint.flow(mode == "frozen")) for mode in ("free", "frozen")
    }
    return ArrivalMaximum(
        readout.number,
        tuple(value.xreplace(names) for names in earlier),
        {mode: tuple(tidy(e.xreplace(names)) for names in earlier) for mode, e in slopes.items()},
    )
