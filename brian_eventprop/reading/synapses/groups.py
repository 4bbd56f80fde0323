"""A `Synapses` object as a group with one member for each synapse.

So are synapses with clock-driven equations, and those that are the target of other synapses.  Such
a group has no threshold; spikes arrive at its members as they do at neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names
from brian_eventprop.reading.equations.statements import Block
from brian_eventprop.reading.equations.symbols import (
    Collection,
    add_symbols,
    linked_symbol,
    synapses_symbol,
)
from brian_eventprop.reading.equations.types import as_number, booleans
from brian_eventprop.reading.functions.inlining import own_functions, with_bodies
from brian_eventprop.reading.groups import read_update, spell_out_update
from brian_eventprop.reading.spec import Group, Symbol
from brian_eventprop.reading.unsupported import check_functions, line_with, unsupported


@dataclass(frozen=True)
class SynapseGroupCode:
    """The update of a `Synapses` object, before it is known which parameters events write."""

    synapses: Any
    method: str
    update: Block | None
    variables: Mapping[str, Any]

    @property
    def group(self):
        """The `Synapses` object, as that of a group."""
        return self.synapses

    @property
    def states(self) -> list[str]:
        """The variables with a clock-driven equation."""
        return [e.varname for e in _equations(self.synapses)]


def _equations(synapses) -> list:
    return [e for e in synapses.equations.values() if e.type == brian.DIFFERENTIAL_EQUATION]


def is_group(synapses) -> bool:
    """Whether a `Synapses` object is a group by itself.

    It is with clock-driven equations, and where its pathways end at an input of spikes, which has
    no states.
    """
    target = getattr(synapses.target, "source", synapses.target)
    onto_spikes = not isinstance(target, brian.NeuronGroup | brian.Synapses)
    return bool(_equations(synapses) or (onto_spikes and synapses._pathways))


def read_by_equations(synapses) -> set[str]:
    """Return the names in the clock-driven equations of a `Synapses` object."""
    definitions = _definitions(synapses)
    return set().union(*(names(inline(e.expr.code, definitions)) for e in _equations(synapses)))


def _definitions(synapses) -> dict[str, str]:
    return {
        eq.varname: eq.expr.code
        for eq in synapses.equations.values()
        if eq.type == brian.SUBEXPRESSION and "summed" not in eq.flags
    }


def read_synapse_group_code(synapses, namespace: Mapping) -> SynapseGroupCode:
    """Read the clock-driven equations of a `Synapses` object, if it has any."""
    if not _equations(synapses):
        return SynapseGroupCode(synapses, "", None, {})
    if synapses.equations.stochastic_variables:
        noise = sorted(synapses.equations.stochastic_variables)
        line = line_with("\n".join(map(str, _equations(synapses))), noise)
        reason = f"'{noise[0]}' is white noise, which a batch brings for neurons only"
        way_out = "Let a variable of a neuron have the noise, and link to it."
        raise unsupported(synapses, line, reason, way_out)
    needed = synapses.equations.names | synapses.equations.identifiers | {"dt"}
    variables = synapses.resolve_all(needed, namespace, user_identifiers=set())
    text = "\n".join(map(str, synapses.equations.values()))
    check_functions(synapses, text, {n: variables[n] for n in synapses.equations.identifiers})
    method, update = read_update(synapses, variables, namespace)
    return SynapseGroupCode(synapses, method, update, variables)


def build_synapse_group(code: SynapseGroupCode, collection: Collection) -> Group:
    """Put the group together once the states are known."""
    synapses = code.synapses
    states = collection.states[synapses.name]
    definitions = _definitions(synapses)
    own, flags = own_functions(code.variables), booleans(code.variables)
    derivatives = {
        eq.varname: with_bodies(as_number(inline(eq.expr.code, definitions), flags), own)
        for eq in _equations(synapses)
    }
    update = spell_out_update(code.update, states) if code.update else ()
    used = set(states).union(*map(names, derivatives.values()))
    used = used.union(*(names(s.expression) for s in update))
    variables = {**code.variables, **(code.update.variables if code.update else {})}
    variables |= {n: synapses.variables[n] for n in used if n in synapses.variables}
    symbols: dict[str, Symbol] = {}

    def find(name, variable, collection):
        if name in synapses._linked_variables:
            return linked_symbol(synapses, name, variable, collection)
        return synapses_symbol(synapses, name, variable, collection)

    add_symbols(symbols, used, variables, find, collection)
    _check_sides(synapses, symbols)
    return Group(
        name=synapses.name,
        size=len(synapses),
        symbols=symbols,
        states=states,
        frozen=(),
        derivatives=derivatives,
        method=code.method,
        update=update,
        update_refractory=(),
        threshold=None,
        reset=(),
        refractory=None,
        text="\n".join(map(str, synapses.equations.values())),
    )


def _check_sides(synapses, symbols: Mapping[str, Symbol]) -> None:
    """Refuse equations of synapses that read variables of their neurons."""
    for name, symbol in symbols.items():
        if symbol.side in ("pre", "post"):
            reason = f"it reads '{name}' of the neurons at every step"
            way_out = (
                f"Give the synapses a parameter with the values of '{name}', if it is constant."
            )
            line = line_with("\n".join(map(str, _equations(synapses))), [name])
            raise unsupported(synapses, line, reason, way_out)
