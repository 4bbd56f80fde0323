"""Arrivals that the time grid has on the other side of an event of their neuron than exact time.

Brian2 delivers the arrivals of a time step after the crossing of the threshold in it, and after the
end of a refractory period.  Where exact time has them before, the loss of the grid is another
function of the parameters, however close the two events are: its derivative is then wrong by more
than the first order in dt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.data.drawn_counts import drawn_spikes
from brian_eventprop.data.timed_inputs import given_traces
from brian_eventprop.reading import on_own_grid
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues

#: Events (s) that are meant to be at one time: a delay of 0, or an arrival that sets off a spike.
_SAME = 1e-12


@dataclass(frozen=True)
class Events:
    """Events of the neurons of a group, sorted by trial, neuron and time.

    Attributes
    ----------
    trials, neurons : array
    times : array
        In seconds, in exact time.
    steps : array
        The time steps in which the grid has the same events.
    """

    trials: np.ndarray
    neurons: np.ndarray
    times: np.ndarray
    steps: np.ndarray

    def later(self, times: np.ndarray, steps: np.ndarray) -> Events:
        """Return the same events some time and some steps later, given by neuron."""
        return Events(
            self.trials, self.neurons,
            self.times + times[self.neurons], self.steps + steps[self.neurons],
        )  # fmt: skip


def spike_events(in_exact_time, on_grid, dt: float) -> Events:
    """Match the `SpikeTrains` of two runs in which every neuron spikes equally often."""
    exact, grid = (np.lexsort((s.t, s.i, s.sample)) for s in (in_exact_time, on_grid))
    times, late = np.asarray(in_exact_time.t, float), np.asarray(on_grid.t, float)
    return Events(
        np.asarray(in_exact_time.sample)[exact], np.asarray(in_exact_time.i)[exact],
        times[exact], np.rint(late[grid] / dt).astype(np.int64),
    )  # fmt: skip


def input_events(exact, on_grid, dt: float) -> Events:
    """Return the spikes of an input, `SpikeData` as given and with the times of its own grid."""
    trials = np.repeat(np.arange(len(exact)), np.diff(exact.trial_ptr))
    order = np.lexsort((exact.times, exact.channels, trials))
    steps = ((on_grid.times + 1e-3 * dt) / dt).astype(np.int64)
    return Events(trials[order], exact.channels[order], exact.times[order], steps[order])


@dataclass(frozen=True)
class Timing:
    """When all events of a run are.

    Attributes
    ----------
    delays
        The delays (s) of the pathways by their key.
    periods
        The refractory period (s) of each neuron of those groups that have one.
    trains
        The spikes of all groups and inputs.
    """

    delays: Mapping
    periods: Mapping[str, np.ndarray]
    trains: Mapping[str, Events]


def other_order(spec: NetworkSpec, network: NetworkValues, timing: Timing, duration: float) -> str:
    """Name the arrivals that come in another order on the time grid; an empty text if none do.

    Parameters
    ----------
    spec, network
        The network and the ends of its synapses.
    timing
        When all events are, in exact time and on the grid.
    duration
        Of a trial, in seconds.
    """
    found, trains, periods = [], timing.trains, timing.periods
    for pathway in spec.pathways:
        delays = timing.delays[pathway.delay]
        arrivals = _arrivals(pathway, network, delays, trains, spec.dt, duration)
        spikes = trains[pathway.target]
        found += _reordered(pathway, arrivals, spikes, "its spike")
        if pathway.target in periods:
            period = periods[pathway.target]
            steps = np.maximum(((period + 1e-3 * spec.dt) / spec.dt).astype(np.int64), 1)
            ends = spikes.later(period, steps)
            found += _reordered(pathway, arrivals, ends, "the end of its refractory period")
    if not found:
        return ""
    others = "" if len(found) == 1 else f" (the first of {len(found)})"
    return f"{min(found)[1]} come in another order on the time grid, or in one time step{others}"


def timing_of(
    model, forward, spikes: Mapping, given: tuple, on_grid: Mapping | None = None
) -> Timing:
    """Return when the events of a run of a model in exact time are.

    Parameters
    ----------
    model
        An `EventPropModel`.
    forward, spikes
        What its solver returned, and the spikes of its result.
    given
        The spikes and traces that it was given.
    on_grid
        The same spikes on the time grid, if they are to be compared.
    """
    spec, values, data = model.spec, model._values, dict(model._inputs(given[0]))
    data |= drawn_spikes(spec, given_traces(spec, *given), model.n_steps)
    trains = {
        name: spike_events(train, train if on_grid is None else on_grid[name], spec.dt)
        for name, train in spikes.items()
    }
    for source in spec.inputs:
        own = data[source.name]
        late = own if on_grid is None else on_own_grid(source, own, spec.dt)
        trains[source.name] = input_events(own, late, spec.dt)
    delays = {p.delay: np.asarray(values[p.delay], float) for p in spec.pathways}
    return Timing(delays, model._solver.refractory_periods(forward), trains)


def order_in_exact_time(model, timing: Timing) -> list[np.ndarray]:
    """Return how many events of its neuron come before each arrival, for every pathway.

    The events are the spikes of the neuron and the ends of its refractory periods.  Where these
    numbers change with the parameters, the loss has a kink.
    """
    spec, found = model.spec, []
    for pathway in spec.pathways:
        arrivals = _arrivals(
            pathway, model.network, timing.delays[pathway.delay], timing.trains, spec.dt,
            float(model.duration),
        )  # fmt: skip
        spikes = timing.trains[pathway.target]
        events = [spikes]
        if pathway.target in timing.periods:
            period = timing.periods[pathway.target]
            events.append(spikes.later(period, np.zeros(len(period), np.int64)))
        # an arrival that sets off a spike is before it, whatever the rounding
        when = arrivals.times - _SAME
        found += [_before(arrivals, when, own, own.times, ties=False) for own in events]
    return found


def same_order(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Whether two runs with the same spikes have all events in the same order."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _arrivals(pathway, network, delays, trains, dt, duration) -> Events:
    """Return the arrivals of a pathway at its targets, in no order."""
    pre, post = network.senders(pathway), network.receivers(pathway)
    delays = delays[pre] if pathway.axonal else np.broadcast_to(delays, len(pre))
    spikes = trains[pathway.source]
    by_source = np.argsort(pre, kind="stable")
    first, last = (
        np.searchsorted(pre[by_source], spikes.neurons, side) for side in ("left", "right")
    )
    counts = last - first
    spike = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(spike)) - np.repeat(np.cumsum(counts) - counts, counts)
    synapse = by_source[first[spike] + within]
    times = spikes.times[spike] + delays[synapse]
    steps = spikes.steps[spike] + (delays[synapse] / dt + 0.5).astype(np.int64)
    during = times < duration
    return Events(spikes.trials[spike][during], post[synapse][during], times[during], steps[during])


def _reordered(pathway, arrivals: Events, events: Events, name: str) -> list[tuple[float, str]]:
    """Return time and description of each arrival on the other side of an event of its neuron."""
    least = _before(arrivals, arrivals.times - _SAME, events, events.times, ties=False)
    most = _before(arrivals, arrivals.times + _SAME, events, events.times, ties=True)
    on_grid = _before(arrivals, arrivals.steps, events, events.steps, ties=True)
    found = []
    for k in np.flatnonzero((on_grid < least) | (on_grid > most)):
        other = most[k] if on_grid[k] > most[k] else least[k] - 1
        neuron = f"neuron {arrivals.neurons[k]} of {pathway.target}"
        if events.trials.max(initial=0) > 0:
            neuron += f" in trial {arrivals.trials[k]}"
        times = f"{1e3 * arrivals.times[k]:.7g} ms", f"{1e3 * events.times[other]:.7g} ms"
        text = f"an arrival of {pathway.name} at {neuron} ({times[0]}) and {name} ({times[1]})"
        found.append((float(arrivals.times[k]), text))
    return found


def _before(arrivals: Events, when, events: Events, at, ties: bool) -> np.ndarray:
    """Count the events before each arrival: those of its neuron, and all of earlier neurons.

    With `ties`, those at the same time count as well.
    """
    n = len(at)
    later = np.repeat([not ties, ties], [n, len(when)])
    order = np.lexsort(
        (
            later,
            np.concatenate([at, when]),
            np.concatenate([events.neurons, arrivals.neurons]),
            np.concatenate([events.trials, arrivals.trials]),
        )
    )
    is_event = order < n
    counts = np.empty(len(when), np.int64)
    counts[order[~is_event] - n] = np.cumsum(is_event)[~is_event]
    return counts
