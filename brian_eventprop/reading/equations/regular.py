"""`run_regularly` of a `NeuronGroup`: code that runs at fixed times, before the state update.

It is a jump of the group's states at a time that nothing moves.  So is a subexpression that is
'constant over dt': a variable that takes a new value in every time step.  That of a Subgroup
leaves all other neurons as they are.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.parts import (
    in_group,
    own_names,
    part_of,
    resolve_in_part,
)
from brian_eventprop.reading.equations.statements import (
    Block,
    code_text,
    read_block,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import Collection
from brian_eventprop.reading.equations.timed_arrays import TimedValueReader
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Regular, Statement, Symbol
from brian_eventprop.reading.unsupported import (
    check_reserved,
    is_regular,
    line_writing,
    unsupported,
)

#: Slots after the spikes of the step before and before the state update of the step.
_SLOTS = ("before_start", "start", "after_start", "before_groups")


@dataclass(frozen=True)
class RegularCode:
    """The code of one `run_regularly`, and every how many time steps of the group it runs.

    ``part`` is the first and the last neuron (excluded) of the Subgroup whose code it is.
    """

    name: str
    steps: int
    block: Block
    text: str
    part: tuple[int, int] | None = None


def read_regular(
    group, namespace: Mapping, frozen: Container[str], ignored: Container[int] = ()
) -> list[RegularCode]:
    """Check and read the code that runs regularly, in Brian2's order.

    Parameters
    ----------
    group, namespace
        The group, and where external names are looked up.
    frozen
        States that stand still in a refractory neuron.
    ignored
        Identities of what the user leaves out.
    """
    parts = [group, *(p for p in group.contained_objects if isinstance(p, brian.Subgroup))]
    runners = [r for part in parts for r in part.contained_objects if is_regular(group, r)]
    runners = [r for r in runners if r.active and id(r) not in ignored]
    runners += [r for r in [group.subexpression_updater] if r is not None]
    with Refusals() as refusals:
        codes = [
            refusals.check(_read, group, runner, namespace, frozen) for runner in _in_order(runners)
        ]
    return codes


def runs_regularly(synapses, ignored: Container[int] = ()) -> list:
    """Return what runs regularly of `Synapses`, in Brian2's order."""
    runners = [r for r in synapses.contained_objects if is_regular(synapses, r) and r.active]
    return _in_order(r for r in runners if id(r) not in ignored)


def read_steps(group, runner, text: str) -> int:
    """Return every how many time steps of the group some code runs."""
    if runner.when not in _SLOTS:
        reason = f"run_regularly runs it in the slot '{runner.when}'"
        raise unsupported(group, text, reason, "Use when='start', before the state update.")
    own, step = getattr(runner.clock, "dt_", None), float(group.clock.dt_)
    steps = round(float(own) / step) if own is not None else 0
    if steps < 1 or abs(steps * step - float(own)) > 1e-4 * step:
        reason = f"run_regularly runs it at times between the time steps of '{group.name}'"
        raise unsupported(group, text, reason, f"Use a multiple of {step * brian.second}.")
    return steps


def _in_order(runners: Iterable) -> list:
    def place(runner):
        when = _SLOTS.index(runner.when) if runner.when in _SLOTS else 0
        return when, runner.order, runner.name

    return sorted(runners, key=place)


def written_regularly(codes: list[RegularCode]) -> list[str]:
    """Return the names that the code writes."""
    return [name for code in codes for name in code.block.written]


def build_regular(
    code: RegularCode, group, reader: TimedValueReader, collection: Collection
) -> tuple[Regular, dict[str, Symbol]]:
    """Return the specification, with names in the place of timed arrays, and symbols of its own.

    The names that a Subgroup's code reads of timed arrays are added to those of ``reader``.
    """
    steps = code.steps * collection.every(group.clock)
    if code.part is None:
        statements = reader.block(spell_out_all(code.block.statements))
        statements = without_unused(statements, code.block.written)
        return Regular(code.name, steps, statements), {}
    own = TimedValueReader(group, code.block.variables, collection, code.part)
    statements = own.block(spell_out_all(code.block.statements))
    reader.timed_values |= own.timed_values
    statements = without_unused(statements, code.block.written)
    statements = in_group(statements, group, code.block.variables, code.part)
    inside = f"i >= {code.part[0]} and i < {code.part[1]}"
    for k, s in enumerate(statements):
        if s.target in code.block.written:
            statements[k] = Statement(s.target, f"({s.expression}) if {inside} else {s.target}")
    symbols = _symbols_of_part(code, len(group), collection)
    return Regular(code.name, steps, tuple(statements)), symbols


def _symbols_of_part(code: RegularCode, size: int, collection: Collection) -> dict[str, Symbol]:
    start, stop = code.part
    index, number = own_names(code.part).values()
    key = collection.add((code.name, "i"), np.arange(size) - start, brian.DIMENSIONLESS)
    return {
        index: Symbol(index, "index", "i", key),
        number: Symbol(number, "number", "N", value=float(stop - start)),
    }


def _read(group, runner, namespace: Mapping, frozen: Container[str]) -> RegularCode:
    text, own = code_text(runner.abstract_code).strip(), runner.group
    with Refusals() as refusals:
        refusals.check(check_reserved, group, text)
        steps = refusals.check(read_steps, group, runner, text)
        variables = resolve_in_part(own, text, namespace)
        block = refusals.check(read_block, own, text, variables, group, timed_values=True)
        for name in block.written if block else ():
            if name in frozen:
                reason = f"it changes '{name}', but in Brian2 not while the neuron is refractory"
                way_out = f"Remove the flag '(unless refractory)' of '{name}'."
                refusals.add(unsupported(group, line_writing(text, name), reason, way_out))
    constant = runner is group.subexpression_updater
    name = f"{text} (constant over dt)" if constant else runner.name
    return RegularCode(name, steps, block, text, part_of(own))
