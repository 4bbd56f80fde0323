"""Forward-mode derivatives of Brian2 expressions, on numpy arrays.

A `Dual` carries a value and its derivatives with respect to a few chosen names.  Expressions are
evaluated by Python itself, so this knows nothing of SymPy: it is an independent witness for what
the package derives.
"""

from __future__ import annotations

import ast
from functools import cache

import numpy as np


class Dual:
    """A value of shape ``(n,)`` and its slopes of shape ``(k, n)``, one row per seed."""

    __array_ufunc__ = None  # arrays on the left defer to the reflected operators below

    def __init__(self, value, slope):
        self.value = value
        self.slope = slope

    def chain(self, value, derivative):
        return Dual(value, derivative * self.slope)

    def __add__(self, other):
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope)
        return Dual(self.value + other, self.slope)

    def __mul__(self, other):
        if isinstance(other, Dual):
            return Dual(
                self.value * other.value, self.value * other.slope + other.value * self.slope
            )
        return Dual(self.value * other, self.slope * other)

    def __truediv__(self, other):
        if isinstance(other, Dual):
            return self * other.chain(1 / other.value, -1 / other.value**2)
        return Dual(self.value / other, self.slope / other)

    def __rtruediv__(self, other):
        return self.chain(other / self.value, -other / self.value**2)

    def __pow__(self, other):
        if isinstance(other, Dual):
            return exp(other * log(self))
        return self.chain(self.value**other, other * self.value ** (other - 1.0))

    def __rpow__(self, other):
        value = other**self.value
        return self.chain(value, np.log(other) * value)

    def __mod__(self, other):
        return Dual(self.value % other, self.slope)

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def __pos__(self):
        return self

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return (-self) + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __gt__(self, other):
        return self.value > value_of(other)

    def __ge__(self, other):
        return self.value >= value_of(other)

    def __lt__(self, other):
        return self.value < value_of(other)

    def __le__(self, other):
        return self.value <= value_of(other)


def value_of(x):
    """The number without its derivatives."""
    return x.value if isinstance(x, Dual) else x


def slope_of(x, k, n):
    """The derivatives ``(k, n)`` of a `Dual`, zero for anything else."""
    return np.broadcast_to(x.slope, (k, n)) if isinstance(x, Dual) else np.zeros((k, n))


def _function(f, derivative):
    def wrapped(x):
        if isinstance(x, Dual):
            return x.chain(f(x.value), derivative(x.value))
        return f(x)

    return wrapped


def where(condition, a, b):
    """`numpy.where` for values with derivatives."""
    if not isinstance(a, Dual) and not isinstance(b, Dual):
        return np.where(condition, value_of(a), value_of(b))
    k, n = (a if isinstance(a, Dual) else b).slope.shape
    return Dual(
        np.where(condition, value_of(a), value_of(b)),
        np.where(condition, slope_of(a, k, n), slope_of(b, k, n)),
    )


def _exprel(x):
    small = np.abs(x) < 1e-5
    safe = np.where(small, 1.0, x)
    return np.where(small, 1 + x / 2 + x * x / 6, np.expm1(safe) / safe)


def _exprel_slope(x):
    small = np.abs(x) < 1e-3
    safe = np.where(small, 1.0, x)
    series = 0.5 + x / 3 + x**2 / 8 + x**3 / 30
    return np.where(small, series, (np.exp(safe) * (safe - 1) + 1) / safe**2)


exp = _function(np.exp, np.exp)
log = _function(np.log, lambda x: 1 / x)
FUNCTIONS = {
    "exp": exp,
    "log": log,
    "log10": _function(np.log10, lambda x: 1 / (x * np.log(10))),
    "log1p": _function(np.log1p, lambda x: 1 / (1 + x)),
    "expm1": _function(np.expm1, np.exp),
    "exprel": _function(_exprel, _exprel_slope),
    "sqrt": _function(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "sin": _function(np.sin, np.cos),
    "cos": _function(np.cos, lambda x: -np.sin(x)),
    "tan": _function(np.tan, lambda x: 1 / np.cos(x) ** 2),
    "sinh": _function(np.sinh, np.cosh),
    "cosh": _function(np.cosh, np.sinh),
    "tanh": _function(np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "arcsin": _function(np.arcsin, lambda x: 1 / np.sqrt(1 - x**2)),
    "arccos": _function(np.arccos, lambda x: -1 / np.sqrt(1 - x**2)),
    "arctan": _function(np.arctan, lambda x: 1 / (1 + x**2)),
    "abs": _function(np.abs, np.sign),
    "sign": _function(np.sign, np.zeros_like),
    "floor": _function(np.floor, np.zeros_like),
    "ceil": _function(np.ceil, np.zeros_like),
    "int": lambda x: np.trunc(np.asarray(value_of(x), dtype=float)),
    "clip": lambda x, low, high: where(x < low, low, where(x > high, high, x)),
    "where_": where,
    "and_": lambda *a: np.logical_and.reduce(np.broadcast_arrays(*a)),
    "or_": lambda *a: np.logical_or.reduce(np.broadcast_arrays(*a)),
    "not_": np.logical_not,
    "pi": np.pi,
    "e": np.e,
    "inf": np.inf,
    "True": True,
    "False": False,
}


class _Logic(ast.NodeTransformer):
    """``a and b``, ``not a`` -> calls that work on arrays."""

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return ast.Call(ast.Name(name, ast.Load()), node.values, [])

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            return ast.Call(ast.Name("not_", ast.Load()), [node.operand], [])
        return node


class _Margin(ast.NodeTransformer):
    """A condition -> the number that is positive where the condition holds."""

    def __init__(self, sign=1):
        self.sign = sign

    def convert(self, node):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _Margin(-self.sign).convert(node.operand)
        if isinstance(node, ast.BoolOp):
            smallest = isinstance(node.op, ast.And) == (self.sign > 0)
            parts = [self.convert(part) for part in node.values]
            result = parts[0]
            for part in parts[1:]:
                chosen = ast.Compare(result, [ast.Lt() if smallest else ast.Gt()], [part])
                result = ast.Call(ast.Name("where_", ast.Load()), [chosen, result, part], [])
            return result
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            raise ValueError(f"not a condition: {ast.unparse(node)}")
        above = isinstance(node.ops[0], ast.Gt | ast.GtE) == (self.sign > 0)
        left, right = (
            (node.left, node.comparators[0]) if above else (node.comparators[0], node.left)
        )
        return ast.BinOp(left, ast.Sub(), right)


@cache
def _compile(expression, margin):
    tree = ast.parse(expression.strip(), mode="eval")
    if margin:
        tree = ast.Expression(_Margin().convert(tree.body))
    tree = ast.fix_missing_locations(_Logic().visit(tree))
    return compile(tree, expression, "eval")


def evaluate(expression, names):
    """Value of an expression; ``names`` may hold `Dual` numbers."""
    return eval(_compile(expression, False), {"__builtins__": {}, **FUNCTIONS}, names)


def margin(condition, names):
    """How far a condition is from its limit: positive where it holds."""
    return eval(_compile(condition, True), {"__builtins__": {}, **FUNCTIONS}, names)
