"""The code of maxima that arrivals make or end, for the kernel templates; see `adjoint.maxima`.

The forward pass keeps the states before and after the arrivals that may have made a maximum, those
of the step before its sample, and, where m jumps, of those that may end it, at the sample's step.
"""

from __future__ import annotations

from brian_eventprop.adjoint.maxima import ArrivalMaximum
from brian_eventprop.adjoint.pathways import to_post
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.codegen.expr.scope import reads


class MaximumCode:
    """Code of one maximum readout of a group; ``receiving`` are the states that arrivals change."""

    def __init__(self, group, maximum: ArrivalMaximum, receiving):
        self.group, self.maximum, self.receiving = group, maximum, tuple(receiving)
        self.number, self.jumps = maximum.number, maximum.jumps
        self.scope = group.scope
        self.kept = group.a(f"maximum_states{maximum.number}")
        self.at = f"{group.a(f'at{maximum.number}')}[trial, j]"
        self.weight = f"{group.a(f'weight{maximum.number}')}[trial, j]"
        self.zero = self.scope.style.number(0)

    @property
    def rows(self) -> int:
        """How many numbers are kept for each neuron."""
        return self._block * (1 + self.jumps)

    @property
    def _block(self) -> int:
        return self.group.n_states + len(self.receiving)

    def keep(self, ended: bool) -> list[str]:
        """Keep the states after and before the last arrivals, if they may make or end it."""
        row, group = ended * self._block, self.group
        after = [f"{group.a('x')}[{k}, j]" for k in range(group.n_states)]
        before = [f"{group.a('was')}[{k}, j]" for k in range(len(self.receiving))]
        return [
            f"{self.kept}[trial, {row + k}, j] = {value}" for k, value in enumerate(after + before)
        ]

    def _load(self, names, ended: bool) -> list[str]:
        """Load what was kept, among `names`."""
        row = ended * self._block
        kept = [*self.group.states, *(f"was.{s}" for s in self.receiving)]
        return [
            f"{self.scope.ref(name)} = {self.kept}[trial, {row + k}, j]"
            for k, name in enumerate(kept)
            if name in names
        ] + self.group.load_constants(names)

    def ring(self, stage: int, mode: str) -> list[str]:
        """Add to `rate` what a maximum gains per unit if the arrivals at one state come later."""
        state, values = self.receiving[stage], self.maximum.values
        slopes = self.maximum.slopes[mode]
        amount = f"{self.scope.ref(state)} - {self.scope.ref(f'was.{state}')}"
        jump, slope = (x[stage + 1] - x[stage] for x in (values, slopes))
        last = len(self.receiving) == 1  # then all of it is this state's
        shares = {"jump": "jump" if last else self.scope.sympy(jump)}
        shares["turn"] = "slope_change" if last else self.scope.sympy(slope)
        inner = self._moved(mode, {k: f"({v}) / amount" for k, v in shares.items()})
        needed = reads(values, slopes) | {state, f"was.{state}"}
        made = [*self._load(needed, False), f"amount = {amount}", "if amount != 0:"]
        silent = bool(self.group.rings_before)
        lines = self._when("n + 1", silent, [*made, *_indented(inner)])
        if self.jumps:
            inner = self._ended(mode, f"({shares['jump']}) / amount")
            ended = [*self._load(needed, True), f"amount = {amount}", "if amount != 0:"]
            lines += self._when("n", True, [*ended, *_indented(inner)])
        return lines

    def queued(self, pathway, mode: str, stack: str) -> list[str]:
        """Add to `rate` what a maximum gains if one arrival comes later, without a ring.

        If it left its target above the threshold, the spike that follows at once has moved it.
        """
        values, slopes = self.maximum.values, self.maximum.slopes[mode]
        jump, slope_change = (self._change(pathway, mode, x[-1]) for x in (values, slopes))
        shares = {"jump": pathway.scope.sympy(jump), "turn": pathway.scope.sympy(slope_change)}
        own = pathway.load_stacked(reads(jump, slope_change), stack)
        needed, crossing = reads(values, slopes), self.group.adjoint.crossing
        inner = [*own, *self._moved(mode, shares)]
        if crossing is not None and mode == "free":
            needed |= reads(crossing.g)
            inner = [f"if {self.scope.sympy(crossing.g)} <= 0:", *_indented(inner)]
        lines = self._when("n + 1", True, [*self._load(needed, False), *inner])
        if self.jumps:
            ended = [*self._load(needed, True), *own, *self._ended(mode, shares["jump"])]
            lines += self._when("n", True, ended)
        return lines

    def _change(self, pathway, mode: str, value):
        """How one arrival changes what depends on its target's states."""
        before = to_post(value, self.group.adjoint)
        after = compose(pathway.rule(mode).statements, pathway.states)
        return before.xreplace({symbol(s): e for s, e in after.items()}) - before

    def unless_jump(self, lines: list[str]) -> list[str]:
        """Drop the `readout_slope` after a reset, which `lines` find, if arrivals made the maximum.

        They are after the reset where the two commute.
        """
        if not self.jumps or not self.group.rings or self.group.rings_before:
            return lines
        jump = [*self._load(reads(self.maximum.values), False), *self._jump]
        return [*jump, *lines, "if jump > 0:", f"    readout_slope = {self.zero}"]

    def _when(self, step: str, silent: bool, inner: list[str]) -> list[str]:
        quiet = f" and {self.group.silent}" if silent and self.group.spikes else ""
        return [f"if {self.at} == {step}{quiet}:", *_indented(inner)]

    def _moved(self, mode: str, shares) -> list[str]:
        """What a maximum that arrivals make gains; shares are of `jump`, or of `slope_change`."""
        slopes = self.maximum.slopes[mode]
        lines = [
            f"slope_before = {self.scope.sympy(slopes[0])}",
            f"slope_after = {self.scope.sympy(slopes[-1])}",
        ]
        turn = [
            "slope_change = slope_after - slope_before",
            f"drop = min(slope_after, {self.zero}) - min(slope_before, {self.zero})",
            "if drop < 0:",
            f"    rate += {self.weight} * drop / slope_change * ({shares['turn']})",
        ]
        if not self.jumps:
            return lines + turn
        return [
            *lines,
            *self._jump,
            "if jump > 0:",
            "    if slope_after < 0:",
            f"        rate += {self.weight} * slope_after / jump * ({shares['jump']})",
            "else:",
            *_indented(turn),
        ]

    def _ended(self, mode: str, share: str) -> list[str]:
        """What a maximum just before a jump down gains."""
        return [
            f"slope_before = {self.scope.sympy(self.maximum.slopes[mode][0])}",
            *self._jump,
            "if jump < 0 and slope_before > 0:",
            f"    rate += {self.weight} * slope_before / jump * ({share})",
        ]

    @property
    def _jump(self) -> list[str]:
        """How far m jumps; 0 where its states do not.

        The difference alone would not be 0 on a GPU, which fuses one of two equal products with the
        sum.
        """
        change = self.maximum.values[-1] - self.maximum.values[0]
        read = reads(change)
        receiving = [s for s in self.receiving if {s, f"was.{s}"} & read]
        pairs = [(self.scope.ref(s), self.scope.ref(f"was.{s}")) for s in receiving]
        return [
            f"jump = {self.zero}",
            f"if {' or '.join(f'{new} != {old}' for new, old in pairs)}:",
            f"    jump = {self.scope.sympy(change)}",
        ]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
