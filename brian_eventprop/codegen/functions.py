"""Functions of Brian2 that neither ``math`` nor NumPy has, for the generated modules."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def sign(x):
    """Return the sign of a number."""
    return x / abs(x) if x != 0 else x


@njit(cache=True, error_model="numpy")
def clip(x, low, high):
    """Return x within [low, high]."""
    return low if x < low else (high if x > high else x)


@njit(cache=True, error_model="numpy")
def exprel(x):
    """Return (exp(x) - 1)/x, 1 at 0."""
    return math.expm1(x) / x if abs(x) > 1e-16 else 1.0 + 0.0 * x


@njit(cache=True, error_model="numpy")
def dexprel(x):
    """Return the derivative of `exprel`; a series near 0, where the quotient cancels."""
    if abs(x) < 1e-2:
        return 0.5 + x / 3 + x * x / 8 + x**3 / 30 + x**4 / 144
    return (math.exp(x) * (x - 1) + 1) / (x * x)


exprel_array = np.vectorize(exprel.py_func, otypes=[float])
dexprel_array = np.vectorize(dexprel.py_func, otypes=[float])
