"""Queues of the event solver for groups that run event by event: what comes first, and what next.

- The neurons of a component form a binary heap by the time at which each does something by itself:
  ``heap[0]`` is the first one, ``place[n]`` the place of neuron n, ``when[n]`` its time.  Those at
  the same time are in the order of ``rank[n]`` and of their numbers.
- Arrivals (time, rank, pathway, synapse, spike) form another one, a table; those at the same time
  and of one rank are in the order of the pathways, of the spikes, and of the creation of the
  synapses.

The rank is the generation of the spike, within an instantaneous cascade, that an event comes from.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int64, types, void

from brian_eventprop.kernels.event.arrivals import bare, compiled, grow

_TABLE, _VECTOR, _WORDS = float64[:, ::1], float64[::1], int64[::1]


@bare(boolean(_VECTOR, _WORDS, int64, int64))
def _sooner(when, rank, n, other):
    if when[n] != when[other]:
        return when[n] < when[other]
    return rank[n] < rank[other] or (rank[n] == rank[other] and n < other)


@bare(void(_WORDS, _WORDS, _VECTOR, _WORDS, int64))
def reorder(heap, place, when, rank, n):
    """Move a neuron whose time has changed to its place."""
    k = place[n]
    while k > 0 and _sooner(when, rank, n, heap[(k - 1) // 2]):
        heap[k] = heap[(k - 1) // 2]
        place[heap[k]] = k
        k = (k - 1) // 2
    while 2 * k + 1 < heap.shape[0]:
        below = 2 * k + 1
        if below + 1 < heap.shape[0] and _sooner(when, rank, heap[below + 1], heap[below]):
            below += 1
        if not _sooner(when, rank, heap[below], n):
            break
        heap[k] = heap[below]
        place[heap[k]] = k
        k = below
    heap[k], place[n] = n, k


@bare(boolean(_TABLE, int64, int64))
def _before(arrivals, a, b):
    for c in (0, 1, 2, 4):
        if arrivals[a, c] != arrivals[b, c]:
            return arrivals[a, c] < arrivals[b, c]
    return arrivals[a, 3] < arrivals[b, 3]


@bare(void(_TABLE, int64, int64))
def _swap(arrivals, a, b):
    for c in range(5):
        arrivals[a, c], arrivals[b, c] = arrivals[b, c], arrivals[a, c]


@compiled(_TABLE(_TABLE, int64, float64, float64, float64, float64, float64))
def add_arrival(arrivals, n, t, rank, pathway, synapse, spike):
    """Add an arrival to a heap of n; return the heap, which may have grown."""
    if n == arrivals.shape[0]:
        arrivals = grow(arrivals)
    arrivals[n, 0], arrivals[n, 1], arrivals[n, 2] = t, rank, pathway
    arrivals[n, 3], arrivals[n, 4] = synapse, spike
    while n > 0 and _before(arrivals, n, (n - 1) // 2):
        _swap(arrivals, n, (n - 1) // 2)
        n = (n - 1) // 2
    return arrivals


@bare(int64(_TABLE, int64))
def take_first(arrivals, n):
    """Remove the first of n arrivals; return how many are left."""
    n -= 1
    for c in range(5):
        arrivals[0, c] = arrivals[n, c]
    k = 0
    while 2 * k + 1 < n:
        below = 2 * k + 1
        if below + 1 < n and _before(arrivals, below + 1, below):
            below += 1
        if not _before(arrivals, below, k):
            break
        _swap(arrivals, below, k)
        k = below
    return n


@compiled(
    types.Tuple((_TABLE, int64, _TABLE, int64))(
        int64, int64, float64, int64, int64, _WORDS, _VECTOR, float64, _TABLE, int64, _TABLE, int64
    )
)
def send_within(
    spike, neuron, t, rank, pathway, rows, delays, end, acting, n_acting, later, n_later
):
    """Send a spike through one pathway, to the arrivals that act now and to the later ones."""
    for k in range(rows[neuron], rows[neuron + 1]):
        due = t + delays[k]
        if due <= t:
            acting = add_arrival(acting, n_acting, t, 0, pathway, k, spike)
            n_acting += 1
        elif due < end:
            later = add_arrival(later, n_later, due, rank, pathway, k, spike)
            n_later += 1
    return acting, n_acting, later, n_later


@compiled(_WORDS(_WORDS, int64, int64))
def append(log, n, group):
    """Log whose event is number n; return the log, which may have grown."""
    if n == log.shape[0]:
        longer = np.empty(2 * n, np.int64)
        longer[:n] = log
        log = longer
    log[n] = group
    return log
