"""The CPU kernels as plain Python: a model costs a fraction of a second in place of a compilation.

`install` comes before `brian_eventprop` is imported.  It switches Numba off (`NUMBA_DISABLE_JIT`),
so the generated kernels and all hand-written ones run in the Python interpreter.  What Python
cannot run, the intrinsics that write vector instructions, gets a stand-in here that does the same
in NumPy.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import types

import numpy as np


def prefetch(table, place):
    """Do nothing: Python has no use for a prefetch."""


def lowest(word):
    """Return the number of the lowest bit that is set."""
    bits = int(word)
    return np.uint64((bits & -bits).bit_length() - 1)


def add_pair(a, b):
    """Add two numbers (or vectors of two)."""
    return a + b


def add_worths(ring, base, off, weight, row, bars, rows, neurons, first, last):
    """Add what the arrivals of some neurons contribute to the gradients of their synapses."""
    mask = ring.shape[0] // 2 - 1
    for q in range(int(first), int(last)):
        i = int(neurons[q])
        for k in range(int(rows[i]), int(rows[i + 1])):
            place = 2 * ((int(base) + int(off[k])) & mask)
            bars[2 * k] += ring[place]
            bars[2 * k + 1] += ring[place + 1]


def move_and_add_worths(sent, offset, ring, base, off, weight, row, bars, rows, neurons, first, last):  # fmt: skip # noqa: E501
    """Do the same, and add to the spikes sent what moving their arrivals contributes."""
    mask = ring.shape[0] // 2 - 1
    for q in range(int(first), int(last)):
        i, total = int(neurons[q]), 0.0
        for k in range(int(rows[i]), int(rows[i + 1])):
            place = 2 * ((int(base) + int(off[k])) & mask)
            rate = ring[place + 1]
            bars[2 * k] += ring[place]
            bars[2 * k + 1] += rate
            total += weight[row, k] * rate
        sent[q - int(offset)] += total


def write_pairs(pair, begin, lam, rate):
    """Write two arrays into one, in turn."""
    start, n = 2 * int(begin), lam.shape[0]
    pair[start : start + 2 * n : 2] = lam
    pair[start + 1 : start + 2 * n : 2] = rate


def _copy(target, to, source, at, size):
    target[int(to) : int(to) + int(size)] = source[int(at) : int(at) + int(size)]


class Interpreted:
    """A function of a generated module that looks compiled to its callers."""

    signatures = (1,)

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)


def _as_in_c(function):
    """Return a function of `math` that gives infinity or NaN where Python's raises an error."""

    def wrapped(*arguments):
        try:
            return np.float64(function(*arguments))
        except OverflowError:
            return np.float64(np.inf)
        except ValueError:
            return np.float64(getattr(np, function.__name__, lambda *a: np.nan)(*arguments))

    return wrapped


def _math_as_in_c() -> types.SimpleNamespace:
    floats = "exp expm1 log log1p log2 log10 sqrt sin cos tan sinh cosh tanh asin acos atan pow"
    kept = {name: getattr(math, name) for name in dir(math) if not name.startswith("_")}
    return types.SimpleNamespace(**kept | {n: _as_in_c(kept[n]) for n in floats.split()})


@functools.cache
def install() -> None:
    """Let this process interpret kernels; the first time before `brian_eventprop` is imported."""
    if "brian_eventprop" in sys.modules or "numba" in sys.modules:
        raise ImportError("install the interpreter before importing numba or brian_eventprop")
    _switch_numba_off()
    _replace_vector_kernels()
    from brian_eventprop.runtime import clock_cpu, event_kernels

    for runtime in (clock_cpu, event_kernels):
        _interpret_modules_of(runtime)
    np.seterr(all="ignore")


def _switch_numba_off() -> None:
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    import numba
    import numba.extending

    stand_ins = {f.__name__: f for f in (prefetch, lowest, add_pair)}
    real = numba.njit

    def njit(*args, **options):
        found = real(*args, **options)
        if args and callable(args[0]) and not options:
            return _as_dispatcher(found)
        return lambda function: _as_dispatcher(found(function))

    def intrinsic(*args, **options):
        def wrap(function):
            return stand_ins.get(function.__name__, function)

        return wrap(args[0]) if args and callable(args[0]) else wrap

    numba.njit, numba.extending.intrinsic = njit, intrinsic


def _as_dispatcher(function):
    try:
        function.py_func = function
    except AttributeError:
        pass
    return function


def _replace_vector_kernels() -> None:
    from brian_eventprop.codegen import functions, streams, tiles

    functions.math = MATH
    streams.add_worths, streams.move_and_add_worths = add_worths, move_and_add_worths
    tiles.write_pairs, tiles._copy = write_pairs, _copy


def _interpret_modules_of(runtime) -> None:
    load = runtime.load_module

    def load_module(source, tag):
        module = load(source, tag)
        module.math = MATH
        for name in ("forward", "backward"):
            function = getattr(module, name, None)
            if function is not None and not isinstance(function, Interpreted):
                setattr(module, name, Interpreted(function))
        return module

    runtime.load_module = load_module


#: What the kernels call `math`.
MATH = _math_as_in_c()
