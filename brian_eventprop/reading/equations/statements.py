"""Brian2's abstract code as plain statements, in Brian2's own order of floating point operations.

Brian2 optimises abstract code before it generates anything from it: loop invariants are pulled
out, sums and products are collected, and expressions with a boolean are split in two.  The
statements here are the ones that result, so that running them gives Brian2's bits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import fold, inline, names
from brian_eventprop.reading.equations.types import typed
from brian_eventprop.reading.functions.inlining import own_functions, with_bodies
from brian_eventprop.reading.spec import Statement
from brian_eventprop.reading.unsupported import check_functions

_OPERATORS = {"+=": "+", "-=": "-", "*=": "*", "/=": "/", "**=": "**"}


@dataclass(frozen=True)
class Block:
    """Abstract code after Brian2's optimisation: its statements and the variables they name.

    ``in_brian2`` are the vector statements as Brian2 has them; in the others booleans and integers
    are numbers, and the user's own functions are what they compute.
    """

    scalar: Sequence[Any]
    vector: Sequence[Any]
    variables: Mapping[str, Any]
    in_brian2: Sequence[Any] = ()

    @property
    def statements(self) -> list[Any]:
        """The statements in the order in which Brian2 executes them."""
        return [*self.scalar, *self.vector]

    @property
    def written(self) -> list[str]:
        """The variables of the model that the block writes, in order."""
        arrays = [s.var for s in self.statements if isinstance(self.variables.get(s.var), _ARRAY)]
        return list(dict.fromkeys(arrays))


_ARRAY = brian.ArrayVariable


def code_text(code) -> str:
    """Return code as text; newer Brian2 releases also take expression objects."""
    return code if isinstance(code, str) else getattr(code, "code", str(code))


def resolve(group, code: str, namespace: Mapping, extra: Mapping | None = None) -> dict[str, Any]:
    """Return the Brian2 variable, constant or function behind every name in the code."""
    known = {**group.variables, **(extra or {})}
    _, used, unknown = brian.analyse_identifiers(code, known, recursive=True)
    try:
        return group.resolve_all(
            sorted(used | unknown), namespace, user_identifiers=set(), additional_variables=extra
        )
    except KeyError as error:
        raise KeyError(f"{error.args[0]} (In the code of {group.name}.)") from error


def read_block(
    group,
    code: str,
    variables: Mapping,
    owner=None,
    user_code: str | None = None,
    check_units: bool = True,
    timed_values: bool = False,
) -> Block:
    """Return the optimised statements of some code.

    Parameters
    ----------
    group
        The Brian2 group whose code it is.
    code
        The abstract code.
    variables
        What `resolve` found.
    owner
        The object that errors name, if not the group.
    user_code
        The code that errors quote, if the abstract code is not the user's.
    check_units
        Whether Brian2 checks the units of the statements.
    timed_values
        Whether timed arrays may be called.
    """
    check_functions(owner or group, user_code or code, variables, timed_values)
    if check_units:
        brian.check_units_statements(code, variables)
    scalar, vector = brian.make_statements(code, variables, np.float64, optimise=True)
    made = typed(owner or group, user_code or code, [*scalar, *vector], variables)
    if own := own_functions(variables):
        made = [_rewritten(s, lambda text: with_bodies(text, own)) for s in made]
    return Block(made[: len(scalar)], made[len(scalar) :], variables, vector)


def _rewritten(statement, change: Callable[[str], str]):
    """Return a copy of one of Brian2's statements with its expressions changed."""
    statement = copy.copy(statement)
    statement.expr = change(statement.expr)
    if cases := statement.boolean_simplified_expressions:
        statement.boolean_simplified_expressions = {k: change(e) for k, e in cases.items()}
    return statement


def renamed(block: Block, names_of: Mapping[str, str]) -> Block:
    """Return a block in which some names of variables are others.

    >>> from brian2 import NeuronGroup
    >>> G = NeuronGroup(1, "dv/dt = -v/second : 1")
    >>> block = read_block(G, "v = 2*i", resolve(G, "v = 2*i", {}))
    >>> [(s.var, s.expr) for s in renamed(block, {"i": "v"}).statements]
    [('v', '2 * v')]
    """

    def change(statement):
        statement = _rewritten(statement, lambda text: inline(text, names_of))
        statement.var = names_of.get(statement.var, statement.var)
        return statement

    scalar, vector, in_brian2 = (
        [change(s) for s in statements]
        for statements in (block.scalar, block.vector, block.in_brian2)
    )
    return Block(scalar, vector, block.variables, in_brian2)


def spell_out(statement, free: bool | None = None) -> Statement:
    """Return a Brian2 statement as an assignment, for a free or a refractory neuron."""
    expression = statement.expr if free is None else _of_mode(statement, free)
    if statement.op in _OPERATORS:
        expression = f"{statement.var} {_OPERATORS[statement.op]} ({expression})"
    return Statement(statement.var, expression)


def spell_out_all(statements: Iterable, free: bool | None = None) -> list[Statement]:
    """Return a block's statements as assignments, for a free or a refractory neuron.

    Conditions that Brian2 gave a name (boolean subexpressions) go back to where they are used:
    they have no derivative of their own.
    """
    conditions: dict[str, str] = {}
    result = []
    for statement in statements:
        plain = spell_out(statement, free)
        if conditions.keys() & names(plain.expression):
            plain = Statement(plain.target, inline(plain.expression, conditions))
        if _is_named_condition(statement):
            conditions[plain.target] = plain.expression
        else:
            result.append(plain)
    return result


def _is_named_condition(statement) -> bool:
    """Whether a statement only names a condition whose operands stay as they are."""
    made_by_brian = statement.subexpression or statement.var.startswith("_lio_")
    return made_by_brian and np.dtype(statement.dtype) == bool


def _of_mode(statement, free: bool) -> str:
    """Return the expression for one value of ``not_refractory``.

    Brian2's numpy target evaluates the split expressions only where they are the cheaper ones; in
    all other cases it multiplies by one or zero.
    """
    if "not_refractory" not in names(statement.expr):
        return statement.expr
    split = statement.used_boolean_variables == ["not_refractory"]
    if split and statement.complexity_std > sum(statement.complexities.values()):
        return statement.boolean_simplified_expressions[(("not_refractory", free),)]
    return fold(statement.expr, free)


def without_unused(statements: Sequence[Statement], kept: Iterable[str]) -> tuple[Statement, ...]:
    """Drop assignments to temporaries that no later statement reads.

    >>> a, b, c = Statement("a", "2*k"), Statement("b", "a + 1"), Statement("v", "a*v")
    >>> [s.target for s in without_unused([a, b, c], {"v"})]
    ['a', 'v']
    """
    needed, kept, result = set(), set(kept), []
    for statement in reversed(statements):
        if statement.target in kept:
            needed |= names(statement.expression)
        elif statement.target in needed:
            needed = (needed - {statement.target}) | names(statement.expression)
        else:
            continue
        result.append(statement)
    return tuple(reversed(result))


def as_expression(statements: Sequence[Statement], target: str) -> str:
    """Return what a block assigns to one name, the temporaries substituted."""
    definitions: dict[str, str] = {}
    for statement in statements:
        definitions[statement.target] = inline(statement.expression, definitions)
    return definitions[target]
