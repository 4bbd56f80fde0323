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


def other_order(
    spec: NetworkSpec,
    network: NetworkValues,
    delays: Mapping,
    periods: Mapping[str, np.ndarray],
    trains: Mapping[str, Events],
    duration: float,
) -> str:
    """Name the arrivals that come in another order on the time grid; an empty text if none do.

    Parameters
    ----------
    spec, network
        The network and the ends of its synapses.
    delays
        The delays (s) of the pathways by their key.
    periods
        The refractory period (s) of each neuron of those groups that have one.
    trains
        The spikes of all groups and inputs.
    duration
        Of a trial, in seconds.
    """
    found = []
    for pathway in spec.pathways:
        arrivals = _arrivals(pathway, network, delays[pathway.delay], trains, spec.dt, duration)
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
