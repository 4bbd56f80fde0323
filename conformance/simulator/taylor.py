"""Taylor coefficients in time of expressions, order by order, for dual numbers.

Every node has an array ``c`` (orders, 1 + directions, n), and ``order(k)`` fills ``c[k]`` from
the coefficients up to k of the nodes that it reads.  The rules are those of automatic
differentiation of power series (Griewank and Walther, Evaluating Derivatives, chapter 13).
"""

from __future__ import annotations

import numpy as np

from . import dual
from .dual import Real


def convolve(a, b, first: int, last: int):
    """Return the sum of the dual products a[i] b[last - i] for i = first..last."""
    x = a[first : last + 1]
    y = b[last - first :: -1] if last >= first else b[:0]
    if dual.are_copies() or x.shape[1] == 1:
        return _summed_products(x, y)
    out = _summed_products(x, y[:, :1])
    out[1:] += _summed_products(x[:, :1], y[:, 1:])
    return out


def _summed_products(x, y):
    return np.einsum("k...,k...->...", x, y)


class Node:
    """An expression as a power series in time; ``steady`` ones have only the first coefficient."""

    steady = False

    def __init__(self, orders: int, rows: int, n: int):
        self.n = n
        self.c = np.zeros((orders + 1, rows, n), dtype=Real)

    def order(self, k: int) -> None:
        raise NotImplementedError


class Steady(Node):
    """What does not change in time: a parameter or a number."""

    steady = True

    def __init__(self, orders, rows, value):
        super().__init__(orders, rows, value.shape[1])
        self.c[0] = value

    def order(self, k):
        pass


class Time(Node):
    """The time itself; the simulation sets ``c[0]`` at every step."""

    def __init__(self, orders, rows):
        super().__init__(orders, rows, 1)
        dual.values(self.c[1])[:] = 1

    def order(self, k):
        pass


class State(Node):
    """A state: a part of the array that the simulation fills from the right-hand sides."""

    def __init__(self, c):
        self.n, self.c = c.shape[2], c

    def order(self, k):
        pass


class Of(Node):
    """A node that is computed from others."""

    def __init__(self, orders, rows, *parts):
        super().__init__(orders, rows, np.broadcast_shapes(*((p.n,) for p in parts))[0])
        self.parts = [p.c for p in parts]
        self.steady = all(p.steady for p in parts)


class Add(Of):
    def order(self, k):
        a, b = self.parts
        self.c[k] = a[k] + b[k]


class Subtract(Of):
    def order(self, k):
        a, b = self.parts
        self.c[k] = a[k] - b[k]


class Negative(Of):
    def order(self, k):
        self.c[k] = -self.parts[0][k]


class Multiply(Of):
    def order(self, k):
        self.c[k] = convolve(*self.parts, 0, k)


class Scale(Of):
    """A steady node times another."""

    def order(self, k):
        a, b = self.parts
        self.c[k] = dual.multiply(b[k], a[0])


class Divide(Of):
    def order(self, k):
        a, b = self.parts
        above = a[k] if k == 0 else a[k] - convolve(b, self.c, 1, k)
        self.c[k] = dual.divide(above, b[0])


class _Chain(Of):
    """A function of one node, with the coefficients of the node's derivative at hand."""

    def __init__(self, orders, rows, *parts):
        super().__init__(orders, rows, *parts)
        self.slope = np.zeros_like(self.parts[0])

    def order(self, k):
        u = self.parts[0]
        if k == 0:
            self.start(u[0])
        else:
            self.slope[k] = k * u[k]
            self.go_on(u, k)

    def start(self, u):
        raise NotImplementedError

    def go_on(self, u, k):
        raise NotImplementedError


class Exp(_Chain):
    def start(self, u):
        self.c[0] = dual.exp(u)

    def go_on(self, u, k):
        self.c[k] = convolve(self.slope, self.c, 1, k) / k


class Log(_Chain):
    def start(self, u):
        self.c[0] = dual.log(u)
        self.own = np.zeros_like(self.c)  # j c[j]

    def go_on(self, u, k):
        self.own[k] = 0
        self.own[k] = dual.divide(self.slope[k] - convolve(self.own, u, 1, k), u[0])
        self.c[k] = self.own[k] / k


class Power(Of):
    """A node to the power of a number."""

    def __init__(self, orders, rows, base, exponent):
        super().__init__(orders, rows, base)
        self.r = Real(exponent)

    def order(self, k):
        (u,) = self.parts
        if k == 0:
            self.c[0] = dual.power(u[0], dual.constant(self.r, len(u[0])))
            return
        j = np.arange(1, k + 1, dtype=Real)[:, None, None]
        weighted = np.zeros_like(u[: k + 1])
        weighted[1:] = (self.r * j - (k - j)) * u[1 : k + 1]
        self.c[k] = dual.divide(convolve(weighted, self.c, 1, k) / k, u[0])


class Tanh(_Chain):
    def start(self, u):
        self.c[0] = dual.tanh(u)
        self.rest = np.zeros_like(self.c)  # 1 - tanh**2
        self.rest[0] = -convolve(self.c, self.c, 0, 0)
        dual.values(self.rest[0])[:] += 1

    def go_on(self, u, k):
        self.c[k] = convolve(self.slope, self.rest, 1, k) / k
        self.rest[k] = -convolve(self.c, self.c, 0, k)


class Sin(_Chain):
    def start(self, u):
        self.c[0] = dual.sin(u)
        self.other = np.zeros_like(self.c)
        self.other[0] = dual.cos(u)

    def go_on(self, u, k):
        self.c[k] = convolve(self.slope, self.other, 1, k) / k
        self.other[k] = -convolve(self.slope, self.c, 1, k) / k


class Cos(_Chain):
    def start(self, u):
        self.c[0] = dual.cos(u)
        self.other = np.zeros_like(self.c)
        self.other[0] = dual.sin(u)

    def go_on(self, u, k):
        self.c[k] = -convolve(self.slope, self.other, 1, k) / k
        self.other[k] = convolve(self.slope, self.c, 1, k) / k


class ExpRel(_Chain):
    """(exp(x) - 1)/x as the integral of exp(s x) over s in 0..1, which has no 0/0.

    Gauss's rule with 28 nodes leaves an error below 1e-20 for abs(x) up to 25.
    """

    def __init__(self, orders, rows, *parts):
        import mpmath
        from numpy.polynomial.legendre import leggauss

        super().__init__(orders, rows, *parts)
        with mpmath.workdps(30):
            p = lambda x: mpmath.legendre(28, x)  # noqa: E731
            roots = [mpmath.findroot(p, mpmath.mpf(x)) for x in leggauss(28)[0]]
            slopes = [mpmath.diff(p, x) for x in roots]
            weights = [1 / ((1 - x * x) * d * d) for x, d in zip(roots, slopes, strict=True)]
            self.s = np.array([Real(mpmath.nstr((1 + x) / 2, 25)) for x in roots])
            self.w = np.array([Real(mpmath.nstr(w, 25)) for w in weights])
        self.e = np.zeros((*self.slope.shape, 28), dtype=Real)
        self.inner = np.zeros_like(self.e)  # k u[k] s

    def start(self, u):
        rows = len(u)
        inner = u[..., None] * self.s
        self.e[0] = dual.exp(inner.reshape(rows, -1)).reshape(inner.shape)
        self.c[0] = (self.e[0] * self.w).sum(-1)

    def go_on(self, u, k):
        self.inner[k] = self.slope[k][..., None] * self.s
        self.e[k] = convolve(self.inner, self.e, 1, k) / k
        self.c[k] = (self.e[k] * self.w).sum(-1)


class Gather(Of):
    """Values of a node at given indices: what the synapses see of their neurons."""

    def __init__(self, orders, rows, part, index):
        super().__init__(orders, rows, part)
        self.index = np.asarray(index) if part.n > 1 else np.zeros(len(index), dtype=int)
        self.n = len(index)
        self.c = np.zeros((orders + 1, rows, self.n), dtype=Real)

    def order(self, k):
        self.c[k] = self.parts[0][k][:, self.index]


class Scatter(Of):
    """Sums of a node of the synapses over those of each neuron."""

    def __init__(self, orders, rows, part, index, n):
        super().__init__(orders, rows, part)
        self.index, self.n = np.asarray(index), n
        self.c = np.zeros((orders + 1, rows, n), dtype=Real)

    def order(self, k):
        self.c[k] = 0
        part = np.broadcast_to(self.parts[0][k], (len(self.c[k]), len(self.index)))
        np.add.at(self.c[k], (slice(None), self.index), part)
