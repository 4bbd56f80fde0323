"""Queues and the latest spikes for groups that take their arrivals in bulk; see `event_bulk`.

Arrivals in bulk are added up and forgotten.  The few neurons that go through theirs one by one find
them again from the spikes of the last time: time, neuron, number of the spike, and the place of the
spike before it of the same neuron.
"""

from __future__ import annotations

import numpy as np
from numba import float64, int32, int64, void

from brian_eventprop.codegen.arrivals import compiled
from brian_eventprop.codegen.ticks import TICKS

_TABLE, _VECTOR, _ROWS = float64[:, ::1], float64[::1], int64[::1]
_PAIRS = int32[:, ::1]

#: In place of an adjoint: the events of the neuron part this window, see the segments.
PARTED = -1.7976931348623157e308


@compiled(_TABLE(_TABLE, int64, int64))
def by_time(spikes, first, last):
    """Return spikes first..last in the order of their times: time, neuron, number."""
    queue = np.empty((last - first, 3))
    in_order = True
    for q in range(first, last):
        in_order &= q == first or spikes[q, 0] >= spikes[q - 1, 0]
    if in_order:
        order = np.arange(last - first)
    else:
        order = np.argsort(spikes[first:last, 0].copy(), kind="mergesort")
    for n in range(last - first):
        q = first + order[n]
        queue[n, 0], queue[n, 1], queue[n, 2] = spikes[q, 0], spikes[q, 3], q
    return queue


@compiled(float64(int64, float64))
def per_second(windows, end):
    """Return windows per second, a little less: no time before the end is rounded up to it."""
    return (windows / end) * (1 - 5e-16)


@compiled(int64(float64, int64, float64))
def due_in(t, windows, end):
    """Return the window of a time; what is due later is never in an earlier one."""
    return int(t * per_second(windows, end))


@compiled(void(_VECTOR, _PAIRS, _PAIRS, _ROWS, int64, float64, int64, int64, int64, float64))
def remember(times, brief, sent, latest, last, t, neuron, number, windows, end):
    """Write down a spike whose arrivals are on their way.

    Its time; its time in ticks and its neuron; its number and the spike before it of its neuron.
    """
    times[last] = t
    brief[last, 0], brief[last, 1] = int(t * (windows * TICKS / end)), neuron
    sent[last, 0], sent[last, 1] = number, latest[neuron]
    latest[neuron] = last


@compiled(float64(_VECTOR))
def longest(delays):
    """Return the longest delay, 0 if there is none."""
    found = 0.0
    for d in delays:
        found = max(found, d)
    return found


@compiled(int64(_TABLE, int64, int64))
def trial_end(spikes, first, trial):
    """Return where the spikes of a trial end, which begin at `first`."""
    last = first
    while last < spikes.shape[0] and spikes[last, 2] == trial:
        last += 1
    return last
