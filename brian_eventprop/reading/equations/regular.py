"""`run_regularly` of a `NeuronGroup`: code that runs at fixed times, before the state update.

It is a jump of the group's states at a time that nothing moves.  So is a subexpression that is
'constant over dt': a variable that takes a new value in every time step.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.statements import (
    Block,
    code_text,
    read_block,
    resolve,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.timed_arrays import TimedValueReader
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Regular
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
    """The code of one `run_regularly`, and every how many time steps of the group it runs."""

    name: str
    steps: int
    block: Block
    text: str


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
    runners = [r for r in group.contained_objects if is_regular(group, r) and r.active]
    runners = [r for r in runners if id(r) not in ignored]
    runners += [r for r in [group.subexpression_updater] if r is not None]
    runners.sort(key=lambda r: (_SLOTS.index(r.when) if r.when in _SLOTS else 0, r.order, r.name))
    with Refusals() as refusals:
        codes = [refusals.check(_read, group, r, namespace, frozen) for r in runners]
    return codes


def written_regularly(codes: list[RegularCode]) -> list[str]:
    """Return the names that the code writes."""
    return [name for code in codes for name in code.block.written]


def build_regular(code: RegularCode, reader: TimedValueReader) -> Regular:
    """Return the specification, with names in the place of timed arrays."""
    statements = reader.block(spell_out_all(code.block.statements))
    return Regular(code.name, code.steps, without_unused(statements, code.block.written))


def _read(group, runner, namespace: Mapping, frozen: Container[str]) -> RegularCode:
    text = code_text(runner.abstract_code).strip()
    with Refusals() as refusals:
        refusals.check(check_reserved, group, text)
        steps = refusals.check(_steps, group, runner, text)
        variables = resolve(group, text, namespace)
        block = refusals.check(read_block, group, text, variables, timed_values=True)
        for name in block.written if block else ():
            if name in frozen:
                reason = f"it changes '{name}', but in Brian2 not while the neuron is refractory"
                way_out = f"Remove the flag '(unless refractory)' of '{name}'."
                refusals.add(unsupported(group, line_writing(text, name), reason, way_out))
    constant = runner is group.subexpression_updater
    name = f"{text} (constant over dt)" if constant else runner.name
    return RegularCode(name, steps, block, text)


def _steps(group, runner, text: str) -> int:
    """Return every how many time steps of the group the code runs."""
    if runner.when not in _SLOTS:
        reason = f"run_regularly runs it in the slot '{runner.when}'"
        raise unsupported(group, text, reason, "Use when='start', before the state update.")
    own, step = getattr(runner.clock, "dt_", None), float(group.clock.dt_)
    steps = round(float(own) / step) if own is not None else 0
    if steps < 1 or abs(steps * step - float(own)) > 1e-4 * step:
        reason = f"run_regularly runs it at times between the time steps of '{group.name}'"
        raise unsupported(group, text, reason, f"Use a multiple of {step * brian.second}.")
    return steps
