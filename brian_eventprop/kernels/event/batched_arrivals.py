"""Queues and the latest spikes for groups that take their arrivals in batches.

Batched arrivals are summed and not stored.  The few neurons that need theirs one by one look them
up in the history of spikes: the bits of a word tell how many windows ago a source spiked, and the
delay of a synapse in whole windows selects the bits that matter to it.  Of each spike there are its
time, its number, and the indices of the neuron's previous spike, in the trial and in the same
window.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from llvmlite import ir
from numba import float64, int32, int64, types, uint8, uint64, void
from numba.core import cgutils

from brian_eventprop.kernels.buffers import prefetch
from brian_eventprop.kernels.event.arrivals import bare, compiled, in_order
from brian_eventprop.kernels.event.columns import FEW
from brian_eventprop.kernels.intrinsics import intrinsic
from brian_eventprop.kernels.simd import INDEX, WORD, Arrays, constants, load, spread, store

_TABLE, _VECTOR, _ROWS = float64[:, ::1], float64[::1], int64[::1]
_PAIRS, _BYTES, _MAP = int32[:, ::1], uint8[::1], uint64[:, ::1]
_NUMBERS = int32[::1]

#: The numbers of the bits that are set in each byte, as rows of eight.
LANES = np.zeros((256, 8), np.uint8)
for _byte in range(256):
    _set = [n for n in range(8) if _byte >> n & 1]
    LANES[_byte, : len(_set)] = _set

#: Marks a window that is parted by events of the neuron, in the place of an adjoint: the bits of
#: -0.0, which adds nothing, so that sums need no branch.  The adjoints are in the segments then.
PARTED = -(2**63)


def _places_of_eight(
    spots, i, ticks, k, targets, n, tick, bits, edge, ring, windows, size, width, side
):
    delay, target = (x.astype(np.int64) for x in (ticks[k : k + 8], targets[n : n + 8]))
    due = delay + int(tick)
    window = due >> bits
    row = window - edge
    row = np.where(row < ring, row, row - ring)
    row = np.where(window < windows, row, ring)
    spots[i : i + 8] = row * size + target * width + (delay & 1) * side
    near = ((due + 3) & ((1 << bits) - 1)) < 4
    return _as_bits(near)


def _as_bits(flags) -> int:
    """Return eight flags as the bits of a number."""
    return sum(1 << lane for lane in range(8) if flags[lane])


@intrinsic(twin=_places_of_eight)
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
    names = "spots i ticks k targets n tick bits edge ring windows size width side".split()

    def generate(context, builder, signature, arguments):
        arrays = Arrays(context, builder, signature, arguments, names)

        def each(name):
            value = arrays.given[name]
            value = value if value.type == INDEX else builder.trunc(value, INDEX)
            return spread(builder, value, 8)

        one, three, four, ones = (constants(INDEX, [n] * 8) for n in (1, 3, 4, -1))
        delay = load(builder, arrays.data("ticks"), arrays.given["k"], 8)
        target = load(builder, arrays.data("targets"), arrays.given["n"], 8)
        due = builder.add(delay, each("tick"))
        window = builder.ashr(due, each("bits"))
        row, rows = builder.sub(window, each("edge")), each("ring")
        row = builder.select(builder.icmp_signed("<", row, rows), row, builder.sub(row, rows))
        # after the end: a row that is never read
        row = builder.select(builder.icmp_signed("<", window, each("windows")), row, rows)
        place = builder.add(builder.mul(row, each("size")), builder.mul(target, each("width")))
        place = builder.add(place, builder.mul(builder.and_(delay, one), each("side")))
        store(builder, place, arrays.data("spots"), arrays.given["i"])
        within = builder.xor(builder.shl(ones, each("bits")), ones)
        near = builder.icmp_unsigned("<", builder.and_(builder.add(due, three), within), four)
        return builder.zext(builder.bitcast(near, ir.IntType(8)), WORD)

    numbers = (types.int32, types.int64, types.int32, types.int64, types.int64)
    signature = types.int64(
        spots, types.int64, ticks, types.int64, targets, types.int64, *numbers, *[types.int32] * 3
    )
    return signature, generate


def _add_products(sums, at, table, begin, factors):
    sums, table, at, begin = sums.reshape(-1), table.reshape(-1), int(at), int(begin)
    for k, factor in enumerate(factors):
        sums[at + k] += table[begin + k] * factor


@intrinsic(twin=_add_products)
def add_products(typing_context, sums, at, table, begin, factors):
    """Add the products of a few entries of a table with a factor each to as many sums."""
    del typing_context
    n = len(factors)

    def generate(context, builder, signature, arguments):
        names = ("sums", "at", "table", "begin", "factors")
        arrays = Arrays(context, builder, signature, arguments, names)
        each = ir.Constant(ir.VectorType(ir.DoubleType(), n), ir.Undefined)
        for k in range(n):
            factor = builder.extract_value(arrays.given["factors"], k)
            each = builder.insert_element(each, factor, INDEX(k))
        sums, at = arrays.data("sums"), arrays.given["at"]
        entries = load(builder, arrays.data("table"), arrays.given["begin"], n)
        # fused where the machine can
        product = builder.fmul(entries, each, flags=("contract",))
        total = builder.fadd(load(builder, sums, at, n), product, flags=("contract",))
        store(builder, total, sums, at)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, table, types.uint64, factors), generate


@compiled(_TABLE(int64, int64))
def zero_table(rows, columns):
    """Return a new table of zeros."""
    return np.zeros((rows, columns))


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
def remember(times, senders, latest, history, where, last, t, neuron, number, window):
    """Write down a spike, met in a window, whose arrivals are on their way.

    Its time; its number, the spike before it of its neuron, and that in the same window; that its
    neuron spiked in this window, and its latest spike there.
    """
    times[last] = t
    senders[last, 0], senders[last, 1], senders[last, 2] = number, latest[neuron], -1
    latest[neuron] = last
    recent = where.shape[0]
    if recent > 0:
        slot = window % recent
        if history[0, neuron] & np.uint64(1) != 0:
            senders[last, 2] = where[slot, neuron]
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


def _recent_of_eight(history, at, backs, k, begin, reach, mask):
    flags = []
    for lane in range(8):
        delay, word = int(backs[k + lane]) - int(begin), int(history.reshape(-1)[at + lane])
        flags.append(0 <= delay < reach and (word >> delay) & int(mask) != 0)
    return _as_bits(flags)


@intrinsic(twin=_recent_of_eight)
def recent_of_eight(typing_context, history, at, backs, k, begin, reach, mask):
    """Return which of eight sources spiked when their delays say, as bits of a number.

    The sources are those of ``history[at:at+8]``, a word in which bit b is for ``begin + b``
    windows ago; ``backs[k:k+8]`` are their delays in windows, of which it serves ``reach``.
    ``mask`` tells by how many windows more a spike may be away: arrivals are due in the window of
    this delay or one after it.
    """
    del typing_context
    names = "history at backs k begin reach mask".split()

    def generate(context, builder, signature, arguments):
        arrays = Arrays(context, builder, signature, arguments, names)
        given = arrays.given
        delay = load(builder, arrays.data("backs"), given["k"], 8)
        delay = builder.zext(delay, ir.VectorType(WORD, 8))
        delay = builder.sub(delay, spread(builder, given["begin"], 8))
        within = builder.icmp_unsigned("<", delay, spread(builder, given["reach"], 8))
        none, words = (
            constants(WORD, [0] * 8),
            load(builder, arrays.data("history"), given["at"], 8),
        )
        past = builder.lshr(words, builder.select(within, delay, none))
        masked = builder.and_(past, spread(builder, given["mask"], 8))
        spiked = builder.and_(builder.icmp_unsigned("!=", masked, none), within)
        return builder.zext(builder.bitcast(spiked, ir.IntType(8)), WORD)

    signature = types.int64(
        history, types.int64, backs, types.int64, types.int64, types.int64, types.int64
    )
    return signature, generate


def write_lanes(builder, places, at, first, bits, lanes):
    """Write ``first`` and the number of each bit set in a byte; return how many are set.

    Eight entries are written in any case, so that there is no branch; ``lanes`` is `LANES`.
    """
    lane = load(builder, lanes, builder.mul(bits, WORD(8)), 8)
    lane = builder.zext(lane, ir.VectorType(INDEX, 8))
    store(builder, builder.add(spread(builder, builder.trunc(first, INDEX), 8), lane), places, at)
    return builder.ctpop(bits)


def append_lanes_plain(places, at, first, bits, lanes):
    """Do in Python what `append_lanes` does."""
    places[at : at + 8] = first + lanes[bits].astype(np.int64)
    return int(bits).bit_count()


@intrinsic(twin=append_lanes_plain)
def append_lanes(typing_context, places, at, first, bits, lanes):
    """Append ``first`` and the number of each bit that is set in a byte; see `write_lanes`."""
    del typing_context

    def generate(context, builder, signature, arguments):
        names = ("places", "at", "first", "bits", "lanes")
        arrays = Arrays(context, builder, signature, arguments, names)
        at, first, bits = (arrays.given[name] for name in ("at", "first", "bits"))
        return write_lanes(builder, arrays.data("places"), at, first, bits, arrays.data("lanes"))

    return types.int64(places, types.int64, types.int64, types.int64, lanes), generate


def _count_earlier(moments, n, ranks):
    whole = -(-n // 8) * 8
    ranks[:whole] = (moments[:n] < moments[:whole, None]).sum(axis=1)


@intrinsic(twin=_count_earlier)
def count_earlier(typing_context, moments, n, ranks):
    """Write how many of n moments are earlier than each; up to seven that follow are infinite."""
    del typing_context

    def generate(context, builder, signature, arguments):
        arrays = Arrays(context, builder, signature, arguments, ("moments", "n", "ranks"))
        data, n = arrays.data("moments"), arrays.given["n"]
        nothing = constants(WORD, [0] * 8)
        earlier = cgutils.alloca_once_value(builder, nothing)
        with cgutils.for_range_slice(builder, WORD(0), n, WORD(8)) as (i, _):
            mine = load(builder, data, i, 8)
            builder.store(nothing, earlier)
            with cgutils.for_range(builder, n) as loop:
                other = spread(builder, builder.load(builder.gep(data, [loop.index])), 8)
                one = builder.zext(builder.fcmp_ordered("<", other, mine), nothing.type)
                builder.store(builder.add(builder.load(earlier), one), earlier)
            store(builder, builder.load(earlier), arrays.data("ranks"), i)
        return context.get_dummy_value()

    return types.void(moments, types.int64, ranks), generate


def _exponentials(profile, falling, rising, n, rate):
    whole = -(-n // 8) * 8
    x = profile[0, :whole] * rate
    square, even, odd = x * x, 0.0, 0.0
    for k in range(10, -1, -2):
        even = even * square + 1 / factorial(k)
        odd = odd * square + 1 / factorial(k + 1)
    odd = odd * x
    profile[falling, :whole], profile[rising, :whole] = even - odd, even + odd


@intrinsic(twin=_exponentials)
def exponentials(typing_context, profile, falling, rising, n, rate):
    """Write exp(-rate * h) and exp(rate * h) of the n times in row 0 of a table as two rows of it.

    By their even and odd terms; times are within a window, so that ``rate * h`` is 0.2 at most.
    """
    del typing_context

    def generate(context, builder, signature, arguments):
        names = ("profile", "falling", "rising", "n", "rate")
        arrays = Arrays(context, builder, signature, arguments, names)
        times, minus, plus = (arrays.data("profile", row) for row in (None, "falling", "rising"))
        each = spread(builder, arrays.given["rate"], 8)
        with cgutils.for_range_slice(builder, WORD(0), arrays.given["n"], WORD(8)) as (i, _):
            x = builder.fmul(load(builder, times, i, 8), each)
            square = builder.fmul(x, x)
            even = _polynomial(builder, square, [1 / factorial(k) for k in range(0, 12, 2)])
            odd = _polynomial(builder, square, [1 / factorial(k) for k in range(1, 12, 2)])
            odd = builder.fmul(odd, x)
            store(builder, builder.fsub(even, odd), minus, i)
            store(builder, builder.fadd(even, odd), plus, i)
        return context.get_dummy_value()

    return types.void(profile, types.int64, types.int64, types.int64, types.float64), generate


def _polynomial(builder, x, coefficients):
    """Write Horner's scheme on a vector of eight, fused where the machine can."""
    total = constants(x.type.element, [coefficients[-1]] * 8)
    for c in reversed(coefficients[:-1]):
        total = builder.fmul(total, x, flags=("contract",))
        total = builder.fadd(total, constants(x.type.element, [c] * 8), flags=("contract",))
    return total


@bare(void(_TABLE, _TABLE, _VECTOR, _ROWS, int64, _TABLE))
def by_due(due, into, moments, ranks, n, pool):
    """Sort arrivals (time, row of the pool) by time; few ones by counting those before each."""
    if n > FEW:
        for i in range(n):  # at the same time they stay in the order of their rows
            pool[i, 2], pool[i, 3] = i, 0.0
        in_order(due, into, n, pool)
        for i in range(n):
            into[i, 0], into[i, 1] = due[i, 0], due[i, 1]
        return
    for i in range(n):
        moments[i], into[i, 1] = due[i, 0], -1.0
    for i in range(n, n + 7):  # whole vectors
        moments[i] = np.inf
    count_earlier(moments, n, ranks)
    for i in range(n):
        place = np.uintp(ranks[i])
        while into[place, 1] >= 0:  # at the same time
            place += np.uintp(1)
        into[place, 0], into[place, 1] = moments[i], due[i, 1]


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
