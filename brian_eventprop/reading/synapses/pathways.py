"""A Brian2 `Synapses` object as the `Pathway` objects of the specification."""

from __future__ import annotations

import copy
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.delays import check_delays
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.equations.own_steps import statements_of
from brian_eventprop.reading.equations.statements import (
    Block,
    code_text,
    read_block,
    resolve,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import Collection, add_symbols, pathway_symbol
from brian_eventprop.reading.events import name_of_event
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Group, Pathway, Symbol, SynapticStates
from brian_eventprop.reading.synapses.aliases import (
    check_subexpressions,
    has_order,
    one_by_one,
    with_one_name_each,
)
from brian_eventprop.reading.synapses.others import other_flow, other_neuron
from brian_eventprop.reading.synapses.timed_arrays import ArrivalTimedValues, of_target
from brian_eventprop.reading.unsupported import (
    check_functions,
    check_reserved,
    check_synapses,
    line_with,
    line_writing,
    unsupported,
)

#: The variable that says when Brian2 last brought event-driven variables up to date.
_LAST_UPDATE = "lastupdate"

#: Brian2's names of the indices of the pre- and of the post-synaptic neuron.
_ENDS = ("_presynaptic_idx", "_postsynaptic_idx")


@dataclass(frozen=True)
class PathwayCode:
    """One pathway's block of code, before the states of the groups are known."""

    synapses: Any
    pathway: Any
    code: str
    block: Block
    indices: Mapping[str, str]
    alone: bool = False

    @property
    def sender(self):
        """The group whose spikes run the code."""
        before = self.pathway.prepost == "pre"
        return self.synapses.source if before else self.synapses.target

    @property
    def source(self) -> str:
        """The name of the group whose spikes, in the specification, run the code."""
        return name_of_event(parent(self.sender), self.pathway.event)


def read_synapses_code(
    synapses, namespace: Mapping, ignored: Container[int] = ()
) -> list[PathwayCode]:
    """Check a `Synapses` object and read the code of its active pathways."""
    with Refusals() as refusals:
        refusals.check(check_synapses, synapses, ignored)
        if not synapses._connect_called:
            raise ValueError(
                f"Synapses '{synapses.name}' has no synapses yet: call "
                f"{synapses.name}.connect(...)."
            )
        synapses.equations.check_units(synapses, run_namespace=namespace)
        # code that writes what is refused above would be refused for the same reason once more
        read = _resolve_pathway if refusals else _read_pathway
        active = [pathway for pathway in synapses._pathways if pathway.active]
        codes = [refusals.check(read, synapses, pathway, namespace) for pathway in active]
    return codes


def parent(end):
    """Return the group that a Subgroup is part of, or the group itself."""
    return end.source if isinstance(end, brian.Subgroup) else end


def written_states(code: PathwayCode) -> list[tuple[str, str]]:
    """Return the variables of neuron groups that a pathway writes: names of group and variable."""
    variables = (code.block.variables[n] for n in code.block.written if not _is_synaptic(code, n))
    return [(variable.owner.name, variable.name) for variable in variables]


def synaptic_states(codes: Iterable[PathwayCode]) -> dict[str, SynapticStates]:
    """Return the variables of each `Synapses` object that its pathways write, by its name."""
    found: dict[str, SynapticStates] = {}
    for code in codes:
        written = [n for n in code.block.written if _is_synaptic(code, n)]
        if written:
            name, size = code.synapses.name, len(code.synapses)
            known = found[name].states if name in found else ()
            found[name] = SynapticStates(name, size, tuple(dict.fromkeys((*known, *written))))
    return found


def _is_synaptic(code: PathwayCode, name: str) -> bool:
    return code.indices[name] == "_idx"


def build_pathway(
    code: PathwayCode, collection: Collection, groups: Mapping[str, Group]
) -> Pathway:
    """Put the specification together once all groups are built."""
    synapses, pathway = code.synapses, code.pathway
    reader = ArrivalTimedValues(synapses, code.block.variables, code.indices, collection)
    if not isinstance(reader.group, brian.NeuronGroup):
        _refuse_timed_values(code, reader)
    statements = reader.block(spell_out_all(code.block.statements))
    if float(synapses.clock.dt_) != collection.dt:
        statements = statements_of(statements, synapses.clock)
    statements = without_unused(statements, code.block.written)
    used = set(code.block.written)
    for statement in statements:
        used |= names(statement.expression)

    def find(name, variable, collection):
        line = line_with(code.code, [name])
        return pathway_symbol(pathway, synapses, name, variable, collection, line)

    symbols: dict[str, Symbol] = of_target(reader.symbols)
    add_symbols(symbols, used, code.block.variables, find, collection)
    delays = pathway._delays
    step = float(pathway.clock.dt_)
    side, owner = other_neuron(code, symbols)
    _check_time(code, symbols)
    check_delays(synapses.name, pathway.name, np.asarray(delays.get_value()), step, "synapse")
    delay = collection.add((pathway.name, "delay"), delays.get_value(), delays.dim)
    add_parameters(synapses, collection)
    _check_pre_synaptic_writes(code, symbols, groups)
    symbols, receiver = _receiver(synapses, symbols, groups)
    if receiver == "synapse":
        _refuse_timed_values(code, reader)
    others = _synaptic_flow(code, symbols, groups)
    if owner:
        others |= other_flow(code, symbols, groups[owner], side)
    return Pathway(
        name=pathway.name,
        synapses=synapses.name,
        source=code.source,
        target=synapses.name if receiver == "synapse" else parent(synapses.target).name,
        size=len(synapses),
        symbols=symbols,
        statements=statements,
        delay=delay,
        text=code.code,
        sender=pathway.prepost,
        receiver=receiver,
        others=others,
        pre_group=owner,
        pre_side=side,
        alone=code.alone,
        timed_values=tuple(reader.timed_values.values()),
    )


def _check_time(code: PathwayCode, symbols: Mapping[str, Symbol]) -> None:
    """Refuse code that reads the time where that of the Synapses is not always that of spikes."""
    step, own = float(code.pathway.clock.dt_), float(code.synapses.clock.dt_)
    used = sorted(n for n, s in symbols.items() if s.kind in ("t", "timed"))
    if used and abs(step / own - round(step / own)) > 1e-9 * step / own:
        reason = (
            f"it reads '{used[0]}' of the Synapses, whose dt={own:g} s is not that of the spikes, "
            f"{step:g} s"
        )
        way_out = f"Give '{code.synapses.name}' the dt of '{code.sender.name}'."
        raise unsupported(code.synapses, code.code, reason, way_out)


def _refuse_timed_values(code: PathwayCode, reader: ArrivalTimedValues) -> None:
    """Refuse timed arrays where no neuron with equations receives the event."""
    for array in reader.arrays:
        line = line_with(code.code, [array])
        reason = f"'{array}' is a TimedArray, and the code acts on no variable of neurons"
        way_out = "Let a variable of the post-synaptic neurons follow it, and read that."
        raise unsupported(code.synapses, line, reason, way_out)


def _touches(symbols: Mapping[str, Symbol], side: str) -> bool:
    """Whether a pathway reads or writes states of the neurons of one side, or of synapses."""
    return any(s.kind == "state" and s.side == side for s in symbols.values())


def _receiver(synapses, symbols: dict[str, Symbol], groups) -> tuple[dict[str, Symbol], str]:
    """Return at which end the code acts, and the symbols of its states there.

    Synapses that are a group, with equations of their own, are the target of code that touches no
    state of a neuron, or that ends at an input of spikes.
    """
    touches = {s.side for s in symbols.values() if s.kind == "state"} - {""}
    if synapses.name not in groups or (touches and parent(synapses.target).name in groups):
        return symbols, "post"
    own = {n: s for n, s in symbols.items() if s.kind == "state" and not s.side}
    return {**symbols, **{n: replace(s, side="post") for n, s in own.items()}}, "synapse"


def _synaptic_flow(code: PathwayCode, symbols: dict[str, Symbol], groups) -> dict[str, str]:
    """Return how the states of synapses that are a group change between events.

    All that their equations read is added to `symbols`.
    """
    synapses = code.synapses
    if synapses.name not in groups or not _touches(symbols, ""):
        return {}
    group = groups[synapses.name]
    for name in sorted(set(symbols) & set(group.states)):
        if symbols[name].side:
            reason = f"it reads '{name}', which is linked, and clock-driven equations read it, too"
            way_out = "Use two linked variables."
            raise unsupported(synapses, code.code, reason, way_out)
    symbols.update({n: s for n, s in group.symbols.items() if n not in symbols})
    return {state: group.derivatives.get(state, "0") for state in group.states}


def _check_pre_synaptic_writes(code: PathwayCode, symbols, groups) -> None:
    """Refuse code that may fire the pre-synaptic neuron, or changes a neuron as both ends."""
    synapses = code.synapses
    written = [n for n in code.block.written if symbols[n].side == "pre"]
    for name in written:
        line = line_writing(code.code, name)
        group = groups[parent(synapses.source).name]
        if group.threshold is not None and symbols[name].variable in names(group.threshold):
            reason = (
                f"it changes '{name}' of the pre-synaptic neuron, which its threshold compares, so "
                "that the arrival may fire it"
            )
            way_out = "Let it act through a variable with an equation of its own."
            raise unsupported(synapses, line, reason, way_out)
        pre, post = connections(synapses)
        same = parent(synapses.source) is parent(synapses.target) and np.any(pre == post)
        if same and _touches(symbols, "post"):
            reason = "a neuron with a synapse onto itself is changed as both of its ends"
            way_out = f"Make the connections of '{synapses.name}' without i == j."
            raise unsupported(synapses, line, reason, way_out)


def add_parameters(synapses, collection: Collection) -> None:
    """Collect the synaptic parameters, whether or not ``on_pre`` uses them."""
    for name in sorted(synapses.equations.parameter_names - synapses._linked_variables):
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


def _resolve_pathway(synapses, pathway, namespace: Mapping) -> dict[str, Any]:
    """Check what a pathway's code reads and calls, and return the variables behind its names."""
    user = code_text(pathway.code)
    with Refusals() as refusals:
        refusals.check(check_reserved, synapses, user)
        text = refusals.check(_event_driven_update, synapses, user) or user
        variables = resolve(synapses, text, namespace, {"delay": pathway._delays})
        refusals.check(check_functions, synapses, _everything(synapses, user), variables, True)
    return variables


def _everything(synapses, user: str) -> str:
    """Return a pathway's code and the equations, of which errors quote a line."""
    return "\n".join([user, *map(str, _all_equations(synapses))])


def _read_pathway(synapses, pathway, namespace: Mapping) -> PathwayCode:
    user = code_text(pathway.code)
    text = _event_driven_update(synapses, user)
    delays = pathway._delays
    variables = use_indices(synapses, _resolve_pathway(synapses, pathway, namespace))
    user_code = _everything(synapses, user)
    read = read_block(synapses, text, variables, user_code=user_code, timed_values=True)
    indices = copy.copy(synapses.variables.indices)
    indices["delay"] = "0" if delays.scalar else "_idx"
    block = with_one_name_each(synapses, user, read, indices)
    check_subexpressions(synapses, user, block)
    code = PathwayCode(synapses, pathway, user.strip(), block, indices)
    _check_writes(code)
    # simultaneous arrivals have no well-defined order, but where Brian2 itself executes them in one
    if not has_order(synapses, block, indices) or one_by_one(read, indices):
        return code
    if not _arrives_alone(code):
        reason = "its result depends on the order of arrivals, and Brian2's targets disagree"
        way_out = "Write first the variables that are read, or use two pathways."
        raise unsupported(synapses, code.code, reason, way_out)
    return replace(code, alone=True)


def _all_equations(synapses) -> list:
    return [*synapses.equations.values(), *(synapses.event_driven or {}).values()]


def _event_driven_update(synapses, text: str) -> str:
    """Return the code of a pathway as Brian2 runs it: event-driven variables come up to date first.

    Brian2 integrates them exactly from their last update to now.
    """
    if synapses.event_driven is None:
        return text
    try:
        update = brian.linear(synapses.event_driven, synapses.variables)
    except brian.UnsupportedEquationsException:
        found = [e for e in synapses.event_driven.values() if e.type == brian.DIFFERENTIAL_EQUATION]
        reason = "Brian2 has no exact solution of it, which event-driven variables need"
        way_out = "Make the equation linear in the variables of the synapse."
        raise unsupported(synapses, "; ".join(map(str, found)), reason, way_out) from None
    update = re.sub(r"\bdt\b", f"(t - {_LAST_UPDATE})", update)
    return f"{update}\n{text}\n{_LAST_UPDATE} = t\n"


def use_indices(synapses, variables: dict[str, Any]) -> dict[str, Any]:
    """Let the indices of Subgroups stand for themselves: `symbols` knows them by name."""
    for name, side in (("i", "pre"), ("i_pre", "pre"), ("j", "post"), ("i_post", "post")):
        if isinstance(variables.get(name), brian.Subexpression):
            variables[name] = synapses.variables[f"_synaptic_{side}"]
    return variables


def _check_writes(code: PathwayCode) -> None:
    """Refuse writes to what cannot change at an event."""
    refusals = Refusals()
    for name in code.block.written:
        refused = _unwritable(code, name, code.block.variables[name])
        if refused:
            refusals.add(unsupported(code.synapses, line_writing(code.code, name), *refused))
    refusals.raise_found()


def _unwritable(code: PathwayCode, name: str, variable) -> tuple[str, str] | None:
    """Return why a variable cannot be written, and the way out; None if it can."""
    ends = {parent(end).name for end in (code.synapses.source, code.synapses.target)}
    owner = variable.owner.name
    if isinstance(variable.owner, brian.NeuronGroup) and owner not in ends:
        reason = f"it changes '{name}', which is linked and belongs to '{owner}'"
        return reason, f"Change it by Synapses onto '{owner}'."
    if not isinstance(variable.owner, brian.NeuronGroup | brian.Synapses):
        return f"it changes '{name}' of '{owner}', whose spikes are given", "Use a NeuronGroup."
    if variable is code.pathway._delays:
        return "delays are the same during a trial", "Use a variable of the synapse."
    if code.indices[name] == "0":  # "not allowed in this context", says Brian2
        return (
            f"it changes '{name}', which is shared, and Brian2 itself does not run that",
            f"Let a NeuronGroup of one neuron have '{variable.name}', change it by Synapses onto "
            "that, and link to it where it is read.",
        )
    return None


def _arrives_alone(code: PathwayCode) -> bool:
    """Whether the neurons that some code writes are those of one synapse each."""
    ends = dict(zip(_ENDS, connections(code.synapses), strict=True))
    written = {code.indices[name] for name in code.block.written} & set(ends)
    return all(len(set(ends[index])) == len(ends[index]) for index in written)
