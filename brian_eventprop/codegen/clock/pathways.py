"""The code of one synaptic pathway for the kernel templates: synapse ``k`` onto neuron ``j``."""

from __future__ import annotations

import sympy as sp

from brian_eventprop.adjoint.groups import COUPLED, moved
from brian_eventprop.adjoint.pathways import INCREMENT, PRE, SYNAPTIC, ArrivalRule, PathwayAdjoint
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED, TIME_VARYING
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.codegen.clock.autapses import AutapseCode
from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.plan.clock import PathwayPlan


class PathwayCode:
    """Code of a pathway; the templates read its attributes."""

    #: The pre-synaptic neuron of synapse ``k``, where its states are touched.
    pre_neuron = "i"

    def __init__(
        self, adjoint: PathwayAdjoint, scope: Scope, target: GroupCode, source, plan: PathwayPlan,
        pre: GroupCode | None = None, own: GroupCode | None = None, home=None,
    ):  # fmt: skip
        self.adjoint, self.scope, self.target, self.source = adjoint, scope, target, source
        self.name = adjoint.pathway.name
        self.text = adjoint.pathway.text
        active, levels = adjoint.invariants.active, adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        written = {**adjoint.free.parameters, **adjoint.frozen.parameters}
        self.element_grads = [n for n in active if levels[n] == PER_ELEMENT and n in written]
        self.states = [f"post__{s}" for s in target.states]
        #: The `Synapses` object and the states of its synapses.
        self.synapses = adjoint.pathway.synapses
        self.synaptic = [f"{SYNAPTIC}{s}" for s in adjoint.synaptic]
        #: The group of the pre-synaptic neurons, if the code touches their states.
        self.pre_group, self.writes_pre = pre, adjoint.writes_pre
        #: What an event touches besides its target: where each state stands, and its adjoint.
        self.home = home or self
        self.others = {
            s: tuple(f"{self.home.a(role)}[{k}, s]" for role in ("synaptic", "lam_synaptic"))
            for k, s in enumerate(self.synaptic)
        }
        #: The group that the synapses are, if they have equations of their own.
        self.own_group = own
        for k, s in enumerate(own.states if own else ()):
            self.others[f"{SYNAPTIC}{s}"] = self._places("own", k, "s")
        for s in adjoint.pre:
            self.others[f"{PRE}{s}"] = self._places("pre", pre.states.index(s), self.pre_neuron)
        self.plan, self.recomputed, self.taped = plan, plan.recomputed, plan.taped
        #: Whether what its events touch is recorded before each of them.
        self.eventful = bool(self.others) or self.taped
        self.lift = adjoint.lift
        self.same = adjoint.free.statements == adjoint.frozen.statements
        self.layout, self.delay_trained = plan.layout, plan.delay_trained
        self.ring, self.precomputed = plan.layout.ring, plan.layout.precomputed
        #: Of arrivals that a spike sends to its own neuron at once.
        self.at_once = AutapseCode(self) if plan.at_once else None
        if self.ring:
            self.scope.ref(INCREMENT)
            self.row = self.scope.per_element.index(INCREMENT)
            state = self.state = adjoint.increment.state
            self.ring_array = target.a(f"ring_{state}")
            self.record = target.a(f"record_{state}")
        target.receive(self)

    def _places(self, whose: str, row: int, index: str) -> tuple[str, ...]:
        """Where a state of another group stands, and its adjoint."""
        return tuple(f"{self.a(f'{whose}_{role}')}[{row}, {index}]" for role in ("x", "lam"))

    def shared_grad(self, name: str) -> str:
        """The gradient of a constant that all synapses share."""
        return f"{self.a('grad_shared')}[{self.shared_grads.index(name)}]"

    def increment(self, synapse: str) -> str:
        """What an arrival adds."""
        return f"{self.a('W')}[{self.row}, {synapse}]"

    def a(self, role: str) -> str:
        """Identifier of an array or variable of the kernels that belongs to this pathway."""
        return self.scope.table(self.scope.owner, f"${role}")

    def rule(self, mode: str) -> ArrivalRule:
        """The rule for a free or a frozen target."""
        return getattr(self.adjoint, mode)

    def load(self, names, array: str | None, index: str = "j") -> list[str]:
        """Load states of the target (from `array`), its constants and those of the synapse."""
        lines = []
        for k, s in enumerate(self.states):
            if s in names and array is not None:
                lines.append(f"{self.scope.ref(s)} = {array}[{k}, {index}]")
        for name in sorted(names):
            if self.scope.levels.get(name) == PER_ELEMENT:
                ref = self.scope.ref(name)
                lines.append(f"{ref} = {self.a('W')}[{self.scope.per_element.index(name)}, k]")
            elif name.startswith("post__") and name not in self.states:
                inner = name.removeprefix("post__")
                ref = self.scope.ref(name)
                if self.target.scope.levels.get(inner) == PER_ELEMENT:
                    row = self.target.scope.per_element.index(inner)
                    lines.append(f"{ref} = {self.target.a('P')}[{row}, {index}]")
                elif inner in self.target.timed_values:
                    lines.append(f"{ref} = {self.target.timed_value(inner, index)}")
            elif name.startswith("weight."):
                number = name.split(".")[1]
                weights = self.target.a("weight" + number)
                lines.append(f"{self.scope.ref(name)} = {weights}[trial, {index}]")
            elif name.startswith("lam.") and name[4:] in self.others:
                lines.append(f"{self.scope.ref(name)} = {self.others[name[4:]][1]}")
            elif name.startswith(COUPLED):
                lines.append(f"{self.scope.ref(name)} = {self.target.coupling_rate(name, index)}")
            elif name.startswith("lam."):
                k = self.states.index(name[4:])
                lines.append(f"{self.scope.ref(name)} = {self.target.a('lam')}[{k}, {index}]")
        return lines

    @property
    def find(self) -> list[str]:
        """Where what an event touches besides its target stands: synapse ``s``, neuron ``i``."""
        lines = [f"s = {self.a('synapse')}[k]"] * bool(self.synaptic)
        return lines + [f"{self.pre_neuron} = {self.a('pre')}[k]"] * bool(self.adjoint.pre)

    def load_others(self, names, live: bool = False) -> list[str]:
        """Load such states before this event, from the record of events or as they are now."""
        events = self.a("events")
        return [
            f"{self.scope.ref(s)} = " + (place if live else f"{events}[m, {k}]")
            for k, (s, (place, _)) in enumerate(self.others.items())
            if s in names
        ]

    def record_event(self) -> list[str]:
        """Keep them before this event, and the states of the target if need be."""
        places = [place for place, _ in self.others.values()]
        if self.taped:
            places += [f"{self.target.arriving}[{k}, j]" for k in range(self.target.n_states)]
        places += ["k"] * bool(self.at_once)  # to find the event of a synapse
        return [f"{self.a('events')}[m, {k}] = {place}" for k, place in enumerate(places)]

    @property
    def event_columns(self) -> int:
        """How many numbers are kept for an event."""
        return len(self.others) + self.taped * self.target.n_states + bool(self.at_once)

    @property
    def find_event(self) -> list[str]:
        """Find the record of the event of synapse ``k`` in this step."""
        if not self.eventful:
            return []
        first = self.a("first_event")
        where = f"{self.a('events')}, {first}[n], {first}[n + 1], {self.event_columns - 1}, k"
        return [f"m = find_event({where})", *self.find]

    def change_synapse(self) -> list[str]:
        """What an event writes into the states of its synapse, after `deliver`."""
        return self._change([] if self.own_group else self.synaptic)

    def change_others(self) -> list[str]:
        """What it writes into the states of other groups: its pre-synaptic neuron and its own."""
        own = self.synaptic if self.own_group else []
        return self._change([*own, *(f"{PRE}{s}" for s in self.adjoint.pre)])

    def _change(self, states) -> list[str]:
        written = {s.target for s in self.adjoint.free.statements}
        return [f"{self.others[s][0]} = {self.scope.ref(s)}" for s in states if s in written]

    def deliver(self, mode: str, array: str, live: bool = False) -> list[str]:
        """What an arrival writes; with `live` it reads states of the synapse as they are now."""
        statements = self.rule(mode).statements
        written = {s.target for s in statements} & {*self.states, *self.others}
        read = reads(statements) | written
        lines = self.load(read, array) + self.load_others(read, live)
        lines += self.scope.statements(statements)
        return (
            lines
            + [
                f"{array}[{k}, j] = {self.scope.ref(s)}"
                for k, s in enumerate(self.states)
                if s in written
            ]
        ) or ["pass"]

    def deliver_back(self, mode: str, stack: str) -> list[str]:
        """Backwards through an arrival; leaves dL/d(time of the arrival) in `rate`."""
        rule = self.rule(mode)
        lines = self.load_stacked(reads(rule.lam, rule.parameters, rule.rate), stack)
        wanted = {"rate": rule.rate} | {f"bar.{n}": e for n, e in rule.parameters.items()}
        wanted |= {"elsewhere": rule.elsewhere} if self.at_once and self.others else {}
        changed = {s: e for s, e in rule.lam.items() if e != symbol(f"lam.{s}")}
        # the pre-synaptic neuron may be the target itself, so what it gets is added
        read = {s for s in changed if s.startswith(PRE)} - {f"{PRE}{s}" for s in self.writes_pre}
        wanted |= {
            f"new.{s}": e - symbol(f"lam.{s}") if s in read else e for s, e in changed.items()
        }
        common, values = self.scope.shared_terms(wanted)
        lines += [*common, f"rate = {values['rate']}"]
        lines += [f"elsewhere = {values['elsewhere']}"] if "elsewhere" in values else []
        for name in rule.parameters:
            value = values[f"bar.{name}"]
            if name in self.shared_grads:
                lines.append(f"{self.shared_grad(name)} += {value}")
            elif self.adjoint.invariants.levels[name] == TIME_VARYING:
                timed = self.target.timed_gradient(name.removeprefix("post__"))
                lines.append(f"{timed} += {value}")
            else:
                lines.append(
                    f"{self.a('grad_weight')}[{self.element_grads.index(name)}, k] += {value}"
                )
        lines += [f"{self.scope.ref(f'new.{s}')} = {values[f'new.{s}']}" for s in changed]
        lines += [self._store_adjoint(s, s in read) for s in changed]
        return lines + sum(
            (maximum.queued(self, mode, stack) for maximum in self.target.arrival_maxima), []
        )

    def _store_adjoint(self, state: str, added: bool) -> str:
        """Store the new adjoint of a state, or add what it gains."""
        return f"{self._adjoint(state)} {'+=' if added else '='} {self.scope.ref(f'new.{state}')}"

    def _adjoint(self, state: str) -> str:
        """Where the adjoint of a state of the target or of the synapse stands."""
        if state in self.others:
            return self.others[state][1]
        return f"{self.target.a('lam')}[{self.states.index(state)}, j]"

    @property
    def moves_others(self) -> bool:
        """Whether an arrival changes a state that other neurons read."""
        written = {s.target for s in self.rule("free").statements}
        return bool(written & {f"post__{s}" for s in self.target.coupled})

    def moved_back(self, mode: str, stack: str) -> list[str]:
        """Add to `rate` what the arrival gains where other neurons read what it changes."""
        after = compose(self.rule(mode).statements, self.states)
        rate = moved(self.target.coupled, after, "post__")
        if rate == 0:
            return ["pass"]
        return [*self.load_stacked(reads(rate), stack), f"rate += {self.scope.sympy(rate)}"]

    def load_stacked(self, names, stack: str) -> list[str]:
        """Load states of the target before this arrival, its constants and the synapse's."""
        first = len(self.others)
        before = f"{self.a('events')}[m, {first} + " if self.taped else f"{stack}[top, "
        lines = [
            f"{self.scope.ref(s)} = {before}{k}]" for k, s in enumerate(self.states) if s in names
        ]
        return lines + self.load_others(names) + self.load(names - set(self.states), None)

    def lifted(self, spiked: bool, stack: str) -> tuple[list[str], str]:
        """Loads, and the condition that this arrival lifted its target over the threshold."""
        before, after = self.lift.spiked if spiked else self.lift.plain
        read = reads(before, after)
        lines = self.load_stacked(read, stack)
        zero = self.scope.sympy(sp.Integer(0))
        condition = f"{self.scope.sympy(after)} > {zero} and {self.scope.sympy(before)} <= {zero}"
        return lines, condition

    def frees(self, stack: str) -> tuple[list[str], str]:
        """Loads, and the condition that this arrival ended the refractoriness of its target."""
        before, after = self.adjoint.freeing
        lines = self.load_stacked(reads(before, after), stack)
        zero = self.scope.sympy(sp.Integer(0))
        condition = f"{self.scope.sympy(after)} >= {zero} and {self.scope.sympy(before)} < {zero}"
        return lines, condition
