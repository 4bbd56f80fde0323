"""Functions of Brian2 that neither ``math`` nor NumPy has, for the generated modules."""

from __future__ import annotations

import math

import numpy as np

from brian_eventprop.kernels.cache import njit
from brian_eventprop.kernels.linking import PartCompiler

# `_nrt` (counting references, without which no arrays can be made) is inherited from callers that
# do not, unless it is said
OPTIONS = {"cache": True, "error_model": "numpy", "_nrt": True, "no_cfunc_wrapper": True}

#: Options of a function that is always inlined: to load it would take longer than to compile it.
PART = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": PartCompiler,
}


@njit(**PART)
def larger(a, b):
    """Return the larger of two numbers, as Python's max, which Numba compiles for each kernel."""
    return b if b > a else a


@njit(**PART)
def smaller(a, b):
    """Return the smaller of two numbers, as Python's min."""
    return b if b < a else a


@njit(**OPTIONS)
def sign(x):
    """Return the sign of a number."""
    return x / abs(x) if x != 0 else x


@njit(**OPTIONS)
def clip(x, low, high):
    """Return x within [low, high]."""
    return low if x < low else (high if x > high else x)


@njit(**OPTIONS)
def exp_of_little(x):
    """Return exp(x), without a call for small x: 1 and the series of the rest, in pairs."""
    if abs(x) > 0.25:
        return math.exp(x)
    y = x * x
    low = (1 / 2 + x * (1 / 6)) + y * (1 / 24 + x * (1 / 120))
    middle = (1 / 720 + x * (1 / 5040)) + y * (1 / 40320 + x * (1 / 362880))
    high = (1 / 3628800 + x * (1 / 39916800)) + y * (1 / 479001600)
    z = y * y
    return 1.0 + (x + y * (low + z * (middle + z * high)))


@njit(**OPTIONS)
def exprel(x):
    """Return (exp(x) - 1)/x, 1 at 0."""
    return math.expm1(x) / x if abs(x) > 1e-16 else 1.0 + 0.0 * x


@njit(**OPTIONS)
def dexprel(x):
    """Return the derivative of `exprel`; a series near 0, where the quotient cancels."""
    if abs(x) < 1e-2:
        return 0.5 + x / 3 + x * x / 8 + x**3 / 30 + x**4 / 144
    return (math.exp(x) * (x - 1) + 1) / (x * x)


@njit(**OPTIONS)
def safe_product(a, b):
    """Return a product that is 0 where the first factor is, even if the second is infinite."""
    return a * b if a != 0 else a


@njit(**OPTIONS)
def inverse_root(x):
    """Return 1/sqrt(x), infinite at 0."""
    return 1.0 / math.sqrt(x) if x != 0 else math.inf


@njit(**OPTIONS)
def positive_power(x, p):
    """Return x**p of a base that counts as 0 below 0; there 0 for any p but 0."""
    if x <= 0:
        return 1.0 if p == 0 else 0.0
    if p == 0.5:
        return math.sqrt(x)
    return 1.0 / math.sqrt(x) if p == -0.5 else x**p


@njit(**OPTIONS)
def power_log(x, p):
    """Return x**p*log(x); at 0 its limit for positive p, 0."""
    if x == 0:
        return 0.0 if p > 0 else -math.inf
    return math.nan if x < 0 else x**p * math.log(x)


def exprel_array(x):
    """Return `exprel` of an array."""
    x = np.asarray(x, dtype=float)
    small = np.abs(x) <= 1e-16
    return np.where(small, 1.0, np.expm1(x) / np.where(small, 1.0, x))


def dexprel_array(x):
    """Return `dexprel` of an array."""
    x = np.asarray(x, dtype=float)
    small = np.abs(x) < 1e-2
    series = 0.5 + x / 3 + x * x / 8 + x**3 / 30 + x**4 / 144
    safe = np.where(small, 1.0, x)
    return np.where(small, series, (np.exp(safe) * (safe - 1) + 1) / (safe * safe))


@njit(**OPTIONS)
def difference2(a, b, ea, eb, h):
    """Return the divided difference of exp(. h) at a and b, given ``ea = exp(a h)`` and eb.

    Accurate however close a and b are: it becomes ``h exp(a h)`` where they meet.
    """
    y = 0.5 * (a - b) * h
    if abs(y) > 0.1:
        return (ea - eb) / (a - b)
    y *= y
    # no divisions: they would take longer than all the rest
    series = 1.0 + y * (1 / 6 + y * (1 / 120 + y * (1 / 5040 + y * (1 / 362880))))
    return h * math.sqrt(ea * eb) * series


@njit(**OPTIONS)
def _series(rates, first, last, h):
    """Return the divided difference at rates[first..last], which lie close together."""
    n = last - first
    center = 0.0
    for k in range(first, last + 1):
        center += rates[k] / (n + 1)
    # complete homogeneous symmetric polynomials of the distances from the center
    powers = np.zeros(14)
    powers[0] = 1.0
    for k in range(first, last + 1):
        distance = (rates[k] - center) * h
        for p in range(1, 14):
            powers[p] += distance * powers[p - 1]
    scale = math.exp(center * h)
    for k in range(1, n + 1):
        scale *= h / k
    total, factor = 0.0, 1.0
    for p in range(14):
        total += factor * powers[p]
        factor /= n + p + 1
    return scale * total


@njit(**OPTIONS)
def _difference(rates, h):
    """Return the divided difference at sorted rates; the widest pair is divided by last."""
    n = len(rates)
    table = np.empty(n)
    for k in range(n):
        table[k] = math.exp(rates[k] * h)
    for order in range(1, n):
        for k in range(n - order):
            width = rates[k + order] - rates[k]
            if abs(width * h) < 0.5:
                table[k] = _series(rates, k, k + order, h)
            else:
                table[k] = (table[k + 1] - table[k]) / width
    return table[0]


@njit(**OPTIONS)
def difference3(a, b, c, h):
    """Return the divided difference of exp(. h) at three rates."""
    rates = np.array([a, b, c])
    rates.sort()
    return _difference(rates, h)


@njit(**OPTIONS)
def difference4(a, b, c, d, h):
    """Return the divided difference of exp(. h) at four rates."""
    rates = np.array([a, b, c, d])
    rates.sort()
    return _difference(rates, h)
