"""The tangents of a run: of its readouts and spike times, in a direction of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.forward.code import compiled, statements
from brian_eventprop.forward.duals import Dual, dual
from brian_eventprop.forward.event import (
    ARRIVAL,
    CELL,
    REGULAR,
    SAMPLE,
    EventTrial,
    GivenSpikes,
)
from brian_eventprop.forward.grid import ClockTrial, GridSpikes, Sums, find_upstrokes
from brian_eventprop.forward.layout import Constants
from brian_eventprop.forward.network import Network
from brian_eventprop.forward.readouts import (
    check_readouts,
    sample_times,
    spike_readout,
    state_readout,
)
from brian_eventprop.forward.supported import check_no_maxima, check_on_grid, check_supported
from brian_eventprop.reading.spec import Key, NetworkSpec, NetworkValues


@dataclass(frozen=True)
class Run:
    """What forward mode needs of a run; all arrays are in SI units.

    Attributes
    ----------
    spec, network
        The network, and which neurons its synapses connect.
    values
        What the run computed with, by key.
    tangents
        The direction: a derivative of some of them, by key.
    inputs
        For each input and trial, its spikes and how their times move.
    spikes
        For each group and trial, the times and neurons of its spikes.
    timed
        The values of each `TimedArray`, (trials or 1, cells, columns).
    duration
        The end of a trial.
    readouts
        The values of the readouts, (trials, ...).
    after
        On the time grid, the pathways whose arrivals come after the resets of their step; None in
        exact time.
    sums
        On the time grid, by group, the states to which what arrives in a step is added at once.
    """

    spec: NetworkSpec
    network: NetworkValues
    values: Mapping[Key, np.ndarray]
    tangents: Mapping[Key, np.ndarray]
    inputs: Mapping[str, tuple[GivenSpikes, ...]]
    spikes: Mapping[str, tuple[GivenSpikes, ...]]
    timed: Mapping[str, np.ndarray]
    duration: float
    readouts: tuple[np.ndarray, ...]
    after: frozenset[str] | None = None
    sums: Mapping[str, Sums] = field(default_factory=dict)


#: How far the readouts found here may be from those of the run, relative to the largest one.
AGREEMENT = 1e-7


def tangents_along(run: Run) -> tuple[tuple[np.ndarray, ...], dict[str, np.ndarray]]:
    """Return the tangents of all readouts, and those of all spike times by group."""
    check_supported(run.spec)
    if run.after is not None:
        check_on_grid(run.spec, run.network, run.values)
    check_readouts(run.spec)
    n_trials = len(run.readouts[0])
    with np.errstate(all="ignore"):  # what is not finite, and matters, is no agreement
        one = _trial if run.after is None else _trial_on_grid
        found = [one(run, trial) for trial in range(n_trials)]
    readouts = []
    for k, value in enumerate(run.readouts):
        _check_agreement(run.spec.readouts[k], np.stack([f[0][k].v for f in found]), value)
        readouts.append(np.stack([f[0][k].d for f in found]))
    moves = {g: np.concatenate([f[1][g] for f in found]) for g in run.spikes}
    return tuple(readouts), moves


def _trial(run: Run, trial: int) -> tuple[list[Dual], dict[str, np.ndarray]]:
    network = Network(run.spec, constants_of(run, trial))
    spikes = {g: parts[trial] for g, parts in run.spikes.items()}
    simulated = EventTrial(network, spikes, run.duration)
    _plan(run, trial, simulated)
    simulated.run()
    samples = {**simulated.samples, run.duration: network.coupled(simulated.y, Dual(run.duration))}
    readouts = []
    for k, readout in enumerate(run.spec.readouts):
        if readout.kind in ("spike_times", "spike_count"):
            most = run.readouts[k].shape[-1] if readout.which == "each" else 0
            readouts.append(spike_readout(network, k, spikes[readout.group], most))
        elif readout.kind == "maximum":
            best = Dual(*simulated.maxima.best[k])
            readouts.append(best[readout.start : readout.stop])
        else:
            readouts.append(state_readout(network, k, samples, run.duration))
    return readouts, {g: s.moves for g, s in spikes.items()}


def _trial_on_grid(run: Run, trial: int) -> tuple[list[Dual], dict[str, np.ndarray]]:
    network, dt = Network(run.spec, constants_of(run, trial), on_grid=True), run.spec.dt
    n_steps = int(np.rint(run.duration / dt))
    spikes = {g: parts[trial] for g, parts in run.spikes.items()}
    on_grid = {g: _in_steps(s, dt) for g, s in spikes.items()}
    times = {
        k: sample_times(r, n_steps * dt)
        for k, r in enumerate(run.spec.readouts)
        if r.kind == "value"
    }
    wanted = {int(np.rint(t / dt)) for own in times.values() for t in own}

    def simulated(upstrokes=None) -> ClockTrial:
        made = ClockTrial(
            network, on_grid, n_steps, run.after, frozenset(wanted), upstrokes, run.sums
        )
        for name, parts in run.inputs.items():
            given = _in_steps(parts[trial], dt)
            for step, neuron, move in zip(given.steps, given.neurons, given.moves, strict=True):
                made.send(name, int(neuron), int(step), float(move))
        made.run()
        return made

    def readouts_of(done: ClockTrial) -> list[Dual]:
        end, found = n_steps * dt, []
        samples = {t: done.samples[int(np.rint(t / dt))] for own in times.values() for t in own}
        samples[end] = done.y
        for k, readout in enumerate(run.spec.readouts):
            if readout.kind in ("spike_times", "spike_count"):
                most = run.readouts[k].shape[-1] if readout.which == "each" else 0
                found.append(spike_readout(network, k, spikes[readout.group], most))
            elif readout.kind == "maximum":
                found.append(Dual(*done.maxima.best[k])[readout.start : readout.stop])
            else:
                found.append(state_readout(network, k, samples, end))
        return found

    first = simulated()
    readouts = readouts_of(first)
    upstrokes = find_upstrokes(first, first.history) if first.history else None
    if upstrokes and upstrokes.any:
        # the values are those of the grid, the tangents those of the true flow
        check_no_maxima(run.spec, {g for g, *_ in upstrokes.spikes})
        pairs = zip(readouts, readouts_of(simulated(upstrokes)), strict=True)
        readouts = [Dual(on_grid.v, true.d) for on_grid, true in pairs]
    return readouts, {g: s.moves for g, s in spikes.items()}


def _in_steps(given: GivenSpikes, dt: float) -> GridSpikes:
    return GridSpikes(np.rint(given.times / dt).astype(np.int64), given.neurons, given.moves)


def _plan(run: Run, trial: int, simulated: EventTrial) -> None:
    """Put on the agenda what is known from the start."""
    for name, parts in run.inputs.items():
        given = parts[trial]
        for time, neuron, move in zip(given.times, given.neurons, given.moves, strict=True):
            for rank, what in simulated.send(name, int(neuron), float(time), float(move)):
                simulated.plan(float(time), ARRIVAL, (rank,), what)
    for readout in run.spec.readouts:
        if readout.kind == "value":
            for time in sample_times(readout, run.duration):
                simulated.plan(float(time), SAMPLE, (), None)
    for timed in run.spec.timed:
        for cell in range(1, run.timed[timed.name].shape[1]):
            simulated.plan(cell * timed.dt, CELL, (), {timed.name: cell})
    for code in simulated.network.groups.values():
        for regular in code.group.regular:
            block, k = statements(regular.statements), 0
            while k * regular.steps * run.spec.dt < run.duration * (1 - 1e-12):
                simulated.plan(k * regular.steps * run.spec.dt, REGULAR, (), (code, block))
                k += 1


def constants_of(run: Run, trial: int) -> Constants:
    """Return the numbers of a trial with their tangents."""
    values = {}
    for key, value in run.values.items():
        value = np.asarray(value, float)
        tangent = np.asarray(run.tangents.get(key, 0.0), float)
        values[key] = Dual(value, np.array(np.broadcast_to(tangent, value.shape)))
    timed = {}
    for name, array in run.timed.items():
        own = array[trial if len(array) > 1 else 0]
        tangent = np.asarray(run.tangents.get(("", name), 0.0), float)
        tangent = tangent.reshape(own.shape) if tangent.size == own.size else np.zeros(own.shape)
        timed[name] = Dual(own, tangent)
    cells = {timed.name: 0 for timed in run.spec.timed}
    found = Constants(run.spec, values, run.network, timed, {}, cells)
    columns = {
        (g.name, v.name): _columns(g, v, found)
        for g in run.spec.groups
        for v in _timed_values(run.spec, g)
        if v.column
    }
    return Constants(run.spec, values, run.network, timed, columns, cells)


def _timed_values(spec: NetworkSpec, group) -> list:
    pathways = (p for p in spec.pathways if p.target == group.name)
    readouts = (r for r in spec.readouts if r.group == group.name)
    return [v for part in (group, *pathways, *readouts) for v in part.timed_values]


def _columns(group, timed, constants: Constants) -> np.ndarray:
    """Return the column of a timed array that each neuron of a group reads."""
    start, stop = timed.part or (0, group.size)
    names = {}
    for symbol in timed.names:
        if symbol.kind == "index":
            names[symbol.name] = Dual(np.arange(stop - start, dtype=float))
        elif symbol.kind == "number":
            names[symbol.name] = Dual(stop - start if symbol.name == "N" else symbol.value)
        else:
            value = constants.values[symbol.key]
            names[symbol.name] = value[start:stop] if symbol.kind == "neuron" else value[0]
    result = np.zeros(group.size, np.int64)
    result[start:stop] = np.rint(dual(compiled(timed.column)(names)).v)
    return result


def _check_agreement(readout, found: np.ndarray, value: np.ndarray) -> None:
    """Stop if the states found here are not those of the run: tangents would mean nothing."""
    there = np.isfinite(value)
    size = np.max(np.abs(value[there]), initial=1e-300)
    error = np.max(np.abs(found[there] - value[there]), initial=0.0)
    if not error <= AGREEMENT * size:
        raise RuntimeError(
            f"forward mode does not reproduce the run: the {readout.kind} readout "
            f"'{readout.expression}' of '{readout.group}' differs by {error:.3g} of {size:.3g}"
        )
