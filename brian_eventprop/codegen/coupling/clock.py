"""The code of `(summed)` and linked variables: synapse ``k`` from neuron ``i`` onto neuron ``j``.

Both ends are groups with arrays of their own, which may be the same.
"""

from __future__ import annotations

from brian_eventprop.adjoint.coupling.terms import ADJOINT, CouplingAdjoint, end_name
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.codegen.clock.groups import element
from brian_eventprop.codegen.coupling.steps import StepCode
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.reading.spec import TERM

#: What the ends and the synapses are called in the operations of a coupling.
PRE, POST, TERMS = "pre", "post", "terms"


class CouplingCode:
    """Code of a coupling; the templates read its attributes.

    Parameters
    ----------
    adjoint
        What a synapse adds, and its derivatives.
    scope
        The names of its code.
    source, target
        The code of the groups; None where an end is a source of spikes without states.
    """

    def __init__(self, adjoint: CouplingAdjoint, scope: Scope, source, target):
        self.adjoint, self.scope = adjoint, scope
        self.name, self.late = adjoint.name, adjoint.coupling.late
        self.text = adjoint.coupling.text
        self.ends = {PRE: source, POST: target}
        self.side = adjoint.coupling.side
        self.receiver = self.ends[self.side]
        active, levels = adjoint.invariants.active, adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        self.element_grads = [
            n for n in active if levels[n] == PER_ELEMENT and n in self._moved_by(adjoint)
        ]
        #: Conditions and steps that make the sum jump.
        self.steps = StepCode(self, adjoint.steps) if adjoint.steps else None
        #: The number of the state among those of its group, and the neuron that has it.
        self.row = self.receiver.states.index(adjoint.coupling.state)
        self.neuron = {PRE: "i", POST: "j"}

    @staticmethod
    def _moved_by(adjoint: CouplingAdjoint) -> set[str]:
        """The constants that its term, or the time at which it jumps, depends on."""
        moving = adjoint.steps.moving if adjoint.steps else ()
        return set(adjoint.parameters).union(*(s.parameters for s in moving))

    @property
    def groups(self) -> list:
        """The groups at its ends."""
        return [end for end in self.ends.values() if end is not None]

    def a(self, role: str, owner: str = TERMS) -> str:
        """Identifier of an array of the synapses or of one end."""
        return self.scope.table(owner, f"${role}")

    def own(self, role: str) -> str:
        """Identifier of an array of the group that has the state."""
        return self.a(role, self.side)

    def rows(self, side: str):
        """The group at an end, and each state whose adjoint gains, with its number."""
        gains = self.adjoint.pre if side == PRE else self.adjoint.post
        return [(self.ends[side].states.index(s), e) for s, e in gains.items()]

    def _load(self, names, arrays) -> list[str]:
        """Load states of both ends from arrays, and what is stored per synapse."""
        lines = []
        for side, group in self.ends.items():
            for k, s in enumerate(group.states if group is not None else ()):
                if end_name(side, s) in names:
                    value = element(arrays[side], k, self.neuron[side])
                    lines.append(f"{self.scope.ref(end_name(side, s))} = {value}")
        for name in sorted(names):
            if self.scope.levels.get(name) == PER_ELEMENT:
                ref = self.scope.ref(name)
                lines.append(f"{ref} = {self.a('W')}[{self.scope.per_element.index(name)}, k]")
        return lines

    def term(self, arrays) -> list[str]:
        """Compute what synapse k makes of states in arrays, by end."""
        statements = self.adjoint.statements
        return self._load(reads(statements), arrays) + self.scope.statements(statements)

    def add(self) -> list[str]:
        """Add what synapse k makes of the current states."""
        return [
            *self.term({side: self.a("x", side) for side in self.ends}),
            f"{self.own('x')}[{self.row}, {self.neuron[self.side]}] += {self.scope.ref(TERM)}",
        ]

    def back(self) -> list[str]:
        """Add to the adjoints of what synapse k reads, and to gradients."""
        arrays = {side: f"{self.a('rec', side)}[{self.a('now', side)} + " for side in self.ends}
        lam = f"{self.own('lam')}[{self.row}, {self.neuron[self.side]}]"
        given = self.adjoint.parameters, self.ends, arrays, lam
        if self.steps is None:
            return self._back(*given)
        return self._back(*given, self.steps.used) + self.steps.back()

    def _back(self, parameters, sides, arrays, lam: str, more=frozenset()) -> list[str]:
        """Add to gradients and to adjoints at some ends, with `lam` that of the sum.

        ``more`` are names that are read afterwards.
        """
        scope = self.scope
        wanted = {f"bar.{n}": e for n, e in parameters.items()}
        wanted |= {f"{side} {k}": e for side in sides for k, e in self._gains(side)}
        lines = self._load(reads(wanted) | set(more), arrays)
        lines.append(f"{scope.ref(ADJOINT.name)} = {lam}")
        common, values = scope.shared_terms(wanted)
        lines += common
        for name in parameters:
            lines.append(f"{self.gradient(name)} += {values[f'bar.{name}']}")
        for side in sides:
            for row, _ in self._gains(side):
                lines += self._gain(side, row, values[f"{side} {row}"])
        return lines

    def gradient(self, name: str) -> str:
        """Where the gradient of a constant stands."""
        if name in self.shared_grads:
            return self.shared_grad(name)
        return f"{self.a('grad_weight')}[{self.element_grads.index(name)}, k]"

    def shared_grad(self, name: str) -> str:
        """The gradient of a constant that all synapses share."""
        return f"{self.a('grad_shared')}[{self.shared_grads.index(name)}]"

    def _gains(self, side: str):
        return self.rows(side) if self.ends[side] is not None else []

    def _gain(self, side: str, row: int, value: str) -> list[str]:
        """Add to the adjoint of a state; that of an explosive upstroke follows the true flow."""
        at = self.neuron[side]
        lines = [f"gain = {value}", f"{self.a('coupling', side)}[{row}, {at}] += gain"]
        return [*lines, *self.add_to(side, row, "gain")]

    def add_to(self, side: str, row: int, gain: str) -> list[str]:
        """Add to the adjoint of a state of one end, but not during an explosive upstroke."""
        group, at = self.ends[side], self.neuron[side]
        add = f"{self.a('lam', side)}[{row}, {at}] += {gain}"
        if group.upstroke is None:
            return [add]
        low = f"{self.a('upstroke_low', side)}[{at}]"  # n_steps where there is none
        return [f"if {low} > n or {low} == n_steps:", f"    {add}"]
