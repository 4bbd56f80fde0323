"""What is written in machine instructions does what its twin in plain Python says.

All is compared bit by bit, but for sums of products, where the machine may round once for both.
"""

import importlib
from functools import cache

import numba
import numpy as np
import pytest
from numba.core.extending import _Intrinsic

from brian_eventprop.kernels.cache import LIBRARY
from brian_eventprop.runtime.interpreter import library_module

pytestmark = pytest.mark.compiled

SINGLE, DOUBLE = np.float32, np.float64
_BATCHED = library_module("brian_eventprop.kernels.event.batched_arrivals")
LANES, PARTED = _BATCHED.LANES, _BATCHED.PARTED
#: How far apart numbers may be that are fused sums of products, relative to the largest.
FUSED = {"add_products": 1e-15, "add_row": 1e-15, "exponentials": 1e-15}


def pairs_of(dtype, rng, n):
    """Pairs of numbers as the kernels keep them."""
    return rng.normal(size=2 * n).astype(dtype).view({SINGLE: DOUBLE, DOUBLE: np.complex128}[dtype])


def tiles_of(rng, n_sources, n_targets, tile):
    """Synapses sorted by tile and source: where each row begins, and the target within a tile."""
    counts = rng.integers(0, 20, n_sources * -(-n_targets // tile))
    tiles = np.append(0, np.cumsum(counts)).astype(np.int64)
    return tiles, rng.integers(0, tile, tiles[-1])


def synapses(rng, dtype):
    """What the kernels of tiles are given: spikes by source, synapses by tile."""
    n_steps, tile, n_sources = 30, 8, 5
    tiles, targets = tiles_of(rng, n_sources, 21, tile)
    stride = (n_steps + 10) * tile
    bound = np.append(0, np.cumsum(rng.integers(0, 5, n_sources))).astype(np.int32)
    base = (rng.integers(0, n_steps, bound[-1]) * tile).astype(np.uint32)
    off = (rng.integers(0, 10, tiles[-1]) * tile + targets).astype(np.uint16)
    weights = rng.normal(size=(2, tiles[-1])).astype(dtype)
    return bound, base, tiles, stride, off, weights


def rows(rng, dtype):
    """What the kernels of rows of synapses are given: a ring of pairs, and spikes of a step."""
    counts = np.array([0, 8, 3, 17, 24])
    begins = np.append(0, np.cumsum(counts)).astype(np.int64)
    off = rng.integers(0, 2**12, begins[-1]).astype(np.uint16)
    weights = rng.normal(size=(2, begins[-1])).astype(dtype)
    ring = rng.normal(size=2**12).astype(dtype)
    gradient = rng.normal(size=2 * begins[-1]).astype(dtype)
    neurons = np.array([1, 3, 0, 4, 2, 3], np.int32)
    return ring, 700, off, weights, 1, gradient, begins, neurons, 1, 6


def for_tables(rng):
    """Places, factors and tables of the event solver's batched arrivals."""
    marked = rng.normal(size=200)
    marked[rng.integers(0, 200, 60)] = -0.0
    assert np.array([-0.0]).view(np.int64)[0] == PARTED
    spots = rng.integers(0, 190, 40).astype(np.int32)
    return marked, spots, rng.normal(size=150), rng.normal(size=150)


def add_row_arguments(rng, sums, apart, with_time):
    adjoints, spots, table, total = for_tables(rng)
    apart = np.zeros(40, np.int32) if apart else None
    return total if sums else None, table, 3, 32, adjoints, 2, spots, (0.5, -1.5, 2.5), apart, LANES, with_time  # fmt: skip # noqa: E501


def ahead(rng, dtype, fresh):
    bound, base, tiles, stride, off, weights = synapses(rng, dtype)
    drive = rng.normal(size=3 * stride).astype(dtype)
    return drive, bound, base, tiles, stride, off, weights, 1, fresh


def collected(rng, dtype):
    bound, base, tiles, stride, off, _ = synapses(rng, dtype)
    return pairs_of(dtype, rng, 3 * stride), bound, base, tiles, stride, off, pairs_of(dtype, rng, len(off))  # fmt: skip # noqa: E501


#: What each is given: functions of a generator of random numbers.
CASES = {
    "buffers.lowest": [lambda rng: (np.uint64(rng.integers(1, 2**62)),)],
    "buffers.prefetch": [lambda rng: (rng.normal(size=9), 3)],
    "clock.tiles.add_pair": [
        lambda rng, dtype=dtype: tuple(pairs_of(dtype, rng, 2)) for dtype in (SINGLE, DOUBLE)
    ],
    "clock.tiles.write_pairs": [
        lambda rng, dtype=dtype: (rng.normal(size=70).astype(dtype), 7, *rng.normal(size=(2, 21)).astype(dtype))  # noqa: E501
        for dtype in (SINGLE, DOUBLE)
    ],
    "clock.tiles.into_record": [
        lambda rng: (rng.normal(size=2 * 3 * 160), rng.normal(size=2 * 8 * 21), 8, 20, 21, 2, 3, 160)  # noqa: E501
    ],
    "clock.tiles.from_record": [
        lambda rng: (rng.normal(size=8 * 21), rng.normal(size=3 * 160), 8, 20, 21, 3, 160)
    ],
    "clock.tiles.add_input_drive": [
        lambda rng, dtype=dtype, fresh=fresh: ahead(rng, dtype, fresh)
        for dtype, fresh in ((SINGLE, True), (DOUBLE, False))
    ],
    "clock.tiles.collect": [
        lambda rng, dtype=dtype: collected(rng, dtype) for dtype in (SINGLE, DOUBLE)
    ],
    "clock.per_spike.add_arrivals": [
        lambda rng, dtype=dtype: rows(rng, dtype) for dtype in (SINGLE, DOUBLE)
    ],
    "clock.per_spike.add_arrivals_and_times": [
        lambda rng, dtype=dtype: (rng.normal(size=6), 1, *rows(rng, dtype))
        for dtype in (SINGLE, DOUBLE)
    ],
    "event.batched_arrivals.places_of_eight": [
        lambda rng: (
            np.zeros(12, np.int32), 3, rng.integers(0, 2**14, 20).astype(np.int32), 5,
            rng.integers(0, 30, 20).astype(np.int32), 7, np.int32(rng.integers(0, 2**14)), 10, 9,
            np.int32(16), 25, np.int32(120), np.int32(4), np.int32(2),
        )
    ],  # fmt: skip
    "event.batched_arrivals.add_products": [
        lambda rng: (rng.normal(size=9), np.uint64(4), rng.normal(size=20), np.uint64(6), (0.3, -2.0, 0.1))  # noqa: E501
    ],
    "event.batched_arrivals.recent_of_eight": [
        lambda rng: (
            rng.integers(0, 2**63, (2, 20)).astype(np.uint64), 21,
            rng.integers(0, 70, 30).astype(np.uint8), 4, 3, 62, 7,
        )
    ],  # fmt: skip
    "event.batched_arrivals.append_lanes": [
        lambda rng: (np.zeros(20, np.int32), 5, 100, int(rng.integers(0, 256)), LANES)
    ],
    "event.batched_arrivals.count_earlier": [
        lambda rng: (np.append(rng.integers(0, 9, 20) * 1.0, np.full(4, np.inf)), 20, np.zeros(24, np.int64))  # noqa: E501
    ],
    "event.batched_arrivals.exponentials": [
        lambda rng: (rng.uniform(0, 0.05, (4, 24)), 1, 3, 20, 4.0)
    ],
    "event.batched_adjoint.add_row": [
        lambda rng, options=options: add_row_arguments(rng, *options)
        for options in ((True, True, True), (False, True, True), (True, False, False))
    ],
}  # fmt: skip


@cache
def compiled(name, n):
    """The compiled function, to be called from Python with n arguments."""
    module, _, function = name.rpartition(".")
    module = importlib.import_module(f"brian_eventprop.kernels.{module}")
    names = ", ".join(f"a{k}" for k in range(n))
    scope = {"function": getattr(module, function)}
    exec(f"def call({names}):\n    return function({names})", scope)
    return numba.njit(scope["call"])


@pytest.mark.parametrize("name", CASES)
def test_twins_do_the_same(name):
    module, _, function = name.rpartition(".")
    plain = getattr(library_module(f"brian_eventprop.kernels.{module}"), function)
    rng = np.random.default_rng(1)
    for case in CASES[name] * 3:
        first = case(rng)
        second = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in first)
        with np.errstate(all="ignore"):
            returned = plain(*first)
        compare(function, (returned, *first), (compiled(name, len(first))(*second), *second))


def compare(function, found, expected):
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, tuple):
            compare(function, one, other)
        elif other is None:
            assert one is None
        elif function in FUSED and isinstance(other, np.ndarray | float):
            np.testing.assert_allclose(
                one, other, rtol=0, atol=FUSED[function] * np.max(np.abs(other)) * 8
            )  # noqa: E501
        else:
            np.testing.assert_array_equal(
                np.asarray(one).view(np.uint8) if isinstance(one, np.ndarray) else one,
                np.asarray(other).view(np.uint8) if isinstance(other, np.ndarray) else other,
            )  # noqa: E501


def test_all_intrinsics_are_compared():
    """What begins with an underscore is part of a kernel that is compared."""
    for name in sorted(LIBRARY - {"brian_eventprop.kernels.views"}):
        module = importlib.import_module(name)
        own = {
            n for n, value in vars(module).items()
            if isinstance(value, _Intrinsic) and n[0] != "_" and value._defn.__module__ == name
        }  # fmt: skip
        assert {f"{name.removeprefix('brian_eventprop.kernels.')}.{n}" for n in own} <= set(CASES)
