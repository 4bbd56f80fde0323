"""Conditions and steps within the equations: where f or the integrand of the loss changes its form.

``int(v > 0)``, ``clip``, ``abs``, ``sign``, ``floor`` and ``%`` are smooth between the times at
which a condition changes or a step takes its next value.  Each condition becomes a flag that stays
as it is during an integration step, and a function h that crosses 0 when the flag changes; each
``floor(h)`` a whole number that changes when h crosses one.  Where f jumps there by f- - f+, the
time of the change matters:

    lambda- = lambda+ - h_x (lambda+ . (f- - f+) + l- - l+) / hdot,      hdot = h_x . f- + h_t

A function h may read the flags of conditions within it (`int(v > 0.8 + 0.1*int(u > 0.2))`): they
come before it.  Where such a flag changes, its own change is the event, and what it makes of h
follows along with it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from brian_eventprop.adjoint.symbolic.derivatives import (
    cut_powers,
    diff,
    positive_power_,
    singular_arguments,
)
from brian_eventprop.adjoint.symbolic.expressions import (
    PiecewiseConstant,
    ceil_,
    clip,
    floor_,
    names,
    parse,
    sign_,
    symbol,
    trunc_,
)
from brian_eventprop.errors import UnsupportedError

_T = symbol("t")
#: At how many points the two sides of a condition are compared.
_SAMPLES = 3
#: Most other conditions whose combinations are all tried.
_MOST_CONDITIONS = 8
_STEPS = ("int", "sign", "floor", "ceil")
_KINDS = {floor_: "floor", ceil_: "ceil", trunc_: "trunc"}


@dataclass(frozen=True)
class Switch:
    """A condition, true while ``h > 0``, or a step, which changes where h meets a whole number.

    Attributes
    ----------
    flag
        Its name: 1 where the condition holds and 0 else, or the value of the step.
    h, states, parameters, time
        The function and its derivatives.
    kind
        ``'condition'``, ``'floor'``, ``'ceil'`` or ``'trunc'``.
    inner
        The flags that h reads, directly or through others.
    opposite
        The flag of ``-h > 0``, if there is one: both change together.
    steep
        The values of the flag for which something is infinitely steep at h = 0, as a root of h.
    """

    flag: str
    h: sp.Expr
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    time: sp.Expr
    kind: str = "condition"
    inner: tuple[str, ...] = ()
    opposite: str | None = None
    steep: frozenset[int] = frozenset()

    @property
    def moves(self) -> bool:
        """Whether its change moves with a state or with a trained constant."""
        return bool(self.states or self.parameters)


def find_switches(
    expressions: Mapping, states: Iterable[str], active: Iterable[str]
) -> tuple[tuple[Switch, ...], dict]:
    """Replace the conditions and steps in some expressions by flags.

    Parameters
    ----------
    expressions
        f of each state, and the integrands.
    states, active
        Names of the states, and of the constants whose gradient is wanted.

    Returns
    -------
    switches
        The conditions and steps; those within others come first.
    smooth
        The expressions with ``switch.0 > 1/2`` or ``switch.1`` in their place.

    Examples
    --------
    >>> v = symbol("v")
    >>> switches, smooth = find_switches({"v": floor_(2*v) - v}, ["v"], [])
    >>> switches[0].kind, switches[0].h, smooth["v"]
    ('floor', 2*v, switch.0 - v)
    """
    states, active = list(states), list(active)
    flagger = _Flagger({symbol(s) for s in states} | {_T})
    smooth = {}
    for name, expression in expressions.items():
        smooth[name] = flagger(_spelt_out(expression, flagger.moving))
    switches = flagger.switches(states, active)
    switches = _with_steep_sides(switches, smooth.values(), flagger.moving)
    return switches, {name: _kept_positive(e, switches, flagger) for name, e in smooth.items()}


@dataclass
class _Flagger:
    """Replaces conditions and steps that change with what moves, the inner ones first."""

    moving: set
    found: dict[tuple[str, sp.Expr], sp.Symbol] = field(default_factory=dict)

    def __call__(self, expression):
        if not expression.args or not self._changes(expression):
            return expression
        args = [self(a) for a in expression.args]
        if type(expression) in _KINDS and args[0].free_symbols & self.moving:
            return self._flag(_KINDS[type(expression)], args[0])
        if isinstance(expression, sp.Rel) and any(a.free_symbols & self.moving for a in args):
            return self._condition(expression, *args)
        return expression.func(*args)

    def _changes(self, expression):
        kinds = (Relational, PiecewiseConstant)
        return expression.has(*kinds) and expression.free_symbols & self.moving

    def _condition(self, relation, left, right):
        """``a >= b`` is the contrary of ``b > a``, also where both are equal."""
        half = sp.Rational(1, 2)
        match relation:
            case sp.StrictGreaterThan():
                return self._flag("condition", left - right) > half
            case sp.StrictLessThan():
                return self._flag("condition", right - left) > half
            case sp.GreaterThan():
                return self._flag("condition", right - left) < half
            case sp.LessThan():
                return self._flag("condition", left - right) < half
        return relation.func(left, right)  # equal for no time at all

    def _flag(self, kind, h):
        return self.found.setdefault((kind, h), symbol(f"switch.{len(self.found)}"))

    def switches(self, states, active) -> tuple[Switch, ...]:
        inner, made = {}, []
        for (kind, raw), flag in self.found.items():
            h = _clipped(raw)
            read = [f for f in self.found.values() if f in h.free_symbols]
            inner[flag] = tuple(dict.fromkeys(n for f in read for n in (*inner[f], f.name)))
            other = self.found.get((kind, -raw)) if kind == "condition" else None
            made.append(
                Switch(
                    flag.name, h, _partials(h, states), _partials(h, active), diff(h, _T),
                    kind, inner[flag], other.name if other is not None else None,
                )
            )  # fmt: skip
        return tuple(made)


def _with_steep_sides(switches, values, moving):
    """Mark the sides of conditions on which an expression is infinitely steep at h = 0."""
    flags = {symbol(s.flag) for s in switches}
    vanishing = {a for e in values for a in singular_arguments(e) if a.free_symbols & moving}
    if not vanishing:
        return switches
    made, seen = [], set()
    for s in switches:
        sides = set()
        if s.kind == "condition" and s.moves and s.opposite not in seen:
            sides = {k for value in vanishing for k in _sides(value, s, flags, moving)}
        seen |= {s.flag} if sides else set()
        made.append(replace(s, steep=frozenset(sides)))
    return tuple(made)


def _sides(value, switch, flags, moving):
    """The values of the flag for which something that moves is 0 where h is."""
    own, opposite = symbol(switch.flag), symbol(f"{switch.opposite}")
    others = sorted((value.free_symbols | switch.h.free_symbols) & flags - {own, opposite}, key=str)
    if len(others) > _MOST_CONDITIONS:
        yield from (0, 1)
        return
    for side in (0, 1):
        for chosen in itertools.product((sp.Integer(0), sp.Integer(1)), repeat=len(others)):
            known = dict(zip(others, chosen, strict=True))
            known |= {own: sp.Integer(side), opposite: sp.Integer(1 - side)}
            here = value.xreplace(known)
            if here.free_symbols & moving and _may_vanish(here, switch.h.xreplace(known), moving):
                yield side
                break


def _kept_positive(expression, switches, flagger):
    """Let a height that a condition keeps positive count as 0 where it is negative by rounding."""
    for s in switches:
        own = symbol(s.flag)
        raw = next(h for (_, h), flag in flagger.found.items() if flag == own)
        heights = {side: raw if side else -raw for side in s.steep}

        def branches(*cases, own=own, heights=heights):
            made = []
            for k, (value, condition) in enumerate(cases):
                sides = [v for v in (0, 1) if _may_be_taken(cases[: k + 1], own, v)]
                if len(sides) == 1 and sides[0] in heights:
                    value = _kept(value, heights[sides[0]])
                made.append((value, condition))
            return sp.Piecewise(*made)

        if heights:
            expression = expression.replace(sp.Piecewise, branches)
    return expression


def _may_be_taken(cases, flag, value) -> bool:
    """Whether the last of some cases may be taken where a flag has this value."""
    *before, last = (sp.sympify(c).xreplace({flag: sp.Integer(value)}) for _, c in cases)
    return last != sp.false and sp.true not in before


def _kept(value, height):
    """A branch or the arguments of its roots with a height that is not negative."""

    def keep(x):
        plain = x.replace(positive_power_, lambda base, exponent: base**exponent)
        for sign in (1, -1):
            rest = sp.expand(plain - sign * height)
            if rest.is_number:  # a named limit may be infinite
                return rest + sign * positive_power_(sp.expand(sign * (x - rest)), sp.Integer(1))
        return x

    value = keep(value)
    return value.replace(lambda part: part.is_Pow, lambda part: keep(part.base) ** part.exp)


def _may_vanish(value, h, moving) -> bool:
    """Whether something is 0, or a constant that may be 0, all over where h is 0.

    Where no point tells, it may.
    """
    if symbol("inf") in h.free_symbols:
        return False
    rng = np.random.default_rng(0)
    axes = sorted(value.free_symbols | h.free_symbols, key=str)
    fixed = {s: sp.Float(rng.uniform(0.5, 1.5)) for s in axes}
    found = []
    for again in (moving, moving, set(axes)):
        point = {s: sp.Float(rng.uniform(0.5, 1.5)) if s in again else x for s, x in fixed.items()}
        try:
            found.append(complex(_value(value, _zero(h, point, moving))))
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):  # no number there
            return True
    one, two, other = found
    if not np.all(np.isfinite(found)) or max(map(abs, found)) < 1e-9:
        return True
    return abs(one - two) <= 1e-9 * abs(one) and abs(one - other) > 1e-9 * abs(one)


def _partials(value, wanted):
    result = {n: diff(value, symbol(n)) for n in wanted}
    return {n: d for n, d in result.items() if d != 0}


def _spelt_out(expression, moving):
    """``abs`` and ``sign`` of what changes along the flow, as conditions."""

    def absolute(a):
        return sp.Piecewise((a, a > 0), (-a, True)) if a.free_symbols & moving else sp.Abs(a)

    return cut_powers(
        expression.replace(sp.Abs, absolute).replace(sign_, lambda a: _sign(a, moving))
    )


def _sign(a, moving):
    if not a.free_symbols & moving:
        return sign_(a)
    return sp.Piecewise((sp.Integer(1), a > 0), (sp.Integer(-1), True))


def check_threshold(
    condition: str, states: Iterable[str], owner: str, name: str = "threshold"
) -> None:
    """Refuse a threshold that jumps, or another condition: the crossing of a jump has no slope."""
    moving = {*states, "t"}
    for node in ast.walk(parse(condition)):
        call = isinstance(node, ast.Call) and node.func.id in _STEPS
        step = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.FloorDiv)
        if (call or step) and names(node) & moving:
            raise UnsupportedError(
                f"NeuronGroup '{owner}': the {name} '{condition}' is not supported in exact "
                f"time: '{ast.unparse(node)}' jumps, so a crossing may have no slope. Combine "
                "conditions with 'and' and 'or', for example 'v > 1 and t > 5*ms', or use "
                "solver='clock'."
            )


# ---- which of them make an expression jump ----


class clip_(sp.Function):
    """``clip`` as one continuous function of its arguments."""

    nargs = 3


def jumps(expression: sp.Expr, states: Iterable[str], active: Iterable[str]) -> bool:
    """Return whether an expression jumps at a time that moves with states or trained constants.

    ``clip`` and ``abs`` have a kink only, and what depends on the time alone moves with nothing.
    Every combination of the other conditions is tried; where no answer is found, it jumps.

    >>> v, u = symbol("v"), symbol("u")
    >>> jumps(sp.Abs(v) + v*sp.Piecewise((1, v > 0), (0, True)), ["v"], [])
    False
    >>> jumps(sp.Piecewise((1, sp.Or(v > 1, u > 1)), (0, True)), ["v", "u"], [])
    True
    """
    return bool(jumping({"": expression}, states, active)[2])


def jumping(
    expressions: Mapping, states: Iterable[str], active: Iterable[str]
) -> tuple[tuple[Switch, ...], dict, frozenset[str]]:
    """Replace conditions and steps by flags, but for those that only make kinks.

    Returns
    -------
    switches, smooth
        As of `find_switches`; ``clip`` and ``abs`` stay as they are.
    jump
        The flags of those that make an expression jump at a time that moves.
    """
    if not any(e.has(Relational, PiecewiseConstant) for e in expressions.values()):
        return (), dict(expressions), frozenset()
    states, active = list(states), list(active)
    flagger = _Flagger({symbol(s) for s in states} | {_T})
    smooth = {
        name: flagger(_continuous(e).replace(sign_, lambda a: _sign(a, flagger.moving)))
        for name, e in expressions.items()
    }
    switches = flagger.switches(states, active)
    followed = {f for s in switches for f in s.inner}
    jump = frozenset(
        s.flag
        for s in switches
        if s.moves and (s.flag in followed or any(_parted(e, s, flagger) for e in smooth.values()))
    )
    return switches, {name: _clipped(e) for name, e in smooth.items()}, jump


def _continuous(expression):
    """The expression with ``clip`` as a function, not as conditions."""

    def clipped(*cases):
        if len(cases) == 3 and all(isinstance(c, sp.StrictLessThan | sp.StrictGreaterThan)
                                   for _, c in cases[:2]):  # fmt: skip
            (low, below), (high, above), (x, _) = cases
            if (below.gts - below.lts, above.gts - above.lts) == (low - x, x - high):
                return clip_(x, low, high)
        return sp.Piecewise(*cases)

    return expression.replace(sp.Piecewise, clipped)


def _clipped(expression):
    """The expression with conditions in the place of `clip_`."""
    return expression.replace(clip_, clip)


def _parted(flagged, switch: Switch, flagger) -> bool:
    """Whether an expression with flags has two values on the two sides of h = 0."""
    own = symbol(switch.flag)
    if switch.kind != "condition":
        return own in flagged.free_symbols
    raw = next(h for (_, h), flag in flagger.found.items() if flag == own)
    flagged, h, others = _all_flagged(flagged, raw, switch, flagger)
    if len(others) > _MOST_CONDITIONS:
        return True
    axis, zero = _where_zero(h, flagger.moving)
    both = [{own: sp.Integer(k), symbol(f"{switch.opposite}"): sp.Integer(1 - k)} for k in (0, 1)]
    for chosen in itertools.product((sp.Integer(0), sp.Integer(1)), repeat=len(others)):
        flags = dict(zip(others, chosen, strict=True))
        here = zero.xreplace(flags) if axis is not None else None
        if axis is not None and _impossible(flags, others, {**flags, axis: here}):
            continue
        sides = [flagged.xreplace({**flags, **side}) for side in both]
        if sides[0] != sides[1] and _apart(sides, h.xreplace(flags), axis, here):
            return True
    return False


def _all_flagged(flagged, height, switch, flagger):
    """The expression and h with a flag for every other condition; what is > 0 where each holds."""
    others: dict[sp.Symbol, sp.Expr | None] = {
        flag: h
        for (kind, h), flag in flagger.found.items()
        if kind == "condition" and flag.name not in (switch.flag, switch.opposite)
    }
    flags, steady = set(flagger.found.values()), {}
    for part in (*flagged.atoms(Relational), *height.atoms(Relational)):
        if not part.free_symbols <= flags:
            steady[part] = sp.Dummy(real=True)
    others |= dict.fromkeys(steady.values())
    held = {c: flag > sp.Rational(1, 2) for c, flag in steady.items()}
    held |= {
        part: sp.Dummy(real=True)
        for part in (*flagged.atoms(PiecewiseConstant), *height.atoms(PiecewiseConstant))
        if not part.free_symbols <= flags
    }
    return flagged.xreplace(held), height.xreplace(held), others


def _where_zero(h, moving):
    """A symbol in which h is linear and its value where h is 0; None if there is none."""
    for axis in sorted(h.free_symbols, key=lambda s: (s not in moving, s.name)):
        slope = sp.diff(h, axis)
        if slope != 0 and axis not in slope.free_symbols and not h.has(Relational):
            return axis, sp.expand(axis - h / slope)
    return None, None


def _impossible(flags, others, zero) -> bool:
    """Whether another condition can only be otherwise where h is 0."""
    for flag, value in flags.items():
        height = others[flag].xreplace(zero) if others[flag] is not None else None
        if height is not None and height.is_number and (height > 0) != (value == 1):
            return True
    return False


def _apart(sides, h, axis, zero) -> bool:
    """Whether the two sides differ where h is 0; if no point tells, they do."""
    rng, told = np.random.default_rng(0), False
    symbols = sorted(set().union(*(e.free_symbols for e in (*sides, h))), key=str)
    for _ in range(_SAMPLES):
        point = {s: sp.Float(rng.uniform(0.5, 1.5)) for s in symbols}
        try:
            if axis is not None:
                point[axis] = zero.xreplace({s: x for s, x in point.items() if s != axis})
            else:
                point = _zero(h, point)
            values = [complex(_value(side, point)) for side in sides]
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):  # no number there
            continue
        if not np.all(np.isfinite(values)):
            continue
        told = True
        if abs(values[1] - values[0]) > 1e-11 * max(map(abs, values)):
            return True
    return not told


def _value(side, point):
    return side.xreplace(point).replace(clip_, lambda x, low, high: sp.Min(sp.Max(x, low), high))


def _zero(h, point, first=frozenset()):
    """The point moved along one axis to where h is 0, if possible one of the `first`."""
    for axis in sorted(h.free_symbols, key=lambda s: (s not in first, str(s))):
        rest = {s: value for s, value in point.items() if s != axis}
        try:
            return {**rest, axis: sp.nsolve(h.xreplace(rest), axis, point[axis])}
        except (ValueError, ZeroDivisionError):
            continue
    raise ValueError("no zero nearby")
