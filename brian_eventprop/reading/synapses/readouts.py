"""What a loss sees of synapses at the end of a trial: final weights and other states of theirs."""

from __future__ import annotations

from collections.abc import Mapping

from brian2.units.fundamentalunits import DimensionMismatchError

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names
from brian_eventprop.reading.equations.statements import resolve
from brian_eventprop.reading.equations.symbols import Collection, add_symbols, synapses_symbol
from brian_eventprop.reading.spec import ReadoutSpec, Symbol
from brian_eventprop.reading.unsupported import check_functions, unsupported

#: The kind of such a readout.
FINAL_OF_SYNAPSES = "final_synapses"


def read_synapse_readout(
    readout, namespace: Mapping, collection: Collection, is_group: bool
) -> ReadoutSpec:
    """Return the specification of a `Final` of a `Synapses` object.

    It is one like any other where the synapses are a group, with equations of their own.
    """
    synapses = readout.group
    definitions = {
        eq.varname: eq.expr.code
        for eq in synapses.equations.values()
        if eq.type == brian.SUBEXPRESSION and "summed" not in eq.flags
    }
    expression = inline(readout.expression, definitions)
    variables = resolve(synapses, f"_readout = {expression}", namespace)
    check_functions(synapses, expression, variables)
    _check_expression(readout, expression, variables)
    symbols: dict[str, Symbol] = {}
    used = names(expression)

    def find(name, variable, collection):
        return synapses_symbol(synapses, name, variable, collection)

    add_symbols(symbols, used, variables, find, collection)
    for name, symbol in symbols.items():
        if symbol.side or symbol.kind == "t":
            what = "the time" if symbol.kind == "t" else "a variable of a neuron"
            way_out = "Read variables of the synapses, and those of neurons by readouts of theirs."
            raise unsupported(synapses, repr(readout), f"'{name}' is {what}", way_out)
    return ReadoutSpec(
        kind="final" if is_group else FINAL_OF_SYNAPSES,
        group=synapses.name,
        start=0,
        stop=len(synapses),
        expression=expression,
        symbols=symbols,
    )


def _check_expression(readout, expression: str, variables: Mapping) -> None:
    try:
        brian.parse_expression_dimensions(expression, variables)
        condition = brian.is_boolean_expression(expression, variables)
    except SyntaxError as error:
        raise ValueError(
            f"{readout!r}: '{readout.expression}' is no expression in Brian2's syntax "
            f"({str(error).rstrip('.')}). Give one such as 'w' or 'w**2'."
        ) from None
    except DimensionMismatchError as error:
        raise DimensionMismatchError(
            f"{readout!r}: the units do not fit together. {error.desc}", *error.dims
        ) from None
    if condition:
        raise ValueError(
            f"{readout!r}: '{readout.expression}' is a condition, true or false, and no number. "
            f"Write int({readout.expression}) for 1 where it holds and 0 elsewhere."
        )
