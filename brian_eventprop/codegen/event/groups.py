"""The code of one neuron group in continuous time: bodies of the functions in the templates.

Conventions of these functions: ``x`` and ``lam`` are the state and adjoint of neuron ``j``, one
entry per state; ``C`` and ``P`` hold the constants common to all and per neuron, ``K`` the rates
and coefficients of the closed flow, ``WR`` dL/d(readout).  ``frozen`` tells whether the neuron is
refractory.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import sympy as sp

from brian_eventprop.adjoint.flow import (
    ONE,
    SCALE,
    ContinuousFlow,
    Propagator,
    derive_stage,
    jacobian,
)
from brian_eventprop.adjoint.groups import GroupAdjoint, rate_after_spike, reset_rate
from brian_eventprop.adjoint.guards import reset_changes_guard
from brian_eventprop.adjoint.simultaneous import decides_at_crossing
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.codegen.event.batched import BatchedLayout
from brian_eventprop.codegen.event.guards import GuardCode
from brian_eventprop.codegen.event.parts import PartCode, by_mode
from brian_eventprop.codegen.event.searches import Searches, Watch
from brian_eventprop.codegen.event.setting import GroupSetting
from brian_eventprop.codegen.event.switches import SwitchCode
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.codegen.readouts import RULES, of_kind
from brian_eventprop.errors import UnsupportedError


class EventGroupCode(PartCode):
    """Code of a group; the templates read its attributes."""

    outer, element = False, "j"
    arrays = ("C", "P", "grad_shared", "grad_neuron")

    def __init__(
        self, adjoint: GroupAdjoint, flow: ContinuousFlow, scope: Scope, setting: GroupSetting
    ):
        group, self.readouts = adjoint.group, adjoint.readouts
        self.position = {r.number: k for k, r in enumerate(self.readouts)}
        super().__init__(adjoint, scope, group.states, self.position)
        self.name, self.flow, self.setting = group.name, flow, setting
        self.n_states, self.readout_symbols = len(group.states), setting.readout_symbols
        self.spikes = adjoint.crossing is not None
        self.refractory = group.may_be_refractory and self.spikes
        #: What ends refractoriness, where that moves with states, and the guard of a condition.
        self.released = adjoint.released
        self.fixed_period = self.refractory and self.released is None
        self.has_frozen = bool(adjoint.held) and self.refractory
        #: Whether a state flows otherwise while refractory, and does not just stand still.
        self.two_forms = self.refractory and any(adjoint.held.values())
        self.closed = flow.closed
        self.integrals = of_kind(self.readouts, "integral")
        self.maxima = of_kind(self.readouts, "maximum")
        self.finals = of_kind(self.readouts, "final")
        values, traces, self.adjoints = (
            of_kind(self.readouts, kind) for kind in ("value", "trace", "adjoint")
        )
        self.values = [*values, *traces]
        self.at_times = [*self.values, *self.adjoints]
        self.measured = [r for r in self.readouts if RULES[r.kind].measures]
        #: What is measured at the end of a trial, and whether the backward pass begins with it.
        self.at_end = [*self.finals, *(r for r in self.values if r.ends)]
        self.ended = bool(self.at_end) or any(r.ends for r in self.adjoints)
        if self.closed:
            self.width, self.switches = self.n_states, ()
        else:
            self.width = self.n_states + len(self.integrals) + len(flow.switches)
            self.switches = SwitchCode(self)
        #: Places behind its states for those of one of its synapses.
        self.slots = max((len(a.pathway.synaptic) for a in setting.arrivals), default=0)
        self.search = Searches(self)
        self.bounds = GuardCode(self, setting.dt, adjoint.crossing, flow.rate)
        self.watches = (Watch(self, adjoint.crossing, self.bounds),)
        if adjoint.watches_release:
            self.watches += (self._watch_release(),)
        self.timed_values = [t.name for t in group.timed_values]
        #: The arrays for the gradients of timed arrays, by role, and the names of the latter.
        self.timed_gradients = {
            f"grad_timed{k}": t.array
            for k, t in enumerate(group.timed_values)
            if t.array in setting.trained_arrays
        }
        self.regular = adjoint.jumps
        if self.regular and self.maxima:
            raise UnsupportedError(
                f"NeuronGroup '{group.name}': a Maximum is not supported in exact time where "
                f"'{group.regular[0].name}', which runs regularly, lets the states jump. Use "
                "solver='clock', or another readout."
            )
        self.one_step, self.has_count_surrogate = repr(setting.dt), setting.has_count_surrogate
        self.by_event = setting.by_event
        self.batched = BatchedLayout(self) if setting.in_batches else None

    @property
    def logged(self) -> int:
        """How many numbers of the state are logged with an event."""
        if self.slots:
            return self.width + self.slots
        return self.width if len(self.switches) else self.n_states

    def _watch_release(self):
        crossing = self.released.crossing
        bounds = GuardCode(self, self.setting.dt, crossing, self.adjoint.flow(frozen=True))
        return Watch(self, crossing, bounds, release=True)

    @property
    def release(self) -> Watch | None:
        """The search for the end of refractoriness, if it ends with a condition."""
        return self.watches[1] if len(self.watches) > 1 else None

    @property
    def stack_columns(self) -> int:
        """Columns of the stack of pieces of time in which a crossing may be."""
        return max(watch.bounds.columns for watch in self.watches)

    def held(self) -> list[str]:
        """Whether the condition holds that keeps neurons refractory."""
        condition = self.released.crossing.condition
        lines = self.load(reads(condition, self.released.crossing.g))
        return [
            *lines,
            f"if {self.scope.source(condition)}:",
            "    return False",
            f"return not {self.scope.sympy(self.released.crossing.g)} > 0",
        ]

    def period(self) -> list[str]:
        """The refractory period that the reset left."""
        source = self.released.period
        return [*self.load(reads(source)), f"return {self.scope.source(source)}"]

    def release_back(self) -> list[str]:
        """Add ``scale`` times the derivatives of what the end of refractoriness moves with."""
        r = self.released
        lines = self.load(reads(r.states, r.parameters))
        return lines + self.add_derivatives(r, "+", "scale") or ["pass"]

    @cached_property
    def lifts(self) -> bool:
        """Whether an arrival may fire its neurons, or end their refractoriness."""
        found = [a.pathway.lift or a.pathway.freeing for a in self.setting.arrivals]
        return any(cause is not None for cause in found)

    @cached_property
    def frees(self) -> bool:
        """Whether an arrival may end the refractoriness of its neurons."""
        return any(arrival.pathway.freeing is not None for arrival in self.setting.arrivals)

    @cached_property
    def from_zero(self) -> bool:
        """Whether a delay of 0 onto its neurons needs a rule of its own."""
        return self.by_event and any(a.grows_from_zero for a in self.setting.arrivals)

    @property
    def extra(self) -> str:
        """The last parameter of functions that let a neuron go on: coefficients, or slopes."""
        return "K" if self.closed else "k"

    @property
    def stepped(self) -> bool:
        """Whether the last steps before its spikes are kept."""
        return self.spikes and not self.closed

    @property
    def latest(self) -> bool:
        """Whether the latest event of each neuron is remembered."""
        return bool(self.maxima) or self.stepped

    @property
    def quick(self) -> bool:
        """Whether one look at both ends of a time tells that the guard stays below 0."""
        return self.closed and self.flow.at_most_one_turn is not None

    @property
    def skip_quiet(self) -> bool:
        """Whether windows skip neurons to which nothing happens within them."""
        each = self.batched or self.by_event or self.breaks
        return self.quick and self.spikes and not each

    def follow(self, x: str, cell: str) -> list[str]:
        """Set the states that stand for timed arrays to their values from a break on."""
        return [
            f"{x}[{self.states.index(name)}] = timed{k}[{self._cell(k, cell)}]"
            for k, name in enumerate(self.timed_values)
        ]

    def _cell(self, k: int, cell: str) -> str:
        """Where the value of a timed array from a break on stands in it."""
        return f"trials[{k}, trial], cells[{k}, {cell}], column[{k}, j]"

    @property
    def breaks(self) -> bool:
        """Whether neurons stop where a timed array changes or a value is read out."""
        return bool(self.timed_values or self.at_times or self.regular)

    @property
    def lifted_at_breaks(self) -> bool:
        """Whether regular code or a timed array may lift a neuron over the threshold."""
        timed = set(self.timed_values)
        return self.spikes and bool(self.regular or reads(self.adjoint.crossing.g) & timed)

    def regularly(self) -> list[str]:
        """What `run_regularly` does at break m, as far as the jump number `until`."""
        lines = []
        for number, jump in enumerate(self.regular):
            lines.append(f"if until > {number} and regular[{number}, m]:")
            lines += [f"    {line}" for line in self.write(jump.statements) or ["pass"]]
        return lines

    def regularly_back(self, jump) -> list[str]:
        """Backwards through one of these jumps, whose time is fixed."""
        return self.jump_back(jump, sp.Integer(0))

    def at_break(self, state: str, cell, name=str) -> list[str]:
        """Sample the readouts at a break; `name` gives the identifiers of arrays."""
        rules = [(RULES[r.kind], r) for r in self.measured]
        return sum((rule.at_break(self, r, state, cell, name) for rule, r in rules), [])

    def back_at_break(self, state: str, cell) -> list[str]:
        """Add the derivatives of the readouts at a break to the adjoint."""
        rules = [(RULES[r.kind], r) for r in self.measured]
        return sum((rule.back_at_break(self, r, state, cell) for rule, r in rules), [])

    def record_adjoints(self, cell, adjoint="lam", name=str) -> list[str]:
        """Leave the adjoint variables that are recorded at a break, or at the end: cell -1."""
        chosen = [r for r in self.adjoints if r.ends or cell != -1]
        return sum(
            (RULES[r.kind].record_at_break(self, r, cell, adjoint, name) for r in chosen), []
        )

    def row(self, readout, cell, name=str) -> str:
        """The row of a value at a break, or at the end; negative if it is not taken there."""
        return f"{name('sample_row')}[{self.at_times.index(readout)}, {cell}]"

    def end_row(self, readout, name=str) -> str:
        """The row of what is measured at the end of a trial."""
        return (
            self.row(readout, -1, name) if readout in self.values else self.position[readout.number]
        )

    def forget(self) -> list[str]:
        """At a break: what a timed array had been before is of no consequence after it."""
        return self.add_timed() + [
            f"lam[{self.states.index(name)}] = 0.0" for name in self.timed_values
        ]

    def add_timed(self) -> list[str]:
        """At the beginning of a cell: add to the gradients of the values that held within it."""
        return [
            f"grad_timed{k}[{self._cell(k, 'k')}] += lam[{self.states.index(name)}]"
            for k, name in enumerate(self.timed_values)
            if f"grad_timed{k}" in self.timed_gradients
        ]

    def of(self, role: str, readout) -> str:
        """Identifier of a function that belongs to a readout of this group."""
        return self.a(f"{role}{self.position[readout.number]}")

    # ---- forward ----
    def rate(self) -> list[str]:
        """``dx = f(x)``."""
        held = {**self.flow.rate, **self.adjoint.held}
        return self._by_form(lambda frozen: self._rates(held if frozen else self.flow.rate))

    def _by_form(self, body):
        """Lines that `body` makes of whether the neuron is refractory, if it flows otherwise."""
        return by_mode(body(True), body(False)) if self.two_forms else body(False)

    def smooth_rate(self) -> list[str]:
        """The same with the flags of conditions, followed by the integrands."""
        held = {**self.flow.smooth, **self.flow.held}
        lines = self._by_form(lambda frozen: self._rates(held if frozen else self.flow.smooth))
        return self.switches.load() + lines + self.switches.still()

    def _rates(self, values):
        lines = self.load(reads(values))
        parts, text = self.scope.shared_terms(values)
        lines += parts
        for k, (name, value) in enumerate(text.items()):
            stopped = not self.two_forms and self.has_frozen and name in self.adjoint.held
            lines.append(f"dx[{k}] = {f'0.0 if frozen else {value}' if stopped else value}")
        return lines

    def reset(self) -> list[str]:
        """The reset, in place."""
        return self.write(self.adjoint.reset)

    @cached_property
    def resets_guard(self) -> bool:
        """Whether a reset changes the guard at all."""
        return reset_changes_guard(self.adjoint)

    @cached_property
    def decides_at_crossing(self) -> bool:
        """Whether what happens at a crossing has a condition that may change right there."""
        return self.spikes and decides_at_crossing(self.adjoint, self.setting.at_once)

    def sample(self, readout) -> list[str]:
        """The value of a readout's expression."""
        return [
            *self.load(reads(readout.expression)),
            f"return {self.scope.source(readout.expression)}",
        ]

    # ---- the closed flow ----
    @property
    def n_coefficients(self) -> int:
        """Rows of ``K``: rates, coefficients and the fastest rate."""
        free = self.flow.free
        return len(free.rates) + len(free.coefficients) + 1

    def exponentials(self, mode: str) -> list[str]:
        """The divided differences that a mode uses, as ``e_...`` for the time h."""
        closed: Propagator = getattr(self.flow, mode)
        used = closed.differences
        single = sorted({r for rates in used for r in rates if len(rates) <= 2})
        lines = [f"e{r} = {self._exp(closed, r)}" for r in single]
        for rates in (rates for rates in used if len(rates) > 1):
            name, first, last = "_".join(map(str, rates)), rates[0], rates[-1]
            values = [self._rate(closed, r) for r in rates]
            if len(rates) == 2:
                values += [f"e{first}", f"e{last}"]
            value = f"difference{len(rates)}({', '.join(values)}, h)"
            lines.append(f"e{name} = {f'h * e{first}' if rates == (first, first) else value}")
        return lines

    def _rate(self, closed, r):
        return "0.0" if closed.rates[r] == 0 else f"K[{r}, j]"

    def _exp(self, closed, r):
        # times within the short windows of arrivals in batches are small
        exp = "exp_of_little" if self.batched else "math.exp"
        return "1.0" if closed.rates[r] == 0 else f"{exp}(K[{r}, j] * h)"

    def _entry(self, closed, terms):
        parts = []
        for term in terms:
            name = "e" + "_".join(map(str, term.rates))
            if closed.coefficients[term.coefficient] == 1:
                parts.append(name)
            else:
                parts.append(f"K[{len(closed.rates) + term.coefficient}, j] * {name}")
        return " + ".join(parts) if len(parts) == 1 else f"({' + '.join(parts)})"

    def advance(self, mode: str) -> list[str]:
        """``y = exp(A h) x + ...``; y may be x."""
        closed: Propagator = getattr(self.flow, mode)
        sources = [*((s, f" * x{k}") for k, s in enumerate(self.states)), (ONE, "")]
        rows = [[(closed.entries.get((s, r)), x) for r, x in sources] for s in self.states]
        return self._products(closed, mode, "x", "y", rows)

    def transpose(self, mode: str) -> list[str]:
        """``lam = exp(A h)^T lam``, in place."""
        closed: Propagator = getattr(self.flow, mode)
        targets = [(s, f" * lam{k}") for k, s in enumerate(self.states)]
        rows = [[(closed.entries.get((r, s)), x) for r, x in targets] for s in self.states]
        return self._products(closed, mode, "lam", "lam", rows)

    def _products(self, closed, mode, x, y, rows):
        lines = self.exponentials(mode) + [f"{x}{k} = {x}[{k}]" for k in range(self.n_states)]
        for k, row in enumerate(rows):
            terms = [self._entry(closed, terms) + factor for terms, factor in row if terms]
            lines.append(f"{y}[{k}] = {' + '.join(terms)}")
        return lines

    # ---- backward ----
    def add_gradients(self, terms, scale: str) -> list[str]:
        """Add `scale` times some terms to the gradients of the constants."""
        return [f"{self.gradient(n)} += {self.scope.scaled(scale, e)}" for n, e in terms.items()]

    def add_derivatives(self, d, sign: str, scale: str, form: str = "{0} * ({1})") -> list[str]:
        """Add those in states to the adjoint, and those in constants to their gradients."""
        lines = [
            f"lam[{self.states.index(s)}] {sign}= {self.scope.scaled(scale, e, form)}"
            for s, e in d.states.items()
        ]
        return lines + self.add_gradients(d.parameters, "-" * (sign == "-") + scale)

    @property
    def parameters_of_flow(self) -> list[str]:
        """Add ``scale * lambda . f_p`` at ``x``."""
        return self._by_mode(
            lambda terms: [*self.load(reads(terms)), *self.add_gradients(terms, "scale")],
            self.flow.parameters, self.flow.parameters_frozen,
        )  # fmt: skip

    def _by_mode(self, body, free, frozen):
        if not self.has_frozen or free == frozen:
            return body(free) or ["pass"]
        return by_mode(body(frozen), body(free))

    def source(self) -> list[str]:
        """``mu = dl/dx`` weighted with dL/d(readout), and ``scale * dl/dp`` to the gradients."""
        values = {s: sp.Integer(0) for s in self.states}
        parameters: dict[str, sp.Expr] = {}
        for r in self.integrals:
            w = symbol(f"weight.{r.number}")
            for s, e in r.states.items():
                values[s] += w * e
            for name, e in r.parameters.items():
                parameters[name] = parameters.get(name, sp.Integer(0)) + w * e
        lines = self.load(reads(values, parameters))
        lines += [f"mu[{k}] = {self.scope.sympy(values[s])}" for k, s in enumerate(self.states)]
        return lines + self.add_gradients(parameters, "scale")

    def rate_back(self) -> list[str]:
        """``back = J^T adjoint_f`` and the gradients of constants, for one stage of Runge-Kutta.

        ``adjoint_f`` is the adjoint of f; that of the integrands is ``scale * dL/d(readout)``.
        """
        return self._by_form(self._rate_back)

    def _rate_back(self, frozen: bool) -> list[str]:
        stage = derive_stage(self.adjoint, self.flow, frozen)
        wanted = stage.states | {f"bar.{name}": e for name, e in stage.parameters.items()}
        lines = self._load_stage(wanted)
        parts, text = self.scope.shared_terms(wanted)
        lines += parts
        lines += [f"back[{k}] = {text[s]}" for k, s in enumerate(self.states)]
        return lines + [f"{self.gradient(n)} += {text[f'bar.{n}']}" for n in stage.parameters]

    def jacobian(self) -> list[str]:
        """``out[r, s] = df_r/dx_s``, and the derivatives of the weighted integrands as last row."""
        return self._by_form(self._jacobian)

    def _jacobian(self, frozen: bool) -> list[str]:
        entries, rows = jacobian(self.adjoint, self.flow, frozen), (*self.states, None)
        parts, text = self.scope.shared_terms(entries)
        stopped = self.adjoint.held if self.has_frozen and not self.two_forms else ()
        lines = [
            f"out[{rows.index(r)}, {self.states.index(s)}] = "
            f"{f'0.0 if frozen else {value}' if r in stopped else value}"
            for (r, s), value in text.items()
        ]
        return [*self.switches.load(), *self.load(reads(entries)), *parts, *lines]

    def _load_stage(self, wanted):
        lines = self.switches.load() + self.load(reads(wanted) - {SCALE}, lams="adjoint_f")
        if self.has_frozen and not self.two_forms:
            lines += [
                f"{self.scope.ref(f'lam.{s}')} = "
                f"0.0 if frozen else adjoint_f[{self.states.index(s)}]"
                for s in self.adjoint.held
            ]
        return [*lines, f"{self.scope.ref(SCALE)} = scale"]

    def time_back(self) -> list[str]:
        """The derivative of a stage in the time itself."""
        return self._by_form(self._time_back)

    def _time_back(self, frozen: bool) -> list[str]:
        e = derive_stage(self.adjoint, self.flow, frozen).time
        return [*self._load_stage(e), f"return {self.scope.sympy(e)}"]

    def spike_back(self) -> list[str]:
        """Backwards through the reset; leaves the reset's part of D in `rate`.

        Without a closed form, the terms with the slopes before the spike are left out: they may
        be huge, see `guard_partials`.  With conditions, and where neurons are coupled, what the
        equations and the integrands add is left out: it reads the flags, or the other neurons,
        before and after the spike.
        """
        return self._by_mode(
            lambda rule: self.jump_back(rule, rule.rate),
            self._reset_rule("free"), self._reset_rule("frozen"),
        )  # fmt: skip

    def _reset_rule(self, mode):
        mode = mode if self.has_frozen else "free"
        rule = self.adjoint.spike[mode]
        if len(self.switches) or self.setting.coupled:
            return replace(rule, rate=reset_rate(self.adjoint))
        if not self.closed:
            after = rate_after_spike(self.adjoint, mode == "frozen")
            return replace(rule, rate=after)
        return rule

    def guard_partials(self) -> list[str]:
        """``out``: the derivatives of the guard in the states and in the time."""
        c = self.adjoint.crossing
        values = [*(c.states.get(s, sp.Integer(0)) for s in self.states), c.time]
        lines = self.load(reads(values))
        return lines + [f"out[{k}] = {self.scope.sympy(e)}" for k, e in enumerate(values)]

    def cross_back(self) -> list[str]:
        """lambda -= g_x D/gdot and dL/dp -= g_p D/gdot, with `ratio` = D/gdot."""
        c = self.adjoint.crossing
        lines = self.load(reads(c.states, c.parameters))
        return lines + self.add_derivatives(c, "-", "ratio", "({1}) * {0}")

    def inject(self, readout) -> list[str]:
        """Add ``scale`` times the derivatives of a readout."""
        lines = self.load(reads(readout.states, readout.parameters))
        return lines + self.add_derivatives(readout, "+", "scale") or ["pass"]

    def inject_rate(self, readout) -> list[str]:
        """The derivative of a readout's expression along ``dx``."""
        value = readout.time
        lines = self.load(reads(readout.states, value))
        terms = [
            f"dx[{self.states.index(s)}] * ({self.scope.sympy(e)})"
            for s, e in readout.states.items()
        ]
        return lines + [f"return {' + '.join([*terms, self.scope.sympy(value)])}"]

    @property
    def flow_needs_state(self) -> bool:
        """Whether the backward pass between two events reads the state."""
        return not self.closed or bool(self.integrals or self.flow.parameters)
