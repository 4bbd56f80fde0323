"""Loops over arrays that the kernels of every network share: buffers that grow, and synapses.

They are here and not in the templates, so that they are compiled once and not for every network.
Indices of inner loops are unsigned: a signed index could be negative, and testing for that costs as
much as the work itself.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from brian_eventprop.kernels.cache import njit
from brian_eventprop.kernels.intrinsics import intrinsic

#: How loops that all networks share are compiled.  They make no arrays, so references to those
#: that they are given are not counted: less to compile, and less to run.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "cache": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}

#: The same for functions that make arrays.
MAKING_ARRAYS = {**OPTIONS, "_nrt": True}


def _prefetch(table, place):
    """Do nothing: Python has no use for it."""


@intrinsic(twin=_prefetch)
def prefetch(typing_context, table, place):
    """Prefetch an entry of a contiguous table, by its offset, long before it is read."""
    del typing_context

    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(data.data, [arguments[1]]), cgutils.voidptr_t)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        builder.call(function, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(table, types.int64), code


def _lowest(word):
    bits = int(word)
    return np.uint64((bits & -bits).bit_length() - 1)


@intrinsic(twin=_lowest)
def lowest(typing_context, word):
    """Return the position of the lowest bit of a word that is not 0."""
    del typing_context

    def code(context, builder, signature, arguments):
        del context, signature
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), code if word == types.uint64 else None


@njit(**MAKING_ARRAYS)
def grow(array):
    """Return a table of twice the length with the same beginning."""
    bigger = np.empty((2 * array.shape[0], array.shape[1]), array.dtype)
    for k in range(array.shape[0]):
        for s in range(array.shape[1]):
            bigger[k, s] = array[k, s]
    return bigger


@njit(**MAKING_ARRAYS)
def double_length(array):
    """Return an array of twice the length with the same beginning."""
    bigger = np.empty(2 * array.shape[0], array.dtype)
    for k in range(array.shape[0]):
        bigger[k] = array[k]
    return bigger


@njit(**OPTIONS)
def fill(array, value):
    """Set all integers to a value."""
    for k in range(array.shape[0]):
        array[k] = value


@njit(**OPTIONS)
def clear(array):
    """Set all to zero."""
    for k in range(array.shape[0]):
        array[k] = 0


@njit(**OPTIONS)
def copy_in(array, values):
    """Set all to the values of another array."""
    for s in range(array.shape[0]):
        for j in range(array.shape[1]):
            array[s, j] = values[s, j]


@njit(**OPTIONS)
def find_event(events, first, last, column, k):
    """Return the row among first..last of a record of events that has number k in a column."""
    while first < last - 1 and events[first, column] != k:
        first += 1
    return first


@njit(**OPTIONS)
def before(steps, begin, end, n):
    """Return the first of the sorted spikes begin..end that is not before step n."""
    while begin < end:
        middle = (begin + end) // 2
        if steps[middle] < n:
            begin = middle + 1
        else:
            end = middle
    return begin


@njit(**OPTIONS)
def waiting(neurons, first, last, rows):
    """Return how many rows of synapses the spikes first..last have."""
    n = 0
    for k in range(first, last):
        n += rows[neurons[k] + 1] - rows[neurons[k]]
    return n


@njit(**OPTIONS)
def queue(times, neurons, first, last, rows, steps, head, tail, entry, used):
    """Append the rows of the spikes first..last to the lists of the steps at which they are due.

    An entry is the next of its list, the row and the spike; ``head`` and ``tail`` hold the first
    and the last entry of each step.  Returned is the number of entries, which must have room.
    """
    for k in range(first, last):
        i = neurons[k]
        for r in range(rows[i], rows[i + 1]):
            due = times[k] + steps[r]
            if due >= head.shape[0]:
                break
            entry[used, 0], entry[used, 1], entry[used, 2] = -1, r, k
            if head[due] < 0:
                head[due] = used
            else:
                entry[tail[due], 0] = used
            tail[due] = used
            used += 1
    return used


@njit(**OPTIONS)
def next_round(ring):
    """Let the ring's second half, what arrives in the next round, become the first one.

    With two rounds at hand no place has to be wrapped around: a spike's step and a delay add up.
    """
    half = np.uint64(ring.shape[0] // 2)
    for k in range(half):
        ring[k] = ring[half + k]
    for k in range(half):
        ring[half + k] = 0


@njit(**OPTIONS)
def scatter(ring, base, off, weight, row, rows, neurons, first, last):
    """Add the synapses of the spikes first..last to the steps at which they arrive."""
    arriving = ring[base:]
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        for k in range(np.uint64(rows[i]), np.uint64(rows[i + np.uint64(1)])):
            arriving[np.uint64(off[k])] += weight[row, k]


@njit(**OPTIONS)
def deliver(state, row, ring, base):
    """Add what arrives at this step to a state."""
    at = np.uint64(base)
    for j in range(np.uint64(state.shape[1])):
        state[row, j] += ring[at + j]
