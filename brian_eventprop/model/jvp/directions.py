"""A direction in the space of parameters and input spike times: what forward mode starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from brian2.core.variables import VariableView
from brian2.units.allunits import second

from brian_eventprop._names import name_of
from brian_eventprop._units import to_si
from brian_eventprop.reading.spec import Key


@dataclass(frozen=True)
class Direction:
    """How parameters and input spikes move, in SI units.

    Attributes
    ----------
    values
        By key, one number after the other.
    inputs
        By name of the input, one per spike in the order in which they were given.
    """

    values: Mapping[Key, np.ndarray]
    inputs: Mapping[str, np.ndarray]


def direction_of(
    tangents: Mapping, key_of: Callable, shapes: Mapping[Key, tuple], dimensions: Mapping,
    spikes: Mapping[str, int],
) -> Direction:  # fmt: skip
    """Return what a user gave as numbers in SI units.

    Parameters
    ----------
    tangents
        By Brian2's views, names of constants, keys or input groups.
    key_of
        Finds the key of a view or a name.
    shapes, dimensions
        Of all variables, by key.
    spikes
        How many spikes each input was given.

    Raises
    ------
    TypeError
        If it is no dict.
    ValueError
        If something has another shape than its variable.
    """
    if not isinstance(tangents, Mapping):
        raise TypeError(f"jvp takes a dict such as {{s.w: dw}}, not {type(tangents).__name__}")
    values, inputs = {}, {}
    # Brian2's views compare element by element: go through them, never look one up
    for item, given in tangents.items():
        name = _input_name(item, spikes)
        if name is not None:
            inputs[name] = _array(given, second.dim, (spikes[name],), f"spike times of '{name}'")
            continue
        key = key_of(item)
        if key not in shapes:
            raise ValueError(f"'{name_of(key)}' is no number that the model computes with")
        label = f"'{name_of(key)}'"
        values[key] = _array(given, dimensions[key], shapes[key], label).ravel()
    return Direction(values, inputs)


def _input_name(item, inputs: Iterable[str]) -> str | None:
    if isinstance(item, VariableView | tuple):
        return None
    name = getattr(item, "name", item)
    return name if isinstance(name, str) and name in inputs else None


def _array(given, dimension, shape: tuple, label: str) -> np.ndarray:
    array = to_si(given, dimension, f"the tangent of {label}")
    try:
        array = np.array(np.broadcast_to(array, shape), float)
    except ValueError:
        raise ValueError(
            f"the tangent of {label} must have its shape {shape}, not {array.shape}"
        ) from None
    if not np.all(np.isfinite(array)):
        raise ValueError(f"the tangent of {label} is not finite")
    return array
