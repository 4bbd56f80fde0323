"""Numbers with their derivatives by every trained quantity.

A dual is an array (1 + directions, n) in extended precision: row 0 has the values of n neurons or
synapses (or one value for all), the other rows their derivatives.  Within ``copies()`` all rows
are values, those of copies of the network with other parameters, for differences.
"""

from __future__ import annotations

import ast
from contextlib import contextmanager

import numpy as np

Real = np.longdouble


class _Meaning:
    """Whether rows beyond the first are derivatives, or values of other copies of the network."""

    copies = False


@contextmanager
def copies():
    """Let all rows be values, of copies of a network that differ a bit."""
    _Meaning.copies = True
    try:
        yield
    finally:
        _Meaning.copies = False


def are_copies() -> bool:
    return _Meaning.copies


def constant(value, rows: int) -> np.ndarray:
    """Return a dual without derivatives."""
    value = np.atleast_1d(np.asarray(value, dtype=Real))
    out = np.zeros((rows, value.size), dtype=Real)
    out[: None if _Meaning.copies else 1] = value
    return out


def values(a) -> np.ndarray:
    """Return a view of the rows that are values."""
    return a if _Meaning.copies else a[:1]


def add(a, b):
    return a + b


def multiply(a, b):
    if _Meaning.copies or len(a) == 1:
        return a * b
    out = a * b[:1]
    out[1:] += a[:1] * b[1:]
    return out


def divide(a, b):
    if _Meaning.copies or len(a) == 1:
        return a / b
    out = a / b[:1]
    out[1:] -= out[:1] * b[1:] / b[:1]
    return out


def chain(a, function, slope):
    """Return a function of a dual, given its slope as a function."""
    if _Meaning.copies:
        return function(a)
    out = a * slope(a[:1])
    out[:1] = function(a[:1])
    return out


def power(a, b):
    """Return a**b; b without derivatives may have any base, otherwise a is positive."""
    if _Meaning.copies:
        return a**b
    if np.any(b[1:]):
        return exp(multiply(b, log(a)))
    r = b[:1]
    return chain(
        a, lambda x: x**r, lambda x: np.where(r == 0, 0, r * x ** np.where(r == 0, 1, r - 1))
    )


def exp(a):
    return chain(a, np.exp, np.exp)


def log(a):
    return chain(a, np.log, lambda x: 1 / x)


def tanh(a):
    return chain(a, np.tanh, lambda x: 1 - np.tanh(x) ** 2)


def sin(a):
    return chain(a, np.sin, np.cos)


def cos(a):
    return chain(a, np.cos, lambda x: -np.sin(x))


def sqrt(a):
    return chain(a, np.sqrt, lambda x: 1 / (2 * np.sqrt(x)))


def choose(condition, a, b):
    """Return a where the condition on the values holds, elsewhere b."""
    return np.where(*np.broadcast_arrays(condition, a, b))


def minimum(a, b):
    return choose(values(a) < values(b), a, b)


def maximum(a, b):
    return choose(values(a) > values(b), a, b)


def clip(a, low, high):
    return minimum(maximum(a, low), high)


FUNCTIONS = {
    "exp": exp, "log": log, "tanh": tanh, "sin": sin, "cos": cos, "sqrt": sqrt,
    "min": minimum, "max": maximum, "clip": clip,
}  # fmt: skip
OPERATORS = {
    ast.Add: add,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: multiply,
    ast.Div: divide,
    ast.Pow: power,
}


def evaluate(expression: str, lookup, rows: int) -> np.ndarray:
    """Return the dual of an expression; ``lookup(name)`` gives those of its names."""

    def walk(node):
        if isinstance(node, ast.Constant):
            return constant(node.value, rows)
        if isinstance(node, ast.Name):
            return lookup(node.id)
        if isinstance(node, ast.UnaryOp):
            value = walk(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.Call):
            return FUNCTIONS[node.func.id](*(walk(argument) for argument in node.args))
        raise ValueError(f"{expression!r} has {ast.unparse(node)!r}, which no file may use")

    return walk(parsed(expression))


_PARSED: dict[str, ast.AST] = {}


def parsed(expression: str) -> ast.AST:
    if expression not in _PARSED:
        _PARSED[expression] = ast.parse(expression.strip(), mode="eval").body
    return _PARSED[expression]
