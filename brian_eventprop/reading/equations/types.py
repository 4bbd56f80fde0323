"""Boolean and integer variables as numbers, with the values that Brian2 gives them.

A boolean is 0 or 1: as a number it stands for itself, as a condition for ``b > 0.5``.  What is
assigned to an integer is cut off, ``n = int(x)``, as Brian2 does it, and what is assigned to a
boolean is ``int(condition)``.  Both are constant by pieces, so no gradient goes through them.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import names, parse
from brian_eventprop.reading.unsupported import line_writing, unsupported

#: Conditions that the state update and the threshold have of Brian2 itself.
_RESERVED = ("not_refractory",)


def booleans(variables: Mapping[str, Any]) -> set[str]:
    """Return the names of boolean variables of the model."""
    stored = {n: v for n, v in variables.items() if isinstance(v, brian.ArrayVariable)}
    return {n for n, v in stored.items() if v.is_boolean and n not in _RESERVED}


def as_number(expression: str, flags: Container[str]) -> str:
    """Return an expression in which boolean variables are numbers, or comparisons of numbers.

    >>> as_number("x*int(b) + y*int(not b) + int(b and x > 1)", {"b"})
    'x * b + y * (1 - b) + int(b > 0.5 and x > 1)'
    """
    if not any(name in flags for name in names(expression)):
        return expression
    return ast.unparse(_Numbers(flags).visit(parse(expression)))


def as_condition(expression: str, flags: Container[str]) -> str:
    """Return a condition in which boolean variables are comparisons of numbers.

    >>> as_condition("b", {"b"}), as_condition("not b or x > 1", {"b"})
    ('b > 0.5', 'not b > 0.5 or x > 1')
    """
    if not any(name in flags for name in names(expression)):
        return expression
    return ast.unparse(_Numbers(flags).condition(parse(expression)))


class _Numbers(ast.NodeTransformer):
    def __init__(self, flags: Container[str]):
        self.flags = flags

    def condition(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in self.flags:
            return ast.Compare(node, [ast.Gt()], [ast.Constant(0.5)])
        return self.visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return ast.BoolOp(node.op, [self.condition(value) for value in node.values])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        negated = isinstance(node.op, ast.Not)
        return ast.UnaryOp(node.op, (self.condition if negated else self.visit)(node.operand))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        sides = [_number(side) for side in (node.left, *node.comparators)]
        return ast.Compare(sides[0], node.ops, sides[1:])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if node.func.id == "int":
            (inner,) = node.args
            if isinstance(inner, ast.Name) and inner.id in self.flags:
                return inner
            if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
                operand = inner.operand
                if isinstance(operand, ast.Name) and operand.id in self.flags:
                    return ast.BinOp(ast.Constant(1), ast.Sub(), operand)
            return ast.Call(node.func, [self.condition(inner)], [])
        return ast.Call(node.func, [self.visit(argument) for argument in node.args], [])


def _number(node: ast.expr) -> ast.expr:
    """Return the literals True and False as numbers."""
    literal = isinstance(node, ast.Constant) and isinstance(node.value, bool)
    return ast.Constant(int(node.value)) if literal else node


# --- statements --------------------------------------------------------------------------------


def typed(obj, code: str, statements: Iterable, variables: Mapping[str, Any]) -> list[Any]:
    """Return Brian2's statements with booleans and integers as numbers.

    Parameters
    ----------
    obj, code
        The object that errors name, and its code as the user wrote it.
    statements
        Of one block, in order; they are copied where they change.
    variables
        The variables of the model behind their names.
    """
    known, flags, cut_off, result = dict(variables), booleans(variables), set(), []
    for statement in statements:
        _check_reads(obj, code, statement, cut_off)
        kind = np.dtype(statement.dtype)
        named = kind.kind == "b" and (statement.subexpression or statement.var.startswith("_"))
        if statement.var not in known:
            known[statement.var] = brian.AuxiliaryVariable(statement.var, dtype=kind)
            if kind.kind == "b" and not named:
                flags = flags | {statement.var}
        result.append(_typed(obj, code, statement, known, flags, named))
        if kind.kind == "i" and brian.brian_ast(statement.expr, known).dtype == "float":
            cut_off.add(statement.var)
    return result


def _check_reads(obj, code: str, statement, cut_off: set[str]) -> None:
    """Refuse to read an integer to which the same block has assigned a number that is none.

    Brian2's numpy target cuts it off at the end of the block only, the others at once.
    """
    read = names(statement.expr) | ({statement.var} if statement.inplace else set())
    for name in sorted(read & cut_off):
        line = line_writing(code, name)
        reason = f"'{name}' is an integer that is read again, and Brian2's targets disagree then"
        raise unsupported(obj, line, reason, f"Write '{name} = int(...)' with the new value.")


def _typed(obj, code: str, statement, variables: Mapping, flags: set[str], named: bool):
    """Return one statement as numbers; ``named`` if it only names a condition of Brian2's."""
    if statement.var in _RESERVED:
        return statement
    stored = isinstance(variables.get(statement.var), brian.ArrayVariable)
    kind = np.dtype(statement.dtype)
    used = flags & names(statement.expr)
    whole = stored and kind.kind in "bi"
    given = brian.brian_ast(statement.expr, variables).dtype if whole or stored or used else None
    cut = given == "boolean" and not named
    if not (used or whole or cut or statement.var in flags):
        return statement
    changed = copy.copy(statement)
    if whole:
        _check_assignment(obj, line_writing(code, statement.var), statement, kind, given)
    text = as_condition if given == "boolean" else as_number
    changed.expr = text(_split(statement, flags), flags)
    if cut or (kind.kind == "b" and statement.var in flags):
        changed.expr = f"int({changed.expr})"
    elif whole:
        changed.expr, changed.op = f"int({_spelt_out(changed)})", "="
        changed.inplace = False
    if statement.boolean_simplified_expressions:
        changed.boolean_simplified_expressions = {
            key: text(expression, flags)
            for key, expression in statement.boolean_simplified_expressions.items()
        }
    return changed


def _spelt_out(statement) -> str:
    if not statement.inplace:
        return statement.expr
    return f"{statement.var} {statement.op.removesuffix('=')} ({statement.expr})"


def _split(statement, flags: set[str]) -> str:
    """Return the expression of Brian2's numpy target: by cases where these are cheap."""
    used = statement.used_boolean_variables
    if not used or len(used) != 1 or used[0] not in flags or np.dtype(statement.dtype).kind != "f":
        return statement.expr
    if statement.complexity_std <= sum(statement.complexities.values()):
        return statement.expr
    cases = statement.boolean_simplified_expressions
    yes, no = (cases[((used[0], value),)] for value in (True, False))
    return f"({yes}) if {used[0]} > 0.5 else ({no})"


def _check_assignment(obj, line: str, statement, kind: np.dtype, given: str) -> None:
    """Refuse what Brian2's targets do not agree about."""
    name = statement.var
    if kind.kind == "b" and (given != "boolean" or statement.inplace):
        reason = f"a number is assigned to the boolean variable '{name}'"
        raise unsupported(obj, line, reason, f"Assign a condition, as '{name} = x != 0'.")
    if statement.inplace and given not in ("integer", "boolean") or statement.op == "/=":
        reason = f"the integer variable '{name}' is changed in place by a number that is none"
        way_out = f"Write '{name} = int(...)' with the new value."
        raise unsupported(obj, line, reason, way_out)
