"""Turn what a user writes with Brian2's units into plain SI numbers, with one clear error."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from brian2 import (
    Clock,
    Mohm,
    Quantity,
    Unit,
    amp,
    farad,
    ms,
    mV,
    nA,
    nS,
    ohm,
    pF,
    second,
    siemens,
    um,
    volt,
)
from brian2.units.allunits import meter
from brian2.units.fundamentalunits import (
    Dimension,
    DimensionMismatchError,
    fail_for_dimension_mismatch,
    get_unit,
)

from brian_eventprop._checks import plain_numbers

#: Dimensions of a time; a name with a type, which Brian2's units lack.
TIME: Dimension = second.dim


def quantity(numbers, dimensions: Dimension | None) -> Quantity:
    """Return numbers with a unit: `Quantity` itself says nothing of the type of what it makes.

    Examples
    --------
    >>> from brian2 import ms
    >>> quantity(0.005, ms.dim)
    5. * msecond
    """
    return cast(Quantity, Quantity(numbers, dim=dimensions))


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
    if isinstance(value, str | bytes) or value is None:
        raise TypeError(f"{what} must be given {_as(dimensions)}, not {value!r}")
    try:
        fail_for_dimension_mismatch(value, dimensions)
    except DimensionMismatchError as error:
        message = f"{what} has the wrong unit: give it {_as(dimensions)}"
        raise DimensionMismatchError(message, *error.dims) from None
    except TypeError:
        raise TypeError(f"{what} must be given {_as(dimensions)}, not {repr(value)[:60]}") from None
    return plain_numbers(value, what)


def to_seconds(value, what: str) -> float:
    """Return one time in seconds; a bare number other than 0 is refused, as Brian2 would.

    Examples
    --------
    >>> from brian2 import ms
    >>> to_seconds(2*ms, "delta")
    0.002
    """
    seconds = to_si(value, second.dim, what)
    if seconds.size != 1:
        raise ValueError(f"{what} must be one time, not {seconds.size} of them")
    return float(seconds.item())


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


#: The units in which numbers of neurons and synapses are neither tiny nor huge.
_HANDY = {u.dim: handy for u, handy in zip(
    (second, volt, amp, siemens, farad, ohm, meter), (ms, mV, nA, nS, pF, Mohm, um), strict=True
)}  # fmt: skip


def handy_unit(dimensions: Dimension) -> Unit:
    """Return the unit in which others see numbers of these dimensions, as optimisers elsewhere.

    Times are in ms, potentials in mV, currents in nA, conductances in nS, capacitances in pF,
    resistances in Mohm, lengths in um, and all else in SI units.

    Examples
    --------
    >>> from brian2 import second
    >>> handy_unit(second.dim)
    msecond
    """
    if dimensions.is_dimensionless:
        return Unit(1)
    return _HANDY.get(dimensions) or get_unit(dimensions)


def unit_name(dimensions: Dimension) -> str:
    """Return how a unit of these dimensions is called in a message."""
    return "a plain number" if dimensions.is_dimensionless else repr(get_unit(dimensions))


def _as(dimensions: Dimension) -> str:
    """Return 'in volt', or 'as a plain number'."""
    plain = dimensions.is_dimensionless
    return f"{'as' if plain else 'in'} {unit_name(dimensions)}"
