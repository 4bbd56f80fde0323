"""Maxima that arrivals make or end: what they gain by one arrival's coming later, densely."""

from __future__ import annotations

import numpy as np


class ArrivalMaxima:
    """The rule of the package for one arrival after the other, with states and slopes as they are.

    Parameters
    ----------
    adjoint
        The backward pass, which knows the readouts.
    rings
        For each group at which all arrivals add constants: the states that they add to.
    """

    def __init__(self, adjoint, rings):
        self.adjoint, self.o, self.rings = adjoint, adjoint.o, rings

    def of(self, arrival, n, free):
        """What maxima gain if an arrival of step n comes later."""
        group, k = self.o.groups[arrival.pathway.target], arrival.target
        total = 0.0
        for weight, at, readout, scope in self._readouts(group, k):
            measure = self._measures(group, k, readout, scope, n, free)
            if at == n + 1 and self._shows(group, k, n, free):
                total += weight * self._made(arrival, group, n, *measure)
            if at == n and (group.name, k) not in self.adjoint.spiked:
                total += weight * self._ended(arrival, group, n, *measure)
        return total

    def jump_up(self, group, k, readout, scope, n, free):
        """Whether arrivals at the step of a spike, which are after its reset, make a jump up."""
        if group.name not in self.rings or not self._shows(group, k, n, free):
            return False
        value, _ = self._measures(group, k, readout, scope, n, free)
        stages = self._stages(group, k, n)
        return value(stages[-1]) > value(stages[0])

    def _readouts(self, group, k):
        for gbar, r, scope in self.adjoint.readouts:
            if r.kind == "maximum" and r.group == group.name and r.start <= k < r.stop:
                at = self.adjoint.maximum_steps(r, scope)[k - r.start]
                yield gbar[k - r.start], at, r, scope

    def _measures(self, group, k, readout, scope, n, free):
        """The expression and its slope, as functions of the state."""
        t, where = n * self.o.dt, {"": np.array([k])}

        def value(x):
            return float(scope.value(readout.expression, x, t, where)[0])

        def slope(x):
            jacobian = scope.jacobian(readout.expression, x, t, where)
            return float(np.sum(jacobian.x * group.slopes(x, t, [k], [free])) + jacobian.t[0])

        return value, slope

    def _shows(self, group, k, n, free):
        """Whether the next sample shows what the arrivals made, and no spike moves it already."""
        if group.name in self.rings:
            rows = self._rows(group)
            kept = self.adjoint.behind.get((group.name, k), (None, None))[1]
            return kept is None or bool(np.all(kept[rows]))
        if (group.name, k) in self.adjoint.spiked:
            return False
        if group.spec.threshold is None or not free:
            return True
        x, where = self._after(group, k, n), group.where([k])
        return group.scope.margin(group.spec.threshold, x, n * self.o.dt, where)[0] <= 0

    def _rows(self, group):
        return [group.states.index(s) for s in group.states if s in self.rings[group.name]]

    def _after(self, group, k, n):
        last = n + 1 == self.o.steps
        return (group.x if last else group.history[n + 1])[:, [k]]

    def _stages(self, group, k, n):
        """States before all arrivals, after those at the first state, at the second, ..."""
        x, y = self._after(group, k, n), group.updated[n][:, [k]]
        if group.name not in self.rings:
            return [y, x]
        rows, stages = self._rows(group), [x.copy()]
        stages[0][rows] = y[rows]
        if (group.name, k) in self.adjoint.raised:  # by the reset, which commutes with arrivals
            _, kept = self.adjoint.behind[group.name, k]
            raised = self.adjoint.raised[group.name, k]
            for row in (row for row in rows if kept[row] and raised[row, 0] != 0):
                stages[0][row] += raised[row]
        for row in rows:
            stages.append(stages[-1].copy())
            stages[-1][row] = x[row]
        return stages

    def _change(self, arrival, group, n, measure):
        """By how much this arrival changes what is measured, if those at one state share it."""
        if group.name not in self.rings:
            return measure(arrival.after) - measure(arrival.before)
        added = (arrival.after - arrival.before)[:, 0]
        stages, total = self._stages(group, arrival.target, n), 0.0
        for number, row in enumerate(self._rows(group)):
            amount = float((stages[-1] - stages[0])[row, 0])
            if amount != 0:
                change = measure(stages[number + 1]) - measure(stages[number])
                total += added[row] / amount * change
        return total

    def _made(self, arrival, group, n, value, slope):
        stages = self._stages(group, arrival.target, n)
        jump = value(stages[-1]) - value(stages[0])
        before, after = slope(stages[0]), slope(stages[-1])
        if jump > 0:
            return min(after, 0.0) * self._change(arrival, group, n, value) / jump
        turn = min(after, 0.0) - min(before, 0.0)
        return turn * self._change(arrival, group, n, slope) / (after - before) if turn < 0 else 0.0

    def _ended(self, arrival, group, n, value, slope):
        stages = self._stages(group, arrival.target, n)
        jump, before = value(stages[-1]) - value(stages[0]), slope(stages[0])
        if jump >= 0 or before <= 0:
            return 0.0
        return before * self._change(arrival, group, n, value) / jump
