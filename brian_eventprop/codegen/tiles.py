"""Loops over synapses, tile by tile of target neurons, for the spikes of one source at a time.

What arrives at a tile of neurons, or what arrivals there are worth, fits into the first cache for
all steps of a trial.  The spikes of a source go through the innermost loop, eight synapses at a
time: their weights, delays and sums stay in registers, and memory is touched once per event.

The record of a tile lies step by step, neuron by neuron.  What an arrival is worth is a pair of
numbers, lambda and dL/dt_a per unit, added in one instruction: pairs of single precision numbers
are kept in the bits of a double precision one, pairs of double precision numbers are complex.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from brian_eventprop.codegen.buffers import OPTIONS

#: Fewest neurons in a tile.
TILE = 8


@intrinsic
def pair_of(_, first, second):
    """Put two numbers of the same precision into a pair."""
    single = first == types.float32
    if first != second or first not in (types.float32, types.float64):
        return None

    def generate(__, builder, ___, arguments):
        if single:
            pair = ir.Constant(ir.VectorType(ir.FloatType(), 2), ir.Undefined)
            for k, number in enumerate(arguments):
                pair = builder.insert_element(pair, number, ir.Constant(ir.IntType(32), k))
            return builder.bitcast(pair, ir.DoubleType())
        pair = ir.Constant(ir.LiteralStructType([ir.DoubleType()] * 2), ir.Undefined)
        for k, number in enumerate(arguments):
            pair = builder.insert_value(pair, number, k)
        return pair

    return (types.float64 if single else types.complex128)(first, second), generate


@intrinsic
def add_pair(_, first, second):
    """Add two pairs, element by element."""
    if first != second or first not in (types.float64, types.complex128):
        return None

    def generate(__, builder, ___, arguments):
        one, two = arguments
        if first == types.float64:
            both = ir.VectorType(ir.FloatType(), 2)
            total = builder.fadd(builder.bitcast(one, both), builder.bitcast(two, both))
            return builder.bitcast(total, ir.DoubleType())
        total = one
        for k in range(2):
            x, y = builder.extract_value(one, k), builder.extract_value(two, k)
            total = builder.insert_value(total, builder.fadd(x, y), k)
        return total

    return first(first, second), generate


@njit(**OPTIONS)
def write_pairs(pairs, n, shift, stride, lam, rate):
    """Write what arrivals at step n are worth into the record, tile by tile of 2**shift neurons."""
    tile, size, eight = np.uint64(1) << np.uint64(shift), np.uint64(lam.shape[0]), np.uint64(8)
    begin = np.uint64(n) * tile
    for first in range(np.uint64(0), size, tile):
        at, j, end = begin, first, min(first + tile, size)
        while j + eight <= end:
            _write_eight(pairs, at, lam, rate, j)
            at, j = at + eight, j + eight
        while j < end:
            pairs[at] = pair_of(lam[j], rate[j])
            at, j = at + np.uint64(1), j + np.uint64(1)
        begin += np.uint64(stride)


@njit(**OPTIONS)
def _write_eight(pairs, at, lam, rate, j):
    """Write the pairs of eight neurons; all are read first, as arrays might overlap otherwise."""
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    three, five, six, seven = one + two, one + four, two + four, one + two + four
    p0, p1 = pair_of(lam[j], rate[j]), pair_of(lam[j + one], rate[j + one])
    p2, p3 = pair_of(lam[j + two], rate[j + two]), pair_of(lam[j + three], rate[j + three])
    p4, p5 = pair_of(lam[j + four], rate[j + four]), pair_of(lam[j + five], rate[j + five])
    p6, p7 = pair_of(lam[j + six], rate[j + six]), pair_of(lam[j + seven], rate[j + seven])
    pairs[at], pairs[at + one], pairs[at + two], pairs[at + three] = p0, p1, p2, p3
    pairs[at + four], pairs[at + five], pairs[at + six], pairs[at + seven] = p4, p5, p6, p7


@njit(**OPTIONS)
def clear_after(pair, n_steps, shift, stride):
    """Let arrivals after the last step be worth nothing; ``pair`` holds the pairs' numbers."""
    two = np.uint64(2)
    for begin in range(np.uint64(0), np.uint64(pair.shape[0]), two * np.uint64(stride)):
        first = begin + ((two * np.uint64(n_steps)) << np.uint64(shift))
        for k in range(first, begin + two * np.uint64(stride)):
            pair[k] = 0


@njit(**OPTIONS)
def moved_by(pair, base, off, weight, row, begin, end):
    """Return dL/d(time of one spike) from all its arrivals: sum of weight * (dL/dt_a per unit)."""
    zero = pair.dtype.type(0)
    a0, a1, a2, a3 = zero, zero, zero, zero
    k, stop, one, two = np.uint64(begin), np.uint64(end), np.uint64(1), np.uint64(2)
    at, four = np.uint64(2 * base + 1), np.uint64(4)
    while k + four <= stop:
        a0 += weight[row, k] * pair[at + two * off[k]]
        a1 += weight[row, k + one] * pair[at + two * off[k + one]]
        a2 += weight[row, k + two] * pair[at + two * off[k + two]]
        a3 += weight[row, k + two + one] * pair[at + two * off[k + two + one]]
        k += four
    while k < stop:
        a0 += weight[row, k] * pair[at + two * off[k]]
        k += one
    return (a0 + a1) + (a2 + a3)


@njit(**OPTIONS)
def write_rates(ring, base, rate):
    """Write dL/dt_a per unit of arrivals at a step into the ring that spikes look into."""
    at = np.uint64(base)
    for j in range(np.uint64(rate.shape[0])):
        ring[at + j] = rate[j]


@njit(**OPTIONS)
def add_moved(sent, begin, ring, base, off, weight, row, rows, neurons, first, last):
    """Add dL/d(time) of the spikes first..last of a step from all their arrivals."""
    zero, mask, at = ring.dtype.type(0), np.uint64(ring.shape[0] - 1), np.uint64(base)
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        k, stop = np.uint64(rows[i]), np.uint64(rows[i + one])
        a0, a1, a2, a3 = zero, zero, zero, zero
        while k + four <= stop:
            a0 += weight[row, k] * ring[(at + off[k]) & mask]
            a1 += weight[row, k + one] * ring[(at + off[k + one]) & mask]
            a2 += weight[row, k + two] * ring[(at + off[k + two]) & mask]
            a3 += weight[row, k + three] * ring[(at + off[k + three]) & mask]
            k += four
        while k < stop:
            a0 += weight[row, k] * ring[(at + off[k]) & mask]
            k += one
        sent[q - np.uint64(begin)] += (a0 + a1) + (a2 + a3)


@njit(**OPTIONS)
def add_moved_ahead(sent, pair, order, bound, base, tiles, stride, off, weight, row):
    """Add dL/d(time) of the spikes of inputs from all their arrivals, tile by tile."""
    n_sources, two = bound.shape[0] - 1, np.uint64(2)
    for r in range(tiles.shape[0] - 1):
        begin, i = np.uint64(2 * (r // n_sources) * stride + 1), r % n_sources
        for e in range(bound[i], bound[i + 1]):
            at, total = begin + two * base[e], pair.dtype.type(0)
            for k in range(np.uint64(tiles[r]), np.uint64(tiles[r + 1])):
                total += weight[row, k] * pair[at + two * off[k]]
            sent[order[e]] += total


@njit(**OPTIONS)
def record_rows(order, steps, shift):
    """Return where in a tile's record the step of each spike begins."""
    base = np.empty(order.shape[0], np.uint32)
    for k in range(order.shape[0]):
        base[k] = steps[order[k]] << shift
    return base


@njit(**OPTIONS)
def _add_eight(drive, first, last, base, begin, off, weight, row, k):
    """Add the spikes first..last to what arrives through the synapses k..k + 7."""
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    k1, k2, k3, k4 = k + one, k + two, k + two + one, k + four
    k5, k6, k7 = k4 + one, k4 + two, k4 + two + one
    o0, o1, o2, o3 = begin + off[k], begin + off[k1], begin + off[k2], begin + off[k3]
    o4, o5, o6, o7 = begin + off[k4], begin + off[k5], begin + off[k6], begin + off[k7]
    w0, w1, w2, w3 = weight[row, k], weight[row, k1], weight[row, k2], weight[row, k3]
    w4, w5, w6, w7 = weight[row, k4], weight[row, k5], weight[row, k6], weight[row, k7]
    for e in range(first, last):
        at = np.uint64(base[e])
        drive[at + o0] += w0
        drive[at + o1] += w1
        drive[at + o2] += w2
        drive[at + o3] += w3
        drive[at + o4] += w4
        drive[at + o5] += w5
        drive[at + o6] += w6
        drive[at + o7] += w7


@njit(**OPTIONS)
def add_ahead(drive, bound, base, tiles, stride, off, weight, row, fresh):
    """Add the spikes of a whole trial to the steps at which they arrive.

    With `fresh`, what is there is forgotten first.
    """
    one, two, four, eight = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(8)
    n_sources, here = bound.shape[0] - 1, np.uint64(0)
    for m in range((tiles.shape[0] - 1) // n_sources):
        begin = np.uint64(m * stride)
        if fresh:
            for x in range(begin, begin + np.uint64(stride)):
                drive[x] = 0
        for i in range(n_sources):
            first, last = np.uint64(bound[i]), np.uint64(bound[i + 1])
            k, end = np.uint64(tiles[here]), np.uint64(tiles[here + one])
            here += one
            if first == last:
                continue
            while k + eight <= end:
                _add_eight(drive, first, last, base, begin, off, weight, row, k)
                k += eight
            if k + four <= end:
                k1, k2, k3 = k + one, k + two, k + two + one
                o0, o1, o2, o3 = begin + off[k], begin + off[k1], begin + off[k2], begin + off[k3]
                w0, w1, w2, w3 = weight[row, k], weight[row, k1], weight[row, k2], weight[row, k3]
                for e in range(first, last):
                    at = np.uint64(base[e])
                    drive[at + o0] += w0
                    drive[at + o1] += w1
                    drive[at + o2] += w2
                    drive[at + o3] += w3
                k += four
            if k + two <= end:
                o0, o1 = begin + off[k], begin + off[k + one]
                w0, w1 = weight[row, k], weight[row, k + one]
                for e in range(first, last):
                    drive[base[e] + o0] += w0
                    drive[base[e] + o1] += w1
                k += two
            if k < end:
                o0, w0 = begin + off[k], weight[row, k]
                for e in range(first, last):
                    drive[base[e] + o0] += w0


@njit(**OPTIONS)
def deliver_ahead(state, row, drive, n, shift, stride):
    """Add what arrives at step n to a state."""
    tile, size, eight = np.uint64(1) << np.uint64(shift), np.uint64(state.shape[1]), np.uint64(8)
    begin = np.uint64(n) * tile
    for first in range(np.uint64(0), size, tile):
        at, j, end = begin, first, min(first + tile, size)
        while j + eight <= end:
            _deliver_eight(state, row, drive, at, j)
            at, j = at + eight, j + eight
        while j < end:
            state[row, j] += drive[at]
            at, j = at + np.uint64(1), j + np.uint64(1)
        begin += np.uint64(stride)


@njit(**OPTIONS)
def _deliver_eight(state, row, drive, at, j):
    """Add to the state of eight neurons; all are read first, as arrays might overlap otherwise."""
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    three, five, six, seven = one + two, one + four, two + four, one + two + four
    s0, s1 = state[row, j] + drive[at], state[row, j + one] + drive[at + one]
    s2, s3 = state[row, j + two] + drive[at + two], state[row, j + three] + drive[at + three]
    s4, s5 = state[row, j + four] + drive[at + four], state[row, j + five] + drive[at + five]
    s6, s7 = state[row, j + six] + drive[at + six], state[row, j + seven] + drive[at + seven]
    state[row, j], state[row, j + one], state[row, j + two], state[row, j + three] = s0, s1, s2, s3
    j += four
    state[row, j], state[row, j + one], state[row, j + two], state[row, j + three] = s4, s5, s6, s7


@njit(**OPTIONS)
def _collect_eight(pairs, first, last, base, begin, off, bars, k):
    """Add what the arrivals of the spikes first..last through the synapses k..k + 7 are worth."""
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    k1, k2, k3, k4 = k + one, k + two, k + two + one, k + four
    k5, k6, k7 = k4 + one, k4 + two, k4 + two + one
    o0, o1, o2, o3 = begin + off[k], begin + off[k1], begin + off[k2], begin + off[k3]
    o4, o5, o6, o7 = begin + off[k4], begin + off[k5], begin + off[k6], begin + off[k7]
    zero = pairs.dtype.type(0)
    a0, a1, a2, a3, a4, a5, a6, a7 = zero, zero, zero, zero, zero, zero, zero, zero
    for e in range(first, last):
        at = np.uint64(base[e])
        a0 = add_pair(a0, pairs[at + o0])
        a1 = add_pair(a1, pairs[at + o1])
        a2 = add_pair(a2, pairs[at + o2])
        a3 = add_pair(a3, pairs[at + o3])
        a4 = add_pair(a4, pairs[at + o4])
        a5 = add_pair(a5, pairs[at + o5])
        a6 = add_pair(a6, pairs[at + o6])
        a7 = add_pair(a7, pairs[at + o7])
    bars[k], bars[k1] = add_pair(bars[k], a0), add_pair(bars[k1], a1)
    bars[k2], bars[k3] = add_pair(bars[k2], a2), add_pair(bars[k3], a3)
    bars[k4], bars[k5] = add_pair(bars[k4], a4), add_pair(bars[k5], a5)
    bars[k6], bars[k7] = add_pair(bars[k6], a6), add_pair(bars[k7], a7)


@njit(**OPTIONS)
def collect(pairs, bound, base, tiles, stride, off, bars):
    """Sum what each synapse's arrivals are worth: the gradients of an additive projection."""
    one, two, four, eight = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(8)
    zero = pairs.dtype.type(0)
    n_sources, here = bound.shape[0] - 1, np.uint64(0)
    for m in range((tiles.shape[0] - 1) // n_sources):
        begin = np.uint64(m * stride)
        for i in range(n_sources):
            first, last = np.uint64(bound[i]), np.uint64(bound[i + 1])
            k, end = np.uint64(tiles[here]), np.uint64(tiles[here + one])
            here += one
            if first == last:
                continue
            while k + eight <= end:
                _collect_eight(pairs, first, last, base, begin, off, bars, k)
                k += eight
            while k < end:
                # fewer than four are filled up with the last one instead of a loop for each
                stop = end - one
                k1, k2, k3 = min(k + one, stop), min(k + two, stop), min(k + two + one, stop)
                o0, o1, o2, o3 = begin + off[k], begin + off[k1], begin + off[k2], begin + off[k3]
                a0, a1, a2, a3 = zero, zero, zero, zero
                for e in range(first, last):
                    at = np.uint64(base[e])
                    a0 = add_pair(a0, pairs[at + o0])
                    a1 = add_pair(a1, pairs[at + o1])
                    a2 = add_pair(a2, pairs[at + o2])
                    a3 = add_pair(a3, pairs[at + o3])
                a0, a1 = add_pair(bars[k], a0), add_pair(bars[k1], a1)
                a2, a3 = add_pair(bars[k2], a2), add_pair(bars[k3], a3)
                bars[k], bars[k1], bars[k2], bars[k3] = a0, a1, a2, a3
                k += four


@njit(nogil=True, error_model="numpy", cache=True)
def add_up(bars, order, weight_bar, delay_bar):
    """Add the gradients of all chunks of trials in their order, in double precision.

    This one is called from Python.

    Row c of ``bars`` has the pairs of numbers of chunk c; synapse k is the ``order[k]``-th, or, if
    there is no order, the k-th.
    """
    one, two = np.uint64(1), np.uint64(2)
    for k in range(np.uint64(weight_bar.shape[0])):
        weight, delay = 0.0, 0.0
        for c in range(np.uint64(bars.shape[0])):
            weight += bars[c, two * k]
            delay += bars[c, two * k + one]
        at = np.uint64(order[k]) if order.shape[0] else k
        weight_bar[at], delay_bar[at] = weight, delay
