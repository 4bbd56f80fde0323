"""Values, crossings and maxima of Taylor polynomials."""

from __future__ import annotations

import numpy as np

from .dual import Real

POINTS = np.linspace(Real(0), Real(1), 41)


def value_at(c: np.ndarray, h) -> np.ndarray:
    """Return the sum of c[k] h**k."""
    out = np.zeros_like(c[0])
    for part in c[::-1]:
        out = out * h + part
    return out


def sampled(c: np.ndarray, h) -> np.ndarray:
    """Return a polynomial of every column at the points, (points, columns)."""
    out = np.zeros((len(POINTS), c.shape[1]), dtype=Real)
    for part in c[::-1]:
        out = out * (POINTS * h)[:, None] + part
    return out


def derivative(c: np.ndarray) -> np.ndarray:
    return c[1:] * np.arange(1, len(c), dtype=Real).reshape(-1, *(1,) * (c.ndim - 1))


def root(c: np.ndarray, low, high) -> Real:
    """Return where one polynomial is 0, given signs that differ at both ends, by Newton's steps."""
    slope, up = derivative(c), value_at(c, high) > 0
    x = (low + high) / 2
    for _ in range(200):
        value = value_at(c, x)
        if value == 0:
            return x
        if (value > 0) == up:
            high = x
        else:
            low = x
        steep = value_at(slope, x)
        new = x - value / steep if steep != 0 else low
        if not low < new < high:
            new = (low + high) / 2
        if abs(new - x) <= Real("2e-19") * abs(high):
            return new
        x = new
    return x


def roots_near(c: np.ndarray, x) -> np.ndarray:
    """Return the roots of polynomials (orders, copies) near the column x, by Newton's steps."""
    c, out = c[:, :, None], x
    slope = derivative(c)
    for _ in range(8):  # copies differ by little: four steps reach rounding
        out = out - value_at(c, out) / value_at(slope, out)
    return out


def crossing(c: np.ndarray, h, active):
    """Return the first upward crossing as (time, column) or None, and the margin of near misses."""
    values = sampled(c, h)
    up = (values[:-1] <= 0) & (values[1:] > 0) & active
    peak = (values[1:-1] < 0) & (values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:]) & active
    margin = Real(np.inf)
    if peak.any():
        span = np.max(np.abs(values)) + Real("1e-300")
        margin = np.min(-values[1:-1][peak]) / span
    first = None
    for column in np.flatnonzero(up.any(0)):
        k = int(np.argmax(up[:, column]))
        found = root(c[:, column], POINTS[k] * h, POINTS[k + 1] * h)
        if first is None or found < first[0]:
            first = found, int(column)
    return first, margin


def maxima(c: np.ndarray, h):
    """Yield (time, column) of the maxima inside a step."""
    slope = derivative(c)
    if not len(slope):
        return
    values = sampled(slope, h)
    down = (values[:-1] > 0) & (values[1:] <= 0)
    for k, column in zip(*np.nonzero(down), strict=True):
        yield root(-slope[:, column], POINTS[k] * h, POINTS[k + 1] * h), int(column)
