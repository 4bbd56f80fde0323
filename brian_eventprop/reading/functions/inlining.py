"""Calls of the user's own functions, replaced by what the functions compute.

Where the user has given derivatives they go along, ``given_(value, x, d, y, e)``: the value, and
for every argument its expression and the derivative in it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from brian_eventprop.reading.equations.expressions import functions, parse
from brian_eventprop.reading.functions.definition import DifferentiableFunction

#: What stands for a value with given derivatives.
GIVEN = "given_"


def own_functions(variables: Mapping[str, Any]) -> dict[str, DifferentiableFunction]:
    """Return the user's own functions among the variables behind some names."""
    return {n: v for n, v in variables.items() if isinstance(v, DifferentiableFunction)}


def with_bodies(expression: str, own: Mapping[str, DifferentiableFunction]) -> str:
    """Return an expression with what functions compute in the place of their calls.

    >>> from brian_eventprop.reading.functions.definition import function
    >>> cube = function(lambda x: x**3, arg_units=[1], return_unit=1)
    >>> soft = function(lambda x: 0*x, lambda x: 1/x, arg_units=[1], return_unit=1)
    >>> with_bodies("a*cube(v + w)", {"cube": cube}), with_bodies("soft(v)", {"soft": soft})
    ('a * (v + w) ** 3', 'given_(0 * v, v, 1 / v)')
    """
    if not own or not functions(expression) & own.keys():
        return expression
    return ast.unparse(_Bodies(own).visit(parse(expression)))


class _Bodies(ast.NodeTransformer):
    def __init__(self, own: Mapping[str, DifferentiableFunction]):
        self.own = own

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        function = self.own.get(node.func.id)
        if function is None:
            return node
        put_in = _Arguments(dict(zip(function.arguments, node.args, strict=True)))
        body = put_in.visit(parse(function.body))
        if function.derivatives is None:
            return body
        parts = [body]
        for argument, derivative in zip(node.args, function.derivatives, strict=True):
            parts += [argument, put_in.visit(parse(derivative))]
        return ast.Call(ast.Name(GIVEN), parts, [])


class _Arguments(ast.NodeTransformer):
    """Puts the arguments of a call in the place of their names."""

    def __init__(self, values: Mapping[str, ast.expr]):
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)
