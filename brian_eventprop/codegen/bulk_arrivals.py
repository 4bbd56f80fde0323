"""Queues and the latest spikes for groups that take their arrivals in bulk; see `event_bulk`.

Arrivals in bulk are added up and forgotten.  The few neurons that go through theirs one by one find
them again: a word of bits tells of each source how many windows ago it spiked, and the delay of a
synapse in whole windows which of the bits matter to it.  For each spike there is its time, its
number, and the places of the spike before it of the same neuron, at all and in the same window.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import float64, int32, int64, types, uint8, uint64, void
from numba.extending import intrinsic

from brian_eventprop.codegen.arrivals import bare, compiled, in_order
from brian_eventprop.codegen.buffers import prefetch

_TABLE, _VECTOR, _ROWS = float64[:, ::1], float64[::1], int64[::1]
_PAIRS, _BYTES, _MAP = int32[:, ::1], uint8[::1], uint64[:, ::1]
_NUMBERS = int32[::1]

#: The numbers of the bits that are set in each byte, as rows of eight.
LANES = np.zeros((256, 8), np.uint8)
for _byte in range(256):
    _set = [n for n in range(8) if _byte >> n & 1]
    LANES[_byte, : len(_set)] = _set

#: In place of an adjoint, the bits of -0.0: the events of the neuron part this window, see the
#: segments.  It counts as nothing, so that sums need no branch.
PARTED = -(2**63)


@intrinsic
def lowest(typing_context, word):
    """Return the place of the lowest bit of a word that is not 0."""
    del typing_context

    def code(context, builder, signature, arguments):
        del context, signature
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code if word == types.uint64 else None


@intrinsic
def places_of_eight(
    typing_context,
    spots, i, ticks, k, targets, n, tick, bits, edge, ring, windows, size, width, side,
):  # fmt: skip
    """Write down where the arrivals at synapses k..k+7 of a spike go, as ``spots[i:i+8]``.

    Times are in ticks, 2**bits of them in a window; the lowest bit of a delay tells which of the
    two sides of its target a synapse is on.  Returns bits that are not 0 if one of them is so near
    to the border of its window that whole ticks do not tell on which side it is.
    """
    del typing_context
    word, number, eight = ir.IntType(32), 8, ir.VectorType(ir.IntType(32), 8)

    def generate(context, builder, signature, arguments):
        def data(which, at):
            table = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(table.data, [arguments[at]]), eight.as_pointer())

        def each(which):
            value = (
                builder.trunc(arguments[which], word) if which not in words else arguments[which]
            )
            one = builder.insert_element(ir.Constant(eight, ir.Undefined), value, word(0))
            nothing = ir.Constant(eight, ir.Undefined)
            return builder.shuffle_vector(one, nothing, ir.Constant(eight, [0] * number))

        words = [n for n, kind in enumerate(signature.args) if kind == types.int32]
        one, three, four, ones = (ir.Constant(eight, [n] * number) for n in (1, 3, 4, -1))
        delay, target = builder.load(data(2, 3), align=4), builder.load(data(4, 5), align=4)
        due = builder.add(delay, each(6))
        window = builder.ashr(due, each(7))
        row, rows = builder.sub(window, each(8)), each(9)
        row = builder.select(builder.icmp_signed("<", row, rows), row, builder.sub(row, rows))
        # after the end: a row that nobody reads
        row = builder.select(builder.icmp_signed("<", window, each(10)), row, rows)
        place = builder.add(builder.mul(row, each(11)), builder.mul(target, each(12)))
        place = builder.add(place, builder.mul(builder.and_(delay, one), each(13)))
        builder.store(place, data(0, 1), align=4)
        within = builder.xor(builder.shl(ones, each(7)), ones)
        near = builder.icmp_unsigned("<", builder.and_(builder.add(due, three), within), four)
        return builder.zext(builder.bitcast(near, ir.IntType(number)), ir.IntType(64))

    numbers = (types.int32, types.int64, types.int32, types.int64, types.int64)
    signature = types.int64(
        spots, types.int64, ticks, types.int64, targets, types.int64, *numbers, *[types.int32] * 3
    )
    return signature, generate


@intrinsic
def add_products(typing_context, sums, at, table, begin, factors):
    """Add the products of a few entries of a table with a factor each to as many sums."""
    del typing_context
    several = ir.VectorType(ir.DoubleType(), len(factors))

    def generate(context, builder, signature, arguments):
        def data(which, at):
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(array.data, [arguments[at]]), several.as_pointer())

        each = ir.Constant(several, ir.Undefined)
        for n in range(len(factors)):
            factor = builder.extract_value(arguments[4], n)
            each = builder.insert_element(each, factor, ir.IntType(32)(n))
        entries = builder.load(data(2, 3), align=8)
        place = data(0, 1)
        # fused where the machine can
        product = builder.fmul(entries, each, flags=("contract",))
        total = builder.fadd(builder.load(place, align=8), product, flags=("contract",))
        builder.store(total, place, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, table, types.uint64, factors), generate


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


@bare(float64(int64, float64))
def per_second(windows, end):
    """Return windows per second, a little less: no time before the end is rounded up to it."""
    return (windows / end) * (1 - 5e-16)


@bare(int64(float64, int64, float64))
def due_in(t, windows, end):
    """Return the window of a time; what is due later is never in an earlier one."""
    return int(t * per_second(windows, end))


@bare(void(_VECTOR, _PAIRS, _ROWS, _MAP, _PAIRS, int64, float64, int64, int64, int64))
def remember(times, sent, latest, history, where, last, t, neuron, number, window):
    """Write down a spike, met in a window, whose arrivals are on their way.

    Its time; its number, the spike before it of its neuron, and that in the same window; that its
    neuron spiked in this window, and its latest spike there.
    """
    times[last] = t
    sent[last, 0], sent[last, 1], sent[last, 2] = number, latest[neuron], -1
    latest[neuron] = last
    recent = where.shape[0]
    if recent > 0:
        slot = window % recent
        if history[0, neuron] & np.uint64(1) != 0:
            sent[last, 2] = where[slot, neuron]
        where[slot, neuron] = last
        history[0, neuron] |= np.uint64(1)


@bare(void(_MAP, int64))
def begin_window(history, reach):
    """Let all spikes be one window longer ago.

    Bit b of word w of a source tells of its spikes reach * w + b windows ago; words overlap by some
    bits, so that all windows in which an arrival may have been sent are in one word.
    """
    for word in range(history.shape[0] - 1, 0, -1):
        for i in range(history.shape[1]):
            older = (history[word - 1, i] >> np.uint64(reach - 1)) & np.uint64(1)
            history[word, i] = (history[word, i] << np.uint64(1)) | older
    for i in range(history.shape[1] if history.shape[0] > 0 else 0):
        history[0, i] <<= np.uint64(1)


@intrinsic
def recent_of_eight(typing_context, history, at, backs, k, begin, reach, mask):
    """Return which of eight sources spiked when their delays say, as bits of a number.

    The sources are those of ``history[at:at+8]``, a word in which bit b is for ``begin + b``
    windows ago; ``backs[k:k+8]`` are their delays in windows, of which it serves ``reach``.
    ``mask`` tells by how many windows more a spike may be away: arrivals are due in the window of
    this delay or one after it.
    """
    del typing_context
    number, long = 8, ir.IntType(64)
    longs, bytes_ = ir.VectorType(long, number), ir.VectorType(ir.IntType(8), number)

    def generate(context, builder, signature, arguments):
        def entries(which, place, kind):
            table = context.make_array(signature.args[which])(context, builder, arguments[which])
            place = builder.bitcast(builder.gep(table.data, [place]), kind.as_pointer())
            return builder.load(place, align=kind.element.width // 8)

        def each(value):
            one = builder.insert_element(ir.Constant(longs, ir.Undefined), value, ir.IntType(32)(0))
            words = ir.VectorType(ir.IntType(32), number)
            nothing = ir.Constant(longs, ir.Undefined)
            return builder.shuffle_vector(one, nothing, ir.Constant(words, [0] * number))

        delay = builder.zext(entries(2, arguments[3], bytes_), longs)
        delay = builder.sub(delay, each(arguments[4]))
        within = builder.icmp_unsigned("<", delay, each(arguments[5]))
        none = ir.Constant(longs, [0] * number)
        past = builder.lshr(entries(0, arguments[1], longs), builder.select(within, delay, none))
        spiked = builder.icmp_unsigned("!=", builder.and_(past, each(arguments[6])), none)
        bits = builder.bitcast(builder.and_(spiked, within), ir.IntType(number))
        return builder.zext(bits, long)

    signature = types.int64(
        history, types.int64, backs, types.int64, types.int64, types.int64, types.int64
    )
    return signature, generate


@intrinsic
def append_lanes(typing_context, places, at, first, bits, lanes):
    """Append ``first`` and the number of each bit that is set in a byte; return how many are set.

    Eight entries are written in any case, so that there is no branch; ``lanes`` is `LANES`.
    """
    del typing_context
    number, word = 8, ir.IntType(32)
    words, bytes_ = (ir.VectorType(ir.IntType(n), number) for n in (32, 8))

    def generate(context, builder, signature, arguments):
        def data(which, at, kind):
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(array.data, [at]), kind.as_pointer())

        bits = arguments[3]
        row = builder.mul(bits, ir.IntType(64)(number))
        lane = builder.zext(builder.load(data(4, row, bytes_), align=1), words)
        first = builder.trunc(arguments[2], word)
        one = builder.insert_element(ir.Constant(words, ir.Undefined), first, word(0))
        zeros, nothing = ir.Constant(words, [0] * number), ir.Constant(words, ir.Undefined)
        place = builder.add(builder.shuffle_vector(one, nothing, zeros), lane)
        builder.store(place, data(0, arguments[1], words), align=4)
        return builder.ctpop(bits)

    return types.int64(places, types.int64, types.int64, types.int64, lanes), generate


@bare(void(_TABLE, _TABLE, _VECTOR, int64, _TABLE))
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


@bare(void(_BYTES, int64, int64))
def ask(backs, first, last):
    """Ask for the delays of a neuron's synapses, a line of the cache at a time."""
    for i in range(first, last, 64):
        prefetch(backs, i)


@bare(void(_NUMBERS, _VECTOR, _ROWS, int64, int64))
def ask_row(ticks, table, rows, neuron, columns):
    """Ask for where the synapses of a source begin; the hardware asks for what follows."""
    first = rows[neuron]
    for i in range(16):
        prefetch(ticks, first + 16 * i)
        prefetch(table, columns * first + 8 * i)


@bare(int64(_ROWS))
def longest_row(rows):
    """Return the largest number of synapses of a source."""
    found = 0
    for i in range(rows.shape[0] - 1):
        found = max(found, rows[i + 1] - rows[i])
    return found


@bare(int64(_TABLE, int64, int64))
def trial_end(spikes, first, trial):
    """Return where the spikes of a trial end, which begin at `first`."""
    last = first
    while last < spikes.shape[0] and spikes[last, 2] == trial:
        last += 1
    return last
