"""Backwards through the arrivals of one spike in batches, eight synapses at a time.

Arrival adjoints may stand anywhere, a few numbers for each of them; the sums of the synapses
stand side by side, so that those of eight synapses are one vector.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from brian_eventprop.kernels.event.batched_arrivals import PARTED, append_lanes_plain, write_lanes
from brian_eventprop.kernels.intrinsics import intrinsic
from brian_eventprop.kernels.simd import (
    INDEX,
    WORD,
    Arrays,
    constants,
    load,
    side_by_side,
    store,
)

_EIGHT = 8


def _add_row(sums, table, first, n, adjoints, column, spots, factors, apart, lanes, with_time):
    columns, found = len(factors), 0
    products, own = np.zeros((_EIGHT, columns)), adjoints.reshape(-1)
    for i in range(0, n, _EIGHT):
        begins = spots[i : i + _EIGHT, None].astype(np.int64) + int(column)
        each = own[begins + np.arange(columns)]
        at = slice((first + i) * columns, (first + i + _EIGHT) * columns)
        if apart is not None:
            marked = each[:, 0].copy().view(np.int64) == PARTED
            bits = sum(1 << lane for lane in range(_EIGHT) if marked[lane])
            found += append_lanes_plain(apart, found, i, bits, lanes)
        if sums is not None:
            sums.reshape(-1)[at] += (each * factors).reshape(-1)
        if with_time:
            products += each * table.reshape(-1)[at].reshape(products.shape)
    while len(products) > 1:
        products = products[: len(products) // 2] + products[len(products) // 2 :]
    return found, *products[0]


@intrinsic(twin=_add_row)
def add_row(
    typing_context, sums, table, first, n, adjoints, column, spots, factors, apart, lanes, with_time
):
    """Go backwards through n arrivals, a multiple of eight, from synapse ``first`` on.

    The adjoint of arrival i begins at ``adjoints[spots[i] + column]``.  Times the factors of the
    spike, it is added to the synapse's ``sums``.  Its products with the synapse's numbers in the
    ``table`` are accumulated if the gradients of spike times are wanted (``with_time``).  Spots
    whose windows are parted by events are appended to ``apart``; ``lanes`` is `LANES`.  ``sums``
    and ``apart`` may be None.

    Returns how many have been appended, and the sum of the products for each factor.
    """
    del typing_context
    names = "sums table first n adjoints column spots factors apart lanes with_time".split()
    whole, boolean = types.int64, types.boolean

    def generate(context, builder, signature, arguments):
        arrays = Arrays(context, builder, signature, arguments, names)
        products, found = _Row(arrays, len(factors), sums, apart).code()
        parts = [builder.extract_element(products, INDEX(k)) for k in range(len(factors))]
        return context.make_tuple(builder, signature.return_type, [found, *parts])

    returned = types.Tuple((types.uint64, *[types.float64] * len(factors)))
    signature = returned(
        sums, table, whole, whole, adjoints, whole, spots, factors, apart, lanes, boolean
    )
    return signature, generate


class _Row:
    """The code of the loop over a row; ``columns`` numbers for each synapse."""

    def __init__(self, arrays: Arrays, columns: int, sums, apart):
        self.arrays, self.columns = arrays, columns
        self.sums, self.apart = sums != types.none, apart != types.none
        self.builder, self.given = arrays.builder, arrays.given
        self.several = ir.VectorType(ir.DoubleType(), _EIGHT * columns)
        self.factors = ir.Constant(self.several, ir.Undefined)
        for k in range(_EIGHT * columns):
            factor = self.builder.extract_value(self.given["factors"], k % columns)
            self.factors = self.builder.insert_element(self.factors, factor, INDEX(k))

    def code(self):
        """Write the loop; return the sums of the products and how many places were appended."""
        builder, given = self.builder, self.given
        nothing = ir.Constant(self.several, [0.0] * self.several.count)
        products = cgutils.alloca_once_value(builder, nothing)
        found = cgutils.alloca_once_value(builder, WORD(0))
        with cgutils.for_range_slice(builder, WORD(0), given["n"], WORD(_EIGHT)) as (i, _):
            adjoints = self._adjoints(i)
            at = builder.mul(builder.add(given["first"], i), WORD(self.columns))
            if self.apart:
                self._append(adjoints, i, found)
            if self.sums:
                sums = self.arrays.data("sums")
                total = self._fused(
                    adjoints, self.factors, load(builder, sums, at, adjoints.type.count)
                )
                store(builder, total, sums, at)
            with builder.if_then(given["with_time"]):
                table = load(builder, self.arrays.data("table"), at, adjoints.type.count)
                builder.store(self._fused(adjoints, table, builder.load(products)), products)
        return self._folded(builder.load(products)), builder.load(found)

    def _adjoints(self, i):
        """The adjoints of eight arrivals, side by side."""
        builder, spots, each = self.builder, self.arrays.data("spots"), []
        for lane in range(_EIGHT):
            place = builder.load(builder.gep(spots, [builder.add(i, WORD(lane))]))
            place = builder.add(builder.sext(place, WORD), self.given["column"])
            each.append(load(builder, self.arrays.data("adjoints"), place, self.columns))
        return side_by_side(builder, each)

    def _append(self, adjoints, i, found):
        """Append those of eight arrivals whose first number has the bits that mark it."""
        builder = self.builder
        bits = builder.bitcast(adjoints, ir.VectorType(WORD, adjoints.type.count))
        firsts = constants(INDEX, range(0, adjoints.type.count, self.columns))
        firsts = builder.shuffle_vector(bits, bits, firsts)
        marked = builder.icmp_signed("==", firsts, constants(WORD, [PARTED] * _EIGHT))
        marked = builder.zext(builder.bitcast(marked, ir.IntType(_EIGHT)), WORD)
        apart, lanes, at = self.arrays.data("apart"), self.arrays.data("lanes"), builder.load(found)
        builder.store(builder.add(at, write_lanes(builder, apart, at, i, marked, lanes)), found)

    def _fused(self, one, other, total):
        # fused where the machine can
        product = self.builder.fmul(one, other, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))

    def _folded(self, numbers):
        """The sum over the eight synapses."""
        while numbers.type.count > self.columns:
            half = numbers.type.count // 2
            low, high = (constants(INDEX, range(k, k + half)) for k in (0, half))
            one, two = (self.builder.shuffle_vector(numbers, numbers, x) for x in (low, high))
            numbers = self.builder.fadd(one, two)
        return numbers
