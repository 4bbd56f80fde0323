"""The names that one group or pathway uses in a kernel, and where their values come from.

Rendering an expression through a `Scope` records which constants it needs; the host packs exactly
these into arrays.  A value common to all is a local variable of the kernel, one per neuron or
synapse is an element of a row.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Mapping

import sympy as sp

from brian_eventprop.adjoint.symbolic.derivatives import guarded, may_be_infinite
from brian_eventprop.adjoint.symbolic.expressions import names, parse
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.adjoint.symbolic.reverse import Line
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.printing import Style, print_sympy, print_tree
from brian_eventprop.reading.spec import Statement


class Scope:
    """Names of one owner.

    Parameters
    ----------
    owner
        Name of the group or pathway.
    levels
        Level of each constant; names that are not in it are variables of the kernel.
    table, style
        The module's identifiers and its spelling.
    post
        The scope of the target group, for a pathway.
    steep
        Whether adjoint variables may be infinite.
    inverts
        Whether derivatives multiply by reciprocals of common constants instead of dividing.
    in_loop
        Whether the code is in a loop over neurons, so that what depends on the time alone is
        computed before it.
    """

    def __init__(
        self,
        owner: str,
        levels: Mapping[str, int],
        table: NameTable,
        style: Style,
        post: Scope | None = None,
        steep: bool = False,
        inverts: bool = False,
        in_loop: bool = True,
    ):
        self.owner, self.levels, self.table, self.style, self.post = (
            owner, levels, table, style, post,
        )  # fmt: skip
        self.shared: list[str] = []
        self.per_element: list[str] = []
        self.per_step: dict[str, str] = {}
        self.steep, self.inverts, self.in_loop = steep, inverts, in_loop
        self.inverted: list[str] = []

    def ref(self, name: str) -> str:
        """Return the identifier of a name and note that it is used."""
        if name in ("t", "dt"):
            return name
        level = self.levels.get(name)
        if level is None and self.post is not None and name.startswith("post__"):
            inner = name.removeprefix("post__")
            if self.post.levels.get(inner) == SHARED:
                return self.post.ref(inner)
            if self.post.levels.get(inner) == PER_ELEMENT:
                self.post.ref(inner)
        known = {SHARED: self.shared, PER_ELEMENT: self.per_element}.get(level)
        if known is not None and name not in known:
            known.append(name)
        return self.table(self.owner, name)

    def source(self, expression: str) -> str:
        """Render a Brian2 expression."""
        return self._tree(parse(expression))

    def _tree(self, tree) -> str:
        return print_tree(_StepCutter(self).visit(copy.deepcopy(tree)), self.ref, self.style)

    def sympy(self, expression: sp.Expr) -> str:
        """Render a SymPy expression."""
        expression = self._guarded(expression)
        calls = [f for f in expression.atoms(sp.Function) if self.once_per_step(reads(f))]
        for call in sorted(calls, key=lambda f: (-f.count_ops(), str(f))):
            if expression.has(call):
                name = self._step_name(print_sympy(call, self.ref, self.style))
                expression = expression.xreplace({call: sp.Symbol(name, real=True)})
        if self.inverts:
            expression = expression.xreplace(self._reciprocals(expression))
        return print_sympy(expression, self.ref, self.style)

    def _guarded(self, expression):
        expression = sp.sympify(expression)
        moving = {s for s in expression.free_symbols if not self._fixed(s.name)}
        adjoints = {s for s in moving if s.name.startswith(("lam.", "bar."))}
        return guarded(expression, moving, adjoints if self.steep else ())

    def _fixed(self, name):
        """Whether a name is one of the constants, of the target group if need be."""
        level = self.levels.get(name)
        if level is None and self.post is not None:
            level = self.post.levels.get(name.removeprefix("post__"))
        return level in (SHARED, PER_ELEMENT)

    def scaled(self, scale: str, expression: sp.Expr, form: str = "{0} * ({1})") -> str:
        """Render a SymPy expression times what stands in a variable or array of the kernel."""
        if may_be_infinite(sp.sympify(expression)):
            return self.style.safe_product(scale, self.sympy(expression))
        return form.format(scale, self.sympy(expression))

    def _reciprocals(self, expression: sp.Expr) -> dict[sp.Expr, sp.Symbol]:
        """Return a name for each constant, common to all, that an expression divides by."""
        found = {}
        for power in sorted(expression.atoms(sp.Pow), key=str):
            name = getattr(power.base, "name", None)
            if power.exp == -1 and self.levels.get(name) == SHARED:
                self.ref(name)
                if name not in self.inverted:
                    self.inverted.append(name)
                found[power] = sp.Symbol(f"per.{name}", real=True)
        return found

    def reciprocal_lines(self) -> list[str]:
        """Return the assignments of the reciprocals."""
        one = self.style.number(1)
        return [f"{self.ref(f'per.{name}')} = {one} / {self.ref(name)}" for name in self.inverted]

    def once_per_step(self, names) -> bool:
        """Whether a function of these names has one value per time step."""
        common = all(n in ("t", "dt") or self.levels.get(n) == SHARED for n in names)
        return self.in_loop and common and "t" in names

    def _step_name(self, text: str) -> str:
        return self.per_step.setdefault(text, f"step{len(self.per_step)}.")

    def step_lines(self) -> list[str]:
        """Return the assignments of what has one value per time step."""
        return [f"{self.ref(name)} = {text}" for text, name in self.per_step.items()]

    def statements(self, block: Iterable[Statement]) -> list[str]:
        """Render the statements of a block."""
        return [f"{self.ref(s.target)} = {self.source(s.expression)}" for s in block]

    def lines(self, block: Iterable[Line]) -> list[str]:
        """Render the lines of an adjoint."""
        rendered = []
        for line in block:
            if isinstance(line.value, ast.AST):
                value = self._tree(line.value)
            else:
                value = self.sympy(line.value)
            rendered.append(f"{self.ref(line.target)} {'+=' if line.add else '='} {value}")
        return rendered

    def shared_terms(self, expressions: Mapping[str, sp.Expr]) -> tuple[list[str], dict[str, str]]:
        """Render several expressions, their common parts once.

        Returns
        -------
        lines
            Assignments of the common parts.
        values
            The expressions in terms of them.
        """
        keys = list(expressions)
        symbols = (sp.Symbol(f"common{k}.", real=True) for k in range(10**6))
        parts, values = sp.cse([self._guarded(expressions[k]) for k in keys], symbols=symbols)
        lines = [f"{self.ref(s.name)} = {self.sympy(e)}" for s, e in parts]
        return lines, {k: self.sympy(v) for k, v in zip(keys, values, strict=True)}


class _StepCutter(ast.NodeTransformer):
    """Replaces calls that have one value per time step by a name."""

    def __init__(self, scope: Scope):
        self.scope = scope

    def visit_Call(self, node):
        if self.scope.once_per_step(names(node)):
            text = print_tree(node, self.scope.ref, self.scope.style)
            return ast.Name(self.scope._step_name(text))
        node.args = [self.visit(a) for a in node.args]
        return node


def reads(*parts) -> set[str]:
    """Return all names read by statements, lines, SymPy expressions or Brian2 expressions."""
    found: set[str] = set()
    for part in parts:
        if part is None:
            continue
        if isinstance(part, str):
            found |= names(parse(part))
        elif isinstance(part, Statement):
            found |= names(parse(part.expression))
        elif isinstance(part, Line):
            found |= part.reads
        elif isinstance(part, sp.Basic):
            found |= {s.name for s in part.free_symbols}
        elif isinstance(part, Mapping):
            found |= reads(*part.values())
        else:
            found |= reads(*part)
    return found
