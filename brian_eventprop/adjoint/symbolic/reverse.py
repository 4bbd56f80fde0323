"""The reverse of a block of statements, one statement at a time.

A block maps old values of its variables to new ones.  Its adjoint maps dL/d(new values) to
dL/d(old values): the statements are walked backwards, each distributes its adjoint over what it
reads (STYLE of reverse-mode differentiation).  Nothing is substituted into one large expression,
so a Runge-Kutta step of a Hodgkin-Huxley neuron stays as short backwards as it is forwards.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import names, parse, symbol, to_sympy
from brian_eventprop.reading.spec import Statement


@dataclass(frozen=True)
class Line:
    """One line of generated code.

    ``value`` is a syntax tree (kept in Brian2's order of operations) or a SymPy expression.
    ``add`` adds to the target; ``total`` sums the value over neurons or synapses first.
    """

    target: str
    value: ast.expr | sp.Expr
    add: bool = False
    total: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """Names that the value reads."""
        if isinstance(self.value, ast.AST):
            return names(self.value)
        return frozenset(s.name for s in self.value.free_symbols)


@dataclass(frozen=True)
class Adjoint:
    """The reverse of a block.

    ``forward`` recomputes the intermediate values that ``reverse`` reads.  ``results`` gives
    dL/d(old value) of each name that has one, in terms of what the lines assign.
    """

    forward: tuple[Line, ...]
    reverse: tuple[Line, ...]
    results: Mapping[str, sp.Expr]

    @property
    def reads(self) -> frozenset[str]:
        """Names that must be known before the reverse runs."""
        made = {line.target for line in self.forward + self.reverse}
        read = {n for line in self.forward + self.reverse for n in line.reads}
        read |= {s.name for e in self.results.values() for s in e.free_symbols}
        return frozenset(read - made)


def lam(name: str) -> sp.Symbol:
    """dL/d(name) as the walk finds it: lambda in MATHS."""
    return symbol(f"lam.{name}")


def reverse(
    statements: Iterable[Statement],
    outputs: Iterable[str],
    active: Iterable[str],
    level: Mapping[str, int] | None = None,
) -> Adjoint:
    """Reverse a block of statements.

    Parameters
    ----------
    statements
        The block, in order.
    outputs
        Names whose new values have an adjoint, ``lam(name)``.
    active
        Names whose old values get an adjoint.
    level
        If given, the level of every name: an adjoint that goes from values per neuron or synapse
        to a common value is summed over them.
    """
    steps, final = _single_assignment(statements)
    active = _active_names(steps, set(active))
    current = {final.get(name, name): lam(name) for name in outputs}
    lines: list[Line] = []
    for step in reversed(steps):
        above = current.pop(step.target, None)
        if above is None:
            continue
        value = to_sympy(step.tree)
        for read in sorted(names(step.tree) & active):
            partial = diff(value, symbol(read))
            if partial == 0:
                continue
            total = level is not None and level[_plain(read)] < level[_plain(step.target)]
            lines += _contribute(current, read, above * partial, total)
    reverse_lines = tuple(lines)
    needed = {n for line in lines for n in line.reads}
    needed |= {s.name for e in current.values() for s in e.free_symbols}
    return Adjoint(_live(steps, needed), reverse_lines, current)


@dataclass(frozen=True)
class _Step:
    target: str
    tree: ast.expr


def _single_assignment(statements):
    """Give every assignment a name of its own: ``v``, ``v:1``, ``v:2``."""
    version: dict[str, int] = {}
    steps = []

    def current(name):
        return f"{name}:{version[name]}" if name in version else name

    for s in statements:
        tree = _Renamer(current).visit(ast.parse(s.expression, mode="eval").body)
        version[s.target] = version.get(s.target, 0) + 1
        steps.append(_Step(current(s.target), tree))
    return steps, {name: current(name) for name in version}


def _plain(name):
    return name.split(":")[0]


class _Renamer(ast.NodeTransformer):
    def __init__(self, rename):
        self.rename = rename

    def visit_Name(self, node):
        return ast.Name(self.rename(node.id))

    def visit_Call(self, node):
        return ast.Call(node.func, [self.visit(a) for a in node.args], [])


def renamed(source: str, rename: Callable[[str], str]) -> str:
    """Return an expression with its names (not its functions) renamed."""
    return ast.unparse(_Renamer(rename).visit(ast.parse(source, mode="eval").body))


def _active_names(steps, active):
    for step in steps:
        if names(step.tree) & active:
            active.add(step.target)
    return active


def _contribute(current, name, term, total):
    """Add a term to the adjoint of a name; return the lines that do so."""
    bar = f"bar.{name}"
    if name not in current:
        lines = [Line(bar, term, total=total)]
    elif current[name] == symbol(bar):
        lines = [Line(bar, term, add=True, total=total)]
    elif total:
        lines = [Line(bar, current[name]), Line(bar, term, add=True, total=True)]
    else:
        lines = [Line(bar, current[name] + term)]
    current[name] = symbol(bar)
    return lines


def _live(steps, needed):
    kept = []
    for step in reversed(steps):
        if step.target in needed:
            kept.append(Line(step.target, step.tree))
            needed = needed | names(step.tree)
    return tuple(reversed(kept))


def compose(statements: Iterable[Statement], outputs: Iterable[str]) -> dict[str, sp.Expr]:
    """Return the new value of each output as one expression of the old values.

    For the short blocks of a reset or an ``on_pre``.
    """
    values: dict[sp.Symbol, sp.Expr] = {}
    for s in statements:
        values[symbol(s.target)] = to_sympy(parse(s.expression)).xreplace(values)
    return {name: values.get(symbol(name), symbol(name)) for name in outputs}


def commute(first: Mapping[str, sp.Expr], second: Mapping[str, sp.Expr]) -> bool:
    """Whether two maps of the states may be swapped."""
    then = {symbol(s): e for s, e in first.items()}
    before = {symbol(s): e for s, e in second.items()}
    gaps = (second[s].xreplace(then) - first[s].xreplace(before) for s in first)
    return all(sp.expand(gap) == 0 or sp.simplify(gap) == 0 for gap in gaps)
