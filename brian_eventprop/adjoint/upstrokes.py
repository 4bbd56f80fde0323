"""Explosive upstrokes: the flow between the last states of the grid and the threshold.

Where a variable of the threshold drives itself more and more strongly (AdEx, exponential and
quadratic integrate-and-fire, Izhikevich), its last steps before a spike are too long for the slope
of the crossing to be read off them.  Along the true flow the sensitivity of v and its slope grow
together and dt_s/dx = -(dv/dx)/v' stays as it is; along the steps the slope outruns it.  Therefore
the adjoint of such a spike follows the true flow, from the threshold back to a state whose growth
the steps resolve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.reverse import lam
from brian_eventprop.reading.spec import Group

#: Methods whose steps have an error of the first order: x + dt f(x).
FIRST_ORDER = ("euler", "heun", "milstein")


@dataclass(frozen=True)
class Upstroke:
    """The flow of a group whose threshold may be reached explosively.

    Attributes
    ----------
    rates
        f of each state while free.
    driven
        The variables of the threshold that drive themselves.
    growth
        d f_s/ds of these.
    stiffness
        d f_s/ds of every state that has one.
    states, parameters
        The derivatives of lambda . f + the integrands of the loss.
    linear
        The derivatives of lambda . f in the states alone.
    first_order
        Whether a step is x + dt f.  To the next order that is the flow of f - dt/2 f_x f.
    """

    rates: Mapping[str, sp.Expr]
    driven: tuple[str, ...]
    growth: tuple[sp.Expr, ...]
    stiffness: tuple[sp.Expr, ...]
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    linear: Mapping[str, sp.Expr]
    first_order: bool


def derive_upstroke(
    group: Group,
    rates: Mapping[str, sp.Expr],
    crossed: Iterable[str],
    loss: sp.Expr,
    active: Iterable[str],
) -> Upstroke | None:
    """Derive the flow into the threshold; None where no upstroke can be explosive.

    Parameters
    ----------
    group
        The group.
    rates
        f of each state while free.
    crossed
        The states that the threshold reads.
    loss
        The integrands of the loss, weighted.
    active
        Names of the constants whose gradient is wanted.
    """
    own = {s: diff(f, symbol(s)) for s, f in rates.items()}
    driven = tuple(s for s in crossed if drives_itself(own[s], s))
    if not driven:
        return None
    cost = sum((lam(s) * f for s, f in rates.items()), sp.Integer(0))
    states = {s: diff(cost + loss, symbol(s)) for s in rates}
    parameters = {n: diff(cost + loss, symbol(n)) for n in active}
    return Upstroke(
        dict(rates),
        driven,
        tuple(own[s] for s in driven),
        tuple(e for e in own.values() if e != 0),
        states,
        {n: e for n, e in parameters.items() if e != 0},
        {s: diff(cost, symbol(s)) for s in rates},
        group.method in FIRST_ORDER,
    )


def drives_itself(slope: sp.Expr, state: str) -> bool:
    """Return whether d f_s/ds changes with s, other than by a jump.

    >>> v, w = symbol("v"), symbol("w")
    >>> [drives_itself(sp.diff(f, v), "v") for f in (w * v, v**2 + w, sp.Abs(v))]
    [False, True, False]
    """
    change = diff(slope, symbol(state))
    return change.replace(sp.DiracDelta, lambda *_: sp.Integer(0)) != 0
