"""The guard of a threshold as a search for its crossings sees it: linear, or in smooth parts.

A guard is smooth, or the smaller or larger of several smooth ones (``and``, ``or``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.groups import Crossing, GroupAdjoint, flowing
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import (
    Extreme,
    Steady,
    guard_parts,
    symbol,
    to_sympy,
)
from brian_eventprop.adjoint.symbolic.reverse import compose

_T = symbol("t")


@dataclass(frozen=True)
class GuardParts:
    """The smooth parts of a guard; none if it is smooth itself.

    Attributes
    ----------
    values, slopes
        Each part, and its derivative along the flow.
    tree
        An `Extreme` of parts by number and of others like it; None without parts.
    """

    values: tuple[sp.Expr, ...] = ()
    slopes: tuple[sp.Expr, ...] = ()
    tree: Extreme | None = None


def smooth_parts(crossing: Crossing | None, rate: Mapping[str, sp.Expr]) -> GuardParts:
    """Return the smooth parts of a guard, with their slopes along a flow."""
    moving = {"t", *flowing(rate)}
    tree = None if crossing is None else guard_parts(crossing.condition, moving)
    if not isinstance(tree, Extreme):
        return GuardParts()
    parts: list[sp.Expr] = []
    numbered = _numbered(tree, parts)
    slopes = (
        sum((diff(part, symbol(s)) * e for s, e in rate.items()), diff(part, _T)) for part in parts
    )
    return GuardParts(tuple(parts), tuple(slopes), numbered)


def _numbered(tree, parts):
    """The same tree of numbers; its leaves are appended to `parts`."""
    if isinstance(tree, Extreme):
        return Extreme(tree.smaller, tuple(_numbered(part, parts) for part in tree.parts))
    parts.append(tree.value if isinstance(tree, Steady) else tree)
    return len(parts) - 1


def linear_guard(adjoint: GroupAdjoint) -> list[sp.Expr] | None:
    """Return the derivatives of the guard in the states and its value at 0; None if not linear."""
    if adjoint.crossing is None:
        return None
    g, states = adjoint.crossing.g, adjoint.group.states
    moving = {*map(symbol, states), _T}
    slopes = [adjoint.crossing.states.get(s, sp.Integer(0)) for s in states]
    if g.has(sp.Piecewise) or any(e.free_symbols & moving for e in slopes):
        return None
    rest = g.xreplace({symbol(s): sp.Integer(0) for s in states})
    return None if rest.free_symbols & moving else [*slopes, rest]


def reset_changes_guard(adjoint: GroupAdjoint) -> bool:
    """Return whether a reset changes the guard at all."""
    if adjoint.crossing is None:
        return False
    after = {symbol(s): e for s, e in compose(adjoint.reset, adjoint.group.states).items()}
    g = adjoint.crossing.g
    return _differ_somewhere(g.xreplace(after), g)


def _differ_somewhere(first: sp.Expr, second: sp.Expr) -> bool:
    """Return whether two expressions are not the same function.

    Some numbers tell of most, which takes less time than to simplify the difference.
    """
    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    for k in range(13):
        numbers = {s: sp.Rational((5 * k + 3 * n) % 13, 2) - 2 for n, s in enumerate(symbols)}
        gap, size = (_number(e.xreplace(numbers)) for e in (first - second, second))
        if gap.is_Float and size.is_number and abs(gap) > 1e-6 * (1 + abs(size)):
            return True
    return sp.simplify(first - second) != 0


def _number(expression: sp.Expr) -> sp.Expr:
    """Evaluate an expression; any function will do in place of those that have no value here."""
    return expression.replace(
        lambda e: isinstance(e, sp.Function) and not e.evalf().is_Number,
        lambda e: sp.Add(*e.args),
    ).evalf()


def watches_time(adjoint: GroupAdjoint) -> bool:
    """Return whether a threshold, a refractory condition or a maximum changes with the time."""
    watched = [to_sympy(r.expression) for r in adjoint.readouts if r.kind == "maximum"]
    watched += [adjoint.crossing.g] if adjoint.crossing is not None else []
    watched += [adjoint.released.crossing.g] if adjoint.watches_release else []
    return any(_T in e.free_symbols for e in watched)
