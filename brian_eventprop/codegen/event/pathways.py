"""The code of one synaptic pathway in continuous time: synapse ``k`` onto neuron ``j``.

As in `event_groups`; ``W`` and ``CS`` hold the constants per synapse and common to the pathway,
``P`` and ``C`` those of the target.
"""

from __future__ import annotations

from functools import cached_property

import sympy as sp

from brian_eventprop.adjoint.autapses import comes_after_reset, transition
from brian_eventprop.adjoint.pathways import PathwayAdjoint, is_additive, to_post
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.adjoint.symbolic.reverse import commute, compose
from brian_eventprop.codegen.expr.scope import Scope, reads


class EventPathwayCode:
    """Code of a pathway; the templates read its attributes."""

    def __init__(self, adjoint: PathwayAdjoint, scope: Scope, target, source, number: int):
        self.adjoint, self.scope, self.target, self.source = adjoint, scope, target, source
        self.number = number
        self.name = adjoint.pathway.name
        # a comment ends with its line
        self.text = "; ".join(line.strip() for line in adjoint.pathway.text.splitlines())
        active, levels = adjoint.invariants.active, adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        self.element_grads = [n for n in active if levels[n] == PER_ELEMENT]
        self.states = [f"post__{s}" for s in target.states]
        self.delay_trained, self.outer = False, source.outer

    def a(self, role: str) -> str:
        """Identifier of a function or array of this pathway."""
        return self.scope.table(self.scope.owner, f"${role}")

    @property
    def sums(self) -> bool:
        """Whether a gradient of its synapses is wanted, if its arrivals come in batches."""
        return bool(self.element_grads) or self.delay_trained

    def load(self, names) -> list[str]:
        """Load states and adjoint of the target, its constants and those of the synapse."""
        ref, lines = self.scope.ref, []
        for k, s in enumerate(self.states):
            if s in names:
                lines.append(f"{ref(s)} = x[{k}]")
            if f"lam.{s}" in names:
                lines.append(f"{ref(f'lam.{s}')} = lam[{k}]")
        for name in sorted(names):
            level = self.scope.levels.get(name)
            if level == PER_ELEMENT:
                identifier = ref(name)
                lines.append(f"{identifier} = W[{self.scope.per_element.index(name)}, k]")
            elif level == SHARED:
                identifier = ref(name)
                lines.append(f"{identifier} = CS[{self.scope.shared.index(name)}]")
            elif name.startswith("post__") and name not in self.states:
                lines += self._post_constant(name)
            elif name.startswith("weight."):
                position = self.target.position[int(name.split(".")[1])]
                lines.append(f"{ref(name)} = WR[{position}, trial, j]")
        return lines

    def _post_constant(self, name):
        inner, scope = name.removeprefix("post__"), self.target.scope
        level, identifier = scope.levels.get(inner), self.scope.ref(name)
        if level == PER_ELEMENT:
            return [f"{identifier} = P[{scope.per_element.index(inner)}, j]"]
        if level == SHARED:
            return [f"{identifier} = C[{scope.shared.index(inner)}]"]
        return []

    def _by_mode(self, body):
        free = body(self.adjoint.free)
        if not self.target.has_frozen:
            return free
        frozen = body(self.adjoint.frozen)
        if frozen == free:
            return free
        lines = ["if frozen:", *(f"    {line}" for line in frozen)]
        return lines + ["else:", *(f"    {line}" for line in free)]

    def deliver(self) -> list[str]:
        """What an arrival writes."""
        return self._by_mode(self._deliver)

    def _deliver(self, rule):
        written = {s.target for s in rule.statements} & set(self.states)
        lines = self.load(reads(rule.statements) | written)
        lines += self.scope.statements(rule.statements)
        return (
            lines
            + [f"x[{k}] = {self.scope.ref(s)}" for k, s in enumerate(self.states) if s in written]
        ) or ["pass"]

    @cached_property
    def after_reset(self) -> str:
        """When an arrival at a neuron that spikes at this time may as well come after its reset.

        The states are the same then, but only after the reset a later arrival acts as this one.
        """
        inner = [p for p in self.target.incoming if not p.outer]
        reset = self._reset

        def free_of_order(mode):
            others = [p.transition(mode) for p in inner]
            before = [other for other in others if not commute(other, reset)]
            return all(commute(self.transition(mode), other) for other in (reset, *before))

        if self.last:
            return "True"
        free = free_of_order("free")
        frozen = free_of_order("frozen") if self.target.has_frozen else free
        if free == frozen:
            return str(free)
        return "not frozen" if free else "frozen"

    @cached_property
    def last(self) -> bool:
        """Whether its arrivals may as well come after all that happens at once to their targets.

        They fire no neuron, and the states are the same then; but only as the last ones they act as
        a later arrival would.
        """
        rule, frozen = self.adjoint.free, self.adjoint.frozen
        if self.adjoint.lift is not None or rule.statements != frozen.statements:
            return False
        others = [self._reset]
        for p in self.target.incoming:
            others += [p.transition(mode) for mode in ("free", "frozen") if not p.outer]
        return all(commute(self.transition("free"), other) for other in others)

    @cached_property
    def grows_from_zero(self) -> bool:
        """Whether the gradient of a delay of 0, which can only grow, needs a rule of its own.

        A later arrival comes after all that happens at once.  Where they commute the loss goes on
        from there, with a derivative that is another one than between those that arrive at once.
        """
        if not (self.delay_trained and self.target.by_event) or self.outer:
            return False
        arriving = [p.adjoint for p in self.target.incoming if not p.outer]
        if is_additive(arriving):
            return False
        return comes_after_reset(self.adjoint, self.target.adjoint, arriving)

    def rate(self) -> list[str]:
        """dL/d(time of the arrival), at a state of the target and its adjoint after the arrival."""
        return self._by_mode(
            lambda rule: [*self.load(reads(rule.rate)), f"return {self.scope.sympy(rule.rate)}"]
        )

    @property
    def _reset(self) -> dict[str, sp.Expr]:
        after = compose(self.target.adjoint.reset, self.target.states)
        return {f"post__{s}": to_post(e, self.target.adjoint) for s, e in after.items()}

    def transition(self, mode: str) -> dict[str, sp.Expr]:
        """What an arrival makes of each state, with constants that are this pathway's own."""
        return transition(self.adjoint, mode, self.states, f"{self.name}.")

    def back(self) -> list[str]:
        """Backwards through an arrival; leaves dL/d(time of the arrival) in `rate`.

        Where the target has conditions, that is only lambda . A_t: what its equations add reads
        their flags before and after the arrival.
        """
        return self._by_mode(self._back)

    def _back(self, rule):
        rate = self._by_time(rule) if len(self.target.switches) else rule.rate
        wanted = {"rate": rate} | {f"bar.{n}": e for n, e in rule.parameters.items()}
        changed = {s: e for s, e in rule.lam.items() if e != symbol(f"lam.{s}")}
        wanted |= {f"new.{s}": e for s, e in changed.items()}
        lines = self.load(reads(wanted))
        parts, values = self.scope.shared_terms(wanted)
        lines += [*parts, f"rate = {values['rate']}"]
        for name in rule.parameters:
            value = values[f"bar.{name}"]
            if name in self.shared_grads:
                lines.append(f"grad_synapses_shared[{self.shared_grads.index(name)}] += {value}")
            else:
                lines.append(f"grad_weight[{self.element_grads.index(name)}, k] += {value}")
        lines += [f"{self.scope.ref(f'new.{s}')} = {values[f'new.{s}']}" for s in changed]
        return lines + [
            f"lam[{self.states.index(s)}] = {self.scope.ref(f'new.{s}')}" for s in changed
        ]

    def _by_time(self, rule):
        """``lambda . A_t``."""
        after = compose(rule.statements, self.states)
        terms = (symbol(f"lam.{s}") * diff(e, symbol("t")) for s, e in after.items())
        return sum(terms, sp.Integer(0))
