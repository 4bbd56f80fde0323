"""Conditions and steps in what a synapse adds to a `(summed)` variable: ``sign(x_post - x_pre)``.

The sum S jumps where a condition changes, and with it f of the neuron that has S.  As within the
equations of a neuron, the time of the change moves with what h of the condition is made of:

    lambda- = lambda+ - h_x E/hdot,      E = lambda_S (s- - s+)

with s the term of the synapse on the two sides of h = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.switches import Switch, jumping
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.reading.spec import TERM

#: Before a flag: its value in the time step after this one.
AHEAD = "ahead."


@dataclass(frozen=True)
class CouplingSteps:
    """The conditions and steps of a term.

    Attributes
    ----------
    switches
        All of them; those that make a kink only are there as well.
    moving
        Those that make the term jump, and one only of a pair of opposites.
    term
        The term with flags in their place.
    """

    switches: tuple[Switch, ...]
    moving: tuple[Switch, ...]
    term: sp.Expr

    def jump(self, switch: Switch) -> sp.Expr:
        """By how much the term is another one with the flag's value of the next time step."""
        ahead = symbol(f"{AHEAD}{switch.flag}")
        changed = {symbol(switch.flag): ahead}
        if switch.opposite:
            changed[symbol(switch.opposite)] = 1 - ahead
        return self.term.xreplace(changed) - self.term


def find_steps(term: sp.Expr, states: Sequence[str], active) -> CouplingSteps | None:
    """Return the conditions and steps that make a term jump; None if there are none.

    >>> from brian_eventprop.adjoint.symbolic.expressions import sign_
    >>> x = symbol("x")
    >>> steps = find_steps(x*sign_(x - 1), ["x"], [])
    >>> steps.moving[0].h, steps.moving[0].states
    (x - 1, {'x': 1})
    """
    switches, smooth, jump = jumping({TERM: term}, states, active)
    moving, seen = [], set()
    for switch in switches:
        if switch.flag in jump and switch.flag not in seen:
            moving.append(switch)
            seen.add(switch.opposite)
    return CouplingSteps(switches, tuple(moving), smooth[TERM]) if moving else None
