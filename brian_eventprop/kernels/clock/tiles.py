"""Loops over synapses, tile by tile of target neurons, for the spikes of one source at a time.

The input drive of a tile of neurons, or its arrival adjoints, fit into the first cache for all
steps of a trial.  The spikes of a source go through the innermost loop, eight synapses at a
time: their weights, delays and sums stay in registers, and memory is touched once per event.

The record of a tile lies step by step, neuron by neuron.  An arrival adjoint is a pair of numbers,
lambda and dL/dt_a per unit, added in one instruction: pairs of single precision numbers are kept in
the bits of a double precision one, pairs of double precision numbers are complex.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from brian_eventprop.kernels.buffers import OPTIONS
from brian_eventprop.kernels.cache import njit
from brian_eventprop.kernels.intrinsics import intrinsic
from brian_eventprop.kernels.simd import WORD, Arrays, in_turn, load, store, widened

#: Fewest neurons in a tile.
TILE = 8

#: Steps that are copied between the record of all tiles and rows of neurons at a time.
STEPS = 8


def _add_pair(first, second):
    if isinstance(first, complex):
        return first + second
    both = np.array([first, second]).view(np.float32)
    return (both[:2] + both[2:]).view(np.float64)[0]


@intrinsic(twin=_add_pair)
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


def _write_eight_plain(record, at, lam, rate, j):
    pairs = record[2 * at : 2 * (at + 8)]
    pairs[::2], pairs[1::2] = lam[j : j + 8], rate[j : j + 8]


@intrinsic(twin=_write_eight_plain)
def _write_eight(_, record, at, lam, rate, j):
    """Write the pairs of eight neurons; ``record`` holds the pairs' numbers."""

    def generate(context, builder, signature, arguments):
        names = ("record", "at", "lam", "rate", "j")
        arrays = Arrays(context, builder, signature, arguments, names)
        lam, rate = (load(builder, arrays.data(n), arrays.given["j"], 8) for n in ("lam", "rate"))
        at = builder.shl(arrays.given["at"], WORD(1))
        store(builder, in_turn(builder, lam, rate), arrays.data("record"), at)
        return context.get_dummy_value()

    return types.void(record, types.uint64, lam, rate, types.uint64), generate


@njit(**OPTIONS)
def write_pairs(record, begin, lam, rate):
    """Write the arrival adjoints of a step side by side; ``record`` holds the pairs' numbers."""
    one, two, eight = np.uint64(1), np.uint64(2), np.uint64(8)
    at, j, size = np.uint64(begin), np.uint64(0), np.uint64(lam.shape[0])
    while j + eight <= size:
        _write_eight(record, at + j, lam, rate, j)
        j += eight
    while j < size:
        record[two * (at + j)], record[two * (at + j) + one] = lam[j], rate[j]
        j += one


def _copy_eight_plain(target, to, source, at):
    target[to : to + 8] = source[at : at + 8]


@intrinsic(twin=_copy_eight_plain)
def _copy_eight(_, target, to, source, at):
    """Copy eight neighbouring numbers."""

    def generate(context, builder, signature, arguments):
        arrays = Arrays(context, builder, signature, arguments, ("target", "to", "source", "at"))
        numbers = load(builder, arrays.data("source"), arrays.given["at"], 8)
        store(builder, numbers, arrays.data("target"), arrays.given["to"])
        return context.get_dummy_value()

    return types.void(target, types.uint64, source, types.uint64), generate


@njit(forceinline=True, **OPTIONS)
def _copy(target, to, source, at, size):
    """Copy neighbouring numbers."""
    one, eight, k = np.uint64(1), np.uint64(8), np.uint64(0)
    while k + eight <= size:
        _copy_eight(target, to + k, source, at + k)
        k += eight
    while k < size:
        target[to + k] = source[at + k]
        k += one


@njit(**OPTIONS)
def into_record(record, steps, n, n_steps, size, numbers, shift, stride):
    """Copy the steps from n on, as many as are copied at a time, into the record of all tiles.

    The record has as many ``numbers`` per neuron and step.  The parts of a step that belong to
    different tiles lie far apart: the machine looks each place up, which takes longer than copying.
    """
    tile, size, line = np.uint64(1) << np.uint64(shift), np.uint64(size), np.uint64(numbers)
    begin, last = np.uint64(n) * tile, np.uint64(min(n + STEPS, n_steps) - n)
    for first in range(np.uint64(0), size, tile):
        width = line * min(tile, size - first)
        for s in range(np.uint64(0), last):
            _copy(record, line * (begin + s * tile), steps, line * (s * size + first), width)
        begin += np.uint64(stride)


@njit(**OPTIONS)
def from_record(steps, record, n, n_steps, size, shift, stride):
    """Copy the steps from n on, as many as are copied at a time, out of the record of all tiles."""
    tile, size = np.uint64(1) << np.uint64(shift), np.uint64(size)
    begin, last = np.uint64(n) * tile, np.uint64(min(n + STEPS, n_steps) - n)
    for first in range(np.uint64(0), size, tile):
        width = min(tile, size - first)
        for s in range(np.uint64(0), last):
            _copy(steps, s * size + first, record, begin + s * tile, width)
        begin += np.uint64(stride)


@njit(**OPTIONS)
def clear_after(record, n_steps, shift, stride):
    """Let the adjoints of arrivals after the end be 0; ``record`` holds the pairs' numbers."""
    two = np.uint64(2)
    for begin in range(np.uint64(0), np.uint64(record.shape[0]), two * np.uint64(stride)):
        first = begin + ((two * np.uint64(n_steps)) << np.uint64(shift))
        for k in range(first, begin + two * np.uint64(stride)):
            record[k] = 0


@njit(**OPTIONS)
def d_time_of_row(record, base, off, weight, row, begin, end):
    """Return dL/d(time of one spike) from all its arrivals: sum of weight * (dL/dt_a per unit)."""
    zero = record.dtype.type(0)
    a0, a1, a2, a3 = zero, zero, zero, zero
    k, stop, one, two = np.uint64(begin), np.uint64(end), np.uint64(1), np.uint64(2)
    at, four = np.uint64(2 * base + 1), np.uint64(4)
    while k + four <= stop:
        a0 += weight[row, k] * record[at + two * off[k]]
        a1 += weight[row, k + one] * record[at + two * off[k + one]]
        a2 += weight[row, k + two] * record[at + two * off[k + two]]
        a3 += weight[row, k + two + one] * record[at + two * off[k + two + one]]
        k += four
    while k < stop:
        a0 += weight[row, k] * record[at + two * off[k]]
        k += one
    return (a0 + a1) + (a2 + a3)


@njit(**OPTIONS)
def write_rates(ring, base, rate):
    """Write dL/dt_a per unit of arrivals at a step into the ring that spikes look into."""
    at = np.uint64(base)
    for j in range(np.uint64(rate.shape[0])):
        ring[at + j] = rate[j]


@njit(**OPTIONS)
def add_d_time(d_spike_time, begin, ring, base, off, weight, row, rows, neurons, first, last):
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
        d_spike_time[q - np.uint64(begin)] += (a0 + a1) + (a2 + a3)


@njit(**OPTIONS)
def add_d_time_of_inputs(d_spike_time, record, order, bound, base, tiles, stride, off, weight, row):
    """Add dL/d(time) of the spikes of inputs from all their arrivals, tile by tile."""
    n_sources, two = bound.shape[0] - 1, np.uint64(2)
    for r in range(tiles.shape[0] - 1):
        begin, i = np.uint64(2 * (r // n_sources) * stride + 1), r % n_sources
        for e in range(bound[i], bound[i + 1]):
            at, total = begin + two * base[e], record.dtype.type(0)
            for k in range(np.uint64(tiles[r]), np.uint64(tiles[r + 1])):
                total += weight[row, k] * record[at + two * off[k]]
            d_spike_time[order[e]] += total


def _spikes_to(n):
    """Return an intrinsic that adds the spikes first..last to what arrives through n synapses."""

    def plain(drive, first, last, base, begin, off, weight, row, k):
        places = base[first:last, None].astype(np.int64) + off[k : k + n]
        weights = np.tile(weight[row, k : k + n], len(places))
        np.add.at(drive[begin:], places.reshape(-1), weights)  # spike by spike

    @intrinsic(twin=plain)
    def add(_, drive, first, last, base, begin, off, weight, row, k):
        def generate(context, builder, signature, arguments):
            names = ("drive", "first", "last", "base", "begin", "off", "weight", "row", "k")
            arrays = Arrays(context, builder, signature, arguments, names)
            given, weight = arrays.given, arrays.data("weight", "row")
            base, off = arrays.data("base"), arrays.data("off")
            drive = builder.gep(arrays.data("drive"), [given["begin"]])
            sinks, weights = [], []
            for lane in range(n):
                k = builder.add(given["k"], WORD(lane))
                step = widened(builder, builder.load(builder.gep(off, [k])))
                sinks.append(builder.gep(drive, [step]))
                weights.append(builder.load(builder.gep(weight, [k])))
            spikes = cgutils.for_range_slice(
                builder, given["first"], given["last"], WORD(1), intp=WORD
            )
            with spikes as (e, _):
                at = widened(builder, builder.load(builder.gep(base, [e])))
                for sink, number in zip(sinks, weights, strict=True):
                    place = builder.gep(sink, [at])
                    builder.store(builder.fadd(builder.load(place), number), place)
            return context.get_dummy_value()

        whole = types.uint64
        signature = types.void(drive, whole, whole, base, whole, off, weight, whole, whole)
        return signature, generate

    return add


_to_eight, _to_four, _to_two, _to_one = (_spikes_to(n) for n in (8, 4, 2, 1))


@njit(**OPTIONS)
def add_input_drive(drive, bound, base, tiles, stride, off, weight, row, fresh):
    """Add the spikes of a whole trial to the steps at which they arrive.

    With `fresh`, what is there is forgotten first.
    """
    one, two, four, eight = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(8)
    n_sources, here, line = bound.shape[0] - 1, np.uint64(0), np.uint64(row)
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
                _to_eight(drive, first, last, base, begin, off, weight, line, k)
                k += eight
            if k + four <= end:
                _to_four(drive, first, last, base, begin, off, weight, line, k)
                k += four
            if k + two <= end:
                _to_two(drive, first, last, base, begin, off, weight, line, k)
                k += two
            if k < end:
                _to_one(drive, first, last, base, begin, off, weight, line, k)


@njit(**OPTIONS)
def deliver_drive(state, row, steps, n):
    """Add what arrives at step n to a state, once its step has been copied."""
    size, line = np.uint64(state.shape[1]), np.uint64(row)
    begin = size * np.uint64(n % STEPS)
    for j in range(size):
        state[line, j] += steps[begin + j]


@njit(**OPTIONS)
def _collect_eight(pairs, first, last, base, begin, off, grads, k):
    """Add the adjoints of the arrivals of spikes first..last through the synapses k..k + 7."""
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
    grads[k], grads[k1] = add_pair(grads[k], a0), add_pair(grads[k1], a1)
    grads[k2], grads[k3] = add_pair(grads[k2], a2), add_pair(grads[k3], a3)
    grads[k4], grads[k5] = add_pair(grads[k4], a4), add_pair(grads[k5], a5)
    grads[k6], grads[k7] = add_pair(grads[k6], a6), add_pair(grads[k7], a7)


@njit(**OPTIONS)
def collect(pairs, bound, base, tiles, stride, off, grads):
    """Sum the arrival adjoints of each synapse: the gradients of an additive projection."""
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
                _collect_eight(pairs, first, last, base, begin, off, grads, k)
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
                a0, a1 = add_pair(grads[k], a0), add_pair(grads[k1], a1)
                a2, a3 = add_pair(grads[k2], a2), add_pair(grads[k3], a3)
                grads[k], grads[k1], grads[k2], grads[k3] = a0, a1, a2, a3
                k += four


@njit(nogil=True, error_model="numpy", cache=True, no_cfunc_wrapper=True)
def sum_chunks(start, end, grads, order, grad_weight, grad_delay):
    """Add the gradients of all chunks of trials in their order, in double precision; clear them.

    It is called from Python, for a range of the synapses.  Row c of ``grads`` has the pairs of
    numbers of chunk c.  Column k belongs to synapse ``order[k]``, or to synapse k without an order;
    it is padding where the order is negative.
    """
    one, two, size = np.uint64(1), np.uint64(2), np.uint64(end)
    several = np.uint64(512)  # synapses whose sums stay in the first cache
    sums = np.empty(two * several)
    for begin in range(np.uint64(start), size, several):
        n, first = min(several, size - begin), two * begin
        for k in range(two * n):
            sums[k] = 0.0
        for c in range(np.uint64(grads.shape[0])):
            for k in range(two * n):
                sums[k] += grads[c, first + k]
                grads[c, first + k] = 0
        for k in range(n):
            at = order[begin + k] if order.shape[0] else np.int64(begin + k)
            if at >= 0:
                grad_weight[np.uint64(at)] = sums[two * k]
                grad_delay[np.uint64(at)] = sums[two * k + one]
