"""The space that is searched: each parameter between its bounds, as numbers from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity

from brian_eventprop._units import quantity, to_si

#: Positive bounds this many times apart are searched in logarithms.
_WIDE = 10.0


@dataclass(frozen=True)
class Space:
    """Parameters with bounds, in SI units.

    Parameters
    ----------
    names
        Of the parameters.
    low, high : array (n_parameters,)
        Bounds.
    dimensions
        Brian2's, of each.

    Examples
    --------
    >>> from brian2 import ms, second
    >>> space = Space.of({"tau": [1*ms, 100*ms]}, {"tau": second.dim})
    >>> space.values(np.array([0.5])).round(6), space.points(np.array([0.01])).round(6)
    (array([0.01]), array([0.5]))
    """

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    dimensions: tuple

    @classmethod
    def of(cls, bounds: Mapping, dimensions: Mapping) -> Space:
        """Return the space of bounds ``{name: [low, high]}`` with units."""
        pairs = []
        for name, pair in bounds.items():
            if not isinstance(pair, Quantity | list | tuple | np.ndarray) or len(pair) != 2:
                raise TypeError(f"bounds of '{name}' are a pair, {name}=[low, high], not {pair!r}")
            ends = [float(to_si(end, dimensions[name], f"a bound of '{name}'")) for end in pair]
            if not (np.all(np.isfinite(ends)) and ends[0] < ends[1]):
                raise ValueError(f"bounds of '{name}' must be finite, the lower one first: {pair}")
            pairs.append(ends)
        low, high = np.array(pairs).T
        return cls(tuple(bounds), low, high, tuple(dimensions[name] for name in bounds))

    @property
    def wide(self) -> np.ndarray:
        """Which parameters are searched in logarithms."""
        return (self.low > 0) & (self.high >= _WIDE * np.where(self.low > 0, self.low, 1.0))

    def values(self, x: np.ndarray) -> np.ndarray:
        """Return the values of points (..., n_parameters) in SI units."""
        low = np.where(self.wide, self.low, 1.0)
        straight = self.low + x * (self.high - self.low)
        return np.where(self.wide, low * (np.where(self.wide, self.high, 1.0) / low) ** x, straight)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d(value)/dx of each parameter."""
        low = np.where(self.wide, self.low, 1.0)
        rate = np.log(np.where(self.wide, self.high, 1.0) / low)
        return np.where(self.wide, rate * self.values(x), self.high - self.low)

    def points(self, values: np.ndarray) -> np.ndarray:
        """Return the points of values in SI units; outside of the bounds, the nearest."""
        values = np.clip(values, self.low, self.high)
        low = np.where(self.wide, self.low, 1.0)
        ratio = np.where(self.wide, values, 1.0) / low
        rate = np.log(np.where(self.wide, self.high, np.e) / low)
        straight = (values - self.low) / (self.high - self.low)
        return np.where(self.wide, np.log(ratio) / rate, straight)

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Return n points, one in each of n layers of every parameter (a Latin hypercube)."""
        layers = random.permuted(np.tile(np.arange(n), (len(self.names), 1)), axis=1).T
        return (layers + random.random(layers.shape)) / n

    def with_units(self, values: np.ndarray) -> dict[str, Quantity]:
        """Return one set of values by name."""
        each = zip(self.names, values, self.dimensions, strict=True)
        return {name: quantity(value, dim) for name, value, dim in each}

    def in_si(self, given: Mapping) -> np.ndarray:
        """Return the values of a dict as an array."""
        if missing := [name for name in self.names if name not in given]:
            raise ValueError(f"there is no value of {', '.join(missing)}")
        each = zip(self.names, self.dimensions, strict=True)
        return np.array([float(to_si(given[name], dim, f"'{name}'")) for name, dim in each])
