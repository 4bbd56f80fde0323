"""The code of conditions that change within a step of the time grid; see `adjoint.conditions`.

The flags at the beginning of a step are those of its first state, the flags at its end those of
what the state update makes of it.  Each change is taken where h, a straight line between the two
states, crosses; of several in one step the last one comes first, backwards.

Variables of this code have a point in their names, as ``slope.``: no variable of a user has one.
"""

from __future__ import annotations

import sympy as sp

from brian_eventprop.adjoint.conditions import Conditions
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.codegen.expr.scope import reads

#: How far from a crossing, in parts of the step, the equations on its two sides are evaluated: what
#: is behind a condition, like ``int(v > 1)*sqrt(v - 1)``, may be no number on the other side.
_ASIDE = {"double": 1e-6, "single": 1e-3}


class ConditionCode:
    """Code of the conditions of a group; the templates show ``back``."""

    def __init__(self, group, conditions: Conditions):
        self.group, self.scope = group, group.scope
        self.switches, self.jumping = conditions.switches, conditions.jumping
        self.energy, self.climbs = conditions.energy, conditions.climbs
        self.slopes = conditions.slopes
        used = reads(
            self.energy, self.climbs, self.slopes, [(s.h, s.states) for s in self.switches]
        )
        self.used = used | reads([s.parameters for s in self.switches])
        self.aside = _ASIDE["single" if self.scope.style.single else "double"]
        self.moving = [s for s in group.states if s in self.used]

    def back(self, mode: str, source: str) -> list[str]:
        """Backwards through the conditions that neuron j changes in its state update."""
        statements, ref = self.group.modes[mode].statements, self.scope.ref
        read, regular = self.used | reads(statements), self.group.regular
        lines = self.group.load(read | set(self.group.states), source)
        lines += self.scope.statements(regular)  # what it changes, it does at a fixed time
        lines += self._flags("begin", symbol("t"))
        lines += [
            f"{ref(f'climb.{s.flag}')} = {self.scope.sympy(self.climbs[mode][s.flag])}"
            for s in self.switches
            if s.flag in self.jumping
        ]
        lines += [f"{ref(f'begin.{s}')} = {ref(s)}" for s in self.moving]
        lines += self.scope.statements(statements[len(regular) :])
        lines += [f"{ref('later.')} = {self.group.later}"]
        lines += self._flags("end", symbol("later."))
        lines += [f"{ref(f'end.{s}')} = {ref(s)}" for s in self.moving]
        lines += [f"{ref(f'changes.{s.flag}')} = {self._changes(s)}" for s in self.switches]
        for s in self.switches:
            if s.flag in self.jumping and s.kind == "condition":
                lines += self._slides(s, mode)
        changes = " or ".join(ref(f"changes.{s.flag}") for s in self.switches)
        return [*lines, f"if {changes}:", *_inner(self._in_order(mode))]

    def _flags(self, when: str, time: sp.Symbol) -> list[str]:
        """h and the flag of each, inner ones first: of the states in their own names."""
        lines, ref = [], self.scope.ref
        self.scope.inverts, inverts = False, self.scope.inverts  # round as Brian2 does
        for s in self.switches:
            h = ref(f"{when}.h.{s.flag}")
            lines += [
                f"{h} = {self.scope.sympy(s.h.xreplace({symbol('t'): time}))}",
                f"{ref(s.flag)} = {self._value(s, h)}",
                f"{ref(f'{when}.{s.flag}')} = {ref(s.flag)}",
            ]
        self.scope.inverts = inverts
        return lines

    def _value(self, switch, h: str) -> str:
        style = self.scope.style
        if switch.kind == "condition":
            return style.choose(f"{h} > 0", style.number(1), style.number(0))
        return f"{style.functions[switch.kind]}({h})"

    def _changes(self, switch) -> str:
        """Whether it changes by itself: not because one within it does."""
        ref = self.scope.ref
        terms = [f"{ref(f'begin.{switch.flag}')} != {ref(f'end.{switch.flag}')}"]
        terms += [f"{ref(f'begin.{f}')} == {ref(f'end.{f}')}" for f in switch.inner]
        return " and ".join(terms)

    def _slides(self, switch, mode: str) -> list[str]:
        """Let a condition change at the end of a step that the other side of it led back.

        The state is then on its way along h = 0, with the stages of a step on both sides.
        """
        ref, one = self.scope.ref, self.scope.style.number(1)
        flag, begin, end = (ref(f"{x}{switch.flag}") for x in ("", "begin.", "end."))
        height, climb = ref(f"begin.h.{switch.flag}"), ref(f"climb.{switch.flag}")
        ahead = self._at(self.climbs[mode][switch.flag], "later.")
        steady = " and ".join(f"{ref(f'begin.{f}')} == {ref(f'end.{f}')}" for f in switch.inner)
        return [
            f"if {begin} == {end} and ({height} > 0) != ({height} + dt * {climb} > 0)"
            f"{' and ' + steady if steady else ''}:",
            f"    {flag} = {one} - {begin}",
            f"    if {climb} * ({ahead}) < 0:",
            f"        {end}, {ref(f'changes.{switch.flag}')} = {flag}, True",
            "    else:",
            f"        {flag} = {begin}",
        ]

    def _in_order(self, mode: str) -> list[str]:
        ref = self.scope.ref
        lines = sum((self._place(s) for s in self.switches), [])
        if len(self.switches) == 1:
            return lines + self._change(self.switches[0], mode)
        last, chosen = ref("place."), ref("chosen.")
        lines.append(f"for {ref('turn.')} in range({len(self.switches)}):")
        inner = [f"{chosen}, {last} = -1, {self.scope.style.number(-1)}"]
        for q, s in enumerate(self.switches):
            place = ref(f"place.{s.flag}")
            inner += [
                f"if {ref(f'changes.{s.flag}')} and {place} > {last}:",
                f"    {chosen}, {last} = {q}, {place}",
            ]
        for q, s in enumerate(self.switches):
            inner += [f"if {chosen} == {q}:", *_inner(self._change(s, mode))]
        return lines + _inner(inner)

    def _place(self, switch) -> list[str]:
        """At which part of the step it changes."""
        ref, flag = self.scope.ref, switch.flag
        below, above = ref(f"begin.h.{flag}"), ref(f"end.h.{flag}")
        first, second = ref(f"begin.{flag}"), ref(f"end.{flag}")
        zero, one = (self.scope.style.number(x) for x in (0, 1))
        low, high = f"min({first}, {second})", f"max({first}, {second})"
        border = {
            "condition": zero,
            "floor": high,
            "ceil": low,
            "trunc": f"({high} if {first} + {second} > 0 else {low})",
        }[switch.kind]
        return [
            f"if {ref(f'changes.{flag}')}:",
            f"    {ref(f'place.{flag}')} = ({border} - {below}) / ({above} - {below})",
            f"    if not ({zero} <= {ref(f'place.{flag}')} and {ref(f'place.{flag}')} <= {one}):",
            f"        {ref(f'place.{flag}')} = {one}",
        ]

    def _change(self, switch, mode: str) -> list[str]:
        """Take one change back, with what it moves."""
        ref, flags = self.scope.ref, [switch.flag, *self._followers(switch)]
        undo = [f"{ref(f)} = {ref(f'begin.{f}')}" for f in flags]
        undo += [f"{ref(f'changes.{f}')} = False" for f in flags]
        if switch.flag not in self.jumping:
            return undo
        place, aside = ref(f"place.{switch.flag}"), self.scope.style.number(self.aside)
        climb, energy = self.climbs[mode][switch.flag], self.energy[mode]
        lines = self._go_to(f"{place} + {aside} * ({self.scope.style.number(1)} - {place})")
        lines += self.group.load_lam(reads(energy))
        lines += [f"{ref('after.')} = {self._at(energy)}", f"{ref('onwards.')} = {self._at(climb)}"]
        lines += self._slopes(mode, "after")
        lines += undo
        lines += self._go_to(f"{place} - {aside} * {place}")
        lines += [f"{ref('d_change.')} = {self._at(energy)} - {ref('after.')}"]
        lines += self._slopes(mode, "before") + self._maxima(mode)
        return [*lines, f"if {ref('d_change.')} != 0:", *_inner(self._moves(switch, mode))]

    def _slopes(self, mode: str, when: str) -> list[str]:
        return [
            f"{self.scope.ref(f'rise.{when}.{number}')} = {self._at(e)}"
            for number, e in self.slopes[mode].items()
        ]

    def _maxima(self, mode: str) -> list[str]:
        """Add what a maximum that the change makes gains by the change coming later.

        Its sample is the one before the change or the one after it, whose adjoint is part of what
        the change moves already.
        """
        group, zero, lines = self.group, self.scope.style.number(0), []
        for number in self.slopes[mode]:
            before, after = (
                self.scope.ref(f"rise.{when}.{number}") for when in ("before", "after")
            )
            at, gain = f"{group.a(f'at{number}')}[trial, j]", self.scope.ref(f"gain.{number}")
            d_change = self.scope.ref("d_change.")
            lines += [
                f"{gain} = {before} if {at} == n else {after}",
                f"if {at} - n <= 1 and {at} >= n and {before} > {zero} and {after} < {zero}:",
                f"    {d_change} += {group.a(f'weight{number}')}[trial, j] * {gain}",
            ]
        return lines

    def _followers(self, switch) -> list[str]:
        return [s.flag for s in self.switches if switch.flag in (s.opposite, *s.inner)]

    def _go_to(self, place: str) -> list[str]:
        """The states at a part of the step."""
        ref = self.scope.ref
        lines = [f"{ref('at.')} = {place}"]
        lines += [
            f"{ref(s)} = {ref(f'begin.{s}')} + {ref('at.')} * "
            f"({ref(f'end.{s}')} - {ref(f'begin.{s}')})"
            for s in self.moving
        ]
        return [*lines, f"{ref('moment.')} = t + {ref('at.')} * ({ref('later.')} - t)"]

    def _at(self, expression, time: str = "moment.") -> str:
        return self.scope.sympy(expression.xreplace({symbol("t"): symbol(time)}))

    def _moves(self, switch, mode: str) -> list[str]:
        """lambda -= h_x E/hdot and dL/dp -= h_p E/hdot."""
        group, ref, style = self.group, self.scope.ref, self.scope.style
        climb, flag, ratio = self.climbs[mode][switch.flag], switch.flag, ref("ratio.")
        way = f"{ref(f'end.{flag}')} > {ref(f'begin.{flag}')}"
        lines = [
            f"{ref('way.')} = {style.choose(way, style.number(1), style.number(-1))}",
            f"{ref('slope.')} = {ref('way.')} * ({self._at(climb)})",
            *self._guarded(flag),
            f"{ratio} = {ref('d_change.')} / ({ref('way.')} * {ref('slope.')})",
        ]
        lines += [
            f"{group.a('lam')}[{group.states.index(s)}, j] -= ({self._at(e)}) * {ratio}"
            for s, e in switch.states.items()
        ]
        terms = {
            n: -symbol("ratio.") * e.xreplace({symbol("t"): symbol("moment.")})
            for n, e in switch.parameters.items()
        }
        return lines + group.add_gradients(terms)

    def _guarded(self, flag: str) -> list[str]:
        """The slope of h on the side it comes from, but not much less than over the whole step.

        A step may see the change, and h then also climbs as it does on the other side: the mean
        slope counts for no more than the slope at the beginning.  Where the equations on both sides
        lead to the crossing, the state slides along it: the slope is the difference of the two.
        """
        ref, style = self.scope.ref, self.scope.style
        least, first, slope = ref("least."), ref("first."), ref("slope.")
        zero, onwards = style.number(0), f"{ref('way.')} * {ref('onwards.')}"
        rise = f"({ref(f'end.h.{flag}')} - {ref(f'begin.h.{flag}')})"
        return [
            f"{first} = {ref('way.')} * {ref(f'climb.{flag}')}",
            f"{least} = {ref('way.')} * {rise} / dt",
            f"if {zero} < {first} and not ({zero} < {least} and {least} < {first}):",
            f"    {least} = {first}",
            f"if not {slope} >= {style.number(0.1)} * {least}:",
            f"    {self.group.count_grazing}",
            f"if not {slope} >= {least}:",
            f"    {slope} = {least}",
            f"if {onwards} < 0:",
            f"    {slope} -= {onwards}",
        ]


def _inner(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
