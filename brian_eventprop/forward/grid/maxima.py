"""The largest samples of neurons on the time grid, and how they change.

The tangent of a maximum is that of its sample, and that of an event which makes, moves or ends the
maximum times how m rises there; docs/gradient.md has the rules.  What arrives at one time step
shares its part as it changes m, where m jumps, or the slope of m, where that turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.forward.code import compiled
from brian_eventprop.forward.duals import Dual
from brian_eventprop.forward.readouts import full


@dataclass(frozen=True)
class Sums:
    """The states of a group to which all that arrives is added at once.

    Attributes
    ----------
    states
        Their names.
    commute
        Whether the arrivals at all of them commute with the reset.
    """

    states: tuple[str, ...] = ()
    commute: bool = False


@dataclass
class Events:
    """What happened at the end of a time step.

    Attributes
    ----------
    step
        Its number.
    was
        The states before the arrivals.
    arrivals
        The target of each, its neuron, the states before and after it, and how it moves.
    resets
        The slopes of maxima just after the reset, and how the spike moves, by group and neuron.
    """

    step: int
    was: np.ndarray
    arrivals: list[tuple[str, int, np.ndarray, np.ndarray, float]] = field(default_factory=list)
    resets: dict[tuple[str, int], tuple[dict[int, float], float]] = field(default_factory=dict)


class GridMaxima:
    """The maxima of one trial so far.

    Parameters
    ----------
    trial
        A `ClockTrial`.
    sums
        By group, where arrivals are summed; they are delivered one by one elsewhere.
    """

    def __init__(self, trial, sums: Mapping[str, Sums]):
        self.trial, self.sums, network = trial, sums, trial.network
        readouts = {k: r for k, r in enumerate(network.spec.readouts) if r.kind == "maximum"}
        self.codes = {k: compiled(r.expression) for k, r in readouts.items()}
        self.owner = {k: r.group for k, r in readouts.items()}
        sizes = {k: network.groups[g].group.size for k, g in self.owner.items()}
        self.best = {k: (np.full(n, -np.inf), np.zeros(n)) for k, n in sizes.items()}
        self.at = {k: np.full(n, -1) for k, n in sizes.items()}
        self.events: Events | None = None
        #: The slope after the end of a refractory period, and how that moves: of this step.
        self.released: list[tuple[int, int, float, float]] = []

    def __bool__(self) -> bool:
        return bool(self.codes)

    # ---- samples ----
    def sample(self, n: int) -> None:
        """Take the samples of a time step, and what the events before it make of them."""
        samples = {k: self._value(k, self.trial.y, Dual(n * self.trial.dt)) for k in self.codes}
        network = self.trial.network
        constants = network.constants
        if self.events and network.spec.timed:  # events have the constants of their own step
            network.take(constants.at_step(n - 1))
        for k, value in samples.items():
            best, tangent = self.best[k]
            better = value.v > best
            ended = ~better & (self.at[k] == n - 1)
            found = np.where(better, value.d, tangent)
            self.best[k] = np.where(better, value.v, best), found
            self.at[k] = np.where(better, n, self.at[k])
            self._add_events(k, found, better, ended)
        if self.events and network.spec.timed:
            network.take(constants)
        for k, neuron, slope, move in self.released:
            if self.at[k][neuron] == n:
                self.best[k][1][neuron] += min(slope, 0.0) * move
        self.released, self.events = [], None

    def end(self) -> None:
        """Look at what ends a maximum in the last time step."""
        for k in self.codes:
            last = self.at[k] == self.trial.n_steps - 1
            self._add_events(k, self.best[k][1], np.zeros_like(last), last)

    # ---- what the trial tells ----
    def begin_events(self, n: int) -> None:
        """Keep the states before the arrivals of a time step."""
        self.events = Events(n, self.trial.y[0].copy())

    def cross(self, group: str, neuron: int, n: int, crossing: np.ndarray, above: bool) -> None:
        """Let the spike of a neuron, after a state ``crossing`` (states,), end its maximum."""
        move = self.trial.now[group][neuron]
        for k in self._of(group):
            if self.at[k][neuron] == n:
                slope = self.slope(k, crossing, n, self.trial.all_free(group))[neuron]
                self.best[k][1][neuron] += slope * move if slope > 0 or above else 0.0

    def reset(self, group: str, neuron: int, move: float, made: np.ndarray, free: Mapping) -> None:
        """Keep what a reset makes: ``made`` is the state of the crossing after it."""
        n, slots = self.events.step, self.trial.network.layout.slots
        slopes = {k: self.slope(k, made, n, free)[neuron] for k in self._of(group)}
        self.events.resets[group, neuron] = slopes, move
        sums = self.sums.get(group, Sums())
        if sums.commute:  # arrivals come after it
            places = [slots[group, s].start + neuron for s in sums.states]
            self.events.was[places] = self.trial.y[0, places]

    def arrive(self, group: str, neuron: int, before: np.ndarray, after: np.ndarray, move: float):
        """Keep an arrival."""
        self.events.arrivals.append((group, neuron, before, after, move))

    def release(self, group: str, neurons, n: int, moves) -> None:
        """Keep the end of refractory periods: f changes there."""
        code = self.trial.network.groups[group].group
        if not (code.frozen or code.derivatives_refractory):
            return
        for k in self._of(group):
            slopes = self.slope(k, self.trial.y[0], n, self.trial.all_free(group))
            self.released += [
                (k, int(j), slopes[j], move) for j, move in zip(neurons, moves, strict=True)
            ]

    # ---- what events make of a maximum ----
    def _add_events(self, k: int, tangent: np.ndarray, made, ended) -> None:
        """Add what a maximum gains by the events just before a sample that makes or ends it."""
        if self.events is None:
            return
        group = self.owner[k]
        for (owner, j), (slopes, move) in self.events.resets.items():
            if owner == group and made[j] and not self._jumps_up(k, j):
                tangent[j] += min(slopes[k], 0.0) * move
        for j in {a[1] for a in self.events.arrivals if a[0] == group}:
            if made[j] or ended[j]:
                tangent[j] += self._of_arrivals(k, j, bool(made[j]))

    def _jumps_up(self, k: int, j: int) -> bool:
        """Whether a maximum after a reset is made by sums of arrivals after it."""
        return self.sums.get(self.owner[k], Sums()).commute and self._jump(k, j) > 0

    def _jump(self, k: int, j: int) -> float:
        stages = self._stages(self.owner[k])
        return self._m(k, stages[-1])[j] - self._m(k, stages[0])[j]

    def _of_arrivals(self, k: int, j: int, made: bool) -> float:
        """Return what a maximum gains by the arrivals that make it, or end it."""
        group, n = self.owner[k], self.events.step
        sums = self.sums.get(group)
        spiked = (group, j) in self.events.resets
        if spiked and not (made and sums and sums.commute):
            return 0.0
        free = self.trial.all_free(group)
        free[group][:] = n < self.trial.free[group]
        stages = self._stages(group)
        slopes = [self.slope(k, y, n, free)[j] for y in stages]
        jump = self._jump(k, j)
        if made and not sums and not free[group][j] and self._above(group, j, stages[-1]):
            return 0.0  # the spike that follows at once moves it
        whole = self._moved(jump, slopes[0], slopes[-1]) if made else self._ended(jump, slopes[0])
        by_slope, part = whole
        if part == 0.0:
            return 0.0

        def change(before, after):
            if by_slope:
                return (self.slope(k, after, n, free) - self.slope(k, before, n, free))[j]
            return (self._m(k, after) - self._m(k, before))[j]

        arrivals = [a for a in self.events.arrivals if a[:2] == (group, j)]
        if not sums:
            return sum(part * change(b, a) * move for *_, b, a, move in arrivals)
        total, slots = 0.0, self.trial.network.layout.slots
        for state, b, a in zip(sums.states, stages[:-1], stages[1:], strict=True):
            place = slots[group, state].start + j
            amount = a[place] - b[place]
            if amount != 0:
                moved = sum((new[place] - old[place]) * move for *_, old, new, move in arrivals)
                total += part * change(b, a) * moved / amount
        return total

    @staticmethod
    def _moved(jump: float, before: float, after: float) -> tuple[bool, float]:
        """Return what a maximum gains per unit of the jump, or (True) of the turn of its slope."""
        if jump > 0:
            return False, min(after, 0.0) / jump
        drop = min(after, 0.0) - min(before, 0.0)
        return True, drop / (after - before) if drop < 0 else 0.0

    @staticmethod
    def _ended(jump: float, before: float) -> tuple[bool, float]:
        """Return what a maximum just before a jump down gains per unit of the jump."""
        return False, before / jump if jump < 0 < before else 0.0

    def _stages(self, group: str) -> list[np.ndarray]:
        """Return the states before all arrivals, after those at one state more each, and after."""
        y, was, slots = self.trial.y[0], self.events.was, self.trial.network.layout.slots
        sums = self.sums.get(group)
        if not sums:
            found = y.copy()
            for state in self.trial.network.groups[group].group.states:
                found[slots[group, state]] = was[slots[group, state]]
            return [found, y]
        stages = [y]
        for state in reversed(sums.states):
            found = stages[0].copy()
            found[slots[group, state]] = was[slots[group, state]]
            stages.insert(0, found)
        return stages

    # ---- numbers ----
    def _of(self, group: str) -> list[int]:
        return [k for k, owner in self.owner.items() if owner == group]

    def _value(self, k: int, y: np.ndarray, t: Dual) -> Dual:
        names = self.trial.network.readout_names(k, y, t)
        return full(self.codes[k](names), len(self.at[k]))

    def _m(self, k: int, values: np.ndarray) -> np.ndarray:
        y = np.stack([values, np.zeros_like(values)])
        return self._value(k, y, Dual(self.events.step * self.trial.dt)).v

    def slope(self, k: int, values: np.ndarray, n: int, refractory: Mapping) -> np.ndarray:
        """Return the slope of a readout in time along the flow."""
        network, t = self.trial.network, n * self.trial.dt
        y = np.stack([values, np.zeros_like(values)])
        y[1] = network.flow(t, y, refractory, settled=True, only=self.owner[k])[0]
        names = network.readout_names(k, y, Dual(t, 1.0))
        names |= {name: Dual(x.v) for name, x in network.of_readout[k].items()}
        return full(self.codes[k](names), len(self.at[k])).d

    def _above(self, group: str, j: int, values: np.ndarray) -> bool:
        """Whether a state is above the threshold."""
        network, code = self.trial.network, self.trial.network.groups[group]
        if code.threshold is None:
            return False
        y = np.stack([values, np.zeros_like(values)])
        names = network.names(code, y, Dual(self.events.step * self.trial.dt))
        return bool(self.trial.guards[group](names, code.group.size)[j].v > 0)
