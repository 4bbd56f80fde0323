"""Arrivals on their way: the pool of one target group, and the sorting of what is due.

A pool keeps every arrival of a trial that has not been delivered yet: its time, and (pathway,
synapse, spike, next) as whole numbers.  Arrivals of one neuron within one slot of time form a list
that begins at ``head[slot, neuron]``.  These functions are the same for every network, so Numba
compiles them once.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int32, int64, njit, types

_T, _I, _N = float64[:, ::1], int32[:, ::1], int64[::1]


@njit([_T(_T), _I(_I)], nogil=True, error_model="numpy", cache=True)
def grow(array):
    """Return an array with twice the rows and the same beginning."""
    bigger = np.empty((2 * array.shape[0], array.shape[1]), array.dtype)
    for i in range(array.shape[0]):
        for k in range(array.shape[1]):
            bigger[i, k] = array[i, k]
    return bigger


@njit(
    types.Tuple((_T, _I, int64))(
        float64,
        int64,
        int64,
        int64,
        _N,
        int32[::1],
        float64[::1],
        float64,
        int64,
        _I,
        _T,
        _I,
        int64,
    ),
    nogil=True,
    error_model="numpy",
    cache=True,
)
def send(t, spike, neuron, number, rows, post, delays, end, windows, head, pool_t, pool_i, used):
    """Put the arrivals of one spike into the pool of the target; return the pool.

    ``end`` is the end of the trial, when nothing arrives any more, and ``windows`` the number of
    its windows; a slot holds one or several of them.
    """
    width = end / windows
    while used + rows[neuron + 1] - rows[neuron] > pool_t.shape[0]:
        pool_t, pool_i = grow(pool_t), grow(pool_i)
    for k in range(rows[neuron], rows[neuron + 1]):
        due = t + delays[k]
        if due < end:
            slot = min(int(due / width), windows - 1) * head.shape[0] // windows
            pool_t[used, 0] = due
            pool_i[used, 0] = number
            pool_i[used, 1] = k
            pool_i[used, 2] = spike
            pool_i[used, 3] = head[slot, post[k]]
            head[slot, post[k]] = used
            used += 1
    return pool_t, pool_i, used


@njit(
    boolean(float64, int64, float64, int64, _I),
    nogil=True,
    error_model="numpy",
    cache=True,
)
def _before(ta, ea, tb, eb, pool_i):
    if ta != tb:
        return ta < tb
    if pool_i[ea, 0] != pool_i[eb, 0]:
        return pool_i[ea, 0] < pool_i[eb, 0]
    if pool_i[ea, 2] != pool_i[eb, 2]:
        return pool_i[ea, 2] < pool_i[eb, 2]
    return pool_i[ea, 1] < pool_i[eb, 1]


@njit(
    types.Tuple((_T, _I))(_T, _I, int64, _I),
    nogil=True,
    error_model="numpy",
    cache=True,
)
def _sort(due_t, due_e, n, pool_i):
    """Merge sort, on runs sorted by insertion."""
    run = 16
    for start in range(0, n, run):
        for i in range(start + 1, min(start + run, n)):
            t, e, k = due_t[i, 0], due_e[i, 0], i
            while k > start and _before(t, e, due_t[k - 1, 0], due_e[k - 1, 0], pool_i):
                due_t[k, 0] = due_t[k - 1, 0]
                due_e[k, 0] = due_e[k - 1, 0]
                k -= 1
            due_t[k, 0], due_e[k, 0] = t, e
    if n <= run:
        return due_t, due_e
    other_t, other_e = np.empty_like(due_t), np.empty_like(due_e)
    while run < n:
        for start in range(0, n, 2 * run):
            left, right = start, min(start + run, n)
            middle, stop = right, min(start + 2 * run, n)
            for k in range(start, stop):
                take = left < middle and (
                    right >= stop
                    or not _before(
                        due_t[right, 0], due_e[right, 0], due_t[left, 0], due_e[left, 0], pool_i
                    )
                )
                if take:
                    other_t[k, 0], other_e[k, 0] = due_t[left, 0], due_e[left, 0]
                    left += 1
                else:
                    other_t[k, 0], other_e[k, 0] = due_t[right, 0], due_e[right, 0]
                    right += 1
        due_t, due_e, other_t, other_e = other_t, other_e, due_t, due_e
        run *= 2
    return due_t, due_e


@njit(
    types.Tuple((int64, _T, _I))(int64, int64, int64, float64, _I, _T, _I, _T, _I),
    nogil=True,
    error_model="numpy",
    cache=True,
)
def collect(slot, neuron, window, width, head, pool_t, pool_i, due_t, due_e):
    """Take the arrivals of a neuron that are due in a window, in their order.

    Later ones stay in the list of the slot.  Arrivals at the same time keep the order of the
    pathways, then of the spikes, then of the creation of the synapses.
    """
    n, kept = 0, -1
    e = head[slot, neuron]
    while e >= 0:
        following = pool_i[e, 3]
        if int(pool_t[e, 0] / width) <= window:
            if n == due_t.shape[0]:
                due_t, due_e = grow(due_t), grow(due_e)
            due_t[n, 0] = pool_t[e, 0]
            due_e[n, 0] = e
            n += 1
        else:
            pool_i[e, 3] = kept
            kept = e
        e = following
    head[slot, neuron] = kept
    if n > 1:
        due_t, due_e = _sort(due_t, due_e, n, pool_i)
    return n, due_t, due_e


@njit(
    types.Tuple((_T, _I))(
        _T, _I, int64, float64, float64[::1], int64, int64, int64, int64, boolean
    ),
    nogil=True,
    error_model="numpy",
    cache=True,
)
def record(tape_t, tape_i, events, t, x, kind, neuron, synapse, spike, frozen):
    """Write an event to the tape: its time, the state before it, and what it was."""
    if events == tape_t.shape[0]:
        tape_t, tape_i = grow(tape_t), grow(tape_i)
    tape_t[events, 0] = t
    for s in range(tape_t.shape[1] - 1):
        tape_t[events, s + 1] = x[s]
    tape_i[events, 0] = kind
    tape_i[events, 1] = neuron
    tape_i[events, 2] = synapse
    tape_i[events, 3] = spike
    tape_i[events, 4] = frozen
    return tape_t, tape_i


@njit(
    types.Tuple((_T, _I))(_T, _I, int64, float64, float64, int64, int64),
    nogil=True,
    error_model="numpy",
    cache=True,
)
def record_spike(spk_t, spk_i, count, t, secant, trial, neuron):
    """Write a spike: its time, the mean slope of the guard before it, and whose it is."""
    if count == spk_t.shape[0]:
        spk_t, spk_i = grow(spk_t), grow(spk_i)
    spk_t[count, 0] = t
    spk_t[count, 1] = secant
    spk_i[count, 0] = trial
    spk_i[count, 1] = neuron
    return spk_t, spk_i
