"""The trained variables of a model: live arrays in SI units, shown to the user with units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from brian2 import Quantity

from brian_eventprop._checks import plain_numbers
from brian_eventprop._units import to_si
from brian_eventprop.reading.spec import Key


class Keys(list):
    """The keys of the trained variables; called, as of any mapping, it returns their names.

    Examples
    --------
    >>> keys = Keys([("s", "w"), ("", "tau")])
    >>> keys[0], keys()
    (('s', 'w'), ['s.w', 'tau'])
    """

    def __call__(self) -> list[str]:
        return [".".join(filter(None, key)) for key in self]


class Parameters:
    """The trained variables, looked up by Brian2's own views.

    ``parameters[s.w]`` is a quantity of the shape of the view; assigning one sets it for the next
    run.  ``items()`` iterates over names and quantities.
    """

    def __init__(
        self,
        trained: tuple[Key, ...],
        values: dict[Key, np.ndarray],
        dimensions: Mapping,
        key_of: Callable[[object], Key],
        hold: Callable[[Mapping], Mapping] = dict,
        shapes: Mapping[Key, tuple[int, ...]] = {},
    ):
        self.keys, self._shapes = Keys(trained), shapes
        self._values, self._dimensions, self._key_of = values, dimensions, key_of
        self._hold = hold

    def beside(self, arrays: Mapping) -> Mapping:
        """Return arrays, by keys of their own, that stay where the values are: on a GPU if need be.

        NumPy arrays come out, and may be changed in place, wherever they are.
        """
        return self._hold(arrays)

    def _trained(self, item) -> Key:
        key = self._key_of(item)
        if key not in self.keys:
            raise KeyError(f"'{'.'.join(filter(None, key))}' is not in train=[...]")
        return key

    def dimension(self, key: Key):
        """Return the Brian2 dimensions of a key."""
        return self._dimensions[key]

    def shape(self, key: Key) -> tuple[int, ...]:
        """Return the shape that the user sees: a timed array may have columns."""
        return self._shapes.get(key, self._values[key].shape)

    def raw(self, key) -> np.ndarray:
        """Return the values in SI units, one after the other, of a key, a view or a name."""
        return self._values[key if isinstance(key, tuple) else self._trained(key)]

    def set_raw(self, key, array) -> None:
        """Set the values in SI units, of a key, a view or a name."""
        key = key if isinstance(key, tuple) else self._trained(key)
        name = ".".join(filter(None, key))
        array = plain_numbers(array, f"the value of '{name}'")
        shape, size = self.shape(key), self._values[key].size
        if array.shape == (size,):
            array = array.reshape(shape)
        try:
            array = np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(
                f"'{name}' has {size} values: give one number for all, or an array of the "
                f"shape {shape}, not {array.shape}"
            ) from None
        self.take(key, np.array(array, dtype=float).ravel())

    def take(self, key: Key, array: np.ndarray) -> None:
        """Take an array of the right shape and type that nobody else changes, without a copy."""
        self._values[key] = array

    def __getitem__(self, item) -> Quantity:
        key = self._trained(item)
        array = self._values[key].reshape(self.shape(key))
        return Quantity(array.copy(), dim=self._dimensions[key])

    def __setitem__(self, item, value) -> None:
        key = self._trained(item)
        name = ".".join(filter(None, key))
        if isinstance(value, str):
            raise TypeError(
                f"'{name}' takes numbers, not the string {value!r}, which only Brian2's own "
                f"objects evaluate: assign it there before the model is made, or give an "
                f"array such as np.random.rand({len(self._values[key])})"
            )
        array = to_si(value, self._dimensions[key], name)
        if not np.all(np.isfinite(array)):
            raise ValueError(f"'{name}' would get values that are not finite")
        if key[1] == "delay" and np.any(array < 0):
            raise ValueError(f"'{name}' would get negative delays")
        self.set_raw(key, array)

    def items(self) -> Iterator[tuple[str, Quantity]]:
        """Iterate over ('owner.name', values)."""
        for key in self.keys:
            yield ".".join(filter(None, key)), self[key]

    def values(self) -> list[Quantity]:
        """Return the values of all trained variables."""
        return [self[key] for key in self.keys]

    def __contains__(self, item) -> bool:
        try:
            return self._key_of(item) in self.keys
        except (TypeError, ValueError):
            return False

    def __iter__(self):
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        rows = (f"{name}: {np.size(q)} values" for name, q in self.items())
        return f"Parameters({', '.join(rows)})"
