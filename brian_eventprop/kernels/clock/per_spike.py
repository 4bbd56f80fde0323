"""Loops over the synapses of one spike in the backward pass: their gradients, and dL/d(time).

Arrival adjoints stand in a ring over time steps, as pairs of numbers: lambda and dL/dt_a per unit.
Synapses of one source lie side by side, and so do their gradients, which are pairs, too.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from brian_eventprop.kernels.buffers import OPTIONS
from brian_eventprop.kernels.cache import njit
from brian_eventprop.kernels.intrinsics import intrinsic
from brian_eventprop.kernels.simd import (
    INDEX,
    WORD,
    Arrays,
    constants,
    gathered,
    load,
    side_by_side,
    size_of,
    spread,
    store,
)

#: Synapses that are taken at a time: a power of two.
LANES = 8


def _row(with_time: bool):
    """Return an intrinsic that takes a row's synapses begin..end, as many as are whole lanes.

    It adds the pairs to the gradients and returns the sum of weight * (dL/dt_a per unit), or 0 if
    it is not made `with_time`.
    """

    def plain(ring, mask, at, off, weight, row, grads, begin, end):
        sums = np.zeros(LANES, ring.dtype)
        for k in range(begin, end - (end - begin) % LANES, LANES):
            places = 2 * ((at + off[k : k + LANES].astype(np.uint64)) & mask)
            rates = ring[places + 1]
            grads[2 * k : 2 * (k + LANES) : 2] += ring[places]
            grads[2 * k + 1 : 2 * (k + LANES) : 2] += rates
            if with_time:
                sums += weight[row, k : k + LANES] * rates
        while len(sums) > 1:
            sums = sums[::2] + sums[1::2]
        return sums[0]

    @intrinsic(twin=plain)
    def take(_, ring, mask, at, off, weight, row, grads, begin, end):
        signature = ring.dtype(ring, mask, at, off, weight, row, grads, begin, end)

        def generate(context, builder, signature, arguments):
            lanes = _Lanes(Arrays(context, builder, signature, arguments, _NAMES))
            sums = cgutils.alloca_once_value(builder, ir.Constant(lanes.vector, None))
            given = lanes.given
            n = builder.lshr(builder.sub(given["end"], given["begin"]), WORD(_SHIFT))
            with cgutils.for_range(builder, n, intp=WORD) as loop:
                k = builder.add(given["begin"], builder.shl(loop.index, WORD(_SHIFT)))
                pairs = lanes.pairs(k)
                lanes.add(pairs, k)
                if with_time:
                    builder.store(builder.fadd(builder.load(sums), lanes.d_time(pairs, k)), sums)
            return lanes.total(builder.load(sums))

        return signature, generate

    return take


class _Lanes:
    """Vector instructions for neighbouring synapses of a row."""

    def __init__(self, arrays: Arrays):
        self.builder, self.given = arrays.builder, arrays.given
        self.ring, self.off, self.grads = (arrays.data(name) for name in ("ring", "off", "grads"))
        self.weights = arrays.data("weight", "row")
        self.vector = ir.VectorType(self.ring.type.pointee, LANES)

    def pairs(self, k):
        """Load the pairs where the arrivals of the synapses from k on stand, side by side."""
        builder, given = self.builder, self.given
        steps = load(builder, self.off, k, LANES)
        if steps.type.element != WORD:
            steps = builder.zext(steps, ir.VectorType(WORD, LANES))
        places = builder.add(spread(builder, given["at"], LANES), steps)
        places = builder.and_(places, spread(builder, given["mask"], LANES))
        if size_of(self.vector.element) == 4:  # a pair is one word, and words are joined faster
            words = gathered(builder, builder.bitcast(self.ring, WORD.as_pointer()), places)
            return builder.bitcast(words, ir.VectorType(self.vector.element, 2 * LANES))
        parts = []
        for lane in range(LANES):
            place = builder.shl(builder.extract_element(places, INDEX(lane)), WORD(1))
            parts.append(load(builder, self.ring, place, 2))
        return side_by_side(builder, parts)

    def add(self, pairs, k):
        """Add pairs to the gradients of the synapses from k on."""
        builder, at = self.builder, self.builder.shl(k, WORD(1))
        total = builder.fadd(load(builder, self.grads, at, 2 * LANES), pairs)
        store(builder, total, self.grads, at)

    def d_time(self, pairs, k):
        """Return weight * (dL/dt_a per unit) of the synapses from k on."""
        rates = self.builder.shuffle_vector(pairs, pairs, constants(INDEX, range(1, 2 * LANES, 2)))
        return self.builder.fmul(load(self.builder, self.weights, k, LANES), rates)

    def total(self, sums):
        """Return the sum of all lanes."""
        parts = [self.builder.extract_element(sums, INDEX(lane)) for lane in range(LANES)]
        while len(parts) > 1:
            couples = zip(parts[::2], parts[1::2], strict=True)
            parts = [self.builder.fadd(one, two) for one, two in couples]
        return parts[0]


_NAMES = ("ring", "mask", "at", "off", "weight", "row", "grads", "begin", "end")
_SHIFT = LANES.bit_length() - 1
_add_row_and_time, _add_row = _row(with_time=True), _row(with_time=False)


@njit(**OPTIONS)
def add_arrivals(ring, base, off, weight, row, grads, rows, neurons, first, last):
    """Add the adjoints of the arrivals of spikes first..last of a step to the gradients."""
    mask, at, line = np.uint64(ring.shape[0] // 2 - 1), np.uint64(base), np.uint64(row)
    one, two, lanes = np.uint64(1), np.uint64(2), np.uint64(LANES - 1)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        begin, end = np.uint64(rows[i]), np.uint64(rows[i + one])
        _add_row(ring, mask, at, off, weight, line, grads, begin, end)
        for k in range(end - ((end - begin) & lanes), end):
            place = two * ((at + off[k]) & mask)
            grads[two * k] += ring[place]
            grads[two * k + one] += ring[place + one]


@njit(**OPTIONS)
def add_arrivals_and_times(
    d_spike_time, offset, ring, base, off, weight, row, grads, rows, neurons, first, last
):
    """Do the same, and add dL/d(time) of the spikes from all their arrivals."""
    mask, at, line = np.uint64(ring.shape[0] // 2 - 1), np.uint64(base), np.uint64(row)
    one, two, lanes = np.uint64(1), np.uint64(2), np.uint64(LANES - 1)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        begin, end = np.uint64(rows[i]), np.uint64(rows[i + one])
        total = _add_row_and_time(ring, mask, at, off, weight, line, grads, begin, end)
        for k in range(end - ((end - begin) & lanes), end):
            place = two * ((at + off[k]) & mask)
            rate = ring[place + one]
            grads[two * k] += ring[place]
            grads[two * k + one] += rate
            total += weight[line, k] * rate
        d_spike_time[q - np.uint64(offset)] += total
