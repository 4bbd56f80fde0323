"""The code of one synaptic pathway for the kernel templates: synapse ``k`` onto neuron ``j``."""

from __future__ import annotations

import sympy as sp

from brian_eventprop.adjoint.groups import COUPLED, moved
from brian_eventprop.adjoint.pathways import INCREMENT, ArrivalRule, PathwayAdjoint
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.codegen.clock.autapses import AutapseCode
from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.plan.clock import PathwayPlan


class PathwayCode:
    """Code of a pathway; the templates read its attributes."""

    def __init__(
        self, adjoint: PathwayAdjoint, scope: Scope, target: GroupCode, source, plan: PathwayPlan
    ):
        self.adjoint, self.scope, self.target, self.source = adjoint, scope, target, source
        self.name = adjoint.pathway.name
        self.text = adjoint.pathway.text
        active, levels = adjoint.invariants.active, adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        written = {**adjoint.free.parameters, **adjoint.frozen.parameters}
        self.element_grads = [n for n in active if levels[n] == PER_ELEMENT and n in written]
        self.states = [f"post__{s}" for s in target.states]
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
            elif name.startswith(COUPLED):
                lines.append(f"{self.scope.ref(name)} = {self.target.coupling_rate(name, index)}")
            elif name.startswith("lam."):
                k = self.states.index(name[4:])
                lines.append(f"{self.scope.ref(name)} = {self.target.a('lam')}[{k}, {index}]")
        return lines

    def deliver(self, mode: str, array: str) -> list[str]:
        """What an arrival writes."""
        statements = self.rule(mode).statements
        written = {s.target for s in statements} & set(self.states)
        lines = self.load(reads(statements) | written, array)
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
        changed = {s: e for s, e in rule.lam.items() if e != symbol(f"lam.{s}")}
        wanted |= {f"new.{s}": e for s, e in changed.items()}
        common, values = self.scope.shared_terms(wanted)
        lines += [*common, f"rate = {values['rate']}"]
        for name in rule.parameters:
            value = values[f"bar.{name}"]
            if name in self.shared_grads:
                lines.append(f"{self.shared_grad(name)} += {value}")
            else:
                lines.append(
                    f"{self.a('grad_weight')}[{self.element_grads.index(name)}, k] += {value}"
                )
        lines += [f"{self.scope.ref(f'new.{s}')} = {values[f'new.{s}']}" for s in changed]
        lines += [
            f"{self.target.a('lam')}[{self.states.index(s)}, j] = {self.scope.ref(f'new.{s}')}"
            for s in changed
        ]
        return lines + sum(
            (maximum.queued(self, mode, stack) for maximum in self.target.arrival_maxima), []
        )

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
        lines = [
            f"{self.scope.ref(s)} = {stack}[top, {k}]"
            for k, s in enumerate(self.states)
            if s in names
        ]
        return lines + self.load(names - set(self.states), None)

    def lifted(self, spiked: bool, stack: str) -> tuple[list[str], str]:
        """Loads, and the condition that this arrival lifted its target over the threshold."""
        before, after = self.lift.spiked if spiked else self.lift.plain
        read = reads(before, after)
        lines = self.load_stacked(read, stack)
        zero = self.scope.sympy(sp.Integer(0))
        condition = f"{self.scope.sympy(after)} > {zero} and {self.scope.sympy(before)} <= {zero}"
        return lines, condition
