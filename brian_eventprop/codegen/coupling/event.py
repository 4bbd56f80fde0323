"""Groups that are coupled continuously, in exact time: one system of equations for all neurons.

The states of all neurons stand in one vector; group g has its first number at `offset` and `width`
of them per neuron.  Only what the equations say is rendered here; the steps and the events are in
the template.
"""

from __future__ import annotations

from collections.abc import Iterable

from brian_eventprop.adjoint.coupling.terms import ADJOINT, CouplingAdjoint, end_name
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.reading.spec import TERM

PRE, POST = "pre", "post"


class EventCouplingCode:
    """Code of a coupling: synapse ``k`` from the states ``pre`` onto ``post`` of two neurons."""

    def __init__(self, adjoint: CouplingAdjoint, scope: Scope, source, target):
        self.adjoint, self.scope = adjoint, scope
        self.name, self.text = adjoint.name, adjoint.coupling.text
        self.ends = {PRE: source, POST: target}
        self.side = adjoint.coupling.side
        self.receiver = self.ends[self.side]
        self.neuron = {PRE: "i", POST: "j"}[self.side]
        self.row = self.receiver.states.index(adjoint.coupling.state)
        active, levels = adjoint.invariants.active, adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        self.element_grads = [n for n in active if levels[n] == PER_ELEMENT]

    def a(self, role: str) -> str:
        """Identifier of a function or an array of this coupling."""
        return self.scope.table(self.scope.owner, f"${role}")

    def _load(self, names: Iterable[str]) -> list[str]:
        ref, lines = self.scope.ref, []
        for side, group in self.ends.items():
            for k, s in enumerate(group.states if group is not None else ()):
                if end_name(side, s) in names:
                    lines.append(f"{ref(end_name(side, s))} = {side}[{k}]")
        for name in sorted(names):
            level = self.scope.levels.get(name)
            if level == PER_ELEMENT:
                lines.append(f"{ref(name)} = W[{self._place(name)}, k]")
            elif level == SHARED:
                lines.append(f"{ref(name)} = C[{self._place(name)}]")
        return lines

    def _place(self, name: str) -> int:
        self.scope.ref(name)
        known = self.scope.per_element, self.scope.shared
        return next(names.index(name) for names in known if name in names)

    def term(self) -> list[str]:
        """What a synapse adds."""
        statements = self.adjoint.statements
        lines = self._load(reads(statements)) + self.scope.statements(statements)
        return [*lines, f"return {self.scope.ref(TERM)}"]

    def back(self) -> list[str]:
        """Add to the adjoints of both ends and to gradients; ``received`` is that of the sum."""
        adjoint, ref = self.adjoint, self.scope.ref
        wanted = {f"{PRE} {s}": e for s, e in adjoint.pre.items()}
        wanted |= {f"{POST} {s}": e for s, e in adjoint.post.items()}
        wanted |= {f"bar.{n}": e for n, e in adjoint.parameters.items()}
        lines = [*self._load(reads(wanted)), f"{ref(ADJOINT.name)} = received"]
        common, values = self.scope.shared_terms(wanted)
        lines += common
        for side, gains in ((PRE, adjoint.pre), (POST, adjoint.post)):
            for s in gains:
                row = self.ends[side].states.index(s)
                lines.append(f"{side}_back[{row}] += {values[f'{side} {s}']}")
        for name in adjoint.parameters:
            place = (
                f"grad_shared[{self.shared_grads.index(name)}]"
                if name in self.shared_grads
                else f"grad_weight[{self.element_grads.index(name)}, k]"
            )
            lines.append(f"{place} += {values[f'bar.{name}']}")
        return lines or ["pass"]
