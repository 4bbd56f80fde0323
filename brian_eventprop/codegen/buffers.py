"""Loops over arrays that the kernels of every network share: buffers that grow, and synapses.

They stand here, not in the templates, so that they are compiled once and not for every network.
Indices are unsigned where the loops are hot: a signed index could be negative, and testing for that
costs as much as the work itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Fewest neurons whose record lies together, so that the record of all steps fits in the cache;
#: `collect` takes four synapses at a time.
TILE = 8

#: How loops that all networks share are compiled.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "cache": True,
    "no_cpython_wrapper": True,
}


@njit(**OPTIONS)
def grow(array):
    """Return a table of twice the length with the same beginning."""
    bigger = np.empty((2 * array.shape[0], array.shape[1]), array.dtype)
    for k in range(array.shape[0]):
        for s in range(array.shape[1]):
            bigger[k, s] = array[k, s]
    return bigger


@njit(**OPTIONS)
def longer(array):
    """Return an array of twice the length with the same beginning."""
    bigger = np.empty(2 * array.shape[0], array.dtype)
    for k in range(array.shape[0]):
        bigger[k] = array[k]
    return bigger


@njit(**OPTIONS)
def roomy(array, rows):
    """Return the same table, or a longer one if it has less than so many rows."""
    while array.shape[0] < rows:
        array = grow(array)
    return array


@njit(**OPTIONS)
def integers(size, value):
    """Return an array of one integer."""
    array = np.empty(size, np.int32)
    for k in range(size):
        array[k] = value
    return array


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
def scatter(ring, base, off, weight, row, rows, neurons, first, last):
    """Add the synapses of the spikes first..last to the steps at which they arrive."""
    mask, at = np.uint64(ring.shape[0] - 1), np.uint64(base)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        for k in range(np.uint64(rows[i]), np.uint64(rows[i + np.uint64(1)])):
            ring[(at + off[k]) & mask] += weight[row, k]


@njit(**OPTIONS)
def deliver(state, row, ring, base, live):
    """Add what arrives at this step to a state, if it is live, and empty the step of the ring."""
    at = np.uint64(base)
    if live:
        for j in range(np.uint64(state.shape[1])):
            state[row, j] += ring[at + j]
    for j in range(np.uint64(state.shape[1])):
        ring[at + j] = 0


@njit(**OPTIONS)
def write_pairs(pair, n, shift, stride, lam, rate):
    """Write what arrivals at step n are worth into the record, tile by tile of 2**shift neurons."""
    tile, two = np.uint64(1) << np.uint64(shift), np.uint64(2)
    begin, size = two * np.uint64(n) * tile, np.uint64(lam.shape[0])
    for first in range(np.uint64(0), size, tile):
        at = begin
        for j in range(first, min(first + tile, size)):
            pair[at] = lam[j]
            pair[at + np.uint64(1)] = rate[j]
            at += two
        begin += np.uint64(stride)


@njit(**OPTIONS)
def moved_by(pair, base, off, weight, row, begin, end):
    """Return dL/d(time of one spike) from all its arrivals: sum of weight * (dL/dt_a per unit)."""
    zero = pair.dtype.type(0)
    a0, a1, a2, a3 = zero, zero, zero, zero
    k, stop, one = np.uint64(begin), np.uint64(end), np.uint64(1)
    at, four = np.uint64(base), np.uint64(4)
    while k + four <= stop:
        a0 += weight[row, k] * pair[at + off[k]]
        a1 += weight[row, k + one] * pair[at + off[k + one]]
        a2 += weight[row, k + one + one] * pair[at + off[k + one + one]]
        a3 += weight[row, k + one + one + one] * pair[at + off[k + one + one + one]]
        k += four
    while k < stop:
        a0 += weight[row, k] * pair[at + off[k]]
        k += one
    return (a0 + a1) + (a2 + a3)


@njit(**OPTIONS)
def add_moved(sent, begin, pair, base, off, weight, row, rows, neurons, first, last):
    """Add dL/d(time) of the spikes first..last from all their arrivals."""
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        end = rows[i + np.uint64(1)]
        sent[q - np.uint64(begin)] += moved_by(pair, base, off, weight, row, rows[i], end)


@njit(**OPTIONS)
def by_neuron(neurons, begin, end, n_neurons):
    """Sort spikes by neuron; those of neuron i are ``order[bound[i]:bound[i + 1]]``."""
    order, bound = integers(end - begin, 0), integers(n_neurons + 1, 0)
    for k in range(begin, end):
        bound[neurons[k] + 1] += 1
    for i in range(n_neurons):
        bound[i + 1] += bound[i]
    for k in range(begin, end):
        order[bound[neurons[k]]] = k
        bound[neurons[k]] += 1
    for i in range(n_neurons, 0, -1):
        bound[i] = bound[i - 1]
    bound[0] = 0
    return order, bound


@njit(**OPTIONS)
def record_rows(order, steps, width):
    """Return where in a tile's record, `width` numbers a step, the step of each spike begins."""
    base = np.empty(order.shape[0], np.uint32)
    for k in range(order.shape[0]):
        base[k] = steps[order[k]] * width
    return base


@njit(**OPTIONS)
def collect(pair, bound, base, tiles, stride, off, weight_bar, delay_bar):
    """Sum what each synapse's arrivals are worth: the gradients of an additive projection.

    Tile by tile of target neurons, so that the record stays in the cache; the inner loop runs over
    the spikes of one source and four synapses and only reads, so that the sums stay in registers.
    """
    zero, one = pair.dtype.type(0), np.uint64(1)
    for m in range(tiles.shape[0] - 1):
        begin = np.uint64(m * stride)
        for i in range(bound.shape[0] - 1):
            first, last = np.uint64(bound[i]), np.uint64(bound[i + 1])
            k, end = np.uint64(tiles[m, i]), np.uint64(tiles[m + 1, i])
            if first == last:
                continue
            while k + one + one + one < end:
                k1, k2, k3 = k + one, k + one + one, k + one + one + one
                o0, o1 = np.uint64(off[k]), np.uint64(off[k1])
                o2, o3 = np.uint64(off[k2]), np.uint64(off[k3])
                a0, a1, a2, a3 = zero, zero, zero, zero
                b0, b1, b2, b3 = zero, zero, zero, zero
                for e in range(first, last):
                    at = begin + base[e]
                    a0 += pair[at + o0]
                    b0 += pair[at + o0 + one]
                    a1 += pair[at + o1]
                    b1 += pair[at + o1 + one]
                    a2 += pair[at + o2]
                    b2 += pair[at + o2 + one]
                    a3 += pair[at + o3]
                    b3 += pair[at + o3 + one]
                weight_bar[0, k] += a0
                weight_bar[0, k1] += a1
                weight_bar[0, k2] += a2
                weight_bar[0, k3] += a3
                delay_bar[k] += b0
                delay_bar[k1] += b1
                delay_bar[k2] += b2
                delay_bar[k3] += b3
                k += np.uint64(4)
            if k < end:
                # one to three are left: three sums, the last one twice or thrice, instead of a loop
                last_one = end - one
                k1, k2 = min(k + one, last_one), min(k + one + one, last_one)
                o0, o1, o2 = np.uint64(off[k]), np.uint64(off[k1]), np.uint64(off[k2])
                a0, a1, a2 = zero, zero, zero
                b0, b1, b2 = zero, zero, zero
                for e in range(first, last):
                    at = begin + base[e]
                    a0 += pair[at + o0]
                    b0 += pair[at + o0 + one]
                    a1 += pair[at + o1]
                    b1 += pair[at + o1 + one]
                    a2 += pair[at + o2]
                    b2 += pair[at + o2 + one]
                weight_bar[0, k] += a0
                delay_bar[k] += b0
                if k1 > k:
                    weight_bar[0, k1] += a1
                    delay_bar[k1] += b1
                if k2 > k1:
                    weight_bar[0, k2] += a2
                    delay_bar[k2] += b2
