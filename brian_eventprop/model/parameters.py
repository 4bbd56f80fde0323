"""The trained variables of a model: live arrays in SI units, shown to the user with units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

import numpy as np
from brian2 import Quantity, Unit
from brian2.core.variables import VariableView

from brian_eventprop._checks import plain_numbers
from brian_eventprop._names import name_of
from brian_eventprop._units import handy_unit, quantity, to_si
from brian_eventprop.reading import Axonal, view_key
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
        return [name_of(key) for key in self]


class KeysByName:
    """Finds the keys of trained variables without their model.

    Parameters
    ----------
    keys
        All that there are.

    Examples
    --------
    >>> key_of = KeysByName([("s", "w"), ("s_pre", "delay"), ("", "tau")])
    >>> key_of("s.w"), key_of("tau"), key_of(("s", "w"))
    (('s', 'w'), ('', 'tau'), ('s', 'w'))
    """

    def __init__(self, keys: Iterable[Key]):
        self.keys = tuple(keys)

    def __call__(self, item) -> Key:
        item = item.delays if isinstance(item, Axonal) else item
        if isinstance(item, tuple):
            return item
        if isinstance(item, VariableView):
            return view_key(item)
        if not isinstance(item, str):
            raise TypeError(
                f"without the model, variables are found by views such as s.w or by names, "
                f"{', '.join(map(repr, self._names))}, not by {repr(item)[:60]}"
            )
        if item not in self._names:
            raise ValueError(f"'{item}' is none of {', '.join(self._names)}")
        return self.keys[self._names.index(item)]

    @property
    def _names(self) -> list[str]:
        return Keys(self.keys)()


class Parameters:
    """The trained variables, looked up by Brian2's own views.

    ``parameters[s.w]`` is a quantity of the shape of the view; assigning one sets it for the next
    run.  ``items()`` iterates over names and quantities.  A deep copy, and what is pickled, holds
    the values of this moment and belongs to no model.
    """

    def __init__(
        self,
        trained: tuple[Key, ...],
        values: MutableMapping[Key, np.ndarray],
        dimensions: Mapping,
        key_of: Callable[[object], Key],
        hold: Callable[[Mapping], MutableMapping] = dict,
        shapes: Mapping[Key, tuple[int, ...]] = {},
    ):
        self.keys, self._shapes = Keys(trained), shapes
        self._values, self._dimensions, self._key_of = values, dimensions, key_of
        self._hold = hold
        #: How often values were set: a run with other values than now has another number.
        self.version = 0

    def beside(self, arrays: Mapping) -> Mapping:
        """Return arrays, by keys of their own, that stay where the values are: on a GPU if need be.

        NumPy arrays come out, and may be changed in place, wherever they are.
        """
        return self._hold(arrays)

    def trained_key(self, item) -> Key:
        """Return the key of a trained variable, given by Brian2's view or by name.

        Parameters
        ----------
        item
            A view such as ``s.w``, a name such as ``'s.w'``, or a key.

        Returns
        -------
        tuple of str

        Raises
        ------
        KeyError
            If the variable is not trained.
        """
        key = self._key_of(item)
        if key not in self.keys:
            raise KeyError(f"'{name_of(key)}' is not in train=[...]")
        return key

    def dimension(self, key: Key):
        """Return the Brian2 dimensions of a key."""
        return self._dimensions[key]

    def shape(self, key: Key) -> tuple[int, ...]:
        """Return the shape that the user sees: a timed array may have columns."""
        return self._shapes.get(key, self._values[key].shape)

    def raw(self, key) -> np.ndarray:
        """Return the values in SI units, one after the other, of a key, a view or a name."""
        return self._values[key if isinstance(key, tuple) else self.trained_key(key)]

    def set_raw(self, key, array) -> None:
        """Set the values in SI units, of a key, a view or a name."""
        key = key if isinstance(key, tuple) else self.trained_key(key)
        name = name_of(key)
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
        self.version += 1

    def changed_in_place(self) -> None:
        """Note that values were changed where they are, on a GPU."""
        self.version += 1

    def __getitem__(self, item) -> Quantity:
        key = self.trained_key(item)
        array = self._values[key].reshape(self.shape(key))
        return quantity(array.copy(), self._dimensions[key])

    def __setitem__(self, item, value) -> None:
        key = self.trained_key(item)
        name = name_of(key)
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
            yield name_of(key), self[key]

    def values(self) -> list[Quantity]:
        """Return the values of all trained variables."""
        return [self[key] for key in self.keys]

    # ---- as one vector, for optimisers elsewhere ----
    def units(self, given: Mapping | None = None) -> dict[Key, Unit]:
        """Return the unit in which a vector holds the values of each variable, by key.

        Parameters
        ----------
        given : dict, optional
            Other units of some variables, ``{s.delay: 0.1*ms}``.  By default times are in ms,
            potentials in mV, currents in nA, conductances in nS, capacitances in pF, resistances in
            Mohm, and all else in SI units.

        Raises
        ------
        DimensionMismatchError
            If a unit does not fit its variable.
        """
        found = {key: handy_unit(self._dimensions[key]) for key in self.keys}
        # Brian2's views compare element by element: go through them, never look one up
        for item, unit in given.items() if given else ():
            key = self.trained_key(item)
            size = to_si(unit, self._dimensions[key], f"the unit of '{name_of(key)}'")
            if size.size != 1 or not 0 < float(size.item()) < np.inf:
                raise ValueError(f"the unit of '{name_of(key)}' must be positive, not {unit!r}")
            found[key] = unit
        return found

    def flatten(self, units: Mapping | None = None) -> np.ndarray:
        """Return the values of all trained variables as one vector, each in its unit.

        Parameters
        ----------
        units : dict, optional
            See `units`.

        Returns
        -------
        array (n,)
            One variable after the other, in the order of ``train=[...]``.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = -v/tau : 1", method="exact")
        >>> neuron.v, tau = [1.0, 2.0], 10*ms
        >>> model = bep.EventPropModel([neuron], train=[neuron.v, "tau"], duration=10*ms,
        ...                            loss=bep.Sum(bep.Final(neuron, "v")), solver="event")
        >>> x = model.parameters.flatten()
        >>> x
        array([ 1.,  2., 10.])
        >>> model.parameters.unflatten(2*x)
        >>> model.parameters["tau"]
        array([20.]) * msecond
        """
        factors = self.units(units)
        parts = [np.ravel(self._values[key]) / float(factors[key]) for key in self.keys]
        return np.concatenate([*parts, np.empty(0)])

    def unflatten(self, x, units: Mapping | None = None) -> None:
        """Set the values of all trained variables from one vector; the opposite of `flatten`.

        Parameters
        ----------
        x : array (n,)
            As from `flatten`.
        units : dict, optional
            See `units`.

        Raises
        ------
        ValueError
            If the vector has another length, values that are not finite, or negative delays.
        """
        x = plain_numbers(x, "the vector of parameters")
        sizes = [self._values[key].size for key in self.keys]
        if x.shape != (sum(sizes),):
            raise ValueError(f"the vector must have {sum(sizes)} numbers, not the shape {x.shape}")
        factors, parts = self.units(units), np.split(x, np.cumsum(sizes)[:-1])
        for key, part in zip(self.keys, parts, strict=True):
            values = part.reshape(self._values[key].shape) * float(factors[key])
            self[key] = Quantity(values, dim=self._dimensions[key])

    def bounds(
        self, given: Mapping | None = None, units: Mapping | None = None
    ) -> list[tuple[float, float]]:
        """Return the lowest and the highest value of each entry of the vector, as SciPy takes them.

        Parameters
        ----------
        given : dict, optional
            Bounds of some variables, ``{s.w: (0, None), "tau": (1*ms, 50*ms)}``; None is no bound.
            Delays are never negative, whatever is given.
        units : dict, optional
            See `units`.

        Returns
        -------
        list of (float, float)
            One pair for each entry of `flatten`.
        """
        limits: dict[Key, list] = {key: [-np.inf, np.inf] for key in self.keys}
        for item, pair in given.items() if given else ():
            key = self.trained_key(item)
            for end, value in enumerate(pair):
                if value is not None:
                    what = f"a bound of '{name_of(key)}'"
                    limits[key][end] = to_si(value, self._dimensions[key], what)
        factors, found = self.units(units), []
        for key in self.keys:
            low, high = limits[key]
            low = np.maximum(low, 0.0) if key[1] == "delay" else low
            shape, factor = self.shape(key), float(factors[key])
            ends = [np.broadcast_to(end, shape).ravel() / factor for end in (low, high)]
            found += [(float(a), float(b)) for a, b in zip(*ends, strict=True)]
        return found

    def __getstate__(self) -> dict:
        values = {key: self.raw(key).copy() for key in self.keys}
        return {**vars(self), "_values": values, "_key_of": KeysByName(self.keys), "_hold": dict}

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
