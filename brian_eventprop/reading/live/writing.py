"""Trained values back into the Brian2 objects they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from brian_eventprop._names import name_of
from brian_eventprop.reading import brian
from brian_eventprop.reading.network import network_objects
from brian_eventprop.reading.spec import Key, NetworkSpec, Symbol
from brian_eventprop.reading.synapses.pathways import parent


def write_values(values: Mapping[Key, np.ndarray], spec: NetworkSpec, objects) -> None:
    """Write weights, delays, parameters and initial values, in SI units, into Brian2's objects.

    An external constant goes into the ``namespace`` of every object that uses it, where it takes
    precedence over the script's own.

    Parameters
    ----------
    values
        Arrays by key, of the size that the variable has.
    spec
        The network as it was read.
    objects
        The Brian2 objects, as they were given to `read_network`.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> from brian_eventprop.reading import read_network
    >>> G = NeuronGroup(2, "dv/dt = -v/tau : 1", method="euler", name="G")
    >>> spec, _ = read_network([G], [], {"tau": 10*ms})
    >>> write_values({("G", "v"): [0.1, 0.2], ("", "tau"): [0.02]}, spec, [G])
    >>> G.v[:], G.namespace["tau"]
    (array([0.1, 0.2]), 20. * msecond)
    """
    owners = owners_of(objects)
    targets = {key: _target(key, spec, owners) for key in values}
    for key, array in values.items():
        targets[key](np.asarray(array, dtype=np.float64).ravel())


def write_connections(synapses, pre: np.ndarray, post: np.ndarray) -> None:
    """Give a `Synapses` object other ends for its synapses, if they are not its own already."""
    ends = {"pre": pre, "post": post}
    own = {side: synapses.variables[f"_synaptic_{side}"] for side in ends}
    if all(np.array_equal(own[side].get_value(), ends[side]) for side in ends):
        return
    for side, count in (("pre", "N_outgoing"), ("post", "N_incoming")):
        own[side].set_value(np.asarray(ends[side], np.int32))
        counts = synapses.variables[count]
        number = np.bincount(ends[side], minlength=len(counts.get_value()))
        counts.set_value(number.astype(np.int32))
    if synapses.multisynaptic_index is not None:
        order = np.lexsort((post, pre))
        new = np.ones(len(pre), bool)
        new[1:] = (np.diff(pre[order]) != 0) | (np.diff(post[order]) != 0)
        first = np.maximum.accumulate(np.where(new, np.arange(len(pre)), 0))
        number = np.empty(len(pre), np.int32)
        number[order] = np.arange(len(pre)) - first
        synapses.variables[synapses.multisynaptic_index].set_value(number)


def owners_of(objects) -> dict[str, Any]:
    """Return every object that owns variables: groups, synapses and pathways.

    For a `PoissonInput` it is the group whose variables and namespace it uses.
    """
    owners = {}
    for obj in network_objects(objects):
        owners[obj.name] = parent(obj._group) if isinstance(obj, brian.PoissonInput) else obj
        for pathway in getattr(obj, "_pathways", ()):
            owners[pathway.name] = pathway
    return owners


def _target(key: Key, spec: NetworkSpec, owners: Mapping[str, Any]):
    """Return the function that writes one value, after checking that there is one."""
    owner, name = key
    if owner and owner not in owners:
        raise ValueError(f"'{owner}', whose '{name}' is to be written, is not in the network.")
    obj = owners.get(owner)
    if obj is not None and name in obj.variables:
        return lambda array: _write_variable(key, obj.variables[name], array)
    users = [(owners[user], symbol) for user, symbol in _users(key, spec) if user in owners]
    if not users:
        raise ValueError(f"No object of the network uses '{name}', so it cannot be written.")
    return lambda array: _write_constant(key, users, array)


def _write_variable(key: Key, variable, array: np.ndarray) -> None:
    label = name_of(key)
    if variable.read_only or not isinstance(variable, brian.ArrayVariable):
        raise ValueError(f"'{label}' is read-only.")
    size = np.size(variable.get_value())
    if array.size != size:
        hint = (
            " It was given to Synapses with delay=..., so all synapses share it; create them "
            "without delay= and set the delays after connect()."
            if key[1] == "delay" and size == 1
            else ""
        )
        raise ValueError(f"'{label}' has {size} value(s), not {array.size}.{hint}")
    if key[1] == "delay" and np.any(array < 0):
        raise ValueError(f"'{label}' would be negative, and a delay cannot be.")
    variable.set_value(array)


def _write_constant(key: Key, users, array: np.ndarray) -> None:
    if array.size != 1:
        raise ValueError(f"The external constant '{key[1]}' is one value, not {array.size}.")
    for user, symbol in users:
        value = brian.Quantity(array[0], dim=symbol.dimension)
        # A new dictionary: the old one may belong to several groups.
        user.namespace = {**user.namespace, key[1]: value}


def _users(key: Key, spec: NetworkSpec) -> Iterator[tuple[str, Symbol]]:
    """Yield the groups, synapses and pathways whose code holds the constant, and its symbol."""
    for owner, symbols in (
        *((group.name, group.symbols) for group in spec.groups),
        *((pathway.synapses, pathway.symbols) for pathway in spec.pathways),
        *((pathway.name, pathway.symbols) for pathway in spec.pathways),
        *((coupling.owner, coupling.symbols) for coupling in spec.couplings),
    ):
        for symbol in symbols.values():
            if symbol.key == key:
                yield owner, symbol
