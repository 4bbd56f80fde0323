"""`PoissonInput` whose numbers of spikes are given: synapses from spikes that stand for many.

Neuron i gets ``counts*weight`` at once in every time step.  The synapses of its own sources stand
for 1, 2, 4, ... spikes, so a few of them add up to any number, and what a `PoissonInput` does is
what spikes of an input do.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.equations.parts import (
    in_group,
    own_names,
    part_of,
    resolve_in_part,
)
from brian_eventprop.reading.equations.statements import (
    Block,
    read_block,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import (
    LINK,
    Collection,
    add_symbols,
    group_symbol,
)
from brian_eventprop.reading.equations.timed_arrays import TimedValueReader
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Pathway, SpikeInput, Symbol
from brian_eventprop.reading.synapses.pathways import parent
from brian_eventprop.reading.synapses.timed_arrays import of_target
from brian_eventprop.reading.unsupported import (
    check_parts,
    check_reserved,
    check_schedule,
    unsupported,
)

#: How many spikes an arrival stands for, in the statement that it runs.
SPIKES = "_spikes"


@dataclass(frozen=True)
class PoissonCode:
    """What a `PoissonInput` adds to a variable, before the states of the groups are known."""

    noise: Any
    block: Block
    text: str

    @property
    def target(self):
        """The group, or the part of it, that gets the input."""
        return self.noise._group

    @property
    def pathway(self) -> str:
        """The name of its pathway."""
        return f"{self.noise.name}_pre"

    @property
    def written(self) -> tuple[str, str]:
        """The name of the group and of its variable."""
        return parent(self.target).name, self.noise.target_var


def read_poisson_code(
    noise, namespace: Mapping, present: Container[str], ignored: Container[int] = ()
) -> PoissonCode:
    """Check a `PoissonInput` and read what it adds.

    Parameters
    ----------
    noise, namespace
        The object, and where external names are looked up.
    present
        Names of the groups of the network.
    ignored
        Identities of what the user leaves out.
    """
    target, variable = noise._group, noise.target_var
    group, weight = parent(target), noise.weight
    weight = weight if isinstance(weight, str) else repr(weight)
    text = f"{variable} += {weight}"
    if not isinstance(group, brian.NeuronGroup):
        reason = f"'{group.name}' is no NeuronGroup"
        raise unsupported(noise, text, reason, "Let it act on a variable of neurons.")
    if group.name not in present:
        raise ValueError(
            f"PoissonInput '{noise.name}' acts on '{group.name}', which is not part of the "
            "network. Add it to the Network or to the list of objects."
        )
    with Refusals() as refusals:
        refusals.check(check_parts, noise, ignored)
        refusals.check(check_schedule, noise, noise, "synapses")
        refusals.check(check_reserved, noise, text)
        if not 1 <= noise.N == int(noise.N):
            raise ValueError(f"PoissonInput '{noise.name}' has {noise.N} sources: give 1 or more.")
        code = f"{variable} += {SPIKES}*({weight})"
        one = {SPIKES: brian.Constant(SPIKES, 1.0)}
        variables = resolve_in_part(target, code, namespace, one)
        block = refusals.check(read_block, target, code, variables, noise, text, True, True)
        refusals.check(_check_weight, noise, block, text)
    return PoissonCode(noise, block, text)


def check_steps(noise, dt: float | None) -> None:
    """Refuse numbers of spikes in other time steps than those of the network, ``dt``."""
    step = float(noise.clock.dt_)
    if dt is not None and step != dt:
        reason = f"it counts time steps of {step:g} s, and other objects have dt={dt:g} s"
        raise unsupported(noise, noise.abstract_code, reason, "Give all objects the same dt.")


def _check_weight(noise, block: Block, text: str) -> None:
    """Refuse a weight that depends on what it is added to: spikes would not add up then."""
    variable = noise.target_var
    if any(variable in names(statement.expr) for statement in block.statements):
        reason = f"the weight depends on '{variable}', which the spikes change"
        way_out = f"Let it act on a variable of its own, which the equation of '{variable}' reads."
        raise unsupported(noise, text, reason, way_out)


def counted_input(code: PoissonCode) -> SpikeInput:
    """Return the input whose spikes stand for the numbers of spikes that are given."""
    most = int(code.noise.N)
    return SpikeInput(code.noise.name, len(code.target) * most.bit_length(), most=most)


def build_poisson_pathway(code: PoissonCode, collection: Collection) -> Pathway:
    """Put the specification together once all groups are built."""
    noise, group = code.noise, parent(code.target)
    name, (_, variable) = code.pathway, code.written
    part = part_of(code.target)
    reader = TimedValueReader(group, code.block.variables, collection, part, noise)
    statements = reader.block(spell_out_all(code.block.statements))
    if part is not None:
        statements = in_group(statements, group, code.block.variables, part)
    statements = without_unused(statements, [variable])
    used = {variable} | {n for s in statements for n in names(s.expression)}
    variables = dict(code.block.variables)
    variables |= {n: group.variables[n] for n in used if n in group.variables}
    symbols = {**of_target(reader.symbols), **_own_symbols(code, collection)}
    add_symbols(symbols, used, variables, partial(_symbol, code), collection)
    symbols = {n: s for n, s in symbols.items() if n in used}
    size = counted_input(code).size
    return Pathway(
        name=name,
        synapses=noise.name,
        source=noise.name,
        target=group.name,
        size=size,
        symbols=symbols,
        statements=statements,
        delay=collection.add((name, "delay"), 0.0, brian.second.dim),
        text=code.text,
        timed_values=tuple(reader.timed_values.values()),
    )


def poisson_ends(code: PoissonCode) -> tuple[np.ndarray, np.ndarray]:
    """Return the source and the target of each synapse."""
    source = counted_input(code)
    ends = np.arange(source.size)
    first, _ = part_of(code.target) or (0, 0)
    return ends, first + ends // source.digits


def _own_symbols(code: PoissonCode, collection: Collection) -> dict[str, Symbol]:
    """Return how many spikes an arrival stands for, and the index and size of a part."""
    source, target = counted_input(code), code.target
    digits = np.tile(2.0 ** np.arange(source.digits), len(target))
    key = collection.add((code.pathway, SPIKES), digits, brian.DIMENSIONLESS)
    symbols = {SPIKES: Symbol(SPIKES, "synapse", SPIKES, key)}
    if part_of(target) is not None:
        index, number = own_names(part_of(target)).values()
        members = np.arange(source.size) // source.digits
        key = collection.add((code.pathway, "i"), members, brian.DIMENSIONLESS)
        symbols[index] = Symbol(index, "index", "i", key)
        symbols[number] = Symbol(number, "number", "N", value=float(len(target)))
    return symbols


def _symbol(code: PoissonCode, name: str, variable, collection: Collection) -> Symbol | None:
    """Return the symbol of a name in the weight, as synapses onto the neurons know it."""
    group = parent(code.target)
    symbol = group_symbol(group, name, variable, collection)
    if symbol is not None and symbol.side.startswith(LINK):
        reason = f"'{name}' is a linked variable, which belongs to another group"
        way_out = f"Use a variable of '{group.name}'."
        raise unsupported(code.noise, code.text, reason, way_out)
    of_neuron = symbol is not None and symbol.kind in ("state", "neuron", "index")
    return replace(symbol, side="post") if of_neuron else symbol
