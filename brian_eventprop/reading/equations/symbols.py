"""From the variable behind a name to its `Symbol`, and its value into the collection.

Brian2 resolves every name to a variable, a constant or a function, with an index that says which
neuron or synapse it belongs to.  That is all a symbol needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.spec import LINK, Key, NetworkValues, Symbol, TimedInput
from brian_eventprop.reading.unsupported import unsupported

_PRE, _POST = "_presynaptic_idx", "_postsynaptic_idx"
_SIDES = {_PRE: "pre", _POST: "post"}

#: Numbers of synapses of a neuron in synaptic code, and whose they are.
COUNTS = {"N_outgoing": "pre", "N_incoming": "post"}
#: The time of the last spike of a neuron, a state that spikes set; Brian2 has it by that name.
LAST_SPIKE = "lastspike"
_REFRACTORY_MECHANISM = (LAST_SPIKE, "not_refractory")
_DECLARE = "Declare a parameter with the values instead."


@dataclass
class Collection:
    """What has been read so far: the states of each group, and values and dimensions by key.

    ``states`` are those of neuron groups, ``synaptic_states`` those of `Synapses`; ``links`` has
    the neurons that linked variables of each group, and of `Synapses`, stand for.  ``dt`` is the
    network's time step in seconds, 0 if all objects have the same.
    """

    states: dict[str, tuple[str, ...]] = field(default_factory=dict)
    synaptic_states: dict[str, tuple[str, ...]] = field(default_factory=dict)
    links: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    values: dict[Key, np.ndarray] = field(default_factory=dict)
    dimensions: dict[Key, Any] = field(default_factory=dict)
    timed: dict[str, tuple[TimedInput, Any]] = field(default_factory=dict)
    timed_values: dict[tuple[str, str], Any] = field(default_factory=dict)
    dt: float = 0.0

    def every(self, clock) -> int:
        """Return how many time steps of the network a step of a clock has."""
        return round(float(clock.dt_) / self.dt) if self.dt else 1

    def add(self, key: Key, values, dimension) -> Key:
        """Keep a value; the first one under a key stays."""
        if key not in self.values:
            self.values[key] = np.array(values, dtype=np.float64, ndmin=1).ravel()
            self.dimensions[key] = dimension
        return key

    def add_timed(self, group, spec: TimedInput, array) -> None:
        """Keep a timed array; its name must not stand for another one elsewhere."""
        if self.timed.setdefault(spec.name, (spec, array))[1] is not array:
            raise ValueError(
                f"'{spec.name}' is one TimedArray in '{group.name}' and another one elsewhere: "
                "rename one of them."
            )

    def freeze(self, pre, post, spikes) -> NetworkValues:
        """Return everything as `NetworkValues`."""
        arrays = {name: array for name, (_, array) in self.timed.items()}
        return NetworkValues(
            self.values, self.dimensions, pre, post, spikes,
            {n: a.values.reshape(len(a.values), -1) for n, a in arrays.items()},
            {n: a.dim for n, a in arrays.items()}, self.links, arrays,
        )  # fmt: skip


Finder = Callable[[str, Any, "Collection"], Symbol | None]


def external_symbol(group, name: str, variable, collection: Collection) -> Symbol:
    """Return the symbol of a name from outside the group: a unit or the user's constant."""
    value = float(variable.get_value())
    if name in brian.DEFAULT_CONSTANTS or name in brian.DEFAULT_UNITS:
        return Symbol(name, "number", name, value=value)
    owner = group.name if name in (group.namespace or {}) else ""
    key = collection.add((owner, name), value, variable.dim)
    return Symbol(name, "shared", name, key, dimension=variable.dim)


def group_symbol(group, name: str, variable, collection: Collection) -> Symbol | None:
    """Return the symbol of a name in the equations of a `NeuronGroup`; None for a function."""
    if isinstance(variable, brian.Function | brian.Subexpression):
        return None
    if name not in group.variables:
        return external_symbol(group, name, variable, collection)
    common = _common_symbol(group, name, variable, collection)
    if common:
        return common
    if name in group._linked_variables:
        return linked_symbol(group, name, variable, collection)
    return _neuron_symbol(group, name, variable, "", collection)


def linked_symbol(group, name: str, variable, collection: Collection) -> Symbol:
    """A linked variable: a state of its own that follows another one, or another's parameter."""
    if name in collection.states[group.name]:
        start = variable.get_value()[collection.links[group.name][LINK + name]]
        return Symbol(name, "state", name, collection.add((group.name, name), start, variable.dim))
    _check_link(group, name, variable, collection)
    side = "" if variable.scalar else LINK + name
    return _neuron_symbol(variable.owner, name, variable, side, collection)


def _check_link(group, name: str, variable, collection: Collection) -> None:
    """Refuse a link to what is no part of the network."""
    if variable.owner.name not in collection.states:
        reason = f"it is linked to '{variable.owner.name}', no NeuronGroup of the network"
        way_out = "Add the group to the network, or declare a parameter and set its value."
        raise unsupported(group, f"{name} (linked)", reason, way_out)


def linked_neurons(group, index: str) -> np.ndarray:
    """Return the neuron that each member of a group is linked to by an index of Brian2's."""
    if index == "_idx":
        return np.arange(len(group))
    if index == "0":
        return np.zeros(len(group), np.int64)
    return np.array(group.variables[index].get_value(), np.int64)


def pathway_symbol(
    pathway, synapses, name: str, variable, collection: Collection, line: str = ""
) -> Symbol | None:
    """Return the symbol of a name in ``on_pre`` or ``on_post``; None for a function.

    ``line`` is the statement that errors quote.
    """
    if variable is pathway._delays:
        kind = "shared" if variable.scalar else "synapse"
        key = collection.add((pathway.name, "delay"), variable.get_value(), variable.dim)
        return Symbol(name, kind, "delay", key)
    return synapses_symbol(synapses, name, variable, collection, line or pathway.code)


def synapses_symbol(
    synapses, name: str, variable, collection: Collection, line: str = ""
) -> Symbol | None:
    """Return the symbol of a name in code of a `Synapses` object; None for a function."""
    if isinstance(variable, brian.Function | brian.Subexpression):
        return None
    if name not in synapses.variables:
        return external_symbol(synapses, name, variable, collection)
    if name in ("i", "i_pre", "j", "i_post"):
        return _synaptic_index(synapses, name, collection)
    if name == "N":
        return Symbol(name, "number", name, value=float(len(synapses)))
    if name in COUNTS:
        return _synaptic_count(synapses, name, variable, collection)
    common = _common_symbol(synapses, name, variable, collection)
    if common:
        return common
    if variable.owner.name == synapses.name:
        return _synaptic_symbol(synapses, name, variable, collection)
    index, owner = synapses.variables.indices[name], variable.owner
    side = _SIDES.get(index, "")
    _check_not_linked(synapses, name, owner, line or name)
    if variable.name in _REFRACTORY_MECHANISM:
        reason = (
            f"Brian2 changes '{name}' at the threshold, before the arrivals of the same time step, "
            "and what a spike does to states comes after them here, with the reset"
        )
        way_out = "Let the reset write a variable of your own, as 'last = t', and read that."
        raise unsupported(synapses, line or name, reason, way_out)
    if not side and not variable.scalar and isinstance(owner, brian.NeuronGroup):
        _check_link(synapses, name, variable, collection)
        side = LINK + index
        collection.links.setdefault(synapses.name, {})[side] = linked_neurons(synapses, index)
    if not _readable(owner, variable, collection):
        reason = f"'{name}' is internal to Brian2 or to an input group"
        raise unsupported(synapses, line or name, reason, _DECLARE)
    return _neuron_symbol(owner, name, variable, side, collection)


def _check_not_linked(synapses, name: str, owner, line: str) -> None:
    """Refuse a linked variable of a neuron: synaptic code has no index for it."""
    ends = [getattr(end, "source", end) for end in (synapses.source, synapses.target)]
    plain = name.removesuffix("_pre").removesuffix("_post")
    linked = any(plain in getattr(end, "_linked_variables", ()) for end in ends)
    if linked and owner.name not in {end.name for end in ends}:
        reason = f"'{name}' is a linked variable, which belongs to '{owner.name}'"
        raise unsupported(synapses, line, reason, "Use a variable of the connected neurons.")


def add_symbols(
    symbols: dict[str, Symbol], wanted, variables: Mapping[str, Any], find, collection: Collection
) -> None:
    """Look up every wanted name that is not there yet; temporaries have no variable."""
    for name in sorted(wanted):
        if name in symbols or name not in variables:
            continue
        symbol = find(name, variables[name], collection)
        if symbol is not None:
            symbols[name] = symbol


def _common_symbol(group, name: str, variable, collection: Collection) -> Symbol | None:
    """Time, time step and sizes."""
    owner = getattr(variable, "owner", None)
    if owner is group.clock and variable.name in ("t", "dt"):
        return Symbol(name, variable.name, variable.name)
    if isinstance(variable, brian.Constant):
        return Symbol(name, "number", variable.name, value=float(variable.get_value()))
    return None


def _readable(owner, variable, collection: Collection) -> bool:
    """Whether a neuron group's variable is one of the user's own, or time or index."""
    if variable.name in ("t", "dt", "i"):
        return True
    if owner.name not in collection.states:
        return False
    synaptic = isinstance(owner, brian.Synapses)  # which other synapses may target
    names = (owner.equations if synaptic else owner.user_equations).names
    return variable.name in {*names, *collection.states[owner.name]}


def _neuron_symbol(owner, name: str, variable, side: str, collection: Collection) -> Symbol:
    """A state or parameter of a neuron group."""
    if variable.name in ("t", "dt"):
        return Symbol(name, variable.name, variable.name)
    if variable.name == "i":
        key = collection.add((owner.name, "i"), variable.get_value(), variable.dim)
        return Symbol(name, "index", "i", key, side)
    if not _readable(owner, variable, collection):
        raise unsupported(owner, name, f"'{name}' is internal to Brian2", _DECLARE)
    key = collection.add((owner.name, variable.name), variable.get_value(), variable.dim)
    if variable.name in collection.states[owner.name]:
        return Symbol(name, "state", variable.name, key, side)
    if variable.scalar:
        return Symbol(name, "shared", variable.name, key)
    return Symbol(name, "neuron", variable.name, key, side)


def _synaptic_symbol(synapses, name: str, variable, collection: Collection) -> Symbol:
    states = collection.synaptic_states.get(synapses.name, ())
    if name not in (*synapses.equations.names, *states):
        raise unsupported(synapses, name, f"'{name}' is internal to Brian2", _DECLARE)
    key = collection.add((synapses.name, name), variable.get_value(), variable.dim)
    if name in states:
        return Symbol(name, "state", name, key)
    return Symbol(name, "shared" if variable.scalar else "synapse", name, key)


def _synaptic_count(synapses, name: str, variable, collection: Collection) -> Symbol:
    """How many synapses the source or target neuron has, one value per synapse."""
    side = COUNTS[name]
    neurons = synapses.variables[f"_synaptic_{side}"].get_value()
    key = collection.add((synapses.name, name), variable.get_value()[neurons], brian.DIMENSIONLESS)
    return Symbol(name, "index", name, key, side)


def _synaptic_index(synapses, name: str, collection: Collection) -> Symbol:
    """The pre or post index, one value per synapse, relative to the source or target."""
    side = "pre" if name in ("i", "i_pre") else "post"
    end = synapses.source if side == "pre" else synapses.target
    index = synapses.variables[f"_synaptic_{side}"].get_value() - getattr(end, "start", 0)
    canonical = "i" if side == "pre" else "j"
    key = collection.add((synapses.name, canonical), index, brian.DIMENSIONLESS)
    return Symbol(name, "index", canonical, key, side)
