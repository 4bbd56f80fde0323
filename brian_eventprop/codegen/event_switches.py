"""The code of conditions within the equations of a group: see `adjoint.switches`.

The flag of a condition is one more entry of the vector that is integrated, 1 while the condition
is true and 0 else; it stays as it is during a step.
"""

from __future__ import annotations

from brian_eventprop.codegen.scope import reads


class SwitchCode:
    """Bodies of the functions of a group's conditions; ``q`` numbers them."""

    def __init__(self, group):
        self.group, self.switches = group, group.flow.switches
        self.first = group.width - len(self.switches)

    def __len__(self) -> int:
        return len(self.switches)

    def load(self) -> list[str]:
        """The flags, from the vector."""
        ref = self.group.scope.ref
        return [f"{ref(s.flag)} = x[{self.first + q}]" for q, s in enumerate(self.switches)]

    def still(self) -> list[str]:
        """The flags do not flow."""
        return [f"dx[{self.first + q}] = 0.0" for q in range(len(self))]

    def heights(self) -> list[str]:
        """``out[q] = h``."""
        values = {q: s.h for q, s in enumerate(self.switches)}
        return [*self.group.load(reads(values)), *self._assign(values)]

    def climbs(self) -> list[str]:
        """``out[q]``: the derivative of h along ``dx``."""
        g, values = self.group, {}
        lines = g.load(reads(*(s.states for s in self.switches), *(s.time for s in self.switches)))
        for q, s in enumerate(self.switches):
            terms = [f"dx[{g.states.index(n)}] * ({g.scope.sympy(e)})" for n, e in s.states.items()]
            values[q] = " + ".join([*terms, g.scope.sympy(s.time)])
        return lines + [f"out[{q}] = {text}" for q, text in values.items()]

    def back(self) -> list[str]:
        """lambda -= h_x D/hdot and dL/dp -= h_p D/hdot, with `ratio` = D/hdot."""
        g, lines = self.group, []
        for q, s in enumerate(self.switches):
            body = g.load(reads(s.states, s.parameters))
            body += [
                f"lam[{g.states.index(n)}] -= {g.scope.scaled('ratio', e)}"
                for n, e in s.states.items()
            ]
            body += g.add_bars(s.parameters, "-ratio") or []
            lines += [f"if q == {q}:", *(f"    {line}" for line in body or ["pass"])]
        return lines

    def _assign(self, values):
        return [f"out[{q}] = {self.group.scope.sympy(e)}" for q, e in values.items()]
