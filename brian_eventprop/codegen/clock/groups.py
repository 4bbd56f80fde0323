"""The code of one neuron group, block by block, for the kernel templates to place in their loops.

Every attribute that the templates show is a list of lines.  Neuron ``j``, step ``n`` and trial
``trial`` are the templates' loop variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp

from brian_eventprop.adjoint.autapses import LOSS_BEFORE, rate_of_spike, slope
from brian_eventprop.adjoint.conditions import derive_conditions
from brian_eventprop.adjoint.groups import COUPLED, GroupAdjoint, coupled, moved, slope_of
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.codegen.clock.conditions import ConditionCode
from brian_eventprop.codegen.clock.maxima import MaximumCode
from brian_eventprop.codegen.clock.releases import ReleaseCode
from brian_eventprop.codegen.clock.upstrokes import UpstrokeCode
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.codegen.readouts import RULES, of_kind
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.plan.clock import GroupPlan
from brian_eventprop.reading.spec import ReadoutSpec, TimedValue


class GroupCode:
    """Code of a group; the templates read its attributes."""

    #: The time of the next step, and a statement that counts a spike or a condition that grazes.
    later, count_grazing = "FLOAT((n + 1) * dt64)", "n_grazing += 1"
    #: The time step, in double precision if the states may be in single precision all the same.
    time_step = "dt64"
    #: Whether a thread has the neuron, and the name of its count of grazing spikes.
    on_device, grazed = False, "n_grazing"
    #: Whether the states of a segment of steps are recorded for the backward pass.
    recorded = False

    def __init__(
        self, adjoint: GroupAdjoint, scope: Scope, readouts: Sequence[ReadoutSpec], plan: GroupPlan
    ):
        self.adjoint, self.scope, self.plan = adjoint, scope, plan
        group = adjoint.group
        self.name, self.states = group.name, group.states
        self.is_input = False
        self.n_states = len(group.states)
        self.spikes = adjoint.crossing is not None
        self.refractory = group.may_be_refractory and self.spikes
        #: What ends refractoriness, where that moves with states; then the step is kept per spike.
        self.released = ReleaseCode(self, adjoint.released) if adjoint.released else None
        self.fixed_period = self.refractory and self.released is None
        self.has_frozen = bool(adjoint.held)
        self.readouts = adjoint.readouts
        self.maxima = of_kind(self.readouts, "maximum")
        traces, self.adjoints = (of_kind(self.readouts, k) for k in ("trace", "adjoint"))
        self.values = [*of_kind(self.readouts, "value"), *traces]
        #: Traces that are taken before the step's sums over other neurons are there.
        self.early = traces if plan.coupled or plan.received else []
        self.at_times = [*self.values, *self.adjoints]
        self.sampled = [r for r in self.readouts if RULES[r.kind].every_step]
        self.sampled_last = [
            r for r in self.readouts if RULES[r.kind].at_end or r.ends and r in self.values
        ]
        self.measured = [r for r in self.readouts if RULES[r.kind].measures]
        #: Whether the backward pass begins with a readout at the end of a trial.
        self.ended = bool(self.sampled_last) or any(r.ends for r in self.adjoints)
        active = adjoint.invariants.active
        self.shared_grads = [n for n in active if adjoint.invariants.levels[n] == SHARED]
        self.element_grads = [n for n in active if adjoint.invariants.levels[n] == PER_ELEMENT]
        self.modes = {"free": adjoint.free, "frozen": adjoint.frozen or adjoint.free}
        self.frozen = group.frozen
        self.rings, self.ring_rates = plan.rings, plan.ring_rates
        self.tiled_states, self.dense_states = plan.tiled_states, plan.dense_states
        self.per_spike_states, self.with_d_arrivals = plan.per_spike_states, plan.with_d_arrivals
        self.in_ring, self.in_drive = plan.in_ring, plan.in_drive
        self.recomputes_arrivals = plan.recomputes_arrivals
        self.has_count_surrogate = plan.has_count_surrogate
        self.coupled, self.received = plan.coupled, plan.received
        self.timed_values = timed_values_of(adjoint, readouts)
        #: The arrays for the gradients of timed arrays, by role, and the names of the latter.
        self.timed_gradients = {
            f"grad_timed{k}": t.array
            for k, t in enumerate(self.timed_values.values())
            if t.name in active
        }
        self.readout_symbols = [r.symbols for r in readouts]
        self.readout_kinds = {r.kind for r in readouts}
        self.incoming: list = []
        receiving = self.rings or self.states
        self.arrival_maxima = tuple(MaximumCode(self, m, receiving) for m in plan.arrival_maxima)
        self.regular = adjoint.regular
        conditions = derive_conditions(adjoint)
        self.conditions = ConditionCode(self, conditions) if conditions is not None else None
        self.upstroke = UpstrokeCode(self) if adjoint.upstroke is not None else None
        _check_regular(self)

    def receive(self, pathway) -> None:
        """Note that the synapses of a pathway are onto this group."""
        self.incoming.append(pathway)

    @property
    def autapses(self) -> list:
        """The pathways whose spikes may arrive at their own neuron at once."""
        return [p for p in self.incoming if p.at_once]

    @property
    def spike_columns(self) -> int:
        """How many numbers are kept with a spike: states before arrivals and reset, guard, end."""
        return 2 * self.n_states + 1 + (self.released is not None)

    def row(self, spike: str) -> str:
        """The row of a spike among those that are stored."""
        return spike

    def free_again(self, spike: str) -> str:
        """The first step after a spike in which neuron j is not refractory."""
        if self.released is not None:
            return self.released.at(spike)
        return f"{self.spike_step(spike)} + {self.a('R')}[j]"

    def spike_step(self, spike: str) -> str:
        """The step of a spike."""
        return f"{self.a('spike_step')}[{spike}]"

    def lasts(self, spike: str) -> str:
        """The condition that neuron j is refractory for a step at least after a spike."""
        if self.released is not None:
            return f"{self.released.at(spike)} > {self.spike_step(spike)} + 1"
        return f"{self.a('R')}[j] > 1"

    def a(self, role: str) -> str:
        """Identifier of an array or variable of the kernels that belongs to this group."""
        return self.scope.table(self.scope.owner, f"${role}")

    @property
    def arriving(self) -> str:
        """The array of the states that arrivals change."""
        return self.a("x")

    # ---- loading ----
    def load(self, names, array: str, index: str = "j") -> list[str]:
        """Load the states among `names` from an array, and what else is stored per neuron."""
        scope = self.scope
        lines = [
            f"{scope.ref(s)} = {element(array, k, index)}"
            for k, s in enumerate(self.states)
            if s in names
        ]
        return lines + self.load_constants(names, index)

    def load_constants(self, names, index: str = "j", step: str = "n") -> list[str]:
        """Load the constants per neuron and the weights of the readouts among `names`."""
        lines = []
        for name in sorted(names):
            if self.scope.levels.get(name) == PER_ELEMENT:
                ref = self.scope.ref(name)
                row = self.scope.per_element.index(name)
                lines.append(f"{ref} = {self.a('P')}[{row}, {index}]")
            elif name.startswith("weight."):
                number = name.split(".")[1]
                lines.append(
                    f"{self.scope.ref(name)} = {self.a('weight' + number)}[trial, {index}]"
                )
            elif self.scope.levels.get(name) == SHARED:
                self.scope.ref(name)
            elif name in self.timed_values:
                lines.append(f"{self.scope.ref(name)} = {self.timed_value(name, index, step)}")
            elif name.startswith(COUPLED):
                lines.append(f"{self.scope.ref(name)} = {self.coupling_rate(name, index)}")
        return lines

    def coupling_rate(self, name: str, index: str = "j") -> str:
        """What f of all neurons that are coupled to one gains by one of its states."""
        row = self.states.index(name.removeprefix(COUPLED))
        return f"{self.a('coupling_rate')}[{row}, {index}]"

    def timed_value(self, name: str, index: str = "j", step: str = "n") -> str:
        """The value of a timed array for a neuron at a step of a trial."""
        k = list(self.timed_values).index(name)
        return f"{self.a(f'timed{k}')}[{self._timed_place(k, index, step)}]"

    def _timed_place(self, k: int, index: str, step: str) -> str:
        row, cell = f"{self.a('trial')}[{k}, trial]", f"{self.a('cell')}[{k}, {step}]"
        return f"{row}, {cell}, {self.a('column')}[{k}, {index}]"

    def timed_gradient(self, name: str) -> str:
        """The gradient of the value of a timed array for neuron j at step n."""
        k = list(self.timed_values).index(name)
        return f"{self.a(f'grad_timed{k}')}[{self._timed_place(k, 'j', 'n')}]"

    def load_lam(self, names, index: str = "j") -> list[str]:
        """Load the adjoint variables among `names`."""
        return [
            f"{self.scope.ref(f'lam.{s}')} = {self.a('lam')}[{k}, {index}]"
            for k, s in enumerate(self.states)
            if f"lam.{s}" in names
        ]

    # ---- forward ----
    def update(self, mode: str, source: str, target: str) -> list[str]:
        """One step of the state update of neuron j."""
        statements = self.modes[mode].statements
        read = reads(statements) | set(self.states)
        states = [self.scope.ref(s) for s in self.states]
        block = self.scope.statements(statements)
        return self.load(read, source) + self.cut(block, states) + self.store(target)

    @property
    def selects(self) -> bool:
        """Whether frozen neurons take the same step but for the states that keep their values.

        Then all neurons take it, without a branch, and the old values are put back.
        """
        if not (self.refractory and self.has_frozen):
            return True
        free, held = (self.modes[mode].statements for mode in ("free", "frozen"))
        rest = iter(held)
        expected, missing = next(rest, None), set()
        for statement in free:
            if statement == expected:
                if reads([statement]) & missing:
                    return False
                missing.discard(statement.target)
                expected = next(rest, None)
            else:
                missing.add(statement.target)
        return expected is None and not missing & set(self.states) - set(self.frozen)

    def whole_step(self, array: str) -> list[str]:
        """The guard of neuron j before the state update, the update, and the threshold after it."""
        scope, statements, crossing = self.scope, self.modes["free"].statements, None
        read, guard = reads(statements) | set(self.states), None
        if self.spikes:
            crossing = self.adjoint.crossing
            guard = crossing.g.xreplace({symbol("t"): symbol("t") - symbol("dt")})
            read |= reads(guard, crossing.condition)
        lines = self.load(read, array)
        if guard is not None:
            before, value = self._guard_at_start(guard)
            lines += [*before, f"{self.a('start')}[j] = {value}"]
        held = self.frozen if self.refractory else ()
        if self.refractory:
            lines.append(f"free = n >= {self.a('free')}[j]")
        lines += [f"{scope.ref(f'held.{s}')} = {scope.ref(s)}" for s in held]
        lines += self.cut(scope.statements(statements), [scope.ref(s) for s in self.states])
        lines += [
            f"{scope.ref(s)} = {scope.ref(s)} if free else {scope.ref(f'held.{s}')}" for s in held
        ]
        lines += self.store(array)
        if crossing is not None:
            also = " & free" if self.refractory else ""
            lines.append(f"{self.a('over')}[j] = ({scope.source(crossing.condition)}){also}")
        return lines

    def cut(self, lines: list[str], wanted: Iterable[str]) -> list[str]:
        """Return assignments as they are; some targets call functions in place of long code."""
        del wanted
        return lines

    @property
    def lifted_at_fixed_times(self) -> bool:
        """Whether regular code or a timed array may lift a neuron over the threshold."""
        timed = set(self.timed_values)
        return self.spikes and bool(self.regular or reads(self.adjoint.crossing.g) & timed)

    def store(self, array: str, index: str = "j") -> list[str]:
        """Store all states."""
        return [f"{array}[{k}, {index}] = {self.scope.ref(s)}" for k, s in enumerate(self.states)]

    def condition(self, array: str) -> tuple[list[str], str]:
        """The threshold: lines that load what it reads, and the condition."""
        source = self.adjoint.crossing.condition
        return self.load(reads(source), array), self.scope.source(source)

    def guard(self, array: str, index: str = "j") -> tuple[list[str], str]:
        """The guard g at the beginning of a step, at the time of the test before: loads and g."""
        t = symbol("t")
        g = self.adjoint.crossing.g.xreplace({t: t - symbol("dt")})
        lines = self.load(reads(g, self.regular), array, index)
        before, value = self._guard_at_start(g)
        return [*lines, *before], value

    def _guard_at_start(self, guard: sp.Expr) -> tuple[list[str], str]:
        """The guard at the beginning of a step; infinite where it is lifted over 0 at a fixed time.

        Regular code or the next value of a timed array may do so; nothing moves that spike.
        """
        timed = sorted(reads(guard) & set(self.timed_values))
        if not self.regular and not timed:
            return [], self.scope.sympy(guard)
        ref, scope = self.scope.ref, self.scope
        changed = list(dict.fromkeys(s.target for s in self.regular if s.target in self.states))
        lines = self.load_constants(timed, step="max(n - 1, 0)") if timed else []
        lines += [f"{ref('before.')} = {scope.sympy(guard)}", *self.load_constants(timed)]
        lines += [f"{ref(f'kept.{s}')} = {ref(s)}" for s in changed]
        lines += [*scope.statements(self.regular), f"{ref('lifted.')} = {scope.sympy(guard)}"]
        lines += [f"{ref(s)} = {ref(f'kept.{s}')}" for s in changed]
        lifts = f"{ref('before.')} <= 0 and {ref('lifted.')} > 0"
        return lines, scope.style.choose(lifts, scope.style.number(float("inf")), ref("lifted."))

    def reset(self, array: str) -> list[str]:
        """The reset of neuron j."""
        statements = self.adjoint.reset
        written = {s.target for s in statements} & set(self.states)
        lines = self.load(reads(statements) | written, array) + self.scope.statements(statements)
        return lines + [
            f"{array}[{k}, j] = {self.scope.ref(s)}"
            for k, s in enumerate(self.states)
            if s in written
        ]

    # ---- readouts ----
    def result(self, readout) -> str:
        """Where the value of a readout of neuron j stands."""
        return f"{self.a(f'value{readout.number}')}[{self._cell(readout)}]"

    def weight(self, readout) -> str:
        """Where dL/d(readout) of neuron j stands."""
        return f"{self.a(f'weight{readout.number}')}[{self._cell(readout)}]"

    def _cell(self, readout) -> str:
        return f"trial, {self.place(readout)}, j" if readout in self.at_times else "trial, j"

    def place(self, readout) -> str:
        """The place among its times of the value at step n, or at the end; negative if none is."""
        step = "n" if self.scope.in_loop else "-1"
        return f"{self.a('sample_place')}[{self.at_times.index(readout)}, {step}]"

    def at(self, readout) -> str:
        """The time step of the maximum of neuron j."""
        return f"{self.a(f'at{readout.number}')}[trial, j]"

    def when(self, readout) -> str:
        """The condition for a sample at the start of step n."""
        return RULES[readout.kind].when(self, readout)

    def sample(self, readouts, last: bool = False) -> list[str]:
        """Sample readouts of neuron j at the start of a step, or after the last one."""
        lines = self.load(reads([r.expression for r in readouts]), self.a("x"))
        self.scope.in_loop = not last
        values = [self.scope.source(r.expression) for r in readouts]
        self.scope.in_loop = True
        for readout, value in zip(readouts, values, strict=True):
            lines += RULES[readout.kind].sample(self, readout, value)
        return lines

    def record_adjoints(self, readouts) -> list[str]:
        """Leave the adjoint variables of neuron j that are recorded at step n, or at the end."""
        return sum((RULES[r.kind].record(self, r) for r in readouts), [])

    def seeds(self, states: str) -> list[str]:
        """Add the derivatives of readouts at step n to the adjoint of neuron j."""
        rules = [(RULES[kind], r) for kind in RULES for r in of_kind(self.readouts, kind)]
        return sum((rule.seed(self, r, states) for rule, r in rules), [])

    def seeds_in_upstroke(self, states: str, hit: str) -> list[str]:
        """Do the same for a neuron on an explosive upstroke, whose true spike is in step `hit`."""
        rules = [(RULES[r.kind], r) for r in self.readouts]
        return sum((rule.seed_in_upstroke(self, r, states, hit) for rule, r in rules), [])

    def seeds_last(self, states: str) -> list[str]:
        """Add the derivatives of readouts after the last step."""
        self.scope.in_loop = False
        lines = sum((self.inject(r, states) for r in self.sampled_last), [])
        lines += self.record_adjoints([r for r in self.adjoints if r.ends])
        self.scope.in_loop = True
        return lines

    # ---- backward ----
    def shared_grad(self, name: str) -> str:
        """The gradient of a constant that all neurons share."""
        return f"{self.a('grad_shared')}[{self.shared_grads.index(name)}]"

    def adjoint_place(self, role: str, state: str) -> str:
        """Where the adjoint of arrivals at a state stands: `lam`, or `rate` for their times."""
        return f"{self.a(f'{role}_{state}')}[j]"

    def flow_back(self, mode: str, source: str) -> list[str]:
        """The reverse of the state update of neuron j."""
        adjoint = self.modes[mode].adjoint
        read = adjoint.reads
        lines = self.load(read, source) + self.load_lam(read)
        block = self.scope.lines(adjoint.forward) + self.scope.lines(adjoint.reverse)
        lines += self.cut(block, [self.scope.ref(name) for name in reads(adjoint.results)])
        results = {s: adjoint.results.get(s, sp.Integer(0)) for s in self.states}
        lines += self.store_lam(results)
        return lines + self.add_gradients(
            {n: e for n, e in adjoint.results.items() if n not in self.states}
        )

    def store_lam(self, results, index: str = "j", scope: Scope | None = None) -> list[str]:
        """Store new adjoint variables; all are computed before the first is stored."""
        scope = scope or self.scope
        changed = {s: e for s, e in results.items() if e != symbol(f"lam.{s}")}
        if len(changed) == 1:
            ((s, e),) = changed.items()
            return [f"{self.a('lam')}[{self.states.index(s)}, {index}] = {scope.sympy(e)}"]
        lines = [f"{scope.ref(f'new.{s}')} = {scope.sympy(e)}" for s, e in changed.items()]
        return lines + [
            f"{self.a('lam')}[{self.states.index(s)}, {index}] = {scope.ref(f'new.{s}')}"
            for s in changed
        ]

    def add_gradients(
        self, terms, add: str = "+=", scale: str = "", form: str = "{0} * ({1})"
    ) -> list[str]:
        """Add to the gradients of the constants, or subtract; times what `scale` stands for.

        And to those of timed arrays, in the cell of the time step.
        """
        lines = []
        for name, term in terms.items():
            value = self.scope.scaled(scale, term, form) if scale else self.scope.sympy(term)
            if name in self.shared_grads:
                lines.append(f"{self.shared_grad(name)} {add} {value}")
            elif name in self.timed_values:
                lines.append(f"{self.timed_gradient(name)} {add} {value}")
            else:
                lines.append(
                    f"{self.a('grad_neuron')}[{self.element_grads.index(name)}, j] {add} {value}"
                )
        return lines

    def inject(self, readout, array: str, factor: str = "") -> list[str]:
        """Add dL/d(readout) times its derivatives to the adjoint of neuron j."""
        lines = self.load(reads(readout.states, readout.parameters), array)
        return lines + self._injected(readout, factor, self.a("lam"), 0)

    def _injected(self, readout, factor: str, into: str, row: int) -> list[str]:
        scale = f"{self.weight(readout)}{factor}"
        lines = [
            f"{into}[{row + self.states.index(s)}, j] += {self.scope.scaled(scale, e)}"
            for s, e in readout.states.items()
        ]
        return lines + self.add_gradients(readout.parameters, scale=scale)

    def spike_back(self, mode: str, values: str) -> list[str]:
        """Backwards through the reset of neuron j; leaves the reset's part of D in `rate`.

        That part is what the crossing costs by coming later, so it is taken at the state of the
        crossing: the arrivals of the same step are in continuous time after it, except those that
        the very spike sends.
        """
        rule = self.adjoint.spike[mode]
        rate = rate_of_spike(self.adjoint, mode) if self.autapses else rule.rate
        rate += moved(self.coupled, compose(self.adjoint.reset, self.states))
        read = reads(rate)
        lines = self._load_crossed(read, values) + self.load_lam(read)
        lines += [f"rate = {self.scope.sympy(rate)}"] + self._maxima_of_reset(rule, values)
        read = reads(rule.lam, rule.parameters)
        lines += self.load_spike(read, values, self.n_states) + self.load_lam(read)
        return lines + self.add_gradients(rule.parameters) + self.store_lam(rule.lam)

    # ---- arrivals that a spike sends to its own neuron at once; see `adjoint.autapses` ----
    @property
    def carried_rows(self) -> int:
        """How many numbers are carried through such arrivals: states, slopes, l at the crossing."""
        return 2 * self.n_states + 1

    def carry(self, values: str) -> list[str]:
        """Set out from the crossing of spike q of neuron j."""
        flow, loss = self.adjoint.flow(), self.adjoint.loss_rate
        carried, lines = self.a("carried"), self.load_spike(reads(flow, loss), values, 0, "q")
        for k in range(self.n_states):
            lines.append(f"{carried}[{k}, j] = {values}[q, {k}]")
        for k, s in enumerate(self.states):
            lines.append(f"{carried}[{self.n_states + k}, j] = {self.scope.sympy(flow[s])}")
        return [*lines, f"{carried}[{2 * self.n_states}, j] = {self.scope.sympy(loss)}"]

    def _load_crossed(self, names, values: str) -> list[str]:
        """Load the state of the crossing of spike k, after the arrivals that it sends to itself."""
        if not self.autapses:
            return self.load_spike(names, values, 0)
        rows = [*self.states, *(slope(s).name for s in self.states), LOSS_BEFORE]
        return [
            f"{self.scope.ref(name)} = {self.a('carried')}[{k}, j]"
            for k, name in enumerate(rows)
            if name in names
        ] + self.load_constants(names)

    def load_spike(self, names, values: str, offset: int, spike: str = "k") -> list[str]:
        """Load the states stored with a spike: before the arrivals (0) or before the reset."""
        return [
            f"{self.scope.ref(s)} = {values}[{spike}, {offset + p}]"
            for p, s in enumerate(self.states)
            if s in names
        ] + self.load_constants(names)

    def slope(self, values: str) -> list[str]:
        """The slope of the crossing of spike k and the guard just after it."""
        c = self.adjoint.crossing
        lines = self.load_spike(reads(c.slope, c.g), values, 0)
        return lines + [
            f"slope = {self.scope.sympy(c.slope)}",
            f"guard = {self.scope.sympy(c.g)}",
        ]

    def move_maximum(self, readout, values: str) -> list[str]:
        """Add to D of spike k what a maximum that the spike ends gains by coming later.

        A maximum that a crossing ends rises until then; one at a state that is left at once moves
        with the spike in any case.
        """
        before = slope_of(readout, self.adjoint.derivatives)
        lines = self.load_spike(reads(before), values, 0) + [
            f"readout_slope = {self.scope.sympy(before)}"
        ]
        weight = f"{self.a(f'weight{readout.number}')}[trial, j]"
        return [
            *lines,
            "if readout_slope > 0 or start > 0:",
            f"    d_time += {weight} * readout_slope",
        ]

    def _maxima_of_reset(self, rule, values: str) -> list[str]:
        """Add to `rate` what a maximum that the reset makes gains by coming later.

        It only falls from there: the next sample is the largest.
        """
        lines = []
        for number, after in rule.slopes.items():
            inner = self._load_crossed(reads(after), values)
            inner += [f"readout_slope = {self.scope.sympy(after)}"]
            for maximum in self.arrival_maxima:
                inner = maximum.unless_jump(inner) if maximum.number == number else inner
            lines += self._maximum_at(number, "n + 1", inner)
        return lines

    def _maximum_at(self, number: int, step: str, inner: list[str]) -> list[str]:
        """Add `readout_slope` to `rate` if the maximum is at that step and the slope negative."""
        weight = f"{self.a(f'weight{number}')}[trial, j]"
        inner = [*inner, "if readout_slope < 0:", f"    rate += {weight} * readout_slope"]
        at = f"if {self.a(f'at{number}')}[trial, j] == {step}:"
        return [at, *(f"    {line}" for line in inner)]

    def cross_back(self, values: str, into: str | None = None, row: int = 0) -> list[str]:
        """lambda -= g_x D/gdot and dL/dp -= g_p D/gdot, with `ratio` = D/gdot.

        The jump of lambda goes to rows of another array if one is given.
        """
        c = self.adjoint.crossing
        lines = self.load_spike(reads(c.states, c.parameters), values, 0)
        return lines + self._crossed(into or self.a("lam"), row)

    def surrogate_back(self, array: str) -> list[str]:
        """The same at recorded states."""
        c = self.adjoint.crossing
        return self.load(reads(c.states, c.parameters), array) + self._crossed(self.a("lam"), 0)

    def _crossed(self, into: str, row: int) -> list[str]:
        c = self.adjoint.crossing
        lines = [
            f"{into}[{row + self.states.index(s)}, j] -= "
            + self.scope.scaled("ratio", e, "({1})*{0}")
            for s, e in c.states.items()
        ]
        return lines + self.add_gradients(c.parameters, "-=", "ratio", "{0}*({1})")

    def inject_crossed(self, readout, values: str, into: str, row: int) -> list[str]:
        """Add dL/d(readout) times its derivatives at the crossing of spike k to an array."""
        lines = self.load_spike(reads(readout.states, readout.parameters), values, 0)
        return lines + self._injected(readout, "", into, row)

    def arrival_adjoint(self, state: str, mode: str) -> list[str]:
        """Record the adjoint of an arrival at a state: lambda and dL/dt_a per unit."""
        rate = self.ring_rates[state][mode]
        dropped = mode == "frozen" and state in self.frozen
        value = sp.Integer(0) if dropped else symbol(f"lam.{state}")
        if state in self.coupled and not dropped:
            rate -= coupled(state)
        read = reads(rate, value)
        lines = self.load(read - set(self.received), self.then) + self.load_lam(read)
        # what other neurons make of it later is not part of this rate
        lines += self.load(read & set(self.received), self.now)
        lines.append(f"{self.adjoint_place('lam', state)} = {self.scope.sympy(value)}")
        total = self.scope.sympy(rate)
        if self.arrival_maxima:
            added = (maximum.ring(self.rings.index(state), mode) for maximum in self.arrival_maxima)
            lines, total = [*lines, f"rate = {total}", *sum(added, [])], "rate"
        return [*lines, f"{self.adjoint_place('rate', state)} = {total}"]

    @property
    def silent(self) -> str:
        """Whether neuron j did not spike in step n, in the backward pass."""
        last = f"{self.a('last')}[j]"
        return f"({last} < 0 or {self.a('spike_step')}[{last}] != n)"

    def arrival_maximum(self, readout):
        """The code of a maximum that arrivals may make or end; None for any other readout."""
        return next(
            (maximum for maximum in self.arrival_maxima if maximum.number == readout.number), None
        )

    @property
    def now(self) -> str:
        """The recorded states at step n."""
        return f"{self.a('rec')}[{self.a('now')} + "

    @property
    def then(self) -> str:
        """The recorded states at step n + 1."""
        return f"{self.now}{self.n_states} + "

    @property
    def after(self) -> bool:
        """Whether the adjoint of an arrival depends on the state that it meets."""
        return bool(reads(list(self.ring_rates.values())) & set(self.states))

    def release(self, array: str) -> list[str]:
        """lambda . (f_frozen - f_free) of neuron j in `rate`, and what a maximum there gains.

        The maximum rises until the release and falls from there.
        """
        e = self.adjoint.release
        lines = self.load(reads(e), array) + self.load_lam(reads(e))
        lines.append(f"rate = {self.scope.sympy(e)}")
        for number, after in self._slopes_released.items():
            inner = [*self.load(reads(after), array), f"readout_slope = {self.scope.sympy(after)}"]
            lines += self._maximum_at(number, "n", inner)
        return lines

    @property
    def _slopes_released(self) -> dict:
        """The slope of each maximum just after a release, if that can make one."""
        if not (self.has_frozen and self.spikes):
            return {}
        return {r.number: slope_of(r, self.adjoint.derivatives) for r in self.maxima}

    # ---- arrivals at the step of a spike ----
    @property
    def rings_after(self) -> list[str]:
        """States at which arrivals and the reset commute: the reset is taken to be first.

        The crossing was within the step, the arrivals are at its end.  What an arrival costs by
        coming later then has the adjoint after the reset, not that before it, of which a hard
        reset leaves nothing.
        """
        if not self.spikes:
            return list(self.rings)
        rules = self.adjoint.spike.values()
        same = {s: symbol(f"lam.{s}") for s in self.rings}
        return [s for s in self.rings if all(r.lam.get(s, same[s]) == same[s] for r in rules)]

    @property
    def rings_before(self) -> list[str]:
        """States at which the order matters: arrivals are before the reset, as in Brian2."""
        return [s for s in self.rings if s not in self.rings_after]

    @property
    def made_by_reset(self) -> list[tuple[int, int]]:
        """States that a reset may raise and arrivals add to after it, where there are maxima.

        The numbers of each: among the states that arrivals change, and among all states.
        """
        if not self.arrival_maxima or not self.spikes:
            return []
        changed = {s.target for s in self.adjoint.reset} & set(self.rings_after)
        receiving = self.arrival_maxima[0].receiving
        return [(receiving.index(s), self.states.index(s)) for s in receiving if s in changed]

    # ---- what the kernels must keep ----
    @property
    def needs_states(self) -> bool:
        """Whether the reverse reads the states of every step (or those at a release)."""
        states = set(self.states)
        read = set().union(*(m.adjoint.reads for m in self.modes.values()))
        early = [r for r in self.readouts if not RULES[r.kind].at_end]
        read |= reads([(r.states, r.parameters) for r in early])
        if self.has_frozen and self.spikes:
            read |= reads(self.adjoint.release, self._slopes_released)
        keeps = self.recomputes_arrivals or self.after or self.upstroke is not None
        keeps = keeps or bool(self.coupled or self.received)
        return bool(read & states or self.conditions or self.released) or keeps

    @property
    def needs_final_states(self) -> bool:
        """Whether the derivative of a readout reads the states after the last step."""
        read = reads([(r.states, r.parameters) for r in self.sampled_last])
        return bool(read & set(self.states))

    @property
    def neurons(self) -> str:
        """The neurons of the spikes."""
        return self.a("spike_neuron")

    @property
    def steps(self) -> str:
        """The time steps of the spikes."""
        return self.a("spike_step")

    def neuron(self, spike: str) -> str:
        """The neuron that sent a spike."""
        return f"{self.a('spike_neuron')}[{spike}]"


def _check_regular(code: GroupCode) -> None:
    """Refuse what happens at fixed times where the gradient of a spike spans several steps."""
    if code.upstroke is None or not code.lifted_at_fixed_times:
        return
    group, names = code.adjoint.group, [r.name for r in code.adjoint.group.regular]
    read = reads(code.adjoint.crossing.g)
    name = (names or [t.array for t in group.timed_values if t.name in read])[0]
    what = "runs regularly" if names else "is a TimedArray in the threshold"
    raise UnsupportedError(
        f"NeuronGroup '{group.name}': '{name}', which {what}, is not supported on a time grid with "
        "equations in which a state drives itself to the threshold: the gradient of a spike then "
        f"follows the true flow over several steps. Use solver='event'{_or_ignore(names)}."
    )


def _or_ignore(names: Sequence[str]) -> str:
    if not names or "constant over dt" in names[0]:
        return ""
    return f", or ignore=['{names[0]}'] if it does not change the network"


def element(array: str, row, column: str) -> str:
    """Return an element of an array; ``name[offset + `` stands for the rows from an offset on."""
    return f"{array}{row}, {column}]" if "[" in array else f"{array}[{row}, {column}]"


def timed_values_of(
    adjoint: GroupAdjoint, readouts: Sequence[ReadoutSpec]
) -> dict[str, TimedValue]:
    """Return the values of timed arrays in the code of a group and its readouts, by their names."""
    timed_values = [*adjoint.group.timed_values, *(t for r in readouts for t in r.timed_values)]
    return {t.name: t for t in timed_values}
