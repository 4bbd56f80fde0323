"""Thresholds as functions g that cross 0: `and` takes the smaller of two, `or` the larger."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.forward.code import Code, compiled
from brian_eventprop.forward.duals import Dual, where
from brian_eventprop.forward.readouts import full
from brian_eventprop.reading.spec import Group

#: What a condition counts that changes at events only.
_FAR = 1e30


@dataclass(frozen=True)
class Guard:
    """A threshold, and the states in it."""

    tree: ast.expr | None
    moving: frozenset[str]
    states: frozenset[str]
    codes: Mapping[str, Code]

    def __call__(self, names: Mapping, size: int) -> Dual:
        """Return g of all neurons."""
        return self._value(self.tree, True, names, size)

    def _value(self, tree, positive: bool, names: Mapping, size: int) -> Dual:
        if isinstance(tree, ast.UnaryOp):
            return self._value(tree.operand, not positive, names, size)
        if isinstance(tree, ast.BoolOp):
            parts = [self._value(part, positive, names, size) for part in tree.values]
            return _extreme(parts, isinstance(tree.op, ast.And) == positive)
        left, parts = tree.left, []
        for op, right in zip(tree.ops, tree.comparators, strict=True):
            rises = isinstance(op, ast.Gt | ast.GtE) == positive
            ends = (left, right) if rises else (right, left)
            part = full(self.codes[_text(*ends)](names), size)
            if not self._moves(tree):
                part = Dual(np.where(part.v > 0, _FAR, -_FAR), np.zeros(size))
            parts.append(part)
            left = right
        return _extreme(parts, positive)

    def _moves(self, tree) -> bool:
        if tree is self.tree:
            return True
        return any(isinstance(n, ast.Name) and n.id in self.moving for n in ast.walk(tree))


def _extreme(parts, smaller: bool) -> Dual:
    first, *others = parts
    for other in others:
        first = where(first.v < other.v if smaller else first.v > other.v, first, other)
    return first


def _text(left: ast.expr, right: ast.expr) -> str:
    return f"({ast.unparse(left)}) - ({ast.unparse(right)})"


def guard_of(group: Group) -> Guard:
    """Return the threshold of a group."""
    if group.threshold is None:
        return Guard(None, frozenset(), frozenset(), {})
    tree, codes = ast.parse(group.threshold.strip(), mode="eval").body, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            left = node.left
            for right in node.comparators:
                for text in (_text(left, right), _text(right, left)):
                    codes[text] = compiled(text)
                left = right
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    moving = frozenset({"t", *group.derivatives})
    return Guard(tree, moving, frozenset(names & set(group.states)), codes)
