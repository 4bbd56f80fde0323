"""A second, slow implementation of the clock solver: dense numpy, forward-mode derivatives.

It works from a `NetworkSpec` and its `NetworkValues`, keeps the state of every step, takes the
derivative of every expression with `helpers.dense.dual`, and follows the rules of the clock-driven
adjoint one neuron and one arrival at a time.  One trial, float64.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from helpers.dense.scope import Scope


@dataclass
class Spike:
    """A spike; ``d_arrivals`` is the sum of dL/dt_a over its arrivals."""

    source: str
    neuron: int
    step: int
    index: int = -1  # of an input spike, in the given arrays
    d_arrivals: float = 0.0
    before: np.ndarray | None = None  # the state before and after the reset
    after: np.ndarray | None = None


@dataclass
class Arrival:
    """One spike reaching one synapse's target; states of the target before and after."""

    pathway: object
    synapse: int
    target: int
    spike: Spike
    before: np.ndarray | None = None
    after: np.ndarray | None = None


@dataclass
class DenseResult:
    """Spikes per group ``(i, t)``, readout arrays, gradients per key and per input spike."""

    spikes: dict
    readouts: tuple
    loss: float = 0.0
    gradients: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    grazing: int = 0
    dropped: int = 0
    immediate: int = 0


class _Group:
    """State and history of one group during a trial."""

    def __init__(self, spec, values, trained, dt):
        self.spec, self.states = spec, tuple(spec.states)
        self.name, self.size = spec.name, spec.size
        self.scope = Scope(spec.symbols, self.states, values, trained, dt)
        self.frozen_rows = np.array([s in spec.frozen for s in self.states], dtype=bool)
        self.x = np.array(
            [np.broadcast_to(values[spec.name, s], (self.size,)) for s in self.states], dtype=float
        ).reshape(len(self.states), self.size)
        self.everyone = self.where(np.arange(self.size))
        self.refractory_steps = self._refractory_steps(dt)
        self.released_at = np.zeros(self.size, dtype=int)  # first step at which it is free again
        self.history, self.updated, self.free, self.free_after = [], [], [], []

    def _refractory_steps(self, dt):
        if self.spec.refractory is None:
            return None
        period = self.scope.value(self.spec.refractory, self.x, 0.0, self.everyone)
        return ((period + 1e-3 * dt) / dt).astype(int)

    def where(self, neurons):
        """Indices in the form that `Scope` wants."""
        return {"": np.asarray(neurons)}

    def slopes(self, x, t, neurons, free):
        """f(x, t) of some neurons, ``x (S, m)``, ``free (m,)``: frozen states stand still."""
        f = np.zeros_like(x)
        for row, state in enumerate(self.states):
            if state in self.spec.derivatives:
                rhs = self.spec.derivatives[state]
                f[row] = self.scope.value(rhs, x, t, self.where(neurons))
        f[np.ix_(self.frozen_rows, ~np.asarray(free, dtype=bool))] = 0.0
        return f

    def blocked(self, neuron, step):
        """States that an arrival of this step may not write."""
        return () if self.free_after[step][neuron] else self.spec.frozen


class DenseOracle:
    """Forward and backward pass of one trial.

    Parameters
    ----------
    spec, values : NetworkSpec, NetworkValues
    keys : iterable of Key
        What to differentiate with respect to.
    duration : float
        In seconds.
    spikes : dict of str to (indices, times), optional
        Input spikes; those that the network holds where not given.
    """

    def __init__(self, spec, values, keys, duration, spikes=None):
        self.spec, self.dt = spec, spec.dt
        self.values = {k: np.atleast_1d(np.asarray(v, float)) for k, v in values.values.items()}
        self.keys, self.pre, self.post = tuple(keys), values.pre, values.post
        self.steps = int(round(duration / spec.dt))
        given = {**{k: v for k, v in values.spikes.items() if v is not None}, **(spikes or {})}
        trained = set(self.keys)
        self.groups = {g.name: _Group(g, self.values, trained, self.dt) for g in spec.groups}
        self.path_scopes, self.delay_steps = {}, {}
        for p in spec.pathways:
            states = self.groups[p.target].states
            self.path_scopes[p.name] = Scope(
                p.symbols, states, self.values, trained, self.dt, side="post"
            )
            delay = np.broadcast_to(self.values[p.delay], (p.size,))
            self.delay_steps[p.name] = (delay / self.dt + 0.5).astype(int)
        self.outgoing = {p.name: _by_source(self.pre[p.name]) for p in spec.pathways}
        self.readout_scopes = [
            Scope(r.symbols, self.groups[r.group].states, self.values, trained, self.dt)
            for r in spec.readouts
        ]
        self.input_spikes = {name: _input_bins(*given[name], self.dt) for name in given}
        self.input_sizes = {name: len(given[name][0]) for name in given}
        self.spikes_at = [[] for _ in range(self.steps)]  # neurons' spikes, step by step
        self.arrivals_at = [[] for _ in range(self.steps)]

    # ------------------------------------------------------------------ forward
    def forward(self):
        """Run the trial; return the readout values, one array per readout."""
        due = {p.name: defaultdict(list) for p in self.spec.pathways}
        for n in range(self.steps):
            t = n * self.dt
            fired = defaultdict(list)
            for group in self.groups.values():
                for neuron in self._advance(group, n, t):
                    fired[group.name].append(Spike(group.name, int(neuron), n))
            for name, bins in self.input_spikes.items():
                fired[name] = [Spike(name, neuron, n, index) for neuron, index in bins.get(n, ())]
            for p in self.spec.pathways:
                self._deliver(p, n, t, fired[p.source], due[p.name])
            for group in self.groups.values():
                self._reset(group, t, fired[group.name])
                self.spikes_at[n] += fired[group.name]
        return tuple(
            self._readout(r, s)
            for r, s in zip(self.spec.readouts, self.readout_scopes, strict=True)
        )

    def _advance(self, group, n, t):
        spec, x, everyone = group.spec, group.x, group.everyone
        free = n >= group.released_at
        y = group.scope.run(spec.update, x, t, everyone)
        if group.refractory_steps is not None:
            y = np.where(free, y, group.scope.run(spec.update_refractory, x, t, everyone))
        group.history.append(x)
        group.updated.append(y)
        group.free.append(free)
        spiked = np.zeros(group.size, dtype=bool)
        if spec.threshold is not None:
            spiked = group.scope.value(spec.threshold, y, t, everyone).astype(bool) & free
        neurons = np.flatnonzero(spiked)
        if group.refractory_steps is not None:
            group.released_at[neurons] = n + np.maximum(group.refractory_steps[neurons], 1)
            free = free & ~spiked
        group.free_after.append(free)
        group.x = y.copy()
        return neurons

    def _deliver(self, pathway, n, t, fired, due):
        delays = self.delay_steps[pathway.name]
        for spike in fired:
            for synapse in self.outgoing[pathway.name].get(spike.neuron, ()):
                due[n + delays[synapse]].append((spike, synapse))
        group, scope = self.groups[pathway.target], self.path_scopes[pathway.name]
        for spike, synapse in due.pop(n, ()):
            k = int(self.post[pathway.name][synapse])
            arrival = Arrival(pathway, synapse, k, spike, before=group.x[:, [k]].copy())
            arrival.after = scope.run(
                pathway.statements,
                arrival.before,
                t,
                self.place_of(pathway, synapse),
                group.blocked(k, n),
            )
            group.x[:, [k]] = arrival.after
            self.arrivals_at[n].append(arrival)

    def place_of(self, pathway, synapse):
        pre, post = self.pre[pathway.name][synapse], self.post[pathway.name][synapse]
        return {
            "": np.array([synapse]),
            "synapse": np.array([synapse]),
            pathway.synapses: np.array([synapse]),
            "pre": np.array([pre]),
            "post": np.array([post]),
        }

    def _reset(self, group, t, fired):
        for spike in fired:
            spike.before = group.x[:, [spike.neuron]].copy()
            spike.after = group.scope.run(
                group.spec.reset, spike.before, t, group.where([spike.neuron])
            )
            group.x[:, [spike.neuron]] = spike.after

    # ------------------------------------------------------------------ readouts
    def _readout(self, readout, scope):
        group = self.groups[readout.group]
        neurons = np.arange(readout.start, readout.stop)
        if readout.kind in ("spike_times", "spike_count"):
            return self._spike_readout(readout, scope, group, neurons)
        if readout.kind == "final":
            return self.measure(readout, scope, group.x, self.steps)
        if readout.kind == "value" and isinstance(readout.at, tuple):
            each = [self._readout(single, scope) for single in single_values(readout)]
            return np.stack(each, axis=-1)
        if readout.kind == "value":
            step = round(readout.at / self.dt)
            return self.measure(readout, scope, group.history[step], step)
        series = np.array([self.measure(readout, scope, x, n) for n, x in enumerate(group.history)])
        return series.sum(axis=0) * self.dt if readout.kind == "integral" else series.max(axis=0)

    def measure(self, readout, scope, x, n):
        neurons = np.arange(readout.start, readout.stop)
        return scope.value(readout.expression, x[:, neurons], n * self.dt, {"": neurons}).astype(
            float
        )

    def _spike_readout(self, readout, scope, group, neurons):
        first = readout.kind == "spike_times" and readout.which == "first"
        values = np.full(len(neurons), np.inf if first else 0.0)
        for step in self.spikes_at:
            for spike in step:
                k = spike.neuron - readout.start
                if spike.source != readout.group or not 0 <= k < len(neurons):
                    continue
                value = 1.0
                if readout.kind == "spike_times":
                    value = float(self.at_spike(readout, scope, spike).value)
                if not first:
                    values[k] += value
                elif np.isinf(values[k]):
                    values[k] = value
        return values

    def at_spike(self, readout, scope, spike):
        x = self.groups[readout.group].updated[spike.step][:, [spike.neuron]]
        args = (readout.expression, x, spike.step * self.dt, {"": np.array([spike.neuron])})
        jacobian = scope.jacobian(*args)
        jacobian.value = scope.value(*args)[0]
        return jacobian

    def spike_trains(self):
        """Spikes of every group, ``(i, t)``, as a `SpikeMonitor` records them."""
        trains = {}
        for name in self.groups:
            spikes = [s for step in self.spikes_at for s in step if s.source == name]
            indices = np.array([s.neuron for s in spikes], dtype=int)
            trains[name] = indices, np.array([s.step * self.dt for s in spikes])
        return trains


def _by_source(pre):
    outgoing = defaultdict(list)
    for synapse, source in enumerate(pre):
        outgoing[int(source)].append(synapse)
    return outgoing


def _input_bins(indices, times, dt):
    """Step -> [(neuron, position in the given arrays)], by time, then neuron."""
    indices, times = np.asarray(indices, dtype=int), np.asarray(times, dtype=float)
    bins = defaultdict(list)
    for position in np.lexsort((indices, times)):
        step = int((times[position] + 1e-3 * dt) / dt)
        bins[step].append((int(indices[position]), int(position)))
    return bins


def single_values(readout):
    """The readout of each time of a value at many; infinity is the end of a trial."""
    for at in readout.at:
        yield replace(readout, kind="final" if at == np.inf else "value", at=at)
