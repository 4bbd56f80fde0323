"""The adjoint of one neuron group: flow, threshold, reset, refractoriness and readouts.

Symbols follow MATHS: ``lam.v`` is dL/dv, ``f`` the right-hand side of the equations, ``g`` the
threshold as a function that crosses 0, ``R`` the reset, ``D`` the derivative of the loss with
respect to the time of a spike.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from brian_eventprop.adjoint.symbolic.derivatives import diff, free_power, may_be_infinite
from brian_eventprop.adjoint.symbolic.expressions import (
    ExactPrinter,
    guard,
    names,
    parse,
    sums_divided_by,
    symbol,
    to_sympy,
)
from brian_eventprop.adjoint.symbolic.loop_invariant import (
    PER_ELEMENT,
    SHARED,
    InvariantExtractor,
    levels_of,
)
from brian_eventprop.adjoint.symbolic.own_steps import (
    at_own_steps,
    per_own_step,
    regular_on_grid,
)
from brian_eventprop.adjoint.symbolic.reverse import Adjoint, compose, lam, reverse
from brian_eventprop.adjoint.upstrokes import Upstroke, derive_upstroke
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading.equations.expressions import inline
from brian_eventprop.reading.spec import Group, Key, ReadoutSpec, Statement


@dataclass(frozen=True)
class Flow:
    """One time step of the state update and its reverse."""

    statements: tuple[Statement, ...]
    adjoint: Adjoint


@dataclass(frozen=True)
class SpikeRule:
    """What a spike does to the adjoint, backwards through the reset.

    ``lam`` is R_x^T lambda, ``parameters`` R_p^T lambda, ``rate`` the reset's part of D; ``slopes``
    are the slopes of the maximum readouts just after the reset, by number.
    """

    lam: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    rate: sp.Expr
    slopes: Mapping[int, sp.Expr]


@dataclass(frozen=True)
class RegularJump:
    """Code of `run_regularly` as a jump: C_x^T lambda and C_p^T lambda.  Nothing moves its time."""

    steps: int
    statements: tuple[Statement, ...]
    lam: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]


@dataclass(frozen=True)
class Crossing:
    """The threshold: its guard g, the derivatives of g and the slope of the crossing."""

    condition: str
    g: sp.Expr
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    slope: sp.Expr

    @property
    def time(self) -> sp.Expr:
        """The derivative of g in the time itself."""
        return diff(self.g, symbol("t"))

    @property
    def size(self) -> sp.Expr:
        """How large the terms of g are, whose rounding hides on which side of 0 it is."""
        terms = (sp.Abs(symbol(s) * e) for s, e in self.states.items())
        return sum(terms, sp.Integer(0))


@dataclass(frozen=True)
class Release:
    """The end of a time for which a neuron is refractory, where that moves with states.

    Either ``period`` is a refractory period of states that the reset has written, and ``states``
    and ``parameters`` are its derivatives.  Or ``crossing`` is that of a condition that holds no
    more: its guard rises over 0 then, with the slope of a refractory neuron.
    """

    period: str | None
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    crossing: Crossing | None = None


@dataclass(frozen=True)
class StateReadout:
    """A readout of states: its expression, its derivatives, and the time or times of a value.

    Among times, infinity is the end of a trial.
    """

    number: int
    kind: str
    expression: str
    states: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    at: float | tuple[float, ...] | None = None

    @property
    def times(self) -> tuple[float, ...]:
        """The times of a value."""
        return self.at if isinstance(self.at, tuple) else (self.at,)

    @property
    def ends(self) -> bool:
        """Whether the end of a trial is among the times of a value."""
        return self.at is not None and math.inf in self.times

    @property
    def time(self) -> sp.Expr:
        """The derivative of the expression in the time itself."""
        return diff(to_sympy(self.expression), symbol("t"))


@dataclass(frozen=True)
class LoopInvariants:
    """Statements computed before the trials and their reverse."""

    shared: tuple[Statement, ...]
    per_element: tuple[Statement, ...]
    levels: Mapping[str, int]
    active: tuple[str, ...]
    adjoint: Adjoint


@dataclass(frozen=True)
class GroupAdjoint:
    """Everything a kernel needs to run one group forwards and backwards.

    ``held`` has f of the states for which it is another one while the neuron is refractory.
    ``spike`` has a rule for the neuron being ``'free'`` or ``'frozen'`` after its spike.
    ``release`` is lambda . (f_frozen - f_free): dL/d(end of the refractory period).
    ``released`` is what that end moves with, if with states.
    ``upstroke`` is the flow into a threshold that may be reached explosively.  ``regular`` are the
    first statements of the state update: what `run_regularly` does, in the steps in which it runs;
    ``jumps`` are the same in exact time.
    """

    group: Group
    invariants: LoopInvariants
    free: Flow
    frozen: Flow | None
    crossing: Crossing | None
    reset: tuple[Statement, ...]
    spike: Mapping[str, SpikeRule]
    release: sp.Expr
    readouts: tuple[StateReadout, ...]
    derivatives: Mapping[str, sp.Expr]
    refractory: str | None
    refractory_invariants: LoopInvariants | None
    upstroke: Upstroke | None = None
    released: Release | None = None
    held: Mapping[str, sp.Expr] = field(default_factory=dict)
    regular: tuple[Statement, ...] = ()
    jumps: tuple[RegularJump, ...] = ()

    def flow(self, frozen: bool = False) -> dict[str, sp.Expr]:
        """Return f for each state, of a free or of a refractory neuron."""
        return flow_of(self.derivatives, self.group.states, self.held if frozen else None)

    @property
    def watches_release(self) -> bool:
        """Whether refractoriness ends with a condition."""
        return self.released is not None and self.released.crossing is not None

    @property
    def steep(self) -> bool:
        """Whether adjoint variables may be infinite, as that of sqrt(x) is at 0."""
        states = [symbol(s) for s in self.group.states]
        found = [diff(e, s) for e in self.derivatives.values() if free_power(e) for s in states]
        found += [e for rule in self.spike.values() for e in rule.lam.values()]
        found += [e for readout in self.readouts for e in readout.states.values()]
        return any(map(may_be_infinite, found))

    @property
    def loss_rate(self) -> sp.Expr:
        """The integrands of the loss, each weighted with dL/d(readout)."""
        return sum(
            (
                weight(r.number) * to_sympy(r.expression)
                for r in self.readouts
                if r.kind == "integral"
            ),
            sp.Integer(0),
        )


_PRINTER = ExactPrinter()


def weight(number: int) -> sp.Symbol:
    """dL/d(value of a readout) of this neuron."""
    return symbol(f"weight.{number}")


#: With the name of a state, that of what the loss gains per time where other neurons read it.
COUPLED = "coupled."


def coupled(state: str) -> sp.Symbol:
    """lambda_S d(term)/dx of all neurons that are coupled to one, per time."""
    return symbol(f"{COUPLED}{state}")


def moved(states: Iterable[str], after: Mapping[str, sp.Expr], prefix: str = "") -> sp.Expr:
    """Return what an event gains by coming later where others read the states that it changes."""
    jumps = ((s, symbol(prefix + s) - after[prefix + s]) for s in states)
    return sum((coupled(s) * sp.expand(jump) for s, jump in jumps), sp.Integer(0))


def flow_of(
    derivatives: Mapping[str, sp.Expr],
    states: Iterable[str],
    held: Mapping[str, sp.Expr] | None = None,
):
    """Return f for each state: 0 where it only jumps; where it is `held`, what that says."""
    return {s: (held or {}).get(s, derivatives.get(s, sp.Integer(0))) for s in states}


def flowing(rates: Mapping[str, sp.Expr]) -> tuple[str, ...]:
    """Return the states that change between events."""
    return tuple(s for s, e in rates.items() if e != 0)


def tidy(expression: sp.Expr) -> sp.Expr:
    """Expand polynomials, so that terms that cancel are gone; leave the rest as it is.

    Functions count as variables; then the expansion is taken only if it is shorter.
    """
    variables = sorted(expression.free_symbols, key=lambda s: s.name)
    if not variables:
        return expression
    if expression.is_rational_function(*variables):
        return sp.expand(expression)
    functions = expression.atoms(sp.Function, sp.Piecewise)
    outer = sorted(functions, key=lambda f: (-f.count_ops(), str(f)))
    named = {f: sp.Dummy(real=True) for f in outer}
    plain = expression
    for f, name in named.items():
        plain = plain.xreplace({f: name})
    variables = sorted(plain.free_symbols, key=str)
    if not plain.is_rational_function(*variables):
        return expression
    expanded = sp.expand(plain)
    for f, name in reversed(named.items()):
        expanded = expanded.xreplace({name: f})
    return expanded if expanded.count_ops() < expression.count_ops() else expression


def derive_group(
    group: Group,
    readouts: Mapping[int, ReadoutSpec],
    trained: frozenset[Key],
    read: Iterable[str] = (),
) -> GroupAdjoint:
    """Derive the adjoint of a group.

    Parameters
    ----------
    group
        The group.
    readouts
        The readouts of its states, by their number in the network.
    trained
        Keys whose gradient is wanted.
    read
        The states that other neurons read at every step.
    """
    symbols = dict(group.symbols)
    for readout in readouts.values():
        symbols |= readout.symbols
    extractor = InvariantExtractor(levels_of(symbols))
    regular = extractor.block(regular_on_grid(group))
    jumps = [(r.steps, extractor.block(r.statements)) for r in group.regular]
    free = extractor.block(group.update)
    may_be_frozen = group.may_be_refractory
    frozen = extractor.block(group.update_refractory) if may_be_frozen else None
    wanted = {n for n, s in symbols.items() if s.key in trained and s.kind != "state"}
    reversed_free = collected(group, group.update, free, extractor, wanted)
    reversed_frozen = collected(group, group.update_refractory, frozen, extractor, wanted)
    reset = extractor.block(group.reset)
    condition = extractor.expression(group.threshold) if group.threshold else None
    until = group.refractory_condition or _moving_period(group, symbols)
    until = extractor.expression(until) if until is not None else None
    derivatives = {s: to_sympy(extractor.expression(e)) for s, e in group.derivatives.items()}
    held = {s: to_sympy(extractor.expression(e)) for s, e in _held(group).items()}
    expressions = {
        k: extractor.expression(r.expression if r.kind != "integral" else per_own_step(group, r))
        for k, r in readouts.items()
        if r.expression
    }
    invariants = derive_invariants(extractor, symbols, trained)
    active = (*group.states, *invariants.active)

    def flow(statements, to_reverse):
        statements, to_reverse = (
            (*regular, *at_own_steps(group, block)) for block in (statements, to_reverse)
        )
        return Flow(statements, reverse(to_reverse, group.states, active))

    state_readouts = tuple(
        _readout(k, readouts[k], e, group.states, invariants.active) for k, e in expressions.items()
    )
    partial = GroupAdjoint(
        group, invariants, flow(free, reversed_free),
        flow(frozen, reversed_frozen) if frozen is not None else None,
        None, reset, {}, sp.Integer(0), state_readouts, derivatives,
        None if until is not None else group.refractory,
        _refractory(group, symbols, trained, until), held=held, regular=regular,
        jumps=tuple(_regular_jump(*jump, group.states, invariants.active) for jump in jumps),
    )  # fmt: skip
    return _with_jumps(partial, condition, until, read)


def _held(group: Group) -> dict[str, str]:
    """The right-hand sides that are others while refractory."""
    return {**dict.fromkeys(group.frozen, "0"), **group.derivatives_refractory}


def collected(group: Group, update, invariants, extractor: InvariantExtractor, trained):
    """Return the exact update of linear equations, each coefficient a constant of its own.

    Where Brian2 does not compute the coefficients before the loop, a state is multiplied with parts
    of one that divides by a difference of rates; the derivatives in these parts cancel, and summed
    one by one they lose their digits where rates nearly coincide.  Everything else is returned as
    it is.

    Parameters
    ----------
    group
        The group.
    update, invariants
        The statements of the update and what is left of them in the time loop.
    extractor
        Takes the coefficients.
    trained
        Names whose derivative is wanted.
    """
    if group.method != "exact" or invariants is None:
        return invariants
    moved = {
        s.target: s.expression for level in (SHARED, PER_ELEMENT) for s in extractor.moved[level]
    }
    parts = [d for s in invariants for d in _divisors(parse(s.expression), moved)]
    if not any(sums_divided_by(parse(f"1/({d})")) and names(parse(d)) & trained for d in parts):
        return invariants
    after, states = compose(update, group.states), [symbol(s) for s in group.states]
    nothing, statements = dict.fromkeys(states, sp.Integer(0)), []
    for target in group.states:
        terms = {s.name: diff(after[target], s) for s in states}
        parts = [*terms.values(), after[target].xreplace(nothing)]
        if any(p.free_symbols & {*states, symbol("t")} or not _printable(p) for p in parts):
            return invariants
        texts = [f"({_PRINTER.doprint(e)})*{n}" for n, e in terms.items() if e != 0]
        texts += [f"({_PRINTER.doprint(parts[-1])})"] * (parts[-1] != 0)
        statements.append(Statement(f"_next_{target}", " + ".join(texts) or "0"))
    statements += [Statement(s, f"_next_{s}") for s in group.states]
    return extractor.block(statements)


def _divisors(tree, moved) -> list[str]:
    """The divisors in a tree, spelt out."""
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div))
    return [inline(ast.unparse(n.right), moved) for n in nodes]


def _printable(expression) -> bool:
    known = expression.atoms(sp.Function) == expression.atoms(sp.exp, sp.log, sp.sin, sp.cos)
    return known and not expression.has(sp.Piecewise)


def derive_invariants(
    extractor: InvariantExtractor, symbols, trained: frozenset[Key]
) -> LoopInvariants:
    """Close the extractor: what it moved, which names depend on trained keys, and its reverse.

    The values of timed arrays are no constants that anything is made of before the trials.
    """
    common, each = tuple(extractor.moved[SHARED]), tuple(extractor.moved[PER_ELEMENT])
    wanted = {n for n, s in symbols.items() if s.key in trained and s.kind != "state"}
    timed = {n for n in wanted if symbols[n].kind == "timed"}
    leaves = wanted - timed
    active = set(leaves)
    for statement in common + each:
        if names(parse(statement.expression)) & active:
            active.add(statement.target)
    adjoint = reverse(common + each, sorted(active), sorted(active), extractor.levels)
    results = {n: e for n, e in adjoint.results.items() if n in leaves}
    adjoint = Adjoint(adjoint.forward, adjoint.reverse, results)
    active |= timed
    return LoopInvariants(common, each, dict(extractor.levels), tuple(sorted(active)), adjoint)


#: Name of the refractory period among the statements computed before the trials.
PERIOD = "_refractory_period"


def _regular_jump(steps: int, statements, states, active) -> RegularJump:
    after = compose(statements, states)
    total = sum((lam(s) * e for s, e in after.items()), sp.Integer(0))
    back = {
        s: sum((lam(r) * diff(e, symbol(s)) for r, e in after.items()), sp.Integer(0))
        for s in states
    }
    return RegularJump(steps, statements, back, partials(total, active))


def _moving_period(group: Group, symbols) -> str | None:
    """The refractory period, if it reads states."""
    if group.refractory is None:
        return None
    moving = any(symbols[name].kind == "state" for name in names(parse(group.refractory)))
    return group.refractory if moving else None


def _refractory(group: Group, symbols, trained, until: str | None) -> LoopInvariants | None:
    """The refractory period as a function of the parameters, to take dL/dt_ref back to them."""
    if group.refractory is None or until is not None:
        return None
    extractor = InvariantExtractor(levels_of(symbols))
    extractor.levels[PERIOD] = PER_ELEMENT
    extractor.moved[PER_ELEMENT].append(Statement(PERIOD, group.refractory))
    return derive_invariants(extractor, symbols, trained)


def _readout(number, spec, expression, states, active):
    value, at = to_sympy(expression), spec.at
    none = spec.kind == "trace"  # no loss depends on it
    derivatives = ({}, {}) if none else (partials(value, states), partials(value, active))
    return StateReadout(number, spec.kind, expression, *derivatives, at)


def partials(value: sp.Expr, wanted: Iterable[str]) -> dict[str, sp.Expr]:
    """Return the derivatives of a value that are not 0."""
    result = {n: diff(value, symbol(n)) for n in wanted}
    return {n: d for n, d in result.items() if d != 0}


def _with_jumps(
    adjoint: GroupAdjoint,
    condition: str | None,
    until: str | None = None,
    read: Iterable[str] = (),
) -> GroupAdjoint:
    """Add what spikes do, given the threshold, and the condition or period that follows them."""
    if condition is None:
        return adjoint
    group = adjoint.group
    moving = {"t", *flowing(adjoint.derivatives)}
    _check_threshold(group, moving)
    f = adjoint.flow()
    crossing = _crossing(adjoint, condition, f, moving)
    spike = {
        "free": _spike(adjoint, False),
        "frozen": _spike(adjoint, True),
    }
    release = sum((-lam(s) * (f[s] - e) for s, e in adjoint.held.items()), sp.Integer(0))
    active = adjoint.invariants.active
    loss = sum((coupled(s) * symbol(s) for s in read), adjoint.loss_rate)
    upstroke = derive_upstroke(group, f, crossing.states, loss, active)
    changes = {"crossing": crossing, "spike": spike, "release": release, "upstroke": upstroke}
    changes["released"] = _released(adjoint, until)
    return GroupAdjoint(**{**adjoint.__dict__, **changes})


def _crossing(
    adjoint: GroupAdjoint, condition: str, f: Mapping[str, sp.Expr], moving: set[str] | None = None
) -> Crossing:
    """A condition that becomes true along the flow f."""
    states, g = adjoint.group.states, guard(condition, moving)
    slope = sum((diff(g, symbol(s)) * f[s] for s in states), diff(g, symbol("t")))
    active = adjoint.invariants.active
    return Crossing(condition, g, partials(g, states), partials(g, active), tidy(slope))


def _released(adjoint: GroupAdjoint, until: str | None) -> Release | None:
    """What the end of a refractory period moves with, given the condition or the period."""
    group, active = adjoint.group, adjoint.invariants.active
    if until is None:
        return None
    if group.refractory_condition is None:
        period = to_sympy(until)
        return Release(until, partials(period, group.states), partials(period, active))
    _check_refractory_condition(group)
    crossing = _crossing(adjoint, f"not ({until})", adjoint.flow(frozen=True))
    return Release(None, crossing.states, crossing.parameters, crossing)


def _check_refractory_condition(group: Group) -> None:
    try:
        guard(group.refractory_condition)
    except UnsupportedError as error:
        reason = str(error).replace("threshold", "condition", 1)
        raise UnsupportedError(
            f"NeuronGroup '{group.name}', refractory='{group.refractory_condition}': {reason}"
        ) from None


def _check_threshold(group: Group, moving: set[str]) -> None:
    """Refuse what is no crossing, in the user's own words: nothing is extracted."""
    try:
        guard(group.threshold, moving)
    except UnsupportedError as error:
        raise UnsupportedError(f"NeuronGroup '{group.name}': {error}") from None


def _spike(adjoint: GroupAdjoint, frozen: bool) -> SpikeRule:
    """R_x^T lambda, R_p^T lambda and lambda . (R_x f- + R_t - f+) + l- - l+."""
    states = adjoint.group.states
    after = compose(adjoint.reset, states)
    before_f, after_f = adjoint.flow(), adjoint.flow(frozen)
    to_after = {symbol(s): e for s, e in after.items()}
    rates = {
        s: sum(
            (diff(after[s], symbol(r)) * before_f[r] for r in states),
            diff(after[s], symbol("t")),
        )
        - after_f[s].xreplace(to_after)
        for s in states
    }
    rate = sum((lam(s) * tidy(e) for s, e in rates.items()), sp.Integer(0))
    loss = adjoint.loss_rate
    maxima = [r for r in adjoint.readouts if r.kind == "maximum"]
    return SpikeRule(
        lam={
            s: sum((lam(r) * diff(after[r], symbol(s)) for r in states), sp.Integer(0))
            for s in states
        },
        parameters=partials(
            sum((lam(s) * e for s, e in after.items()), sp.Integer(0)), adjoint.invariants.active
        ),
        rate=rate + tidy(loss - loss.xreplace(to_after)),
        slopes={r.number: tidy(slope_of(r, after_f).xreplace(to_after)) for r in maxima},
    )


def rate_after_spike(adjoint: GroupAdjoint, frozen: bool) -> sp.Expr:
    """Return lambda . (R_t - f+) + l- - l+: the reset's part of D without the slopes before."""
    states = adjoint.group.states
    after = compose(adjoint.reset, states)
    after_f = adjoint.flow(frozen)
    to_after = {symbol(s): e for s, e in after.items()}
    loss = adjoint.loss_rate
    rate = tidy(loss - loss.xreplace(to_after))
    for s in states:
        change = diff(after[s], symbol("t")) - after_f[s].xreplace(to_after)
        rate += lam(s) * tidy(change)
    return rate


def reset_rate(adjoint: GroupAdjoint) -> sp.Expr:
    """Return lambda . R_t: the part of D of a reset that reads the time itself."""
    after = compose(adjoint.reset, adjoint.group.states)
    return sum((lam(s) * diff(e, symbol("t")) for s, e in after.items()), sp.Integer(0))


def slope_of(readout: StateReadout, f: Mapping[str, sp.Expr]) -> sp.Expr:
    """Return how fast the expression of a readout grows along the flow f."""
    along = sum((e * f.get(s, 0) for s, e in readout.states.items()), sp.Integer(0))
    return along + readout.time
