"""Queues and the log of arrivals for groups that take them in bulk; see `event_bulk`.

The log of a group holds the arrivals on their way: synapse, spike, pathway and the arrival before
it at the same neuron in the same window.  It is a ring, numbered on from 1 in every trial, so an
arrival is forgotten as soon as its window has passed.
"""

from __future__ import annotations

import numpy as np
from numba import float64, int32, int64

from brian_eventprop.codegen.arrivals import compiled

_TABLE, _LOG = float64[:, ::1], int32[:, ::1]


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


@compiled(int64(float64, int64, float64))
def due_in(t, windows, end):
    """Return the window of a time."""
    return min(int(t * (windows / end)), windows - 1)


@compiled(_LOG(_LOG, int64, int64, int64))
def roomy(log, made, oldest, more):
    """Return a log with room for more arrivals, besides those from the oldest on their way."""
    size = log.shape[0]
    if made + more - oldest <= size:
        return log
    if made + more > 2**31 - 1:
        raise OverflowError("more than two thousand million arrivals at a group in one trial")
    while made + more - oldest > size:
        size *= 2
    bigger = np.empty((size, log.shape[1]), np.int32)
    for i in range(oldest, made):
        for column in range(log.shape[1]):
            bigger[i & (size - 1), column] = log[i & (log.shape[0] - 1), column]
    return bigger


@compiled(int64(_TABLE, int64, int64))
def trial_end(spikes, first, trial):
    """Return where the spikes of a trial end, which begin at `first`."""
    last = first
    while last < spikes.shape[0] and spikes[last, 2] == trial:
        last += 1
    return last
