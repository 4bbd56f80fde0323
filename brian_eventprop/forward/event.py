"""Tangents of one trial in exact time: the events of the run, one after the other.

The times at which neurons spike are known from the run; how they move is found here.  An event that
moves by dt* takes the states along the flow before it, does what its code says in dual numbers, and
comes back along the flow after it:

    dx -> dx + f- dt*        x+ = code(x)        dx+ -> dx+ - f+ dt*
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.forward.code import run
from brian_eventprop.forward.duals import Dual, dual
from brian_eventprop.forward.extrapolation import solve
from brian_eventprop.forward.maxima import Maxima
from brian_eventprop.forward.network import GroupCode, Network, SynapseCode

#: What happens at one time, in this order; samples see the states before.
SAMPLE, CELL, REGULAR, RELEASE, ARRIVAL = range(5)

#: How far from its threshold a neuron may be when it crosses it, in parts of what is compared.
_NEAR = 1e-7


@dataclass(frozen=True)
class GivenSpikes:
    """Spikes of a group or an input in one trial, by time, and how the times move."""

    times: np.ndarray
    neurons: np.ndarray
    moves: np.ndarray


@dataclass
class EventTrial:
    """One trial.

    Attributes
    ----------
    network
        The network with its parameters and their tangents.
    spikes
        The spikes of each group in the run; their moves are found here.
    duration
        The end in seconds.
    y
        The states: a row of values, a row of tangents.
    samples
        States at the times of values, by time.
    """

    network: Network
    spikes: Mapping[str, GivenSpikes]
    duration: float
    t: float = 0.0
    y: np.ndarray = field(default=None)
    refractory: dict[str, np.ndarray] = field(default_factory=dict)
    samples: dict[float, np.ndarray] = field(default_factory=dict)
    agenda: list = field(default_factory=list)
    lifted: dict[tuple[str, int], float] = field(default_factory=dict)

    def __post_init__(self):
        self.y = self.network.start()
        self.refractory = {g: np.zeros(c.group.size, bool) for g, c in self.network.groups.items()}
        self.maxima = Maxima(self.network)
        self.first = self.last = np.full(len(self.network.layout.node), np.nan)
        self._number = 0
        self._tolerance = 8 * np.spacing(self.duration)
        self._left = {g: list(range(len(s.times)))[::-1] for g, s in self.spikes.items()}

    # ---- the agenda ----
    def plan(self, time: float, kind: int, order: tuple, what) -> None:
        """Put something on the agenda."""
        if time < self.duration or (kind == SAMPLE and time <= self.duration):
            self._number += 1
            heapq.heappush(self.agenda, (time, kind, order, self._number, what))

    def send(self, source: str, neuron: int, time: float, move: float) -> list:
        """Plan the arrivals of a spike; return those that are there at once."""
        at_once = []
        for rank, code in enumerate(self.network.pathways):
            if code.part.source != source:
                continue
            synapses = np.flatnonzero(self.network.constants.network.senders(code.part) == neuron)
            delay = self.network.constants.delay(code.part, synapses)
            for late in np.unique(delay.v):
                chosen = np.flatnonzero(delay.v == late)
                what = code, synapses[chosen], move + delay.d[chosen]
                if late == 0:
                    self._check_delay(code, what, source, neuron, delay.d[chosen])
                    at_once.append((rank, what))
                else:
                    self.plan(time + late, ARRIVAL, (rank,), what)
        return at_once

    def _check_delay(self, code: SynapseCode, what, source: str, neuron: int, change) -> None:
        """Refuse to change a delay of 0 of a spike that touches its own neuron."""
        part = code.part
        own = self.network.constants.network.receivers(part)[what[1]] == neuron
        if part.receiver == "post" and part.target == source and np.any(own & (change != 0)):
            raise UnsupportedError(
                f"Synapses '{part.synapses}': forward mode has no tangent of a delay of 0 where a "
                "spike arrives at its own neuron: after its reset it would be another event. Leave "
                "these delays where they are."
            )

    # ---- the trial ----
    def run(self) -> None:
        """Go through all events to the end."""
        self._look(self.y, np.zeros_like(self.last))
        while (time := self._next()) is not None:
            self._flow_to(time)
            before = self.y, self._slope() if self.maxima else None
            self.first = self.last = np.full(len(self.network.layout.node), np.nan)
            due = []
            while self.agenda and self.agenda[0][0] <= time + self._tolerance:
                due.append(heapq.heappop(self.agenda))
            self._act(sorted(due, key=lambda item: item[1:4]))
            self._look(self.y, self.last)
            self._spike()
            self._look(self.y, self.last)
            self._look(before[0], self.first, before[1])
            self.lifted.clear()
        self._flow_to(self.duration)
        self._look(self.y, np.zeros_like(self.last))

    def _look(self, y: np.ndarray, move: np.ndarray, slope: np.ndarray | None = None) -> None:
        """Look at the states beside an event for maxima; those that do not move have no `move`."""
        if self.maxima:
            slope = self._slope() if slope is None else slope
            self.maxima.see(self.t, y, slope, move)

    def _next(self) -> float | None:
        times = [self.agenda[0][0]] if self.agenda else []
        times += [self.spikes[g].times[left[-1]] for g, left in self._left.items() if left]
        return min(times, default=None)

    def _flow_to(self, time: float) -> None:
        if time <= self.t:
            return
        start, y, size = self.t, self.y, self.network.layout.largest

        def flow(t, y):
            return self.network.flow(t, y, self.refractory)

        self.y, self.t = solve(flow, start, time, y, size), time
        if self.maxima:
            self.maxima.between(
                start, y, time, self.y, flow, lambda t: solve(flow, start, t, y, size)
            )

    def _act(self, due) -> None:
        for time, kind, _, _, what in due:
            if kind == SAMPLE:
                self.samples[time] = self.network.coupled(self.y, Dual(self.t))
            elif kind == CELL:
                with self._watching(0.0):
                    constants = self.network.constants
                    self.network.take(constants.at_cells({**constants.cells, **what}))
            elif kind == REGULAR:
                code, block = what
                move = np.zeros(len(self.network.layout.node))
                self._jump(move, lambda y, c=code, b=block: self._write(c, b, y, slice(None), 0.0))
            elif kind == RELEASE:
                self._release(*what)
            else:
                self._arrive(*what)

    # ---- jumps ----
    def _jump(self, move: np.ndarray, code) -> None:
        """Move the states to an event, let `code` change them, and move them back."""
        before = self._slope()
        self.last = np.where(np.isnan(move), self.last, move)
        self.first = np.where(np.isnan(self.first), move, self.first)
        move = np.nan_to_num(move)
        moved = self.y.copy()
        moved[1] += before * move
        after = code(moved.copy())
        written = np.any(after != moved, axis=0)
        groups = {g: left for g, left in self._left.items() if self._is_due(g)}
        was = {g: self.network.above(self.network.groups[g], self.y, self.t) for g in groups}
        found = np.where(written, after, self.y)
        kept, self.y = self.y, found
        slope = self._slope()
        self.y = found.copy()
        self.y[1] = np.where(written, after[1] - slope * move, kept[1] + (before - slope) * move)
        for g in groups:
            self._note(g, was[g], move)

    def _slope(self) -> np.ndarray:
        return self.network.flow(self.t, self.y, self.refractory)[0]

    def _is_due(self, group: str) -> bool:
        """Whether a group has spikes at this very time."""
        left, given = self._left.get(group), self.spikes.get(group)
        return bool(left) and given.times[left[-1]] <= self.t + self._tolerance

    def _note(self, group: str, was: np.ndarray, move: np.ndarray) -> None:
        """Note which neurons something has lifted over their threshold, and how that moves."""
        code, layout = self.network.groups[group], self.network.layout
        now = self.network.above(code, self.y, self.t)
        by_node = np.zeros(layout.node.max(initial=-1) + 1)
        by_node[layout.node] = move
        for neuron in np.flatnonzero(now & ~was):
            self.lifted[group, neuron] = by_node[layout.first[group] + neuron]
        for neuron in np.flatnonzero(was & ~now):
            self.lifted.pop((group, neuron), None)

    def _watching(self, move: float):
        return _Watch(self, move)

    def _moves(self, owner: str, members: np.ndarray, moves) -> np.ndarray:
        """Return how much states move if these neurons do, and all coupled to them; others NaN."""
        layout = self.network.layout
        if self.network.couplings:
            return np.full(len(layout.node), float(np.ravel(moves)[0]))
        by_node = np.full(layout.node.max(initial=-1) + 1, np.nan)
        by_node[layout.first[owner] + members] = moves
        return by_node[layout.node]

    def _write(self, code: GroupCode, block, y: np.ndarray, neurons, move: float) -> np.ndarray:
        """Run statements of a group for some of its neurons, in the row of values and tangents."""
        network = self.network
        names = network.names(code, network.coupled(y, Dual(self.t, move)), Dual(self.t, move))
        names = run(block, names)
        for target in dict.fromkeys(name for name, _ in block):
            slot = network.layout.slots.get((code.name, target))
            if slot is not None:
                value, rows = dual(names[target]), np.empty((2, code.group.size))
                rows[0], rows[1] = value.v, value.d
                y[:, np.arange(slot.start, slot.stop)[neurons]] = rows[:, neurons]
        return y

    # ---- arrivals ----
    def _arrive(self, code: SynapseCode, synapses: np.ndarray, moves: np.ndarray) -> None:
        """Deliver a spike by some synapses: together where each has a neuron of its own."""
        part, network = code.part, self.network.constants.network
        receivers = network.receivers(part)[synapses]
        own = part.pre_group or part.others or self.network.couplings
        if own or len(np.unique(receivers)) < len(receivers):
            for k in range(len(synapses)):
                self._deliver(code, synapses[k : k + 1], moves[k : k + 1])
        else:
            self._deliver(code, synapses, moves)

    def _deliver(self, code: SynapseCode, synapses: np.ndarray, moves: np.ndarray) -> None:
        part, constants = code.part, self.network.constants
        receivers = constants.network.receivers(part)[synapses]
        move = self._moves(part.target, receivers, moves)
        if part.pre_group and not self.network.couplings:
            touched = constants.network.touched(part)[synapses]
            other = self._moves(part.pre_group, touched, moves)
            move = np.where(np.isnan(move), other, move)
        for name in code.places:  # of synapses, which stand still between events
            symbol = part.symbols[name]
            if not symbol.side and part.synapses not in self.network.groups:
                move[code.places[name][synapses]] = moves

        def act(y):
            t = Dual(np.full(len(synapses), self.t), moves)
            settled = self.network.coupled(y, Dual(self.t, float(moves[0])))
            own = part.symbols
            names = {
                name: value[synapses] if np.ndim(value.v) and own[name].kind != "shared" else value
                for name, value in self.network.of_synapses[part.name].items()
            }
            names |= {name: Dual(*settled[:, at[synapses]]) for name, at in code.places.items()}
            names = run(code.block, names | {"t": t})
            held = self.network.held(self.refractory)
            for target in dict.fromkeys(name for name, _ in code.block):
                if target in code.places:
                    value, places = dual(names[target]), code.places[target][synapses]
                    y[0, places] = np.where(held[places], y[0, places], value.v)
                    y[1, places] = np.where(held[places], y[1, places], value.d)
            return y

        self._jump(move, act)

    # ---- spikes ----
    def _spike(self) -> None:
        """Let neurons spike that do so now, those that they lift over the threshold after them."""
        while ready := self._ready():
            at_once = []
            for group, spike, neuron, move in ready:
                self.spikes[group].moves[spike] = move
                at_once += self.send(group, neuron, self.t, move)
            for _, what in sorted(at_once, key=lambda item: item[0]):
                self._arrive(*what)
            for group, _, neuron, move in ready:
                self.lifted.pop((group, neuron), None)
                self._reset(self.network.groups[group], neuron, move)
        for group, left in self._left.items():
            if left and self._is_due(group):
                neuron = self.spikes[group].neurons[left[-1]]
                raise RuntimeError(
                    f"forward mode lost the run: neuron {neuron} of '{group}' spikes at "
                    f"{self.t:.17g} s, where it is not at its threshold"
                )

    def _ready(self) -> list[tuple[str, int, int, float]]:
        """Return the spikes of now whose neurons are at or over the threshold, and their moves."""
        found = []
        for group, left in self._left.items():
            due = [k for k in left if self.spikes[group].times[k] <= self.t + self._tolerance]
            for spike in sorted(due):
                neuron = int(self.spikes[group].neurons[spike])
                if any(f[0] == group and f[2] == neuron for f in found):
                    continue
                move = self.lifted.get((group, neuron))
                if move is None:
                    move = self._crossing(self.network.groups[group], neuron)
                if move is not None:
                    found.append((group, spike, neuron, move))
        for group, spike, _, _ in found:
            self._left[group].remove(spike)
        return found

    def _crossing(self, code: GroupCode, neuron: int) -> float | None:
        """Return how a crossing by the flow moves, -dg/g', or None if there is none here."""
        network, t = self.network, self.t
        along = np.stack([self.y[0], self._slope()])
        names = network.names(code, network.coupled(self.y, Dual(t)), Dual(t))
        flowing = network.names(code, network.coupled(along, Dual(t, 1.0)), Dual(t, 1.0))
        flowing |= {n: Dual(x.v) for n, x in network.of_group[code.name].items()}
        best = None
        for difference in code.crossings:
            g = _of(difference(names), neuron)
            slope = _of(difference(flowing), neuron).d
            if slope == 0:
                continue
            size = self._size(difference, names, neuron)
            if best is None or abs(g.v / slope) < best[0]:
                best = abs(g.v / slope), abs(g.v) <= _NEAR * size, -g.d / slope
        return best[2] if best is not None and best[1] else None

    def _size(self, difference, names: dict, neuron: int) -> float:
        values = [_of(names[n], neuron).v for n in difference.names if n in names and n != "t"]
        return max(map(abs, values), default=1.0) or 1.0

    def _reset(self, code: GroupCode, neuron: int, move: float) -> None:
        """Reset a neuron, and begin its refractory period."""
        one = np.array([neuron])
        states = self._moves(code.name, one, move)
        planned = []

        def act(y):
            y = self._write(code, code.reset, y, one, move)
            if code.period is not None:
                names = self.network.names(code, y, Dual(self.t, move))
                period = _of(code.period(names), neuron)
                if period.v > 0:
                    self.refractory[code.name] = self.refractory[code.name].copy()
                    self.refractory[code.name][neuron] = True
                    planned.append((self.t + period.v, move + period.d))
            return y

        self._jump(states, act)
        if self._is_due(code.name) and self.network.above(code, self.y, self.t)[neuron]:
            self.lifted[code.name, neuron] = move  # it spikes again at once
        for time, later in planned:
            self.plan(time, RELEASE, (code.name, neuron), (code.name, neuron, later))

    def _release(self, group: str, neuron: int, move: float) -> None:
        """End a refractory period."""
        was = self.network.above(self.network.groups[group], self.y, self.t)
        if self._is_due(group):
            was = was & ~self.refractory[group]

        def act(y):
            self.refractory[group] = self.refractory[group].copy()
            self.refractory[group][neuron] = False
            return y

        states = self._moves(group, np.array([neuron]), move)
        self._jump(states, act)
        if self._is_due(group):
            self._note(group, was, states)


class _Watch:
    """Notes what a change of constants lifts over the threshold."""

    def __init__(self, trial: EventTrial, move: float):
        self.trial, self.move = trial, move

    def __enter__(self):
        trial = self.trial
        groups = [g for g in trial._left if trial._is_due(g)]
        self.was = {
            g: trial.network.above(trial.network.groups[g], trial.y, trial.t) for g in groups
        }

    def __exit__(self, *error):
        del error
        move = np.full(len(self.trial.network.layout.node), self.move)
        for group, was in self.was.items():
            self.trial._note(group, was, move)


def _of(value, neuron: int) -> Dual:
    """Return the value of one neuron."""
    value = dual(value)
    if np.ndim(value.v):
        return value[neuron]
    return Dual(float(value.v), float(np.ravel(value.d)[0]))
