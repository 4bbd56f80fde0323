"""Queues and the latest spikes for groups that take their arrivals in bulk; see `event_bulk`.

Arrivals in bulk are added up and forgotten.  The few neurons that go through theirs one by one find
them again: sets tell which sources spiked so many windows ago, and sets of each target and whole
number of windows which sources' arrivals take so long; few words have a bit in common.  For each
spike there is its time, its number, and the place of the spike before it of the same neuron.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import float64, int32, int64, njit, types, uint32, uint64, void
from numba.extending import intrinsic

from brian_eventprop.codegen.arrivals import compiled, in_order
from brian_eventprop.codegen.buffers import prefetch

_TABLE, _VECTOR, _ROWS = float64[:, ::1], float64[::1], int64[::1]
_PAIRS, _WORDS, _MAP = int32[:, ::1], uint64[::1], uint64[:, ::1]

#: In place of an adjoint: the events of the neuron part this window, see the segments.
PARTED = -1.7976931348623157e308


@intrinsic
def lowest(typing_context, word):
    """Return the place of the lowest bit of a word that is not 0."""
    del typing_context

    def code(context, builder, signature, arguments):
        del context, signature
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code if word == types.uint64 else None


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


@compiled(
    void(
        _VECTOR, _PAIRS, _ROWS, _WORDS, _PAIRS, int64, int64, float64, int64, int64, int64, float64
    )
)
def remember(times, sent, latest, fired, where, words, last, t, neuron, number, windows, end):
    """Write down a spike whose arrivals are on their way.

    Its time; its number and the spike before it of its neuron; that its neuron spiked in this
    window, and its latest spike there.
    """
    times[last] = t
    sent[last, 0], sent[last, 1] = number, latest[neuron]
    latest[neuron] = last
    recent = where.shape[0]
    if recent > 0:
        slot = due_in(t, windows, end) % recent
        where[slot, neuron] = last
        place = (recent - 1 - slot) * words + neuron // 64
        bit = np.uint64(1) << np.uint64(neuron % 64)
        fired[place] |= bit
        fired[place + recent * words] |= bit


@compiled(void(_WORDS, int64, int64, int64))
def begin_window(fired, recent, words, window):
    """Forget who spiked when the row of this window was used last."""
    if recent > 0:
        place = (recent - 1 - window % recent) * words
        for i in range(words):
            fired[place + i] = 0
            fired[place + recent * words + i] = 0


@njit(
    void(_MAP, uint32[::1], uint32[::1], _VECTOR, float64, int64),
    error_model="numpy",
    cache=True,  # with a wrapper: Python calls it
)
def fill_sets(sets, pre, post, delays, width, words):
    """Mark the source of each synapse in the sets of its target, by its delay in windows.

    What is sent within a window and k windows before another arrives in it only if the delay is
    longer than k - 1 and shorter than k + 1 windows; with a little room for rounding.
    """
    for k in range(delays.shape[0]):
        delay = delays[k] / width
        first, last = int(max(delay - 1e-6, 0.0)), int(delay + 1e-6) + 1
        bit = np.uint64(1) << np.uint64(pre[k] % 64)
        for back in range(first, last + 1):
            place = back * words + pre[k] // 64
            if place < sets.shape[1]:
                sets[post[k], place] |= bit


@compiled(void(_TABLE, _TABLE, _VECTOR, int64, _TABLE))
def by_due(due, other, moments, n, pool):
    """Sort arrivals (time, row of the pool) by time; few ones by counting those before each."""
    if n > 128:
        in_order(due, other, n, pool)
        return
    padded = (n + 31) // 32 * 32  # whole vectors
    for i in range(padded):
        moments[i] = due[i, 0] if i < n else np.inf
    for i in range(n):
        other[i, 1] = -1.0
    for i in range(n):
        t, place = moments[i], 0
        for k in range(padded):
            place += moments[np.uintp(k)] < t
        while other[place, 1] >= 0:  # at the same time
            place += 1
        other[place, 0], other[place, 1] = t, due[i, 1]
    for i in range(n):
        due[i, 0], due[i, 1] = other[i, 0], other[i, 1]


@compiled(void(_MAP, int64))
def ask(sets, row):
    """Ask for the sets of a neuron, a line of the cache at a time."""
    for i in range(sets.shape[1] // 8):
        prefetch(sets, row * sets.shape[1] + 8 * i)


@compiled(int64(_ROWS))
def longest_row(rows):
    """Return the largest number of synapses of a source."""
    found = 0
    for i in range(rows.shape[0] - 1):
        found = max(found, rows[i + 1] - rows[i])
    return found


@compiled(int64(_TABLE, int64, int64))
def trial_end(spikes, first, trial):
    """Return where the spikes of a trial end, which begin at `first`."""
    last = first
    while last < spikes.shape[0] and spikes[last, 2] == trial:
        last += 1
    return last
