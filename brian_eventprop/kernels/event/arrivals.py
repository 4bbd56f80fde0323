"""Spikes, arrivals and the event log of the event solver, for any network.

Everything is kept in tables of float64 (whole numbers are exact up to 2**53), which double in
length when they are full:

- spikes: time, mean slope of the guard before it, trial, neuron;
- pool, the arrivals on their way to a group: time, pathway, synapse, spike, next in its list; those
  of one neuron within one slot of time form a list that begins at ``head[slot, neuron]``;
- event log, the events of a group in the order in which they happened: time, kind, neuron, synapse
  (or number of the spike), spike that arrived, refractory afterwards, and the state before the
  event.

These functions have fixed signatures, so Numba compiles them once for all networks.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int32, int64, types, uint32, void

from brian_eventprop.kernels.cache import njit
from brian_eventprop.kernels.event.columns import COLUMNS
from brian_eventprop.kernels.linking import WholeCompiler

_TABLE, _VECTOR, _ROWS = float64[:, ::1], float64[::1], int64[::1]
_HEAD, _POST = int32[:, ::1], uint32[::1]


def compiled(*signature):
    """Compile with a fixed signature, once for all networks."""
    return _njit(signature, True)


def bare(*signature):
    """The same for functions that make no arrays: references to theirs are not counted."""
    return _njit(signature, False)


def _njit(signature, counted):
    options = {"nogil": True, "error_model": "numpy", "pipeline_class": WholeCompiler}
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return njit(*signature, cache=True, **options, _nrt=counted)


@compiled(_TABLE(int64, int64))
def table(rows, columns):
    """Return a new table."""
    return np.empty((rows, columns))


@compiled(_VECTOR(int64))
def vector(n):
    """Return a new vector."""
    return np.empty(n)


@compiled(_TABLE(_TABLE))
def grow(table):
    """Return a table with twice the rows and the same beginning."""
    bigger = np.empty((2 * table.shape[0], table.shape[1]))
    for i in range(table.shape[0]):
        for k in range(table.shape[1]):
            bigger[i, k] = table[i, k]
    return bigger


@bare(void(_TABLE, _TABLE, _VECTOR, _VECTOR, _VECTOR, _HEAD, float64))
def start_trial(initial, X, now, until, hint, head, end):
    """Set the neurons of a group to the beginning of a trial."""
    for j in range(X.shape[0]):
        now[j], until[j], hint[j] = 0.0, -1.0, end
        for s in range(X.shape[1]):
            X[j, s] = initial[j, s] if s < initial.shape[1] else 0.0
    for slot in range(head.shape[0]):
        for j in range(head.shape[1]):
            head[slot, j] = -1


@compiled(
    types.Tuple((_TABLE, int64))(
        _TABLE, int64, int64, int64, _ROWS, _POST, _VECTOR, float64, int64, _HEAD, _TABLE, int64
    )
)
def send(spikes, first, last, number, rows, post, delays, end, windows, head, pool, used):
    """Put the arrivals of spikes first..last through one pathway into the pool of the target.

    ``end`` is the end of the trial, when nothing arrives any more, and ``windows`` the number of
    its windows; a slot holds one or several of them.
    """
    per_second, slots = windows / end, head.shape[0]
    for q in range(first, last):
        t, neuron = spikes[q, 0], int(spikes[q, 3])
        while used + rows[neuron + 1] - rows[neuron] > pool.shape[0]:
            pool = grow(pool)
        for k in range(rows[neuron], rows[neuron + 1]):
            due = t + delays[k]
            if due < end:
                slot = 0
                if windows > 1:
                    slot = min(int(due * per_second), windows - 1)
                    if slots < windows:
                        slot = slot * slots // windows
                pool[used, 0] = due
                pool[used, 1] = number
                pool[used, 2] = k
                pool[used, 3] = q
                pool[used, 4] = head[slot, post[k]]
                head[slot, post[k]] = used
                used += 1
    return pool, used


@bare(int64(int64, int64, _HEAD, _TABLE))
def waiting(slot, neuron, head, pool):
    """Return how many arrivals of a neuron are in the list of a slot."""
    n, e = 0, head[slot, neuron]
    while e >= 0:
        n += 1
        e = int(pool[e, 4])
    return n


@bare(boolean(float64, float64, float64, float64, _TABLE))
def _before(t, row, u, other_row, pool):
    """Whether an arrival comes before another: by time, then by pathway, spike and synapse."""
    if t != u:
        return t < u
    e, f = int(row), int(other_row)
    if pool[e, 1] != pool[f, 1]:
        return pool[e, 1] < pool[f, 1]
    if pool[e, 3] != pool[f, 3]:
        return pool[e, 3] < pool[f, 3]
    return pool[e, 2] < pool[f, 2]


@bare(void(_TABLE, _TABLE, int64, _TABLE))
def in_order(due, other, n, pool):
    """Merge sort in place, on runs sorted by insertion."""
    run = 16
    for start in range(0, n, run):
        for i in range(start + 1, min(start + run, n)):
            t, row, k = due[i, 0], due[i, 1], i
            while k > start and _before(t, row, due[k - 1, 0], due[k - 1, 1], pool):
                due[k, 0], due[k, 1] = due[k - 1, 0], due[k - 1, 1]
                k -= 1
            due[k, 0], due[k, 1] = t, row
    while run < n:
        for start in range(0, n, 2 * run):
            left, middle = start, min(start + run, n)
            right, stop = middle, min(start + 2 * run, n)
            for k in range(start, stop):
                take = left < middle
                if take and right < stop:
                    take = not _before(
                        due[right, 0], due[right, 1], due[left, 0], due[left, 1], pool
                    )
                chosen = left if take else right
                other[k, 0], other[k, 1] = due[chosen, 0], due[chosen, 1]
                if take:
                    left += 1
                else:
                    right += 1
        for k in range(n):
            due[k, 0], due[k, 1] = other[k, 0], other[k, 1]
        run *= 2


@bare(int64(int64, int64, int64, int64, float64, _HEAD, _TABLE, _TABLE, _TABLE))
def collect(slot, neuron, window, windows, end, head, pool, due, other):
    """Take the arrivals of a neuron that are due in a window: (time, row of the pool), in order.

    Later ones stay in the list of the slot.  Arrivals at the same time keep the order of the
    pathways, then of the spikes, then of the creation of the synapses.  ``due`` and ``other`` have
    room for all that wait.
    """
    n, kept, per_second = 0, -1, windows / end
    everything = window == windows - 1
    e = head[slot, neuron]
    while e >= 0:
        following = int(pool[e, 4])
        if everything or int(pool[e, 0] * per_second) <= window:
            due[n, 0], due[n, 1] = pool[e, 0], e
            n += 1
        else:
            pool[e, 4] = kept
            kept = e
        e = following
    head[slot, neuron] = kept
    in_order(due, other, n, pool)
    return n


@bare(void(_TABLE, int64, float64, _VECTOR, int64, int64, int64, int64, boolean))
def record(event_log, events, t, x, kind, neuron, synapse, spike, frozen):
    """Write an event to the event log, which must be long enough."""
    event_log[events, 0] = t
    event_log[events, 1] = kind
    event_log[events, 2] = neuron
    event_log[events, 3] = synapse
    event_log[events, 4] = spike
    event_log[events, 5] = frozen
    for s in range(event_log.shape[1] - COLUMNS):
        event_log[events, COLUMNS + s] = x[s]


@compiled(_TABLE(_TABLE, int64, float64, float64, int64, int64))
def record_spike(spikes, count, t, secant, trial, neuron):
    """Write a spike."""
    if count == spikes.shape[0]:
        spikes = grow(spikes)
    spikes[count, 0], spikes[count, 1] = t, secant
    spikes[count, 2], spikes[count, 3] = trial, neuron
    return spikes
