"""The code of arrivals that a spike sends to its own neuron at once; see `adjoint.autapses`.

An array of the group, ``carried``, has the states of a neuron from the crossing on, and the slopes
that they would have, had the spike come later.
"""

from __future__ import annotations

from functools import cached_property

from brian_eventprop.adjoint.autapses import carried, comes_after_reset, slope
from brian_eventprop.adjoint.groups import flow_of, slope_of
from brian_eventprop.adjoint.pathways import to_post
from brian_eventprop.adjoint.symbolic.expressions import symbol, to_sympy
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.codegen.expr.scope import reads


class AutapseCode:
    """Code of such arrivals of one pathway: synapse ``k`` of neuron ``j``, whose spike is ``q``."""

    def __init__(self, pathway):
        self.pathway, self.target, self.scope = pathway, pathway.target, pathway.scope
        self.array = self.target.a("carried")

    @cached_property
    def after_reset(self) -> bool:
        """Whether an arrival may as well come after the reset and all others."""
        others = [p.adjoint for p in self.target.autapses]
        return comes_after_reset(self.pathway.adjoint, self.target.adjoint, others)

    def deliver(self, mode: str) -> list[str]:
        """Carry the states through an arrival."""
        return self.pathway.deliver(mode, self.array)

    def carry(self, mode: str) -> list[str]:
        """Carry states and slopes through an arrival."""
        states, ref = self.pathway.states, self.scope.ref
        after = carried(self.pathway.rule(mode).statements, states)
        wanted = {f"new.{s}": value for s, (value, _) in after.items()}
        wanted |= {f"new.{slope(s).name}": rate for s, (_, rate) in after.items()}
        slopes = {slope(s).name: len(states) + k for k, s in enumerate(states)}
        read = reads(wanted)
        lines = self.pathway.load(read, self.array) + self.pathway.load_others(read)
        lines += [f"{ref(x)} = {self.array}[{k}, j]" for x, k in slopes.items() if x in read]
        common, values = self.scope.shared_terms(wanted)
        lines += common + [f"{ref(name)} = {value}" for name, value in values.items()]
        rows = {s: k for k, s in enumerate(states)} | slopes
        stored = {x: k for x, k in rows.items() if f"new.{x}" in wanted}
        return [
            *lines,
            *(f"{self.array}[{k}, j] = {ref(f'new.{x}')}" for x, k in stored.items()),
        ] or ["pass"]

    def rate(self, mode: str) -> list[str]:
        """Leave dL/d(time of an arrival) at the carried states in `rate`."""
        rate = self.pathway.rule(mode).rate
        lines = self.pathway.load(reads(rate), self.array) + self.pathway.load_others(reads(rate))
        lines += [f"rate = {self.scope.sympy(rate)}"]
        return lines + sum((self._move_maximum(r, mode) for r in self.target.maxima), [])

    def _move_maximum(self, readout, mode: str) -> list[str]:
        """Add to `rate` what a maximum gains that a later arrival makes, or ends by a jump down."""
        target, zero = self.target, self.scope.style.number(0)
        at = f"{target.a(f'at{readout.number}')}[trial, j]"
        weight = f"{target.a(f'weight{readout.number}')}[trial, j]"
        value = to_sympy(readout.expression)
        before, after = self._sides(readout, value, mode)
        inner = [
            *self.pathway.load(reads(before, after), self.array),
            *target.load_spike(reads(value), target.a("spike_state"), 0, "q"),
            f"jump = {self.scope.sympy(after[0] - before[0])}",
            f"slope_before = {self.scope.sympy(before[1])}",
            f"slope_after = {self.scope.sympy(after[1])}",
            f"highest = {self.scope.sympy(before[0])} >= {target.scope.sympy(value)}",
            f"if jump < 0 and slope_before > 0 and highest and {at} == n:",
            f"    rate += {weight} * slope_before",
            f"if jump > 0 and {at} == n + 1:",
            f"    rate += {weight} * min(slope_after, {zero})",
            f"if jump == 0 and {at} == n + 1:",
            f"    rate += {weight} * (min(slope_after, {zero}) - min(slope_before, {zero}))",
        ]
        return [f"if {at} == n or {at} == n + 1:", *(f"    {line}" for line in inner)]

    def _sides(self, readout, value, mode: str):
        """Value and slope of a readout before an arrival and after it."""
        target = self.target
        frozen = target.frozen if mode == "frozen" else ()
        growth = slope_of(readout, flow_of(target.adjoint.derivatives, target.states, frozen))
        before = [to_post(e, target.adjoint) for e in (value, growth)]
        after = compose(self.pathway.rule(mode).statements, self.pathway.states)
        to_after = {symbol(s): e for s, e in after.items()}
        return before, [e.xreplace(to_after) for e in before]
