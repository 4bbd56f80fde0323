"""What the code of a group and of a pathway have in common: states, constants, gradients, jumps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import sympy as sp

from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.codegen.expr.scope import Scope, reads
from brian_eventprop.reading.spec import Statement


class PartCode:
    """Code of a group or of a pathway.

    ``arrays`` are those of its constants, common ones and for each element, and of their
    gradients; ``element`` is the index of the latter.  ``rows`` has the row of each readout.
    """

    arrays: ClassVar[tuple[str, str, str, str]]
    element: ClassVar[str]

    def __init__(self, adjoint, scope: Scope, states: Iterable[str], rows: Mapping[int, int]):
        self.adjoint, self.scope, self.states, self._rows = adjoint, scope, tuple(states), rows
        #: Where each state stands in ``x``, and its adjoint in ``lam``.
        self.places = {s: (k, k) for k, s in enumerate(self.states)}
        active, levels = adjoint.invariants.active, adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        self.element_grads = [n for n in active if levels[n] == PER_ELEMENT]
        for number, row in rows.items():  # no name tells the number within the network
            scope.table.alias(scope.owner, f"weight.{number}", f"$weight.{row}")

    def a(self, role: str) -> str:
        """Identifier of a function, array or variable of this part."""
        return self.scope.table(self.scope.owner, f"${role}")

    def load(self, names, lams: str = "lam") -> list[str]:
        """Load the states, adjoint variables, constants and readouts' weights among `names`."""
        ref, lines = self.scope.ref, []
        for s, (k, m) in self.places.items():
            lines += [f"{ref(s)} = x[{k}]"] * (s in names)
            lines += [f"{ref(f'lam.{s}')} = {lams}[{m}]"] * (f"lam.{s}" in names)
        values = ((name, self._constant(name)) for name in sorted(names) if name not in self.places)
        return lines + [f"{ref(name)} = {value}" for name, value in values if value]

    def _constant(self, name):
        """Where a constant or the weight of a readout stands."""
        level, (shared, each, *_) = self.scope.levels.get(name), self.arrays
        self.scope.ref(name)
        if level == PER_ELEMENT:
            return f"{each}[{self.scope.per_element.index(name)}, {self.element}]"
        if level == SHARED:
            return f"{shared}[{self.scope.shared.index(name)}]"
        if name.startswith("weight."):
            return f"WR[{self._rows[int(name.split('.')[1])]}, trial, j]"
        return ""

    def value(self, expression: sp.Expr) -> list[str]:
        """Return the value of an expression."""
        return [*self.load(reads(expression)), f"return {self.scope.sympy(expression)}"]

    def write(self, statements: Iterable[Statement]) -> list[str]:
        """Run statements that change states, in place."""
        written = {s.target for s in statements} & set(self.places)
        lines = self.load(reads(statements) | written) + self.scope.statements(statements)
        written = [(k, s) for s, (k, _) in self.places.items() if s in written]
        return lines + [f"x[{k}] = {self.scope.ref(s)}" for k, s in written]

    def gradient(self, name: str) -> str:
        """Return where the gradient of a constant is summed."""
        *_, shared, each = self.arrays
        if name in self.shared_grads:
            return f"{shared}[{self.shared_grads.index(name)}]"
        return f"{each}[{self.element_grads.index(name)}, {self.element}]"

    def jump_back(self, rule, rate: sp.Expr) -> list[str]:
        """Backwards through a jump of the states; leaves `rate`, dL/d(time), in ``rate``."""
        changed = [s for s, e in rule.lam.items() if e != symbol(f"lam.{s}")]
        wanted = {"rate": rate} | {f"bar.{n}": e for n, e in rule.parameters.items()}
        wanted |= {f"new.{s}": rule.lam[s] for s in changed}
        lines, ref = self.load(reads(wanted)), self.scope.ref
        parts, text = self.scope.shared_terms(wanted)
        lines += [*parts, f"rate = {text['rate']}"]
        lines += [f"{self.gradient(n)} += {text[f'bar.{n}']}" for n in rule.parameters]
        lines += [f"{ref(f'new.{s}')} = {text[f'new.{s}']}" for s in changed]
        return lines + [f"lam[{self.places[s][1]}] = {ref(f'new.{s}')}" for s in changed]


def by_mode(frozen: list[str], free: list[str]) -> list[str]:
    """Return lines for a frozen neuron, and those for a free one."""
    lines = ["if frozen:", *(f"    {line}" for line in frozen or ["pass"])]
    return lines + ["else:", *(f"    {line}" for line in free or ["pass"])]
