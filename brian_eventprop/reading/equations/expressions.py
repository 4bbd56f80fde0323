"""Small operations on expressions in Brian2's syntax, which is Python's.

Names, substitution, and the folding that remains after ``not_refractory`` is replaced by a
constant.  Nothing here changes the order of floating point operations.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

_WORDS = {"True", "False"}


def parse(expression: str) -> ast.expr:
    """Return the syntax tree of an expression, which may span several lines."""
    return ast.parse(f"({expression.strip()})", mode="eval").body


def names(expression: str) -> set[str]:
    """Return the names in an expression, functions excluded.

    >>> sorted(names("w*exp(-t/tau) + int(v > 1)"))
    ['t', 'tau', 'v', 'w']
    """
    return _names(expression, called=False)


def functions(expression: str) -> set[str]:
    """Return the functions that an expression calls.

    >>> sorted(functions("w*exp(-t/tau) + int(v > 1)"))
    ['exp', 'int']
    """
    return _names(expression, called=True)


def _names(expression: str, called: bool) -> set[str]:
    tree = parse(expression)
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and (id(node) in calls) == called
    } - _WORDS


class _Inline(ast.NodeTransformer):
    def __init__(self, definitions: Mapping[str, str]):
        self.definitions = definitions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.definitions:
            return node
        return self.visit(parse(self.definitions[node.id]))


def mentions(code: str, name: str) -> bool:
    """Return whether a name stands in some code.

    >>> mentions("v = t - lastspike", "lastspike"), mentions("v = lastspike_post", "lastspike")
    (True, False)
    """
    return re.search(rf"\b{name}\b", code) is not None


def inline(expression: str, definitions: Mapping[str, str]) -> str:
    """Substitute names by their definitions, and the names in these by theirs.

    >>> inline("(g - v)/tau", {"g": "a + b", "b": "2*c"})
    '(a + 2 * c - v) / tau'
    """
    return ast.unparse(_Inline(definitions).visit(parse(expression)))


class _Fold(ast.NodeTransformer):
    """Replace ``not_refractory`` by its value and drop what multiplies or divides by one."""

    def __init__(self, free: bool):
        self.free = free

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(self.free) if node.id == "not_refractory" else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and len(node.args) == 1:
            (argument,) = node.args
            if node.func.id == "int" and _is(argument, True, False):
                return ast.Constant(int(argument.value))
            if node.func.id == "exp" and _is(argument, 0):
                return ast.Constant(1)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and _is(node.operand, True, False):
            return ast.Constant(not node.operand.value)
        zero = _is(node.operand, 0) and isinstance(node.op, ast.USub)
        return node.operand if zero else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        match node.op:
            case ast.Mult() if _is(left, 0) or _is(right, 0):
                return ast.Constant(0)
            case ast.Mult() if _is(left, 1):
                return right
            case ast.Mult() | ast.Div() if _is(right, 1):
                return left
            case ast.Div() if _is(left, 0) and not _is(right, 0):
                return left
            case ast.Add() if _is(left, 0):
                return right
            case ast.Add() | ast.Sub() if _is(right, 0):
                return left
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        neutral = isinstance(node.op, ast.And)
        if any(_is(value, not neutral) for value in node.values):
            return ast.Constant(not neutral)
        node.values = [value for value in node.values if not _is(value, neutral)]
        if len(node.values) > 1:
            return node
        return node.values[0] if node.values else ast.Constant(neutral)


def _is(node: ast.expr, *values: bool | float) -> bool:
    """Whether a node is one of these constants; True is not 1 here."""
    return isinstance(node, ast.Constant) and any(
        isinstance(node.value, bool) == isinstance(value, bool) and node.value == value
        for value in values
        if isinstance(node.value, bool | int | float)
    )


def fold(expression: str, free: bool) -> str:
    """Put in the value of ``not_refractory``.

    Only ``1*x``, ``0*x``, ``x + 0``, ``exp(0)`` and the like are simplified, so that every
    operation that remains keeps its operands and its rounding.

    >>> fold("v + a*(b*int(not_refractory))", True)
    'v + a * b'
    >>> fold("v + a*(b*int(not_refractory))", False)
    'v'
    """
    return ast.unparse(_Fold(free).visit(parse(expression)))
