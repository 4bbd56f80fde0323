"""Tangents of one trial on Brian2's time grid: step by step, with the jumps of docs/gradient.md.

What Brian2 computes is differentiated as it is.  The time of a spike is a number of the grid, which
does not move; how the crossing within the step moves is the slope rule's, and each event then acts
as in exact time: with f before and after it, both taken on the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.forward.code import run, statements
from brian_eventprop.forward.duals import Dual, dual
from brian_eventprop.forward.grid.maxima import GridMaxima, Sums
from brian_eventprop.forward.grid.upstrokes import History, Upstrokes, driven_states, entries
from brian_eventprop.forward.guards import Guard, guard_of
from brian_eventprop.forward.layout import INTEGRAL
from brian_eventprop.forward.network import GroupCode, Network, SynapseCode


@dataclass(frozen=True)
class GridSpikes:
    """Spikes of a group or an input in one trial by time step, and how they move."""

    steps: np.ndarray
    neurons: np.ndarray
    moves: np.ndarray


@dataclass
class ClockTrial:
    """One trial.

    Attributes
    ----------
    network
        The network with its parameters and their tangents.
    spikes
        The spikes of each group in the run; their moves are found here.
    n_steps
        How many time steps there are.
    after
        The pathways whose arrivals come after the resets of their step.
    wanted
        The steps at which states are sampled.
    upstrokes
        The true flow of explosive spikes; None if there are none, or while they are looked for.
    sums
        By group, the states to which what arrives in a step is added at once.
    """

    network: Network
    spikes: Mapping[str, GridSpikes]
    n_steps: int
    after: frozenset[str]
    wanted: frozenset[int]
    upstrokes: Upstrokes | None = None
    sums: Mapping[str, Sums] = field(default_factory=dict)
    y: np.ndarray = field(default=None)
    samples: dict[int, np.ndarray] = field(default_factory=dict)
    due: dict[int, list] = field(default_factory=dict)

    def __post_init__(self):
        groups = self.network.groups
        self.y, self.dt = self.network.start(), self.network.spec.dt
        self.refractory = {g: np.zeros(c.group.size, bool) for g, c in groups.items()}
        self.free = {g: np.zeros(c.group.size, np.int64) for g, c in groups.items()}
        self.released = {g: np.zeros(c.group.size) for g, c in groups.items()}
        self.lifted: dict[tuple[str, int], float] = {}
        self.guards: dict[str, Guard] = {g: guard_of(c.group) for g, c in groups.items()}
        self.updates = {
            g: (statements(c.group.update), statements(c.group.update_refractory))
            for g, c in groups.items()
        }
        self.long: dict[tuple[str, int], bool] = {}
        self.now: dict[str, dict[int, float]] = {}
        self.crossed = self.y
        #: By how much states have jumped in this step, times how much later.
        self.jumped = np.zeros(self.y.shape[1])
        self._order = 0
        self.maxima = GridMaxima(self, self.sums)
        #: The states by group that drive themselves to the threshold.
        self.driven = {g: driven_states(self, g) for g in groups}
        self.history = History() if any(self.driven.values()) and not self.upstrokes else None

    # ---- arrivals ----
    def send(self, source: str, neuron: int, step: int, move: float) -> None:
        """Plan the arrivals of a spike."""
        constants = self.network.constants
        for rank, code in enumerate(self.network.pathways):
            part = code.part
            if part.source != source:
                continue
            self._order += 1
            for k in np.flatnonzero(constants.network.senders(part) == neuron):
                delay = constants.delay(part, k)
                late = int(delay.v / self.dt + 0.5)
                what = code, int(k), move + delay.d
                self.due.setdefault(step + late, []).append((rank, self._order, late, k, what))

    # ---- the trial ----
    def run(self) -> None:
        """Go through all time steps."""
        for n in range(self.n_steps):
            self._step(n)
        self.jumped[:] = 0.0  # sums are read once more, and no time passes then
        if self.maxima:
            self.maxima.end()
        self._settle(self.n_steps * self.dt)
        self.samples[self.n_steps] = self.y

    def _step(self, n: int) -> None:
        t = n * self.dt
        self.network.take(self.network.constants.at_step(n))
        ended = {}
        for g, free in self.free.items():
            still = n < free
            ended[g] = np.flatnonzero(self.refractory[g] & ~still)
            self.refractory[g] = still
        self._settle(t)
        for g, longer in ended.items():
            self._release(g, longer, t)
        if self.upstrokes:
            self.y = self.upstrokes.begin(self, n)
        if n in self.wanted:
            self.samples[n] = self.y
        if self.maxima:
            self.maxima.sample(n)
        before = self.y
        self.y = self.crossed = self._updated(t)
        if self.history:
            self.history.grid.append(before[0])
            self.history.updated.append(self.y[0])
        if self.upstrokes:
            self.y = self.upstrokes.follow(self, n, before, self.y)
            self.crossed = self.upstrokes.at_crossing(self, n, self.y)
        self.now = self._crossings(n, before)
        if self.maxima:
            self._cross_maxima(n, before)
        self.lifted = {(g, j): move for g, own in self.now.items() for j, move in own.items()}
        for g, own in self.now.items():
            for j, move in own.items():
                if self.network.groups[g].period is not None:
                    self.refractory[g][j] = True
                self.send(g, j, n, move)
        arrivals = [item[-1] for item in sorted(self.due.pop(n, []), key=lambda a: a[:4])]
        for what in arrivals:
            if what[0].part.name not in self.after:
                self._deliver(*what, n)
        for g, own in self.now.items():
            for j, move in own.items():
                self._reset(self.network.groups[g], j, move, n)
        for what in arrivals:
            if what[0].part.name in self.after:
                self._deliver(*what, n)

    def _cross_maxima(self, n: int, before: np.ndarray) -> None:
        """Let crossings end maxima."""
        for g, own in self.now.items():
            code = self.network.groups[g]
            start = self.guards[g](
                self.network.names(code, before, Dual((n - 1) * self.dt)), code.group.size
            ).v
            for j in own:
                self.maxima.cross(g, j, n, self.crossed[0], start[j] > 0)
        self.maxima.begin_events(n)

    def _settle(self, t: float) -> None:
        """Compute the sums of other states, at the beginning of a step.

        An event of the step before that came later by its move made a jump later, too, so that
        sums of this step, per time, have less of it: as much as the move is of a step.
        """
        network = self.network
        if not network.couplings:
            return
        moved = np.stack([self.y[0], self.y[1] - self.jumped / self.dt])
        sums = network.coupled(moved, Dual(t))
        self.y, self.jumped = self.y.copy(), np.zeros_like(self.jumped)
        for code in network.couplings:
            slot = network.layout.slots[code.part.receiver, code.part.state]
            self.y[:, slot] = sums[:, slot]

    def _release(self, group: str, neurons: np.ndarray, t: float) -> None:
        """Let the ends of refractory periods move: f changes there."""
        longer = [j for j in neurons if self.long[group, j]]
        if not longer:
            return
        frozen = self.all_free(group)
        free = self._flow(t, self.y, frozen)[0]
        frozen[group][longer] = True
        still = self._flow(t, self.y, frozen)[0]
        if self.maxima:
            n = int(np.rint(t / self.dt))
            self.maxima.release(group, longer, n, self.released[group][longer])
        move = self._moves(group, np.array(longer), self.released[group][longer])
        self.y = np.stack([self.y[0], self.y[1] + (still - free) * np.nan_to_num(move)])

    def _updated(self, t: float) -> np.ndarray:
        """Return the states after Brian2's state update, and the integrals."""
        network, found = self.network, self.y.copy()
        rates = self._flow(t, self.y, self.refractory)
        for (owner, _), slot in network.layout.slots.items():
            if owner == INTEGRAL:
                found[:, slot] += self.dt * rates[:, slot]
        for g, code in network.groups.items():
            names, still = network.names(code, self.y, Dual(t)), self.refractory[g]
            free, frozen = (run(block, names) for block in self.updates[g])
            for state in code.group.states:
                slot, held = network.layout.slots[g, state], state in code.group.frozen
                one, other = dual(free[state]), dual(names[state] if held else frozen[state])
                found[0, slot] = np.where(still, other.v, one.v)
                found[1, slot] = np.where(still, other.d, one.d)
        return found

    # ---- spikes ----
    def _crossings(self, n: int, before: np.ndarray) -> dict[str, dict[int, float]]:
        """Return the neurons that spike in step n by group, and how their crossings move."""
        found = {}
        for g, given in self.spikes.items():
            for k in np.flatnonzero(given.steps == n):
                neuron = int(given.neurons[k])
                move = self._crossing(g, neuron, n, before)
                given.moves[k] = found.setdefault(g, {})[neuron] = move
        return found

    def _crossing(self, group: str, neuron: int, n: int, before: np.ndarray) -> float:
        code, guard, t = self.network.groups[group], self.guards[group], n * self.dt
        network = self.network
        start = guard(network.names(code, before, Dual(t - self.dt)), code.group.size)[neuron]
        if self.upstrokes and (group, neuron, n) in self.upstrokes.by_spike:
            return self.upstrokes.by_spike[group, neuron, n].move
        if start.v > 0:
            if self.history:
                self.history.above.add((group, neuron, n))
            if n > 0 and code.period is not None and n - 1 < self.free[group][neuron]:
                return self.released[group][neuron]
            return self.lifted.get((group, neuron), 0.0)
        at_crossing = guard(network.names(code, self.y, Dual(t)), code.group.size)[neuron]
        # the slope of the part of the threshold that decides
        slopes = self._slope_at(t, self.y, self.all_free(group))
        along = network.names(code, np.stack([self.y[0], slopes]), Dual(t, 1.0))
        along |= {name: Dual(x.v) for name, x in network.of_group[group].items()}
        slope = guard(along, code.group.size)[neuron].d
        slope = max(slope, (at_crossing.v - start.v) / self.dt)
        return -at_crossing.d / slope

    def all_free(self, group: str) -> dict:
        """Return which neurons are refractory if none of a group is."""
        return {**self.refractory, group: np.zeros_like(self.refractory[group])}

    def _reset(self, code: GroupCode, neuron: int, move: float, n: int) -> None:
        """Reset a neuron; what that costs by coming later is taken at the crossing."""
        g, t = code.name, n * self.dt
        own = self._moves(g, np.array([neuron]), 1.0) == 1.0
        free = self.all_free(g)
        crossing = np.stack([self.crossed[0], self._slope_at(t, self.crossed, free)])
        made = self._written(code, crossing, neuron, Dual(t, 1.0), plain=True)
        key = g, neuron, n
        places, _ = entries(self.network.layout, g, neuron)
        if self.history:
            self.history.before[key] = self.y[0, places]
        if self.upstrokes:
            self.y = self.upstrokes.before_reset(self, key, self.y)
        self.y = self._written(code, self.y, neuron, Dual(t), plain=False)
        if code.period is not None:
            names = self.network.names(code, self.y, Dual(t))
            period = dual(code.period(names))
            period = period[neuron] if np.ndim(period.v) else period
            steps = min((float(period.v) + 1e-3 * self.dt) / self.dt, 2.0**31)
            steps = max(int(steps), 1)
            self.free[g][neuron] = n + steps
            self.released[g][neuron] = move + float(np.ravel(period.d)[0])
            self.long[g, neuron] = steps > 1
            free[g][neuron] = steps > 1
        self.jumped += (made[0] - crossing[0]) * move
        if self.maxima:
            self.maxima.reset(g, neuron, move, made[0], free)
        later = made[1] - self._slope_at(t, made, free)
        self.y = np.stack([self.y[0], self.y[1] + np.where(own, later * move, 0.0)])
        if self.history:
            self.history.after[key] = self.y[0, places]
            self.history.free[key] = self.free[g][neuron] if code.period is not None else n + 1
        if self.upstrokes:
            self.y = self.upstrokes.after_reset(self, key, self.y)

    def _flow(self, t: float, y: np.ndarray, refractory: Mapping) -> np.ndarray:
        """Return dy/dt; the sums of other states are those of the beginning of the step."""
        return self.network.flow(t, y, refractory, settled=True)

    def _slope_at(self, t: float, y: np.ndarray, refractory: Mapping) -> np.ndarray:
        return self._flow(t, y, refractory)[0]

    def _written(self, code: GroupCode, y: np.ndarray, neuron: int, t: Dual, plain: bool):
        """Return the states after the reset of a neuron; ``plain`` leaves parameters at rest."""
        names = self.network.names(code, y, t)
        if plain:
            names |= {name: Dual(x.v) for name, x in self.network.of_group[code.name].items()}
        names, y = run(code.reset, names), y.copy()
        for target in dict.fromkeys(name for name, _ in code.reset):
            slot = self.network.layout.slots.get((code.name, target))
            if slot is not None:
                value = dual(names[target])
                y[0, slot.start + neuron] = np.broadcast_to(value.v, code.group.size)[neuron]
                y[1, slot.start + neuron] = np.broadcast_to(value.d, code.group.size)[neuron]
        return y

    # ---- deliveries ----
    def _deliver(self, code: SynapseCode, k: int, move: float, n: int) -> None:
        part, network, t = code.part, self.network.constants.network, n * self.dt
        receiver = int(network.receivers(part)[k])
        moves = self._moves(part.target, np.array([receiver]), move)
        if part.pre_group:
            touched = int(network.touched(part)[k])
            moves = np.fmax(moves, self._moves(part.pre_group, np.array([touched]), move))
        for name, places in code.places.items():
            if not part.symbols[name].side and part.synapses not in self.network.groups:
                moves[places[k]] = move
        moves = np.nan_to_num(moves)
        watched = self._watched(part.target, receiver, n)
        was = self._guard_after(part.target, receiver, t) if watched else 0.0
        slope = self._slope_at(t, self.y, self.refractory)
        moved = np.stack([self.y[0], self.y[1] + slope * moves])
        after = self._run(code, k, moved, Dual(t, move))
        then = self._slope_at(t, after, self.refractory)
        written = np.any(after != moved, axis=0)
        self.jumped += (after[0] - moved[0]) * moves
        if self.maxima:
            self.maxima.arrive(part.target, receiver, moved[0], after[0], move)
        kept = self.y[1] + (slope - then) * moves
        self.y = np.stack([after[0], np.where(written, after[1] - then * moves, kept)])
        if watched and was <= 0 < self._guard_after(part.target, receiver, t):
            self.lifted[part.target, receiver] = move

    def _watched(self, group: str, neuron: int, n: int) -> bool:
        """Whether a neuron spikes in the next step, so that it matters what lifts it."""
        given = self.spikes.get(group)
        return given is not None and bool(
            np.any((given.steps == n + 1) & (given.neurons == neuron))
        )

    def _guard_after(self, group: str, neuron: int, t: float) -> float:
        """Return g of a neuron, after its reset if it spikes in this step."""
        code, y = self.network.groups[group], self.y
        if neuron in self.now.get(group, {}):
            y = self._written(code, y, neuron, Dual(t), plain=True)
        names = self.network.names(code, y, Dual(t))
        return float(self.guards[group](names, code.group.size)[neuron].v)

    def _run(self, code: SynapseCode, k: int, y: np.ndarray, t: Dual) -> np.ndarray:
        """Return the states after the code of a synapse; what is frozen stays."""
        part, y = code.part, y.copy()
        names = {
            name: value[k] if np.ndim(value.v) and part.symbols[name].kind != "shared" else value
            for name, value in self.network.of_synapses[part.name].items()
        }
        names |= {name: Dual(*y[:, at[k]]) for name, at in code.places.items()}
        names = run(code.block, names | {"t": t})
        held = self.network.held(self.refractory)
        for target in dict.fromkeys(name for name, _ in code.block):
            if target in code.places and not held[code.places[target][k]]:
                value = dual(names[target])
                y[:, code.places[target][k]] = value.v, value.d
        return y

    def _moves(self, owner: str, members: np.ndarray, moves) -> np.ndarray:
        layout = self.network.layout
        by_node = np.full(layout.node.max(initial=-1) + 1, np.nan)
        by_node[layout.first[owner] + members] = moves
        return by_node[layout.node]
