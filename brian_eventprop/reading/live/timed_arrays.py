"""The values of `TimedArray` objects as variables: made trainable, found by the object, written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.spec import Key, NetworkValues


def timed_name(array, network: NetworkValues) -> str:
    """Return the name of a `TimedArray` in the equations.

    Examples
    --------
    >>> from brian2 import NeuronGroup, TimedArray, ms
    >>> from brian_eventprop.reading import read_network
    >>> current = TimedArray([1.0, 2.0], dt=1*ms)
    >>> G = NeuronGroup(2, "dv/dt = (I(t) - v)/(5*ms) : 1", method="euler", name="G")
    >>> timed_name(current, read_network([G], [], {"I": current})[1])
    'I'
    """
    found = [name for name, known in network.timed_arrays.items() if known is array]
    if not found:
        known = ", ".join(map(repr, network.timed_arrays)) or "none"
        raise ValueError(
            f"the TimedArray '{array.name}' is in no equation of the network, which has: {known}"
        )
    if len(found) > 1:
        raise ValueError(
            f"one TimedArray is called '{found[0]}' in some equations and '{found[1]}' in others: "
            "give it one name"
        )
    return found[0]


def with_timed_values(network: NetworkValues, items: Iterable) -> NetworkValues:
    """Return a network in which the values of timed arrays are variables, too.

    Parameters
    ----------
    network
        The numbers of the network.
    items
        What is trained: `TimedArray` objects or their names, among other things.
    """
    values, dimensions, shapes = (dict(x) for x in (network.values, network.dimensions, {}))
    for item in items:
        name = _name_of(item, network)
        key = ("", name)
        if name is None or key in shapes:
            continue
        if key in values:
            raise ValueError(f"'{name}' is a constant and a TimedArray: rename one of them")
        array = network.timed_arrays[name]
        timed_name(array, network)  # under this name only
        values[key] = np.array(array.values, dtype=float).ravel()
        dimensions[key], shapes[key] = array.dim, np.shape(array.values)
    return replace(network, values=values, dimensions=dimensions, shapes=shapes)


def timed_keys(items: Iterable, network: NetworkValues) -> tuple[Key, ...]:
    """Return the keys of `TimedArray` objects, given themselves or by their names."""
    found = {}
    for item in items:
        name = _name_of(item, network)
        if name is None:
            known = ", ".join(network.timed_arrays) or "none"
            raise ValueError(f"trace_gradients: {item!r} is no TimedArray of the network: {known}")
        found["", name] = None
    return tuple(found)


def _name_of(item, network: NetworkValues) -> str | None:
    if isinstance(item, brian.TimedArray):
        return timed_name(item, network)
    name = item[1] if isinstance(item, tuple) and len(item) == 2 and not item[0] else item
    return name if isinstance(name, str) and name in network.timed_arrays else None


def write_timed_values(values: Mapping[Key, np.ndarray], network: NetworkValues) -> None:
    """Write values into the `TimedArray` objects; Brian2's next run uses them.

    Parameters
    ----------
    values
        Arrays by key, in SI units.
    network
        The network as it was read.
    """
    for key, array in values.items():
        timed = network.timed_arrays[key[1]]
        # what Brian2 generates code from holds the old array: it must be made again
        timed.values = np.array(array, dtype=float).reshape(network.shapes[key])
        if timed.values.ndim == 1:
            timed._init_1d()
        else:
            timed._init_2d()
