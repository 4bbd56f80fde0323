"""Loops over the synapses of one spike on the way back: its gradients, and what moves with it.

What arrivals are worth stands in a ring over time steps, as pairs of numbers: lambda and dL/dt_a
per unit.  Synapses of one source lie side by side, and so do their gradients, which are pairs, too.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic

from brian_eventprop.codegen.buffers import OPTIONS

#: Synapses that are taken at a time: a power of two.
LANES = 8


def _row(moves: bool):
    """Return an intrinsic that takes a row's synapses begin..end, as many as are whole lanes.

    It adds the pairs to the gradients and returns the sum of weight * (dL/dt_a per unit), or, if
    nothing `moves`, zero.
    """

    @intrinsic
    def take(_, ring, mask, at, off, weight, row, bars, begin, end):
        signature = ring.dtype(ring, mask, at, off, weight, row, bars, begin, end)

        def generate(context, builder, signature, arguments):
            kinds, given = signature.args, dict(zip(_NAMES, arguments, strict=True))
            arrays = {
                name: context.make_array(kind)(context, builder, given[name])
                for name, kind in zip(_NAMES, kinds, strict=True)
                if name in ("ring", "off", "weight", "bars")
            }
            number = context.get_value_type(signature.return_type)
            lanes = _Lanes(builder, number, context.get_abi_sizeof(number), given, arrays)
            sums = cgutils.alloca_once_value(builder, ir.Constant(lanes.vector(LANES), None))
            n = builder.lshr(builder.sub(given["end"], given["begin"]), _WORD(_SHIFT))
            with cgutils.for_range(builder, n, intp=_WORD) as loop:
                k = builder.add(given["begin"], builder.shl(loop.index, _WORD(_SHIFT)))
                pairs = lanes.pairs(k)
                lanes.add(pairs, k)
                if moves:
                    builder.store(builder.fadd(builder.load(sums), lanes.moved(pairs, k)), sums)
            return lanes.total(builder.load(sums))

        return signature, generate

    return take


class _Lanes:
    """Vector instructions for neighbouring synapses of a row."""

    def __init__(self, builder, number, size, given, arrays):
        self.builder, self.number, self.size = builder, number, size
        self.given, self.arrays = given, arrays
        weight = arrays["weight"]
        begin = builder.mul(given["row"], cgutils.unpack_tuple(builder, weight.strides)[0])
        self.weights = cgutils.pointer_add(builder, weight.data, begin, number.as_pointer())

    def vector(self, n: int):
        """Return the type of so many numbers."""
        return ir.VectorType(self.number, n)

    def pairs(self, k):
        """Load the pairs where the arrivals of the synapses from k on stand, side by side."""
        builder, parts = self.builder, []
        for lane in range(LANES):
            off = builder.load(builder.gep(self.arrays["off"].data, [builder.add(k, _WORD(lane))]))
            off = off if off.type == _WORD else builder.zext(off, _WORD)
            place = builder.and_(builder.add(self.given["at"], off), self.given["mask"])
            parts.append(self._load(self.arrays["ring"].data, builder.shl(place, _WORD(1)), 2))
        while len(parts) > 1:
            size = 2 * parts[0].type.count
            order = ir.Constant(ir.VectorType(_INDEX, size), list(range(size)))
            couples = zip(parts[::2], parts[1::2], strict=True)
            parts = [builder.shuffle_vector(one, two, order) for one, two in couples]
        return parts[0]

    def add(self, pairs, k):
        """Add pairs to the gradients of the synapses from k on."""
        builder, bars = self.builder, self.arrays["bars"].data
        at = builder.shl(k, _WORD(1))
        total = builder.fadd(self._load(bars, at, 2 * LANES), pairs)
        builder.store(total, self._place(bars, at, 2 * LANES)).align = self.size

    def moved(self, pairs, k):
        """Return weight * (dL/dt_a per unit) of the synapses from k on."""
        second = ir.Constant(ir.VectorType(_INDEX, LANES), list(range(1, 2 * LANES, 2)))
        rates = self.builder.shuffle_vector(pairs, pairs, second)
        return self.builder.fmul(self._load(self.weights, k, LANES), rates)

    def total(self, sums):
        """Return the sum of all lanes."""
        parts = [self.builder.extract_element(sums, _INDEX(lane)) for lane in range(LANES)]
        while len(parts) > 1:
            couples = zip(parts[::2], parts[1::2], strict=True)
            parts = [self.builder.fadd(one, two) for one, two in couples]
        return parts[0]

    def _place(self, data, at, n):
        return self.builder.bitcast(self.builder.gep(data, [at]), self.vector(n).as_pointer())

    def _load(self, data, at, n):
        numbers = self.builder.load(self._place(data, at, n))
        numbers.align = self.size
        return numbers


_NAMES = ("ring", "mask", "at", "off", "weight", "row", "bars", "begin", "end")
_WORD, _INDEX, _SHIFT = ir.IntType(64), ir.IntType(32), LANES.bit_length() - 1
_take_and_move, _take = _row(moves=True), _row(moves=False)


@njit(**OPTIONS)
def add_worths(ring, base, off, weight, row, bars, rows, neurons, first, last):
    """Add what the arrivals of the spikes first..last of a step are worth to the gradients."""
    mask, at, line = np.uint64(ring.shape[0] // 2 - 1), np.uint64(base), np.uint64(row)
    one, two, lanes = np.uint64(1), np.uint64(2), np.uint64(LANES - 1)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        begin, end = np.uint64(rows[i]), np.uint64(rows[i + one])
        _take(ring, mask, at, off, weight, line, bars, begin, end)
        for k in range(end - ((end - begin) & lanes), end):
            place = two * ((at + off[k]) & mask)
            bars[two * k] += ring[place]
            bars[two * k + one] += ring[place + one]


@njit(**OPTIONS)
def move_and_add_worths(
    sent, offset, ring, base, off, weight, row, bars, rows, neurons, first, last
):
    """Do the same, and add dL/d(time) of the spikes from all their arrivals."""
    mask, at, line = np.uint64(ring.shape[0] // 2 - 1), np.uint64(base), np.uint64(row)
    one, two, lanes = np.uint64(1), np.uint64(2), np.uint64(LANES - 1)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        begin, end = np.uint64(rows[i]), np.uint64(rows[i + one])
        total = _take_and_move(ring, mask, at, off, weight, line, bars, begin, end)
        for k in range(end - ((end - begin) & lanes), end):
            place = two * ((at + off[k]) & mask)
            rate = ring[place + one]
            bars[two * k] += ring[place]
            bars[two * k + one] += rate
            total += weight[line, k] * rate
        sent[q - np.uint64(offset)] += total
