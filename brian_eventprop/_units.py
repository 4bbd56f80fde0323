"""Turn what a user writes with Brian2's units into plain SI numbers, with one clear error."""

from __future__ import annotations

import math

import numpy as np
from brian2 import Clock, second
from brian2.units.fundamentalunits import (
    Dimension,
    DimensionMismatchError,
    fail_for_dimension_mismatch,
    get_unit,
)


def to_si(value, dimensions: Dimension, what: str) -> np.ndarray:
    """Return ``value`` as a float64 array in SI units after checking its dimensions.

    Parameters
    ----------
    value
        A number, array or Brian2 quantity.
    dimensions
        The Brian2 dimensions it must have (zero and infinity fit any).
    what
        Its name in the error message.

    Examples
    --------
    >>> from brian2 import ms
    >>> float(to_si(5*ms, ms.dim, "tau"))
    0.005
    """
    try:
        fail_for_dimension_mismatch(value, dimensions)
    except DimensionMismatchError as error:
        message = f"{what} has the wrong unit: give it in {_unit_name(dimensions)}"
        raise DimensionMismatchError(message, *error.dims) from None
    return np.array(value, dtype=float)


def to_seconds(value, what: str) -> float:
    """Return one time in seconds; a bare number other than 0 is refused, as Brian2 would.

    Examples
    --------
    >>> from brian2 import ms
    >>> to_seconds(2*ms, "delta")
    0.002
    """
    return float(to_si(value, second.dim, what))


def to_steps(duration: float, dt: float) -> int:
    """Return how many time steps Brian2 runs for: a part of a step is a whole one.

    Examples
    --------
    >>> to_steps(0.05, 1e-4), to_steps(0.05004, 1e-4)
    (500, 501)
    """
    if not 0 < duration < math.inf:
        raise ValueError(f"duration must be longer than 0 and finite, not {duration:g} s")
    steps = round(duration / dt)
    whole = abs(steps * dt - duration) / dt <= Clock.epsilon_dt
    return steps if whole else math.ceil(duration / dt)


def _unit_name(dimensions: Dimension) -> str:
    return "a plain number" if dimensions.is_dimensionless else repr(get_unit(dimensions))
