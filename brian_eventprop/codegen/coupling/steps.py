"""The code of conditions and steps in a `(summed)` variable; see `adjoint.coupling.steps`.

The backward pass comes to a time step with h of the two steps after it and lambda_S of the next
one, of every synapse, in the array ``later``.  A flag that is another one there has changed in
between, where h, a straight line, crossed.
"""

from __future__ import annotations

from brian_eventprop.adjoint.coupling.steps import AHEAD, CouplingSteps
from brian_eventprop.adjoint.coupling.terms import ADJOINT
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.codegen.expr.scope import reads


class StepCode:
    """Code of the conditions and steps of a coupling.

    Parameters
    ----------
    coupling
        The code of the coupling.
    steps
        Its conditions and steps.
    """

    def __init__(self, coupling, steps: CouplingSteps):
        self.coupling, self.scope, self.steps = coupling, coupling.scope, steps
        self.jumps = {s.flag: steps.jump(s) for s in steps.moving}
        heights = [(s.h, s.states, s.parameters) for s in steps.switches]
        #: The names that it reads.
        self.used = reads(self.jumps, heights)

    @property
    def rows(self) -> int:
        """How many numbers are kept for each synapse."""
        return 1 + 2 * len(self.steps.moving)

    def back(self) -> list[str]:
        """Add what moves with the changes between this time step and the next one."""
        lines = sum((self._flag(s) for s in self.steps.switches), [])
        for number, switch in enumerate(self.steps.moving):
            ahead, beyond = self._later(1 + 2 * number), self._later(2 + 2 * number)
            height = self._height(switch)
            lines += ["if n < n_steps:", *_inner(self._change(switch, ahead, beyond))]
            lines += [f"{beyond} = {ahead} if n < n_steps else {height}", f"{ahead} = {height}"]
        return [*lines, f"{self._later(0)} = {self.scope.ref(ADJOINT.name)}"]

    def _later(self, row: int) -> str:
        return f"{self.coupling.a('later')}[{row}, k]"

    def _height(self, switch) -> str:
        return self.scope.ref(f"h.{switch.flag}")

    def _flag(self, switch) -> list[str]:
        height = self._height(switch)
        return [
            f"{height} = {self.scope.sympy(switch.h)}",
            f"{self.scope.ref(switch.flag)} = {self._value(switch, height)}",
        ]

    def _value(self, switch, height: str) -> str:
        style = self.scope.style
        if switch.kind == "condition":
            return style.choose(f"{height} > 0", style.number(1), style.number(0))
        return f"{style.functions[switch.kind]}({height})"

    def _change(self, switch, ahead: str, beyond: str) -> list[str]:
        """Take one change back.  Where both sides lead to it, h slides along 0."""
        ref = self.scope.ref
        new, rise, onwards = ref(f"{AHEAD}{switch.flag}"), ref("rise."), ref("onwards.")
        moved = [
            f"{rise}, {onwards} = {ahead} - {self._height(switch)}, {beyond} - {ahead}",
            f"if {rise} * {onwards} < 0:",
            f"    {rise} -= {onwards}",
            f"{ref('ratio.')} = {self._later(0)} * ({self.scope.sympy(self.jumps[switch.flag])})"
            f" / {rise}",
            *self._moves(switch),
        ]
        changed = f"if {new} != {ref(switch.flag)}:"
        return [f"{new} = {self._value(switch, ahead)}", changed, *_inner(moved)]

    def _moves(self, switch) -> list[str]:
        """lambda -= h_x E/hdot and dL/dp -= h_p E/hdot."""
        coupling, ratio, lines = self.coupling, symbol("ratio."), []
        for side, group in coupling.ends.items():
            for state, slope in switch.states.items():
                own, _, name = state.partition("__")
                if own == side and group is not None:
                    row = group.states.index(name)
                    lines += coupling.add_to(side, row, self.scope.sympy(ratio * slope))
        for name, slope in switch.parameters.items():
            lines.append(f"{coupling.gradient(name)} += {self.scope.sympy(ratio * slope)}")
        return lines


def _inner(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
