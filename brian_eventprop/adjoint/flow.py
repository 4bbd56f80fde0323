"""The flow between events: closed form for triangular linear equations, Runge-Kutta for the rest.

Most linear neurons are triangular: currents drive the potential, nothing drives the currents.  Then
each entry of exp(A h) is a sum over the paths from one variable to another,

    exp(A h)_ij = sum over paths i <- ... <- j of (product of the couplings) * e[rates along it],

where e[a, b, ...] is the divided difference of exp(. h).  Divided differences stay exact when rates
coincide (tau_m = tau_s, alpha functions), where a sum of exponentials would divide by 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.groups import GroupAdjoint, flow_of, partials, slope_of, weight
from brian_eventprop.adjoint.switches import Switch, check_threshold, find_switches, jumps
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import floor_, sign_, symbol, to_sympy
from brian_eventprop.adjoint.symbolic.reverse import lam
from brian_eventprop.errors import UnsupportedError

#: The constant 1 as a state, for the inhomogeneous part b of x' = A x + b.
ONE = "1"

#: Most paths, and most variables along one, that are written out.
MOST_PATHS, LONGEST_PATH = 64, 4


@dataclass(frozen=True)
class Term:
    """One path: the coefficient and the rates along it, by number; the flow adds their product."""

    coefficient: int
    rates: tuple[int, ...]


@dataclass(frozen=True)
class Propagator:
    """exp(A h) as sums over paths.

    Attributes
    ----------
    rates
        The distinct eigenvalues, expressions of the constants.
    coefficients
        The distinct products of couplings.
    entries
        (state, state or `ONE`) -> the terms of this entry.
    """

    rates: tuple[sp.Expr, ...]
    coefficients: tuple[sp.Expr, ...]
    entries: Mapping[tuple[str, str], tuple[Term, ...]]

    @property
    def differences(self) -> tuple[tuple[int, ...], ...]:
        """The divided differences that the entries use, shortest first."""
        used = {term.rates for terms in self.entries.values() for term in terms}
        return tuple(sorted(used, key=lambda r: (len(r), r)))


@dataclass(frozen=True)
class ContinuousFlow:
    """The flow of one group.

    Attributes
    ----------
    free, frozen
        Closed forms; None if the equations are integrated numerically.
    rate
        f of each state while free.
    parameters
        lambda . f_p of each constant whose gradient is wanted, while free and while frozen.
    at_most_one_turn
        The rates (by number) of a guard of at most two exponentials and a constant, which turns
        around at most once between two events; None for any other guard.
    curvature
        The second derivative of such a guard along the flow.
    speeds
        Rates at which the integrands change by themselves, besides those of the states.
    switches, smooth
        For Runge-Kutta: the conditions within f and the integrands, and both with flags in their
        place; a readout's integrand under its number.
    held
        f of the states for which it is another one while refractory, with flags as well.
    """

    free: Propagator | None
    frozen: Propagator | None
    rate: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    parameters_frozen: Mapping[str, sp.Expr]
    at_most_one_turn: tuple[int, ...] | None = None
    curvature: sp.Expr = sp.Integer(0)
    speeds: tuple[sp.Expr, ...] = ()
    switches: tuple[Switch, ...] = ()
    smooth: Mapping = field(default_factory=dict)
    held: Mapping[str, sp.Expr] = field(default_factory=dict)

    @property
    def timed(self) -> bool:
        """Whether f or an integrand depends on the time itself."""
        terms = [*self.smooth.values(), *self.held.values(), *(s.h for s in self.switches)]
        return any(symbol("t") in e.free_symbols for e in terms)

    @property
    def closed(self) -> bool:
        """Whether the flow has a closed form."""
        return self.free is not None


#: The weight of the integrands at a stage of Runge-Kutta.
SCALE = "scale."


@dataclass(frozen=True)
class StageAdjoint:
    """A stage of a step of Runge-Kutta, backwards.

    Attributes
    ----------
    total
        adjoint_f . f + scale * l, with l the integrands, each weighted with dL/d(readout).
    states, parameters
        Its derivatives in each state, and those in constants that are not 0.
    """

    total: sp.Expr
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]

    @property
    def time(self) -> sp.Expr:
        """Its derivative in the time itself."""
        return diff(self.total, symbol("t"))


def derive_stage(adjoint: GroupAdjoint, flow: ContinuousFlow, frozen: bool = False) -> StageAdjoint:
    """Derive the adjoint of a stage; ``lam.v`` is the adjoint of f of the state v there."""
    states = adjoint.group.states
    f = flow_of(flow.smooth, states, flow.held if frozen else None)
    total = sum((lam(s) * f[s] for s in states), sp.Integer(0))
    total += sum((symbol(SCALE) * e for e in _integrands(adjoint, flow)), sp.Integer(0))
    by_state = {s: diff(total, symbol(s)) for s in states}
    return StageAdjoint(total, by_state, partials(total, adjoint.invariants.active))


def jacobian(
    adjoint: GroupAdjoint, flow: ContinuousFlow, frozen: bool = False
) -> dict[tuple[str | None, str], sp.Expr]:
    """Return df_r/dx_s for each (r, s) where it is not 0; with None as r, dl/dx_s."""
    states = adjoint.group.states
    rows = flow_of(flow.smooth, states, flow.held if frozen else None)
    rows[None] = sum(_integrands(adjoint, flow), sp.Integer(0))
    return {(r, s): e for r, value in rows.items() for s, e in partials(value, states).items()}


def _integrands(adjoint, flow):
    """The integrands, each weighted with dL/d(readout)."""
    numbers = [r.number for r in adjoint.readouts if r.kind == "integral"]
    return [weight(number) * flow.smooth[number] for number in numbers]


@dataclass
class _Table:
    """Numbers expressions in the order in which they are first used."""

    known: dict[sp.Expr, int] = field(default_factory=dict)

    def __call__(self, expression: sp.Expr) -> int:
        return self.known.setdefault(sp.simplify(expression), len(self.known))


def derive_flow(adjoint: GroupAdjoint) -> ContinuousFlow:
    """Derive the flow of a group between its events."""
    group, active = adjoint.group, adjoint.invariants.active
    free, stopped = adjoint.flow(), adjoint.flow(frozen=True)

    def parameters(f):
        return partials(sum((lam(s) * e for s, e in f.items()), sp.Integer(0)), active)

    table = _Table(), _Table()
    one_form = not any(adjoint.held.values())  # refractory or not
    closed = propagator(free, *table) if one_form and _smooth_readouts(adjoint) else None
    frozen = propagator(stopped, *table) if closed is not None else None
    if closed is not None:  # both modes number their rates and coefficients alike
        known = tuple(table[0].known), tuple(table[1].known)
        closed, frozen = (Propagator(*known, p.entries) for p in (closed, frozen))
    integrands = {
        r.number: to_sympy(r.expression) for r in adjoint.readouts if r.kind == "integral"
    }
    held = {("held", s): e for s, e in adjoint.held.items()}
    switches, smooth = find_switches({**free, **integrands, **held}, group.states, active)
    held = {s: smooth.pop(("held", s)) for s in adjoint.held}
    _check_maxima(adjoint, free)
    if adjoint.crossing is not None:
        check_threshold(group.threshold, group.states, group.name)
    if group.refractory_condition is not None:
        check_threshold(group.refractory_condition, group.states, group.name, "condition")
    at_most_one_turn = _at_most_one_turn(adjoint, closed)
    return ContinuousFlow(
        closed, frozen, free, parameters(free), parameters(stopped),
        at_most_one_turn, _curvature(adjoint, free) if at_most_one_turn else sp.Integer(0),
        _speeds(adjoint), switches, smooth, held,
    )  # fmt: skip


def _check_maxima(adjoint, f):
    """Refuse a maximum that the change of a condition may make."""
    for readout in adjoint.readouts:
        if readout.kind != "maximum":
            continue
        if jumps(slope_of(readout, f), adjoint.group.states, adjoint.invariants.active):
            raise UnsupportedError(
                f"NeuronGroup '{adjoint.group.name}': the Maximum of '{readout.expression}' is not "
                "supported in exact time: its slope jumps where a condition in the equations "
                "changes, and a maximum there moves with the condition. Use solver='clock', or a "
                "smooth function in the place of the condition."
            )


def propagator(f: Mapping[str, sp.Expr], rates: _Table, coefficients: _Table) -> Propagator | None:
    """Return exp(A h) of x' = f(x), or None if f is not linear, constant and triangular."""
    matrix = _matrix(f)
    order = _triangular(list(f), matrix) if matrix is not None else None
    if order is None:
        return None
    entries, count = {}, 0
    for start in (*f, ONE):
        for path in _paths(start, matrix, order):
            count += 1
            if count > MOST_PATHS or len(path) > LONGEST_PATH:
                return None
            product = sp.Integer(1)
            for source, target in zip(path[:-1], path[1:], strict=True):
                product *= matrix[target, source]
            along = tuple(sorted(rates(matrix.get((s, s), sp.Integer(0))) for s in path))
            term = Term(coefficients(product), along)
            entries.setdefault((path[-1], start), []).append(term)
    entries.pop((ONE, ONE), None)
    return Propagator(
        tuple(rates.known), tuple(coefficients.known), {k: tuple(v) for k, v in entries.items()}
    )


def _matrix(f):
    """The couplings (target, source) that are not 0; None if f is not linear with constant ones."""
    moving = [symbol(s) for s in f]
    forbidden = {*moving, symbol("t")}
    matrix = {}
    for target, expression in f.items():
        rest = sp.expand(expression) if not expression.has(sp.Piecewise) else expression
        for source, variable in zip(f, moving, strict=True):
            coupling = diff(expression, variable)
            if coupling.free_symbols & forbidden or coupling.has(sp.Piecewise):
                if _varies(coupling, forbidden):
                    return None
                coupling = sp.simplify(coupling)
                if coupling.free_symbols & forbidden:
                    return None
            if coupling != 0:
                matrix[target, source] = coupling
                rest = sp.expand(rest - coupling * variable)
        if rest.free_symbols & forbidden:
            if _varies(rest, forbidden):
                return None
            rest = sp.simplify(rest)
        if rest.free_symbols & forbidden:
            return None
        if rest != 0:
            matrix[target, ONE] = rest
    return matrix


def _varies(expression, moving) -> bool:
    """Whether an expression has other values where what moves is elsewhere.

    A few numbers tell so at once, where to simplify a long expression takes minutes.  False if they
    do not tell.

    >>> v, a = symbol("v"), symbol("a")
    >>> _varies(a + v**2, {v}), _varies(a + (v + 1)**2 - v**2 - 2*v, {v})
    (True, False)
    """
    rng, found = np.random.default_rng(0), []
    expression = expression.replace(sign_, sp.sign).replace(floor_, sp.floor)
    fixed = {s: _number(rng) for s in sorted(expression.free_symbols, key=str)}
    for _ in range(2):
        point = {s: _number(rng) if s in moving else value for s, value in fixed.items()}
        try:
            found.append(complex(expression.xreplace(point)))
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):  # no number there
            return False
    return bool(np.all(np.isfinite(found)) and abs(found[1] - found[0]) > 1e-9 * abs(found[0]))


def _number(rng) -> sp.Float:
    """Return a number with so many digits that what cancels leaves none that count."""
    return sp.Float(rng.uniform(0.5, 1.5), 30)


def _triangular(states, matrix):
    """An order in which each state is driven by earlier ones only; None if there is a loop."""
    order, left = [], list(states)
    while left:
        ready = [s for s in left if not any((s, r) in matrix for r in left if r != s)]
        if not ready:
            return None
        order += ready
        left = [s for s in left if s not in ready]
    return order


def _paths(start, matrix, order):
    """All paths from a variable to the ones that it drives, itself included."""
    found = [(start,)]
    for path in found:
        found += [(*path, s) for s in order if s != path[-1] and (s, path[-1]) in matrix]
        if len(found) > MOST_PATHS:
            break
    return found


def _smooth_readouts(adjoint):
    """Whether Gauss-Legendre nodes spaced by the neuron's rates resolve every integrand."""
    for readout in adjoint.readouts:
        if readout.kind != "integral":
            continue
        value = to_sympy(readout.expression)
        variables = [symbol(s) for s in adjoint.group.states]
        if not value.is_polynomial(*variables) or sp.total_degree(value, *variables) > 4:
            return False
        if not _slow(value, symbol("t")):
            return False
    return True


def _slow(value, t):
    """Whether the time enters as polynomials and exponentials of at most linear ones only."""
    for part in sp.preorder_traversal(value):
        if isinstance(part, sp.Function | sp.Piecewise) and t in part.free_symbols:
            if not isinstance(part, sp.exp) or sp.diff(part.args[0], t, 2) != 0:
                return False
        if part.is_Pow and t in part.exp.free_symbols and part.base != sp.E:
            return False
        if part.is_Pow and t in part.base.free_symbols and not part.exp.is_nonnegative:
            return False
    return True


def _speeds(adjoint):
    t, found = symbol("t"), []
    for readout in adjoint.readouts:
        if readout.kind == "integral":
            for part in to_sympy(readout.expression).atoms(sp.exp):
                found.append(diff(part.args[0], t))
    return tuple(sorted({e for e in found if e != 0}, key=str))


def _curvature(adjoint, f):
    slope = adjoint.crossing.slope
    return sum((diff(slope, symbol(s)) * e for s, e in f.items()), sp.Integer(0))


def _at_most_one_turn(adjoint, closed):
    """The rates of the guard if it is at most two exponentials and a constant."""
    if adjoint.crossing is None or closed is None or adjoint.watches_release:
        return None
    g = adjoint.crossing.g
    if symbol("t") in g.free_symbols or g.has(sp.Piecewise):
        return None
    slopes = {s: diff(g, symbol(s)) for s in adjoint.group.states}
    moving = {symbol(s) for s in adjoint.group.states}
    if any(e.free_symbols & moving for e in slopes.values()):
        return None
    seen = set()
    for (target, _), terms in closed.entries.items():
        if slopes[target] != 0:
            for term in terms:
                if len(term.rates) > len(set(term.rates)):
                    return None
                seen |= {r for r in term.rates if closed.rates[r] != 0}
    return tuple(sorted(seen)) if len(seen) <= 2 else None
