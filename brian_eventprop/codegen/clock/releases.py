"""The code of ends of refractoriness that move with states; see `adjoint.groups.Release`.

The step in which a neuron is free again is kept with the spike before it, after its states.  Until
that is known, it is `NEVER`.  A refractory period that reads states is known after the reset of the
spike.  A condition is tested at the beginning of every step, before the state update.

Backwards, the end of a condition is like a crossing of a threshold, by the flow of a refractory
neuron, at the end of the step before: ``d_freed`` is what it costs by coming later.
"""

from __future__ import annotations

import sympy as sp

from brian_eventprop.adjoint.groups import Release
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.codegen.expr.scope import reads

#: A step after all others that single precision and 32 bits can hold.
NEVER = 2**30


class ReleaseCode:
    """Code of a group whose refractoriness ends with its states; the templates read it.

    Parameters
    ----------
    group
        The code of the group.
    release
        What the end moves with.
    """

    never = NEVER

    def __init__(self, group, release: Release):
        self.group, self.scope, self.release = group, group.scope, release
        self.crossing = release.crossing

    def at(self, spike: str) -> str:
        """The step in which the neuron is free again after a spike."""
        column = 2 * self.group.n_states + 1
        return f"{self.group.a('spike_state')}[{self.group.row(spike)}, {column}]"

    # ---- forward ----
    def test(self, array: str) -> tuple[list[str], str]:
        """Loads, and the condition that ends the refractoriness of neuron j."""
        source = self.crossing.condition
        return self.group.load(reads(source), array), self.scope.source(source)

    def period(self, array: str) -> list[str]:
        """The step in which neuron j is free again, as Brian2's ``timestep`` counts, in `until`."""
        source = self.release.period
        lines = self.group.load(reads(source), array)
        step, number = self.group.time_step, self.scope.style.number
        steps = f"({self.scope.source(source)} + {number(1e-3)} * {step}) / {step}"
        steps = f"min(max({steps}, {number(1)}), {number(NEVER // 2)})"
        return [*lines, f"until = n + int({steps})"]

    # ---- backward ----
    def move(self, scale: str, values: str | None = None) -> list[str]:
        """Add `scale` times the derivatives of the period; at spike k if its states are given."""
        r = self.release
        read = reads(r.states, r.parameters)
        if values is None:
            lines = self.group.load(read, self.group.now)
        else:
            lines = self.group.load_spike(read, values, 0)
        return lines + self._add("+=", scale)

    def _add(self, add: str, scale: str) -> list[str]:
        group, r = self.group, self.release
        lines = [
            f"{group.a('lam')}[{group.states.index(s)}, j] {add} {self.scope.scaled(scale, e)}"
            for s, e in r.states.items()
        ]
        return lines + group.add_gradients(r.parameters, add, scale)

    def cross_back(self, array: str) -> list[str]:
        """Backwards through a condition that the flow of step n ends; ``d_freed`` is used up."""
        group, ref, c = self.group, self.scope.ref, self.crossing
        statements = group.modes["frozen"].statements
        read = reads(statements, c.g, c.slope, c.states, c.parameters) | set(group.states)
        later = {symbol("t"): symbol("later.")}
        start, end, slope = (ref(name) for name in ("begin.", "end.", "slope."))
        lines = group.load(read, array)
        lines += [f"{start} = {self.scope.sympy(c.g)}"]
        after = [ref(s) for s in group.states]
        lines += group.cut(self.scope.statements(statements), after)
        lines += [f"{ref('later.')} = {group.later}"]
        lines += [f"{end} = {self.scope.sympy(c.g.xreplace(later))}"]
        inner = [
            f"{slope} = {self.scope.sympy(c.slope.xreplace(later))}",
            f"secant = ({end} - {start}) / dt",
            f"if not {slope} >= FLOAT(0.1) * secant:",
            f"    {group.count_grazing}",
            f"if not {slope} >= secant:",
            f"    {slope} = secant",
            f"ratio = FLOAT({group.a('d_freed')}[j]) / {slope}",
        ]
        inner += self._crossed(later)
        lines += [f"if {end} >= 0 and {start} < {end}:", *(f"    {line}" for line in inner)]
        return [*lines, f"{group.a('d_freed')}[j] = 0"]

    def _crossed(self, later) -> list[str]:
        """lambda -= h_x E/hdot and dL/dp -= h_p E/hdot, with `ratio` = E/hdot."""
        group, c = self.group, self.crossing
        lines = [
            f"{group.a('lam')}[{group.states.index(s)}, j] -= "
            + self.scope.scaled("ratio", e.xreplace(later))
            for s, e in c.states.items()
        ]
        terms: dict[str, sp.Expr] = {n: e.xreplace(later) for n, e in c.parameters.items()}
        return lines + group.add_gradients(terms, "-=", "ratio")
