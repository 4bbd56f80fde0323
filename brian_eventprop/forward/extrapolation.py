"""Differential equations solved to rounding: the method of Gragg, Bulirsch and Stoer.

The midpoint rule with 2, 4, 6, ... substeps is extrapolated to substeps of no length.  It has no
coefficients in common with the Runge-Kutta steps and closed flows of the solvers.  Source: Hairer,
Norsett and Wanner, Solving Ordinary Differential Equations I, section II.9.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Numbers of substeps of one step.
_SUBSTEPS = (2, 4, 6, 8, 10, 12, 14)

#: What differs by less, relative to the largest values of its kind, is equal: the rounding of sums.
TOLERANCE = 2e-15

#: A difference that no longer falls is rounding, if it is not larger than this.
_ROUNDING = 1e-13

#: An interval that needs more steps is none that equations of neurons have.
_MOST = 20000


def solve(flow: Callable, start: float, stop: float, y: np.ndarray, size) -> np.ndarray:
    """Return the solution at the time `stop`.

    Parameters
    ----------
    flow : callable
        ``flow(t, y)`` returns dy/dt.
    start, stop : float
        The interval.
    y : array
        The solution at `start`.
    size : callable
        ``size(array)`` returns how large what is like each entry is: what errors are compared with.

    Raises
    ------
    FloatingPointError
        If the steps become too many.

    Examples
    --------
    >>> y = solve(lambda t, y: -y, 0.0, 1.0, np.array([1.0]), np.abs)
    >>> bool(abs(y[0] - np.exp(-1)) < 1e-14)
    True
    """
    t, step = start, stop - start
    for _ in range(_MOST):
        if t >= stop:
            return y
        last = t + step >= stop
        end = stop if last else t + step
        found, columns = _step(flow, t, end - t, y, size)
        if found is None:
            step = 0.35 * (end - t)
            if t + step == t:
                break
            continue
        t, y = end, found
        step *= 1.0 if columns > 4 else 2.0
    raise FloatingPointError(f"the equations cannot be integrated from {start} s to {stop} s")


def _step(flow, t, h, y, size):
    """Return the solution after one step, or None, and how many columns it took."""
    slope = flow(t, y)
    known, before = [], np.inf
    scale = np.maximum(size(y), size(h * slope)) + np.finfo(float).tiny
    for k, n in enumerate(_SUBSTEPS):
        row = [_midpoint(flow, t, h, n, y, slope)]
        for j in range(k):
            ratio = (n / _SUBSTEPS[k - 1 - j]) ** 2 - 1.0
            row.append(row[j] + (row[j] - known[j]) / ratio)
        if not np.all(np.isfinite(row[-1])):
            return None, k
        if k:
            error = float(np.max(np.abs(row[-1] - row[-2]) / scale, initial=0.0))
            if error <= TOLERANCE or (error >= before and before <= _ROUNDING):
                return y + row[-1], k
            if k > 3 and error > 1e-4:
                return None, k
            before = error
        known = row
    return None, k


def _midpoint(flow, t, h, n, y, slope):
    """Return how far the midpoint rule goes in `n` substeps."""
    step = h / n
    before, now = np.zeros_like(y), step * slope
    for k in range(1, n):
        before, now = now, before + 2.0 * step * flow(t + k * step, y + now)
    return now
