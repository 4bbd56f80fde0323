"""Arrivals that are closer to a spike or a refractory period's end than a time step.

The time grid orders them otherwise than exact time does, or has them in one step; either way its
gradient is another one, until the time steps are short enough.
"""

from __future__ import annotations

import numpy as np
from brian2 import SpikeGeneratorGroup, Synapses, ms
from brian2.core.variables import VariableView
from brian2.utils.stringtools import get_identifiers

from helpers.watch import pathways_of

#: Two events (ms) that are meant to be at one time: an arrival without delay, or one that fires.
SAME = 1e-7


def too_close(scope: dict, exact, on_grid, dt: float) -> str:
    """Describe an arrival and an event of its target that the grid cannot tell apart, if any.

    ``exact`` and ``on_grid`` are results of runs with the same spikes; ``dt`` is in ms.
    """
    for synapses in (s for s in scope["network"] if isinstance(s, Synapses)):
        pre = _trains(*_whole(synapses.source), exact)
        group, start = _whole(synapses.target)
        post, late = (_trains(group, start, result) for result in (exact, on_grid))
        period = _periods(group, scope)
        for i, j, delay in _connections(synapses):
            spikes, on_time = np.sort(post(j)), np.sort(late(j))
            if len(spikes) != len(on_time):
                continue
            lateness = np.abs(on_time - spikes) + dt
            gaps = np.abs(pre(i)[:, None] + delay - spikes)
            if np.any((gaps > SAME) & (gaps < lateness)):
                return f"{synapses.name}, {gaps[gaps > SAME].min():.1e} ms apart"
            ends = np.abs(pre(i)[:, None] + delay - (spikes + period[start + j]))
            if np.any((ends > SAME) & (ends < lateness)):
                apart = ends[ends > SAME].min()
                return f"{synapses.name}, {apart:.1e} ms from the end of a refractory period"
    return ""


def _periods(group, scope: dict) -> np.ndarray:
    """Return the refractory period (ms) of each neuron; NaN if the group has none."""
    period = getattr(group, "_refractory", False)
    if period is False:
        return np.full(len(group), np.nan)
    if not isinstance(period, str):
        return np.full(len(group), float(period) * 1e3)
    names = scope | {n: getattr(group, n) for n in ("i", *group.equations.parameter_names)}
    names |= {n: v[:] for n, v in names.items() if isinstance(v, VariableView)}
    if set(group.equations.names) & get_identifiers(period) - set(names):
        return np.full(len(group), np.nan)  # it ends with states
    return np.broadcast_to(np.asarray(eval(period, names) / ms, float), len(group))


def _whole(group) -> tuple[object, int]:
    """Return the group of which this is a part, and where the part begins."""
    return getattr(group, "source", group), getattr(group, "start", 0)


def _trains(group, start: int, result):
    """Return a function from a neuron to the times of its spikes, in ms."""
    if isinstance(group, SpikeGeneratorGroup):
        neurons, times = np.asarray(group.neuron_index[:]), np.asarray(group.spike_time[:] / ms)
    elif group.name in result.spikes:
        train = result.spikes[group.name]
        neurons, times = np.asarray(train.i), np.asarray(train.t / ms)
    else:
        neurons, times = np.zeros(0, int), np.zeros(0)
    return lambda neuron: times[neurons == neuron + start]


def _connections(synapses):
    """Go through the ends and delays (ms) of the synapses of each pathway."""
    for pathway in pathways_of(synapses):
        delays = np.asarray(pathway.delay[:] / ms)
        delays = np.broadcast_to(delays, len(synapses))
        yield from zip(synapses.i[:], synapses.j[:], delays, strict=True)
