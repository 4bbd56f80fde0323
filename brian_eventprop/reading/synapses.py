"""A Brian2 `Synapses` object as the `Pathway` objects of the specification."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.delays import check_delays
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.equations.statements import (
    Block,
    code_text,
    read_block,
    resolve,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import Collection, add_symbols, pathway_symbol
from brian_eventprop.reading.spec import Pathway, Symbol
from brian_eventprop.reading.unsupported import (
    check_reserved,
    check_synapses,
    line_with,
    line_writing,
    unsupported,
)

_PLASTIC = "Only post-synaptic states may change; train the synaptic variable instead."


@dataclass(frozen=True)
class PathwayCode:
    """One pathway's block of code, before the states of the groups are known."""

    synapses: Any
    pathway: Any
    code: str
    block: Block
    indices: Mapping[str, str]


def read_synapses_code(synapses, namespace: Mapping) -> list[PathwayCode]:
    """Check a `Synapses` object and read the code of its active pathways."""
    check_synapses(synapses)
    if not synapses._connect_called:
        raise ValueError(
            f"Synapses '{synapses.name}' has no synapses yet: call {synapses.name}.connect(...)."
        )
    synapses.equations.check_units(synapses, run_namespace=namespace)
    return [
        _read_pathway(synapses, pathway, namespace)
        for pathway in synapses._pathways
        if pathway.active
    ]


def parent(end):
    """Return the group that a Subgroup is part of, or the group itself."""
    return end.source if isinstance(end, brian.Subgroup) else end


def written_states(code: PathwayCode) -> tuple[str, list[str]]:
    """Return the name of the post-synaptic group and the variables that the pathway writes."""
    variables = code.block.variables
    return parent(code.synapses.target).name, [variables[n].name for n in code.block.written]


def build_pathway(code: PathwayCode, collection: Collection) -> Pathway:
    """Put the specification together once the states of all groups are known."""
    synapses, pathway = code.synapses, code.pathway
    statements = without_unused(spell_out_all(code.block.statements), code.block.written)
    used = set(code.block.written)
    for statement in statements:
        used |= names(statement.expression)

    def find(name, variable, collection):
        line = line_with(code.code, [name])
        return pathway_symbol(pathway, synapses, name, variable, collection, line)

    symbols: dict[str, Symbol] = {}
    add_symbols(symbols, used, code.block.variables, find, collection)
    delays = pathway._delays
    step = float(synapses.clock.dt_)
    check_delays(synapses.name, pathway.name, np.asarray(delays.get_value()), step, "synapse")
    delay = collection.add((pathway.name, "delay"), delays.get_value(), delays.dim)
    add_parameters(synapses, collection)
    return Pathway(
        name=pathway.name,
        synapses=synapses.name,
        source=parent(synapses.source).name,
        target=parent(synapses.target).name,
        size=len(synapses),
        symbols=symbols,
        statements=statements,
        delay=delay,
        text=code.code,
    )


def add_parameters(synapses, collection: Collection) -> None:
    """Collect the synaptic parameters, whether or not ``on_pre`` uses them."""
    for name in synapses.equations.parameter_names:
        variable = synapses.variables[name]
        collection.add((synapses.name, name), variable.get_value(), variable.dim)


def connections(synapses) -> tuple[np.ndarray, np.ndarray]:
    """Return the absolute source and target index of each synapse in creation order."""
    ends = (synapses.variables[f"_synaptic_{side}"].get_value() for side in ("pre", "post"))
    pre, post = (np.array(end, dtype=np.int64) for end in ends)
    for found, end in ((pre, synapses.source), (post, synapses.target)):
        size = len(parent(end))
        if len(found) and not (found.min() >= 0 and found.max() < size):
            raise ValueError(
                f"Synapses '{synapses.name}' hold an index outside of the {size} neurons of "
                f"'{parent(end).name}': make the connections with connect()."
            )
    return pre, post


def _read_pathway(synapses, pathway, namespace: Mapping) -> PathwayCode:
    text = code_text(pathway.code)
    check_reserved(synapses, text)
    delays = pathway._delays
    variables = resolve(synapses, text, namespace, {"delay": delays})
    use_indices(synapses, variables)
    everything = "\n".join([text, *map(str, synapses.equations.values())])
    block = read_block(synapses, text, variables, user_code=everything)
    indices = copy.copy(synapses.variables.indices)
    indices["delay"] = "0" if delays.scalar else "_idx"
    code = PathwayCode(synapses, pathway, text.strip(), block, indices)
    _check_writes(code)
    _check_aliases(code)
    _check_order(code)
    return code


def use_indices(synapses, variables: dict[str, Any]) -> dict[str, Any]:
    """Let the indices of Subgroups stand for themselves: `symbols` knows them by name."""
    for name, side in (("i", "pre"), ("i_pre", "pre"), ("j", "post"), ("i_post", "post")):
        if isinstance(variables.get(name), brian.Subexpression):
            variables[name] = synapses.variables[f"_synaptic_{side}"]
    return variables


def _check_writes(code: PathwayCode) -> None:
    """Refuse plasticity: writes to synaptic, pre-synaptic or shared variables."""
    for statement in code.block.statements:
        name = statement.var
        if not isinstance(code.block.variables.get(name), brian.ArrayVariable):
            continue
        line = line_writing(code.code, name)
        index = code.indices[name]
        if index == "_postsynaptic_idx":
            continue
        if index == "_presynaptic_idx":
            reason = f"it changes '{name}' of the pre-synaptic neuron"
        elif index == "0":
            reason = f"it changes '{name}', which is shared"
        else:
            reason = f"it changes the synaptic variable '{name}'"
        raise unsupported(code.synapses, line, reason, _PLASTIC)


def _check_aliases(code: PathwayCode) -> None:
    """Refuse code that calls a variable by two names, one of which it writes.

    Brian2's own targets disagree about what the other name then holds.
    """
    used = set(code.block.written)
    for statement in code.block.statements:
        used |= names(statement.expr)
    variables = code.block.variables
    for name in code.block.written:
        for other in sorted(used - {name}):
            same = variables.get(other) is variables[name]
            if same and code.indices[other] == code.indices[name]:
                what = "a subexpression of it" if other.startswith("_") else f"'{other}'"
                reason = f"'{name}' is written and read under another name, as {what}"
                way_out = f"Write '{name}' everywhere."
                raise unsupported(code.synapses, line_with(code.code, [other]), reason, way_out)
    _check_subexpressions(code)


def _check_subexpressions(code: PathwayCode) -> None:
    """Refuse a subexpression of what an earlier statement has written.

    A pathway knows the operands of the subexpressions of its synapses by names of their own.
    """
    written: set[str] = set()
    for statement in code.block.vector:
        for name in sorted(names(statement.expr) & written) if statement.subexpression else ():
            reason = (
                f"'{statement.var}' reads '{name}' after it was written, and Brian2's targets "
                "disagree about its value then"
            )
            way_out = f"Write the expression itself in the place of '{statement.var}'."
            raise unsupported(code.synapses, line_with(code.code, [statement.var]), reason, way_out)
        written.add(statement.var)


def _check_order(code: PathwayCode) -> None:
    """Refuse code in which simultaneous arrivals have no well-defined order.

    Code whose result depends on the order of arrivals is fine as long as Brian2 executes it one
    arrival after the other.  Its numpy target does so where a statement writes what it or an
    earlier one has read; otherwise it runs statement by statement over all arrivals, and its
    other targets do not.
    """
    variables, indices = dict(code.block.variables), code.indices
    for index in {indices[name] for name in variables} - {"_idx", "0"}:
        variables[index] = code.synapses.variables[index]
    try:
        brian.check_for_order_independence(code.block.vector, variables, indices)
    except brian.OrderDependenceError:
        if not _one_by_one(code.block, indices):
            reason = "its result depends on the order of arrivals, and Brian2's targets disagree"
            way_out = "Write first the variables that are read, or use two pathways."
            raise unsupported(code.synapses, code.code, reason, way_out) from None


def _one_by_one(block: Block, indices: Mapping[str, str]) -> bool:
    read: set[str] = set()
    for statement in block.vector:
        known = names(statement.expr) & set(block.variables)
        read |= {name for name in known if indices[name] != "_idx"}
        if statement.var in read:
            return True
    return False
