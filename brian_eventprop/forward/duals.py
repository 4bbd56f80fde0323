"""Numbers that carry a derivative: the value and the tangent of every quantity, side by side.

No derivative is written down anywhere in forward mode: the text of an equation, a threshold, a
reset or a synapse is evaluated in these numbers, and the tangent comes out.  So nothing of it is
shared with the symbolic derivation of the adjoint, which it is there to prove.
"""

from __future__ import annotations

import math

import numpy as np


class Dual:
    """Values and their tangents, arrays of one shape or numbers; neither is changed.

    A tangent that is the number 0 costs nothing.

    Examples
    --------
    >>> x = Dual(3.0, 1.0)
    >>> x**2 + 1/x
    Dual(v=9.333333333333334, d=5.888888888888889)
    """

    __slots__ = ("d", "v")

    __array_ufunc__ = None  # an array on the left leaves the operation to this class

    def __init__(self, v: np.ndarray | float, d: np.ndarray | float = 0.0):
        self.v, self.d = v, d

    def __repr__(self) -> str:
        return f"Dual(v={self.v!r}, d={self.d!r})"

    def __getitem__(self, index) -> Dual:
        return Dual(self.v[index], np.broadcast_to(self.d, np.shape(self.v))[index])

    # ---- arithmetic ----
    def __add__(self, other):
        other = dual(other)
        return Dual(self.v + other.v, self.d + other.d)

    __radd__ = __add__

    def __sub__(self, other):
        other = dual(other)
        return Dual(self.v - other.v, self.d - other.d)

    def __rsub__(self, other):
        return dual(other) - self

    def __mul__(self, other):
        other = dual(other)
        return Dual(self.v * other.v, _times(other.v, self.d) + _times(self.v, other.d))

    __rmul__ = __mul__

    def __truediv__(self, other):
        other = dual(other)
        found = self.v / other.v
        if _none(other.d):
            return Dual(found, self.d / other.v)
        tangent = (self.d - found * other.d) / other.v
        if not _finite(tangent):
            by_other = np.where(np.isinf(other.v), 0.0, product(found, other.d))
            tangent = (self.d - by_other) / other.v
        return Dual(found, tangent)

    def __rtruediv__(self, other):
        return dual(other) / self

    def __pow__(self, other):
        other = dual(other)
        base, exponent, found = self.v, other.v, self.v**other.v
        if _none(other.d) and isinstance(exponent, float):
            lower = base ** (exponent - 1.0) if exponent else 0.0
            return Dual(found, product(exponent * lower, self.d))
        by_base = product(exponent * base ** np.where(exponent == 0, 1.0, exponent - 1.0), self.d)
        if not np.any(other.d):
            return Dual(found, by_base)
        log = np.where(base == 0, 0.0, np.log(np.where(base == 0, 1.0, base)))
        return Dual(found, by_base + product(found * log, other.d))

    def __rpow__(self, other):
        return dual(other) ** self

    def __neg__(self):
        return Dual(-self.v, -self.d)

    def __pos__(self):
        return self

    def __floordiv__(self, other):
        return floor(self / other)

    def __rfloordiv__(self, other):
        return floor(dual(other) / self)

    def __mod__(self, other):
        return self - other * floor(self / other)

    def __rmod__(self, other):
        return dual(other) % self

    # ---- comparisons, which have no derivative ----
    def __gt__(self, other):
        return self.v > dual(other).v

    def __ge__(self, other):
        return self.v >= dual(other).v

    def __lt__(self, other):
        return self.v < dual(other).v

    def __le__(self, other):
        return self.v <= dual(other).v

    def __eq__(self, other):
        return self.v == dual(other).v

    def __ne__(self, other):
        return self.v != dual(other).v

    __hash__ = None


def dual(x) -> Dual:
    """Return a number or an array that has no derivative as a `Dual`, and a `Dual` as it is."""
    if isinstance(x, Dual):
        return x
    return Dual(float(x) if isinstance(x, int | float) else np.asarray(x, float))


def _none(d) -> bool:
    return isinstance(d, float) and d == 0.0


def _finite(x) -> bool:
    return math.isfinite(x) if isinstance(x, float) else np.isfinite(x).all()


def _times(factor, d):
    return 0.0 if _none(d) else factor * d


def product(slope, d):
    """Return a slope times a tangent; 0 where the tangent is, even if the slope is infinite."""
    if _none(d):
        return 0.0
    found = slope * d
    if _finite(found):
        return found
    return np.where(np.equal(d, 0.0), 0.0, found)


def where(condition, yes, no) -> Dual:
    """Return the one or the other, value and tangent."""
    yes, no = dual(yes), dual(no)
    return Dual(np.where(condition, yes.v, no.v), np.where(condition, yes.d, no.d))


# ---------------------------------------------------------------------------- Brian2's functions
def _smooth(value, slope):
    def function(x):
        x = dual(x)
        return Dual(value(x.v), 0.0 if _none(x.d) else product(slope(x.v), x.d))

    return function


def _exprel(x):
    x = np.asarray(x, float)
    small = np.abs(x) <= 1e-16
    return np.where(small, 1.0, np.expm1(x) / np.where(small, 1.0, x))


def _exprel_slope(x):
    """Return the derivative of (exp(x) - 1)/x: its series where the quotient would cancel."""
    x = np.asarray(x, float)
    small = np.abs(x) < 0.5
    series, term = np.zeros_like(x), np.full_like(x, 0.5)
    for k in range(2, 22):  # the terms (k - 1) x^(k - 2)/k!
        series = series + term
        term = term * x * k / ((k - 1) * (k + 1))
    safe = np.where(small, 1.0, x)
    return np.where(small, series, (np.exp(safe) * (safe - 1) + 1) / safe**2)


def floor(x) -> Dual:
    """Return the largest integer below, whose derivative is 0."""
    return Dual(np.floor(dual(x).v), 0.0)


def clip(x, low, high) -> Dual:
    """Return `clip` with the derivative of the branch that is taken."""
    x, low, high = dual(x), dual(low), dual(high)
    return where(x.v < low.v, low, where(x.v > high.v, high, x))


def given(value, *parts) -> Dual:
    """Return a value whose partial derivatives are given: after it each argument and its own."""
    pairs = zip(parts[::2], parts[1::2], strict=True)
    tangent = sum(product(dual(slope).v, dual(x).d) for x, slope in pairs)
    return Dual(dual(value).v, tangent)


#: Brian2's functions in these numbers.
FUNCTIONS = {
    "exp": _smooth(np.exp, np.exp),
    "log": _smooth(np.log, lambda x: 1 / x),
    "log10": _smooth(np.log10, lambda x: 1 / (x * np.log(10.0))),
    "log1p": _smooth(np.log1p, lambda x: 1 / (1 + x)),
    "expm1": _smooth(np.expm1, np.exp),
    "exprel": _smooth(_exprel, _exprel_slope),
    "sqrt": _smooth(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "sin": _smooth(np.sin, np.cos),
    "cos": _smooth(np.cos, lambda x: -np.sin(x)),
    "tan": _smooth(np.tan, lambda x: 1 / np.cos(x) ** 2),
    "arcsin": _smooth(np.arcsin, lambda x: 1 / np.sqrt(1 - x * x)),
    "arccos": _smooth(np.arccos, lambda x: -1 / np.sqrt(1 - x * x)),
    "arctan": _smooth(np.arctan, lambda x: 1 / (1 + x * x)),
    "sinh": _smooth(np.sinh, np.cosh),
    "cosh": _smooth(np.cosh, np.sinh),
    "tanh": _smooth(np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "abs": _smooth(np.abs, np.sign),
    "sign": _smooth(np.sign, np.zeros_like),
    "floor": floor,
    "ceil": _smooth(np.ceil, np.zeros_like),
    "int": _smooth(lambda x: np.trunc(np.asarray(x, float)), np.zeros_like),
    "clip": clip,
    "given_": given,
}
