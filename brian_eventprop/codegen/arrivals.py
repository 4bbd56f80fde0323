"""Spikes, arrivals and the tape of the event solver, for any network.

Everything is kept in tables of float64 (whole numbers are exact up to 2**53), which double in length
when they are full:

- spikes: time, mean slope of the guard before it, trial, neuron;
- pool, the arrivals on their way to a group: time, pathway, synapse, spike, next in its list; those
  of one neuron within one slot of time form a list that begins at ``head[slot, neuron]``;
- tape, the events of a group in the order in which they happened: time, kind, neuron, synapse (or
  number of the spike), spike that arrived, refractory afterwards, and the state before the event.

These functions have fixed signatures, so Numba compiles them once for all networks.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int32, int64, njit, types, void

_TABLE, _VECTOR, _ROWS = float64[:, ::1], float64[::1], int64[::1]
_HEAD, _POST = int32[:, ::1], int32[::1]

#: Columns of the tape before the state.
COLUMNS = 6


def _compiled(*signature):
    return njit(*signature, nogil=True, error_model="numpy", cache=True, no_cpython_wrapper=True)


@_compiled(_TABLE(_TABLE))
def grow(table):
    """Return a table with twice the rows and the same beginning."""
    bigger = np.empty((2 * table.shape[0], table.shape[1]))
    for i in range(table.shape[0]):
        for k in range(table.shape[1]):
            bigger[i, k] = table[i, k]
    return bigger


@_compiled(void(_TABLE, _TABLE, _VECTOR, _VECTOR, _VECTOR, _HEAD, float64))
def start_trial(initial, X, now, until, hint, head, end):
    """Set the neurons of a group to the beginning of a trial."""
    for j in range(X.shape[0]):
        now[j], until[j], hint[j] = 0.0, -1.0, end
        for s in range(X.shape[1]):
            X[j, s] = initial[j, s] if s < initial.shape[1] else 0.0
    for slot in range(head.shape[0]):
        for j in range(head.shape[1]):
            head[slot, j] = -1


@_compiled(
    types.Tuple((_TABLE, int64))(
        _TABLE, int64, int64, int64, _ROWS, _POST, _VECTOR, float64, int64, _HEAD, _TABLE, int64
    )
)
def send(spikes, first, last, number, rows, post, delays, end, windows, head, pool, used):
    """Put the arrivals of spikes first..last through one pathway into the pool of the target.

    ``end`` is the end of the trial, when nothing arrives any more, and ``windows`` the number of
    its windows; a slot holds one or several of them.
    """
    width = end / windows
    for q in range(first, last):
        t, neuron = spikes[q, 0], int(spikes[q, 3])
        while used + rows[neuron + 1] - rows[neuron] > pool.shape[0]:
            pool = grow(pool)
        for k in range(rows[neuron], rows[neuron + 1]):
            due = t + delays[k]
            if due < end:
                slot = min(int(due / width), windows - 1) * head.shape[0] // windows
                pool[used, 0] = due
                pool[used, 1] = number
                pool[used, 2] = k
                pool[used, 3] = q
                pool[used, 4] = head[slot, post[k]]
                head[slot, post[k]] = used
                used += 1
    return pool, used


@_compiled(boolean(_VECTOR, _VECTOR, _TABLE))
def _before(a, b, pool):
    """Whether an arrival (time, row of the pool) comes before another: by time, then by rank."""
    if a[0] != b[0]:
        return a[0] < b[0]
    e, f = int(a[1]), int(b[1])
    if pool[e, 1] != pool[f, 1]:
        return pool[e, 1] < pool[f, 1]
    if pool[e, 3] != pool[f, 3]:
        return pool[e, 3] < pool[f, 3]
    return pool[e, 2] < pool[f, 2]


@_compiled(_TABLE(_TABLE, int64, _TABLE))
def _sort(due, n, pool):
    """Merge sort, on runs sorted by insertion."""
    run = 16
    held = np.empty(2)
    for start in range(0, n, run):
        for i in range(start + 1, min(start + run, n)):
            held[0], held[1] = due[i, 0], due[i, 1]
            k = i
            while k > start and (
                held[0] < due[k - 1, 0]
                or held[0] == due[k - 1, 0] and _before(held, due[k - 1], pool)
            ):
                due[k, 0], due[k, 1] = due[k - 1, 0], due[k - 1, 1]
                k -= 1
            due[k, 0], due[k, 1] = held[0], held[1]
    if n <= run:
        return due
    other = np.empty_like(due)
    while run < n:
        for start in range(0, n, 2 * run):
            left, right = start, min(start + run, n)
            middle, stop = right, min(start + 2 * run, n)
            for k in range(start, stop):
                take = left < middle
                if take and right < stop:
                    a, b = due[left, 0], due[right, 0]
                    take = a < b or a == b and not _before(due[right], due[left], pool)
                chosen = left if take else right
                other[k, 0], other[k, 1] = due[chosen, 0], due[chosen, 1]
                if take:
                    left += 1
                else:
                    right += 1
        due, other = other, due
        run *= 2
    return due


@_compiled(
    types.Tuple((int64, _TABLE))(int64, int64, int64, float64, _HEAD, _TABLE, _TABLE)
)
def collect(slot, neuron, window, width, head, pool, due):
    """Take the arrivals of a neuron that are due in a window: (time, row of the pool), in order.

    Later ones stay in the list of the slot.  Arrivals at the same time keep the order of the
    pathways, then of the spikes, then of the creation of the synapses.
    """
    n, kept = 0, -1
    e = head[slot, neuron]
    while e >= 0:
        following = int(pool[e, 4])
        if int(pool[e, 0] / width) <= window:
            if n == due.shape[0]:
                due = grow(due)
            due[n, 0], due[n, 1] = pool[e, 0], e
            n += 1
        else:
            pool[e, 4] = kept
            kept = e
        e = following
    head[slot, neuron] = kept
    return n, _sort(due, n, pool) if n > 1 else due


@_compiled(
    _TABLE(_TABLE, int64, float64, _VECTOR, int64, int64, int64, int64, boolean)
)
def record(tape, events, t, x, kind, neuron, synapse, spike, frozen):
    """Write an event to the tape."""
    if events == tape.shape[0]:
        tape = grow(tape)
    row = tape[events]
    row[0], row[1], row[2], row[3], row[4], row[5] = t, kind, neuron, synapse, spike, frozen
    for s in range(tape.shape[1] - COLUMNS):
        row[COLUMNS + s] = x[s]
    return tape


@_compiled(_TABLE(_TABLE, int64, float64, float64, int64, int64))
def record_spike(spikes, count, t, secant, trial, neuron):
    """Write a spike."""
    if count == spikes.shape[0]:
        spikes = grow(spikes)
    spikes[count, 0], spikes[count, 1] = t, secant
    spikes[count, 2], spikes[count, 3] = trial, neuron
    return spikes
