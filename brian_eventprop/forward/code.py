"""The texts of a network as functions that are evaluated in dual numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from brian_eventprop.forward.duals import FUNCTIONS, Dual, where
from brian_eventprop.reading.spec import Statement

#: Names that the tree below puts in the place of Python's own logic, which has no arrays.
_LOGIC = {
    "all_": lambda *parts: reduce(np.logical_and, parts),
    "any_": lambda *parts: reduce(np.logical_or, parts),
    "not_": np.logical_not,
    "where_": where,
}
_GLOBALS = {"__builtins__": {}, **FUNCTIONS, **_LOGIC, "True": True, "False": False}

#: Functions and operators whose value, or whose derivative, changes where something crosses 0.
_EDGES = frozenset({"abs", "sign", "floor", "ceil", "int", "clip"})


class _Arrays(ast.NodeTransformer):
    """Replaces the logic of single numbers by that of arrays."""

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        return _call("all_" if isinstance(node.op, ast.And) else "any_", node.values)

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return _call("not_", [node.operand]) if isinstance(node.op, ast.Not) else node

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return _call("where_", [node.test, node.body, node.orelse])

    def visit_Compare(self, node):
        self.generic_visit(node)
        left, parts = node.left, []
        for op, right in zip(node.ops, node.comparators, strict=True):
            parts.append(ast.Compare(left, [op], [right]))
            left = right
        return parts[0] if len(parts) == 1 else _call("all_", parts)


def _call(name: str, arguments) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


@dataclass(frozen=True)
class Code:
    """An expression, and the names in it."""

    text: str
    names: frozenset[str]
    compiled: object

    def __call__(self, names: Mapping):
        """Return its value, a `Dual`, a boolean or a number, given those of its names."""
        return eval(self.compiled, _GLOBALS, names)


def compiled(text: str | ast.expr) -> Code:
    """Return an expression of Brian2 as a function of its names.

    Examples
    --------
    >>> compiled("2*v if v > 1 and u < 3 else -v")({"v": Dual(2.0, 1.0), "u": Dual(5.0)})
    Dual(v=array(-2.), d=array(-1.))
    """
    tree = ast.parse(text.strip(), mode="eval").body if isinstance(text, str) else text
    text = ast.unparse(tree)
    body = _Arrays().visit(ast.parse(text, mode="eval").body)
    code = compile(ast.fix_missing_locations(ast.Expression(body)), text, "eval")
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return Code(text, frozenset(names - FUNCTIONS.keys()), code)


def statements(block: Iterable[Statement]) -> tuple[tuple[str, Code], ...]:
    """Return the targets of some statements, and their expressions."""
    return tuple((s.target, compiled(s.expression)) for s in block)


def run(block: Iterable[tuple[str, Code]], names: dict) -> dict:
    """Run statements one after the other; return all names with what they were assigned."""
    names = dict(names)
    for target, code in block:
        names[target] = code(names)
    return names


def comparisons(text: str) -> tuple[Code, ...]:
    """Return the difference that each comparison of a condition has with 0.

    Examples
    --------
    >>> [c.text for c in comparisons("v > theta and not u >= 2*w")]
    ['v - theta', 'u - 2 * w']
    """
    found = []
    for node in ast.walk(ast.parse(text.strip(), mode="eval").body):
        if isinstance(node, ast.Compare):
            left = node.left
            for right in node.comparators:
                found.append(compiled(ast.BinOp(left, ast.Sub(), right)))
                left = right
    return tuple(found)


def has_edges(text: str) -> str:
    """Return the first part of an expression that has a kink or a jump somewhere, or ''."""
    for node in ast.walk(ast.parse(text.strip(), mode="eval").body):
        function = isinstance(node, ast.Call) and node.func.id in _EDGES
        operator = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.FloorDiv)
        if function or operator or isinstance(node, ast.Compare | ast.IfExp | ast.BoolOp):
            return ast.unparse(node)
    return ""


Flow = Callable[[float, Dual], Dual]
