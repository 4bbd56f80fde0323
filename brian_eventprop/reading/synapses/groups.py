"""A `Synapses` object as a group with one member for each synapse.

So are synapses with clock-driven equations, those that are the target of other synapses, and those
whose code runs regularly.  Such a group has no threshold; spikes arrive at its members as they do
at neurons.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names
from brian_eventprop.reading.equations.own_steps import with_own_dt
from brian_eventprop.reading.equations.regular import (
    RegularCode,
    read_steps,
    runs_regularly,
    written_regularly,
)
from brian_eventprop.reading.equations.statements import (
    Block,
    code_text,
    read_block,
    resolve,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import (
    Collection,
    add_symbols,
    linked_symbol,
    synapses_symbol,
)
from brian_eventprop.reading.equations.types import as_number, booleans
from brian_eventprop.reading.functions.inlining import own_functions, with_bodies
from brian_eventprop.reading.groups import read_update, spell_out_update
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Group, Regular, Symbol
from brian_eventprop.reading.synapses.pathways import use_indices
from brian_eventprop.reading.unsupported import (
    check_functions,
    check_reserved,
    line_with,
    line_writing,
    unsupported,
)


@dataclass(frozen=True)
class SynapseGroupCode:
    """The update of a `Synapses` object, before it is known which parameters events write."""

    synapses: Any
    method: str
    update: Block | None
    variables: Mapping[str, Any]
    regular: tuple[RegularCode, ...] = ()

    @property
    def group(self):
        """The `Synapses` object, as that of a group."""
        return self.synapses

    @property
    def states(self) -> list[str]:
        """The variables with a clock-driven equation, and those that code writes regularly."""
        driven = [e.varname for e in _equations(self.synapses)]
        return list(dict.fromkeys([*driven, *written_regularly(self.regular)]))


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


def read_synapse_group_code(
    synapses, namespace: Mapping, ignored: Container[int] = ()
) -> SynapseGroupCode:
    """Read the clock-driven equations of a `Synapses` object and what runs regularly, if any."""
    with Refusals() as refusals:
        method, update, variables = refusals.check(_read_equations, synapses, namespace) or _NONE
        regular = [
            refusals.check(_read_regular, synapses, runner, namespace)
            for runner in runs_regularly(synapses, ignored)
        ]
    return SynapseGroupCode(synapses, method, update, variables, tuple(regular))


_NONE = "", None, {}


def _read_equations(synapses, namespace: Mapping) -> tuple[str, Block | None, Mapping[str, Any]]:
    if not _equations(synapses):
        return _NONE
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
    return method, update, variables


def _read_regular(synapses, runner, namespace: Mapping) -> RegularCode:
    """Check and read code that runs regularly: it may write variables of the synapses."""
    text = code_text(runner.abstract_code).strip()
    with Refusals() as refusals:
        refusals.check(check_reserved, synapses, text)
        steps = refusals.check(read_steps, synapses, runner, text)
        variables = use_indices(synapses, resolve(synapses, text, namespace))
        block = refusals.check(read_block, synapses, text, variables)
        for name in block.written if block else ():
            if synapses.variables.indices[name] != "_idx":
                reason = f"it changes '{name}', which is no variable of single synapses"
                way_out = "Let the equations of the neurons do it, or their run_regularly."
                refusals.add(unsupported(synapses, line_writing(text, name), reason, way_out))
    return RegularCode(runner.name, steps, block, text)


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
    every = collection.every(synapses.clock) if update or code.regular else 1
    regular = tuple(_regular(r, every) for r in code.regular)
    when = {"t", "dt"} if regular or every > 1 else set()  # they tell when it runs
    used = set(states).union(*map(names, derivatives.values()), when)
    jumps = [s for r in regular for s in r.statements]
    used = used.union(*(names(s.expression) for s in (*update, *jumps)))
    variables = {**code.variables, **(code.update.variables if code.update else {})}
    for r in code.regular:
        variables |= r.block.variables
    variables |= {n: synapses.variables[n] for n in used if n in synapses.variables}
    symbols: dict[str, Symbol] = {}

    def find(name, variable, collection):
        if name in synapses._linked_variables:
            return linked_symbol(synapses, name, variable, collection)
        symbol = synapses_symbol(synapses, name, variable, collection)
        # the indices are numbers of the synapses
        return replace(symbol, side="") if symbol and symbol.kind == "index" else symbol

    add_symbols(symbols, used, use_indices(synapses, variables), find, collection)
    _check_sides(code, symbols)
    built = Group(
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
        regular=regular,
        every=every,
    )
    return with_own_dt(built, synapses.clock)


def _regular(code: RegularCode, every: int) -> Regular:
    statements = without_unused(spell_out_all(code.block.statements), code.block.written)
    return Regular(code.name, code.steps * every, statements)


def _check_sides(code: SynapseGroupCode, symbols: Mapping[str, Symbol]) -> None:
    """Refuse equations of synapses, and regular code, that read variables of their neurons."""
    lines = [*map(str, _equations(code.synapses)), *(r.text for r in code.regular)]
    for name, symbol in symbols.items():
        if symbol.side in ("pre", "post"):
            reason = f"it reads '{name}' of the neurons at every step"
            way_out = (
                f"Give the synapses a parameter with the values of '{name}', if it is constant."
            )
            line = line_with("\n".join(lines), [name])
            raise unsupported(code.synapses, line, reason, way_out)
