"""Explosive upstrokes: spikes whose last steps are too long, with tangents along the true flow.

A trial is gone through twice.  The first time keeps the states of all steps; from them comes, for
every explosive spike, the stretch from its last tame state to the crossing of the true flow.  The
second time, the neuron of a stretch follows the true flow, in dual numbers; its values are those of
the grid again after the reset.  The rules are those of docs/gradient.md, the numbers in them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.forward.duals import Dual
from brian_eventprop.forward.extrapolation import solve
from brian_eventprop.forward.layout import INTEGRAL

#: A spike whose last step has dt dv'/dv below this is read off the grid.
MILD = 0.03
#: The true flow begins at a state with dt dv'/dv below this, at most so many steps before.
TAME, LOOKBACK = 0.1, 128
#: How many steps later than on the grid the true flow may reach the threshold.
LATER = 10
#: Methods whose steps are x + dt f: to the next order the flow of f - dt/2 f_x f.
_FIRST_ORDER = ("euler", "heun", "milstein")
#: Pieces of the true flow in which a crossing is looked for, as a part of the time of its growth.
_PIECE, _PIECES = 0.25, 4000


@dataclass
class History:
    """The states of a trial: at the beginning of each step, after its update, around resets."""

    grid: list[np.ndarray] = field(default_factory=list)
    updated: list[np.ndarray] = field(default_factory=list)
    before: dict[tuple[str, int, int], np.ndarray] = field(default_factory=dict)
    after: dict[tuple[str, int, int], np.ndarray] = field(default_factory=dict)
    above: set[tuple[str, int, int]] = field(default_factory=set)
    free: dict[tuple[str, int, int], int] = field(default_factory=dict)


@dataclass
class Stretch:
    """The steps of one spike's upstroke: from ``first``; the threshold is reached in ``hit``."""

    group: str
    neuron: int
    first: int
    hit: int
    spike_step: int
    passed: float
    states: Mapping[int, np.ndarray]
    crossing: np.ndarray
    move: float = 0.0

    def at(self, n: int) -> np.ndarray:
        """Return the states at the beginning of a step."""
        return self.states[n] if n <= self.hit else self.crossing


class Flow:
    """The true flow of one neuron while it is free, all else standing still.

    Parameters
    ----------
    trial
        A `ClockTrial`.
    group, neuron
        Which one.
    base
        Values and tangents of the network.
    """

    def __init__(self, trial, group: str, neuron: int, base: np.ndarray):
        self.trial, self.group, self.neuron, self.base = trial, group, neuron, base
        self.states, self.all = entries(trial.network.layout, group, neuron)
        self.free = {g: np.zeros_like(r) for g, r in trial.refractory.items()}

    def full(self, y: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return the network with some entries of the neuron replaced."""
        found = self.base.copy()
        found[: len(y), index] = y
        return found

    def slope(self, t: float, y: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return f of these entries, in as many rows as `y` has."""
        found = self.trial.network.flow(
            t, self.full(y, index), self.free, settled=True, only=self.group
        )
        return found[: len(y), index]

    def along(self, t: float, y: np.ndarray, span: float, index: np.ndarray) -> np.ndarray:
        """Return the entries after a time."""
        if span <= 0:
            return y
        return solve(lambda s, x: self.slope(s, x, index), t, t + span, y, _sizes)

    def guard(self, t: float, y: np.ndarray) -> Dual:
        """Return g of the neuron."""
        code = self.trial.network.groups[self.group]
        names = self.trial.network.names(code, self.full(y, self.states), Dual(t))
        return self.trial.guards[self.group](names, code.group.size)[self.neuron]

    def guard_slope(self, t: float, y: np.ndarray) -> float:
        """Return the slope of g along the flow."""
        network, code = self.trial.network, self.trial.network.groups[self.group]
        rows = self.full(np.stack([y[0], self.slope(t, y[:1], self.states)[0]]), self.states)
        rows[1, np.setdiff1d(np.arange(rows.shape[1]), self.states)] = 0.0
        names = network.names(code, rows, Dual(t, 1.0))
        names |= {name: Dual(x.v) for name, x in network.of_group[self.group].items()}
        return self.trial.guards[self.group](names, code.group.size)[self.neuron].d

    def to_threshold(self, t: float, y: np.ndarray, span: float):
        """Follow the flow of values (1, states) for a time or to the threshold.

        Returned are whether it was reached, the time that passed, and the states.
        """
        if self.guard(t, y).v > 0:
            return True, 0.0, y
        passed = 0.0
        for _ in range(_PIECES):
            if passed >= span:
                return False, span, y
            growth = growths(self.trial, self.group, self.full(y, self.states)[0], t + passed)
            h = min(span - passed, _PIECE / max(abs(growth[self.neuron]), 1e-12))
            try:
                end = self.along(t + passed, y, h, self.states)
            except FloatingPointError:  # it explodes within the piece
                h *= 0.25
                end = self.along(t + passed, y, h, self.states)
            if self.guard(t + passed + h, end).v > 0:
                more, end = self._crossing(t + passed, y, h)
                return True, passed + more, end
            y, passed = end, passed + h
        return False, passed, y

    def _crossing(self, t: float, y: np.ndarray, h: float):
        """Return when g crosses 0 within a piece, and the states there: Newton, kept within."""
        low, high, part = 0.0, h, h
        for _ in range(60):
            end = self.along(t, y, part, self.states)
            g = self.guard(t + part, end).v
            low, high = (low, part) if g > 0 else (part, high)
            change = g / self.guard_slope(t + part, end)
            if abs(change) <= 4 * np.spacing(t + part):
                break
            part -= change
            if not low < part < high:
                part = 0.5 * (low + high)
        return part, end


def _sizes(y: np.ndarray) -> np.ndarray:
    """Return the sizes of entries; those near 0 count as a part of the largest of the row."""
    sizes = np.abs(y)
    return np.maximum(sizes, 1e-2 * sizes.max(axis=-1, keepdims=True))


def entries(layout, group: str, neuron: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the states of a neuron stand, and where its states and integrals do."""
    states, integrals = [], []
    own = layout.first[group] + neuron
    for (owner, _), slot in layout.slots.items():
        place = slot.start + neuron
        if owner == group:
            states.append(place)
        elif owner == INTEGRAL and place < slot.stop and layout.node[place] == own:
            integrals.append(place)
    return np.array(states), np.array(states + integrals)


def driven_states(trial, group: str) -> tuple[str, ...]:
    """Return the states of a threshold whose own slope changes with them."""
    code, layout = trial.network.groups[group], trial.network.layout
    found, y = [], np.stack([trial.y[0], np.zeros_like(trial.y[0])])
    for state in sorted(trial.guards[group].states & code.derivatives.keys()):
        slot = layout.slots[group, state]
        slopes = [_own_slope(trial, group, state, y[0], 0.0)]
        for part in (0.37, -0.61):
            moved = y[0].copy()
            moved[slot] += part * (1 + np.abs(moved[slot]))
            slopes.append(_own_slope(trial, group, state, moved, 0.0))
        if not all(np.allclose(s, slopes[0], rtol=1e-9, atol=1e-9) for s in slopes[1:]):
            found.append(state)
    return tuple(found)


def _own_slope(trial, group: str, state: str, values: np.ndarray, t: float) -> np.ndarray:
    """Return df_s/ds of a state of each neuron, while they are free."""
    slot = trial.network.layout.slots[group, state]
    free = {g: np.zeros_like(r) for g, r in trial.refractory.items()}
    found = []
    for size in (1.0, 0.0):  # what moves with constants is there in both
        y = np.stack([values, np.zeros_like(values)])
        y[1, slot] = size
        found.append(trial.network.flow(t, y, free, settled=True, only=group)[1, slot])
    return found[0] - found[1]


def growths(trial, group: str, values: np.ndarray, t: float) -> np.ndarray:
    """Return the largest df_s/ds of the states that drive themselves to the threshold."""
    driven = trial.driven[group]
    return np.max([_own_slope(trial, group, s, values, t) for s in driven], axis=0)


def find_upstrokes(trial, history: History) -> Upstrokes:
    """Return the stretches of all explosive spikes of a trial that was gone through."""
    found, last, crossed = [], {}, set()
    _check_finite(trial, history)
    for n in range(trial.n_steps):
        trial.network.take(trial.network.constants.at_step(n))
        for group, given in trial.spikes.items():
            for k in np.flatnonzero(given.steps == n) if trial.driven[group] else ():
                neuron = int(given.neurons[k])
                key = group, neuron, n
                if _is_explosive(trial, history, group, neuron, n):
                    _check_alone(trial, group)
                    if key in history.above:
                        crossed.add(key)
                    else:
                        lowest = max(n - LOOKBACK, last.get((group, neuron), 0))
                        found.append(_stretch(trial, history, key, lowest))
                frozen = bool(trial.network.groups[group].group.frozen)
                last[group, neuron] = history.free.get(key, n + 1 - frozen) + frozen
    return Upstrokes(history, tuple(found), frozenset(crossed))


def _check_alone(trial, group: str) -> None:
    """Refuse what others read on the way of the true flow."""
    if trial.network.couplings:
        raise UnsupportedError(
            f"'{group}': forward mode does not have explosive upstrokes of coupled neurons with "
            "solver='clock'. Use solver='event'."
        )


def _check_finite(trial, history: History) -> None:
    """Refuse neurons that Brian2's steps leave with infinite states."""
    for n, values in enumerate(history.grid):
        for (group, state), slot in trial.network.layout.slots.items():
            if not np.all(np.isfinite(values[slot])):
                raise UnsupportedError(
                    f"'{group}': forward mode does not have states that become infinite, as "
                    f"'{state}' by the time {n * trial.dt:g} s. Use solver='event', or a smaller "
                    "defaultclock.dt."
                )


def _is_explosive(trial, history: History, group: str, neuron: int, n: int) -> bool:
    for values, m in ((history.grid[n], n), (history.updated[n], n + 1)):
        growth = trial.dt * growths(trial, group, values, m * trial.dt)[neuron]
        if not growth <= MILD:
            return True
    return False


def _stretch(trial, history: History, key: tuple[str, int, int], lowest: int) -> Stretch:
    """Follow the true flow from the last tame state to the threshold."""
    (group, neuron, n), dt = key, trial.dt
    first = n
    while first > lowest:
        trial.network.take(trial.network.constants.at_step(first))
        if dt * growths(trial, group, history.grid[first], first * dt)[neuron] <= TAME:
            break
        first -= 1
    states, i = {}, first
    own, _ = entries(trial.network.layout, group, neuron)
    x = history.grid[first][own][None]
    while True:
        states[i] = x[0]
        trial.network.take(trial.network.constants.at_step(i))
        flow = Flow(trial, group, neuron, np.stack([history.grid[i], 0 * history.grid[i]]))
        span = dt if i < n else (n - first + LATER) * dt
        reached, passed, x = flow.to_threshold(i * dt, x, span)
        if reached or i == n:
            break
        x = x + (history.grid[i + 1] - history.updated[i])[own]
        i += 1
    trial.network.take(trial.network.constants.at_step(n))
    if not reached:
        raise UnsupportedError(
            f"'{group}': forward mode does not have explosive spikes that the true flow does not "
            f"have, as that of neuron {neuron} at {n * dt:g} s. Use solver='event', or a smaller "
            "defaultclock.dt."
        )
    return Stretch(group, neuron, first, i, n, passed, states, x[0])


class Upstrokes:
    """What the second time through a trial does otherwise.

    Parameters
    ----------
    history
        The states of the first time.
    stretches
        Of all explosive spikes.
    crossed
        Explosive spikes of neurons that something has put above their threshold: their crossing is
        at the beginning of the step.
    """

    def __init__(self, history: History, stretches: tuple[Stretch, ...], crossed: frozenset):
        self.history, self.crossed = history, crossed
        self.by_spike = {(s.group, s.neuron, s.spike_step): s for s in stretches}
        self.stretches = stretches

    @property
    def any(self) -> bool:
        """Whether there are explosive spikes."""
        return bool(self.stretches or self.crossed)

    @property
    def spikes(self) -> frozenset[tuple[str, int, int]]:
        """The explosive spikes: group, neuron and time step of each."""
        return self.crossed | self.by_spike.keys()

    def _within(self, n: int) -> list[Stretch]:
        return [s for s in self.stretches if s.first <= n <= s.spike_step]

    def begin(self, trial, n: int) -> np.ndarray:
        """Return the states at the beginning of a step: of the grid, or of the true flow."""
        y = np.stack([self.history.grid[n], trial.y[1]])
        for s in self._within(n):
            own, _ = entries(trial.network.layout, s.group, s.neuron)
            y[0, own] = s.at(n)
        return y

    def follow(self, trial, n: int, y: np.ndarray, updated: np.ndarray) -> np.ndarray:
        """Return the states after a step, with those of explosive neurons along the true flow."""
        found, t = updated.copy(), n * trial.dt
        for group, neuron, step in self.crossed:
            own, both = entries(trial.network.layout, group, neuron)
            if step == n and not np.all(np.isfinite(updated[0, own])):
                # it spikes at the beginning of a step that goes nowhere
                found[0, own], found[1, both] = y[0, own], y[1, both]
        for s in self._within(n):
            flow = Flow(trial, s.group, s.neuron, y)
            start = y[:, flow.all].copy()
            if n == s.first and trial.network.groups[s.group].group.method in _FIRST_ORDER:
                start[1] = self._tamed(flow, t, start, trial.dt)
            if n > s.hit:  # it waits for the reset
                end = start
            else:
                span = trial.dt if n < s.hit else s.passed
                end = flow.along(t, start, span, flow.all)
            if n == s.hit:
                s.move = self._move(flow, t + s.passed, end[:, : len(flow.states)])
            found[0, flow.states] = end[0, : len(flow.states)]
            found[1, flow.all] = end[1]
        return found

    @staticmethod
    def _tamed(flow: Flow, t: float, start: np.ndarray, dt: float) -> np.ndarray:
        """Return tangents where Euler's steps, which follow f - dt/2 f_x f, hand over."""
        own = len(flow.states)
        still = np.stack([start[0], np.zeros_like(start[0])])
        moved = flow.slope(t, start, flow.all)[1] - flow.slope(t, still, flow.all)[1]
        found = start[1].copy()
        found[:own] += 0.5 * dt * moved[:own]
        return found

    @staticmethod
    def _move(flow: Flow, t: float, y: np.ndarray) -> float:
        return -flow.guard(t, y).d / flow.guard_slope(t, y)

    def at_crossing(self, trial, n: int, y: np.ndarray) -> np.ndarray:
        """Return the states at which spikes cross their threshold."""
        y = y.copy()
        for group, neuron, step in self.crossed:
            if step == n:
                own, _ = entries(trial.network.layout, group, neuron)
                y[0, own] = self.history.grid[n][own]
        return y

    def before_reset(self, trial, key: tuple[str, int, int], y: np.ndarray) -> np.ndarray:
        """Return the states that the reset of an explosive spike reads."""
        if key not in self.by_spike:
            return y
        s, n = self.by_spike[key], key[2]
        own, _ = entries(trial.network.layout, s.group, s.neuron)
        slots, y = trial.network.layout.slots, y.copy()
        change = self.history.before[key] - self.history.updated[n][own]
        for state in trial.driven[s.group]:
            change[own == slots[s.group, state].start + s.neuron] = 0.0
        y[0, own] = s.crossing + change
        return y

    def after_reset(self, trial, key: tuple[str, int, int], y: np.ndarray) -> np.ndarray:
        """Return the states after a reset, which are those of the grid again."""
        if key not in self.by_spike:
            return y
        own, _ = entries(trial.network.layout, *key[:2])
        y = y.copy()
        y[0, own] = self.history.after[key]
        return y
