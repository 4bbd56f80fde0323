"""Conditions within the equations: where f or the integrand of the loss changes its form.

``int(v > 0)``, ``clip``, ``abs`` and ``sign`` are smooth between the times at which a condition
changes.  Each condition becomes a flag that stays as it is during an integration step, and a
function h that crosses 0 when the flag changes.  Where f jumps there by f- - f+, the time of the
change matters:

    lambda- = lambda+ - h_x (lambda+ . (f- - f+) + l- - l+) / hdot,      hdot = h_x . f- + h_t
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from brian_eventprop.adjoint.derivatives import cut_powers, diff
from brian_eventprop.adjoint.display import as_text
from brian_eventprop.adjoint.expressions import PiecewiseConstant, names, parse, sign_, symbol
from brian_eventprop.errors import UnsupportedError

_T = symbol("t")
#: At how many points the two sides of a condition are compared.
_SAMPLES = 3
_STEPS = ("int", "sign", "floor", "ceil")


@dataclass(frozen=True)
class Switch:
    """A condition that changes along the flow: true while ``h > 0``."""

    flag: str
    h: sp.Expr
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    time: sp.Expr


def find_switches(
    expressions: Mapping, states: Iterable[str], active: Iterable[str], owner: str
) -> tuple[tuple[Switch, ...], dict]:
    """Replace the conditions in some expressions by flags.

    Parameters
    ----------
    expressions
        f of each state, and the integrands.
    states, active
        Names of the states, and of the constants whose gradient is wanted.
    owner
        The group that errors name.

    Returns
    -------
    switches
        The conditions.
    smooth
        The expressions with ``switch.0 > 1/2`` in their place.
    """
    states, active = list(states), list(active)
    moving = {symbol(s) for s in states} | {_T}
    found: dict[sp.Expr, sp.Symbol] = {}
    smooth = {}
    for name, expression in expressions.items():
        _check_steps(expression, moving - {_T} | {symbol(n) for n in active}, owner)
        smooth[name] = _flagged(_spelt_out(expression, moving), moving, found)
    switches = tuple(
        Switch(
            flag.name, h, _partials(h, states), _partials(h, active), diff(h, _T)
        )
        for h, flag in found.items()
    )  # fmt: skip
    return switches, smooth


def jumps(expression: sp.Expr, states: Iterable[str], active: Iterable[str]) -> bool:
    """Return whether an expression jumps at a time that moves with states or trained constants.

    ``clip`` and ``abs`` have a kink only, and what depends on the time alone moves with nothing.

    >>> v = symbol("v")
    >>> jumps(sp.Abs(v) + v, ["v"], []), jumps(sp.Piecewise((v, v > 1), (0, True)), ["v"], [])
    (False, True)
    """
    moved = {symbol(n) for n in (*states, *active)}
    for part in expression.atoms(PiecewiseConstant):
        if not isinstance(part, sign_) and part.free_symbols & moved:
            return True
    found: dict[sp.Expr, sp.Symbol] = {}
    flagged = _flagged(_spelt_out(expression, moved | {_T}), moved | {_T}, found)
    return any(h.free_symbols & moved and _parted(flagged, h, found) for h in found)


def _parted(flagged, h, found) -> bool:
    """Whether an expression with flags has two values on the two sides of h = 0."""
    rng = np.random.default_rng(0)
    symbols = (flagged.free_symbols - set(found.values())).union(*(g.free_symbols for g in found))
    for _ in range(_SAMPLES):
        point = {s: sp.Float(rng.uniform(0.5, 1.5)) for s in sorted(symbols, key=str)}
        zero = _zero(h, point)
        if zero is None:
            continue
        try:
            gap = _sides(flagged, h, zero, found)
            usual = _sides(flagged, h, point, found)
            if abs(complex(gap[1] - gap[0])) > 1e-6 * max(abs(complex(u)) for u in usual):
                return True
        except (TypeError, OverflowError):  # no real number there
            continue
    return False


def _sides(flagged, h, point, found):
    """The values with h < 0 and with h > 0 at a point; the other conditions are as they are."""
    flags = {flag: int(bool(g.xreplace(point) > 0)) for g, flag in found.items() if g != h}
    return [flagged.xreplace({**point, **flags, found[h]: sp.Integer(k)}) for k in (0, 1)]


def _zero(h, point):
    """The point moved along one axis to where h is 0; None if there is no zero nearby."""
    for axis in sorted(h.free_symbols, key=str):
        rest = {s: value for s, value in point.items() if s != axis}
        try:
            return {**rest, axis: sp.nsolve(h.xreplace(rest), axis, point[axis])}
        except (ValueError, ZeroDivisionError):
            continue
    return None


def check_threshold(condition: str, states: Iterable[str], owner: str) -> None:
    """Refuse a threshold that jumps: the crossing of a jump has no slope."""
    moving = {*states, "t"}
    for node in ast.walk(parse(condition)):
        call = isinstance(node, ast.Call) and node.func.id in _STEPS
        step = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.FloorDiv)
        if (call or step) and names(node) & moving:
            raise UnsupportedError(
                f"NeuronGroup '{owner}': the threshold '{condition}' is not supported in exact "
                f"time: '{ast.unparse(node)}' jumps, so a crossing may have no slope. Combine "
                "conditions with 'and' and 'or', for example 'v > 1 and t > 5*ms', or use "
                "solver='clock'."
            )


def _partials(value, wanted):
    result = {n: diff(value, symbol(n)) for n in wanted}
    return {n: d for n, d in result.items() if d != 0}


def _check_steps(expression, moving, owner):
    for part in expression.atoms(PiecewiseConstant):
        if not isinstance(part, sign_) and part.free_symbols & moving:
            raise UnsupportedError(
                f"NeuronGroup '{owner}': '{as_text(part)}' in its equations or in an integrated "
                "readout is not supported in exact time: it jumps again and again with a variable "
                "or a trained parameter. Write the jump as a condition, for example 'int(v > 1)', "
                "or use solver='clock'."
            )


def _spelt_out(expression, moving):
    """``abs`` and ``sign`` of what changes along the flow, as conditions."""

    def absolute(a):
        return sp.Piecewise((a, a > 0), (-a, True)) if a.free_symbols & moving else sp.Abs(a)

    def sign(a):
        if not a.free_symbols & moving:
            return sign_(a)
        return sp.Piecewise((sp.Integer(1), a > 0), (sp.Integer(-1), True))

    return cut_powers(expression.replace(sp.Abs, absolute).replace(sign_, sign))


def _flagged(expression, moving, found):
    flags = {}
    for condition in sorted(expression.atoms(Relational), key=str):
        above = isinstance(condition, sp.StrictGreaterThan | sp.GreaterThan)
        below = isinstance(condition, sp.StrictLessThan | sp.LessThan)
        if not (above or below) or not condition.free_symbols & moving:
            continue
        h = condition.lhs - condition.rhs if above else condition.rhs - condition.lhs
        if -h in found:
            flags[condition] = found[-h] < sp.Rational(1, 2)
        else:
            flag = found.setdefault(h, symbol(f"switch.{len(found)}"))
            flags[condition] = flag > sp.Rational(1, 2)
    return expression.xreplace(flags)
