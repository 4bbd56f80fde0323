"""One variable of a neuron under two names in synaptic code: ``v`` and ``v_post``.

Brian2's numpy target reads an array anew for every statement, so what one name has written the
other one reads.  Its compiled targets read each name once, before the first statement: there a
value that was written under another name is not seen.  Here both names are one variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from brian2 import get_logger

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.equations.statements import Block, renamed
from brian_eventprop.reading.unsupported import line_with, unsupported

logger = get_logger(__name__)


def with_one_name_each(synapses, code: str, block: Block, indices: Mapping[str, str]) -> Block:
    """Return code in which every variable that it writes has one name, the first one written.

    Parameters
    ----------
    synapses
        The Brian2 object whose code it is.
    code
        As the user wrote it, for errors and warnings.
    block
        The code's statements.
    indices
        Brian2's name of the index of each variable.

    Raises
    ------
    UnsupportedError
        If Brian2's numpy target, too, does not see under one name what another one has written.
    """
    aliases = _aliases(block, indices)
    stale = _stale(block.statements, aliases)
    if stale:
        name, other = stale
        if other.startswith("_") or one_by_one(block, indices):
            what = "a subexpression of it" if other.startswith("_") else f"'{other}'"
            reason = (
                f"'{name}' is written and then read under another name, as {what}, which holds the "
                "old value in some of Brian2's targets"
            )
            line, way_out = line_with(code, [other]), f"Write '{name}' everywhere."
            raise unsupported(synapses, line, reason, way_out)
        logger.warn(
            f"Synapses '{synapses.name}': '{line_with(code, [other])}' uses '{other}' after "
            f"'{name}' was written. They are one variable, and Brian2's numpy target takes them so "
            f"as here, but in its compiled targets '{other}' is still the value of before. Write "
            f"'{name}' everywhere for the same spikes with all targets.",
            "two_names",
            once=True,
        )
    return renamed(block, aliases) if aliases else block


def _aliases(block: Block, indices: Mapping[str, str]) -> dict[str, str]:
    """Return the other names of each variable that a block writes, and that name."""
    used = set(block.written)
    for statement in block.statements:
        used |= names(statement.expr)
    found: dict[str, str] = {}
    for name in block.written:
        for other in sorted(used - {name}) if name not in found else ():
            same = block.variables.get(other) is block.variables[name]
            if same and indices[other] == indices[name]:
                found[other] = name
    return found


def _stale(statements: Iterable, aliases: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first name that is used after another name of the same variable was written."""
    written: dict[str, str] = {}
    for statement in statements:
        used = names(statement.expr) | {statement.var}
        for other in sorted(used):
            before = written.get(aliases.get(other, other), other)
            if before != other:
                return before, other
        written.setdefault(aliases.get(statement.var, statement.var), statement.var)
    return None


def one_by_one(block: Block, indices: Mapping[str, str]) -> bool:
    """Whether Brian2's numpy target executes some code one arrival after the other.

    It does so where a statement writes what it or an earlier one has read; otherwise it runs
    statement by statement over all arrivals, and its other targets do not.
    """
    read: set[str] = set()
    for statement in block.in_brian2:
        known = names(statement.expr) & set(block.variables)
        read |= {name for name in known if indices[name] != "_idx"}
        if statement.var in read:
            return True
    return False


def check_subexpressions(synapses, code: str, block: Block) -> None:
    """Refuse a subexpression of what an earlier statement has written.

    A pathway knows the operands of the subexpressions of its synapses by names of their own.
    """
    written: set[str] = set()
    for statement in block.vector:
        for name in sorted(names(statement.expr) & written) if statement.subexpression else ():
            reason = (
                f"'{statement.var}' reads '{name}' after it was written, and Brian2's targets "
                "disagree about its value then"
            )
            way_out = f"Write the expression itself in the place of '{statement.var}'."
            raise unsupported(synapses, line_with(code, [statement.var]), reason, way_out)
        written.add(statement.var)


def has_order(synapses, block: Block, indices: Mapping[str, str]) -> bool:
    """Whether the result of simultaneous arrivals depends on their order, after Brian2's analysis.

    Brian2 does not see that one arrival at a time has no order, as where each neuron that is
    written has one synapse.
    """
    variables: dict[str, Any] = dict(block.variables)
    for index in {indices[name] for name in variables} - {"_idx", "0"}:
        variables[index] = synapses.variables[index]
    try:
        brian.check_for_order_independence(block.in_brian2, variables, indices)
    except brian.OrderDependenceError:
        return True
    return False
