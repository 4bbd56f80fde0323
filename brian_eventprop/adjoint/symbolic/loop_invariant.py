"""Extract loop-invariant parts: what does not change during a trial leaves the time loop.

Every expression is cut at its largest parts that depend on parameters only; each becomes a name,
computed once before the trials (one value for all, or one per neuron or synapse).  The kernels then
read numbers where the user wrote ``exp(-dt/tau)``; the gradient with respect to such a name is
summed over the trials and taken back to the parameters once, afterwards.
"""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brian_eventprop.adjoint.symbolic.expressions import names, parse
from brian_eventprop.reading.spec import Statement, Symbol

#: Levels: one value for all; one per neuron or synapse; changes with time.
SHARED, PER_ELEMENT, TIME_VARYING = 0, 1, 2

_LEVEL = {
    "number": SHARED,
    "shared": SHARED,
    "dt": SHARED,
    "neuron": PER_ELEMENT,
    "synapse": PER_ELEMENT,
    "index": PER_ELEMENT,
    "state": TIME_VARYING,
    "t": TIME_VARYING,
    "timed": TIME_VARYING,
}


def levels_of(symbols: Mapping[str, Symbol]) -> dict[str, int]:
    """Return the level of every symbol."""
    return {name: _LEVEL[s.kind] for name, s in symbols.items()}


@dataclass
class InvariantExtractor:
    """Collects the statements moved out of the blocks of one group or pathway.

    Attributes
    ----------
    levels
        Level of each name known so far; names of extracted parts are added.
    moved
        Level (`SHARED` or `PER_ELEMENT`) to the statements computed before the trials, in order.
    """

    levels: dict[str, int]
    moved: dict[int, list[Statement]] = field(default_factory=lambda: {SHARED: [], PER_ELEMENT: []})
    _known: dict[str, str] = field(default_factory=dict)

    def block(self, statements: Iterable[Statement]) -> tuple[Statement, ...]:
        """Return the statements that stay in the time loop, with names for constant parts."""
        statements = tuple(statements)
        assigned = [s.target for s in statements]
        local, rename, kept = ChainMap({}, self.levels), {}, []
        for statement in statements:
            tree = _rename(parse(statement.expression), rename)
            level = self._level(tree, local)
            fixed = assigned.count(statement.target) == 1 and statement.target not in self.levels
            if fixed and level < TIME_VARYING:
                rename[statement.target] = self._name(tree, level)
                continue
            rename.pop(statement.target, None)
            kept.append(Statement(statement.target, ast.unparse(self._cut(tree, local))))
            local[statement.target] = TIME_VARYING
        return tuple(kept)

    def expression(self, source: str) -> str:
        """Return one expression with its constant parts replaced by names."""
        return ast.unparse(self._cut(parse(source), self.levels))

    def _level(self, tree, levels):
        return max((levels[n] for n in names(tree)), default=SHARED)

    def _cut(self, tree, levels):
        level = self._level(tree, levels)
        if level < TIME_VARYING:
            return tree if _is_plain(tree) else ast.Name(self._name(tree, level))
        return _map_children(tree, lambda child: self._cut(child, levels))

    def _name(self, tree, level):
        if isinstance(tree, ast.Name):
            return tree.id
        text = ast.unparse(tree)
        if text not in self._known:
            name = f"_{'common' if level == SHARED else 'each'}_{len(self._known)}"
            self._known[text] = name
            self.levels[name] = level
            self.moved[level].append(Statement(name, text))
        return self._known[text]


def _is_plain(tree):
    """Whether a part is not worth a name: a name, a literal, a condition or a negated literal."""
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return isinstance(tree.operand, ast.Constant)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
        return True
    return isinstance(tree, ast.Name | ast.Constant | ast.Compare | ast.BoolOp)


def _map_children(tree, function):
    """Rebuild a tree with `function` applied to its child expressions."""
    changes = {}
    for name, value in ast.iter_fields(tree):
        if isinstance(tree, ast.Call) and name == "func":
            continue
        if isinstance(value, ast.expr):
            changes[name] = function(value)
        elif isinstance(value, list) and value and isinstance(value[0], ast.expr):
            changes[name] = [function(v) for v in value]
    return type(tree)(**{**dict(ast.iter_fields(tree)), **changes})


def _rename(tree, rename):
    if isinstance(tree, ast.Name):
        return ast.Name(rename.get(tree.id, tree.id))
    return _map_children(tree, lambda child: _rename(child, rename))
