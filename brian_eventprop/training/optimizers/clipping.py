"""Gradients that are too long are cut before an optimiser sees them: by value, or by their norm.

Gradients have units, so neither a limit nor a norm means anything before it is said how much of
each variable counts as one.  With the amounts ``per={s.w: 1*mV, s.delay: 1*ms}`` the numbers that
are cut are dL/d(w/mV) and dL/d(delay/ms), which are as plain as the loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS

from brian_eventprop._checks import positive_number
from brian_eventprop._units import to_si, unit_name
from brian_eventprop.training.optimizers.given import (
    Key,
    amounts_in_si,
    given_amounts,
    name_of,
)

__all__ = ["ClipNorm", "ClipValue"]


class Clip(ABC):
    """What is done to gradients before a step; base of `ClipNorm` and `ClipValue`."""

    def __init__(self, most, per=None):
        self.most = positive_number(to_si(most, DIMENSIONLESS, "most"), "most")
        self.given = given_amounts(per, "per", "{s.w: 1*mV, s.delay: 1*ms}")

    def units(self, model) -> dict[Key, float]:
        """Return the amount of every trained variable that counts as one, in SI units."""
        parameters, kind = model.parameters, type(self).__name__
        units = amounts_in_si(self.given, "per", model, 1)
        for key in parameters.keys:
            dimension = parameters.dimension(key)
            if key not in units and dimension.is_dimensionless:
                units[key] = 1.0
            elif key not in units:
                raise ValueError(
                    f"{kind}({self.most:g}) must know how much of {name_of(key)}, which is in "
                    f"{unit_name(dimension)}, counts as one: {kind}({self.most:g}, per={{view: "
                    "1*ms}) takes the derivative per millisecond"
                )
            elif units[key] == 0:
                raise ValueError(f"the per of {name_of(key)} must be more than 0")
        return units

    @abstractmethod
    def clipped(self, gradients: Mapping, units: Mapping) -> dict[Key, np.ndarray]:
        """Return the gradients, cut; the arrays that are given stay as they are.

        Parameters
        ----------
        gradients
            Arrays by key in SI units.
        units
            What `units` returned.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.most:g})"


class ClipNorm(Clip):
    """Scale all gradients down together where their common norm is above a limit.

    The norm is the root of the sum of the squares of ``per * dL/dx`` over all entries x of all
    trained variables.  Where it is above `most`, all gradients are multiplied by ``most / norm``.
    If all variables are plain numbers and `per` is left out, that is the norm of the gradient.

    Parameters
    ----------
    most : float
        The limit, in units of the loss.
    per : dict, or one amount
        How much of each variable counts as one, ``{s.w: 1*mV, s.delay: 1*ms}``; 1 for variables
        without unit that are not named.

    Examples
    --------
    >>> from brian2 import ms
    >>> optimizer = Adam({s.w: 1e-3, s.delay: 0.1*ms},
    ...                  clip=ClipNorm(1.0, per={s.delay: 1*ms}))  # doctest: +SKIP
    """

    def norm(self, gradients: Mapping, units: Mapping) -> float:
        """Return the common norm; its bits do not depend on the number of threads."""
        sums = [np.sum(np.square(unit * gradients[key])) for key, unit in units.items()]
        return float(np.sqrt(np.sum(sums)))

    def clipped(self, gradients, units):
        norm = self.norm(gradients, units)
        if not norm > self.most:
            return dict(gradients)
        return {key: gradient * (self.most / norm) for key, gradient in gradients.items()}


class ClipValue(Clip):
    """Bring every entry of ``per * dL/dx`` that is beyond a limit back to it.

    The direction of the gradient changes, other than with `ClipNorm`.

    Parameters
    ----------
    most : float
        The limit on either side, in units of the loss.
    per : dict, or one amount
        How much of each variable counts as one, as for `ClipNorm`.

    Examples
    --------
    >>> optimizer = Adam({s.w: 1e-3}, clip=ClipValue(0.5))  # doctest: +SKIP
    """

    def clipped(self, gradients, units):
        limits = {key: self.most / unit for key, unit in units.items()}
        return {key: np.clip(g, -limits[key], limits[key]) for key, g in gradients.items()}


def checked_clips(clip) -> tuple[Clip, ...]:
    """Return what may be one `Clip`, several or None as a tuple.

    Examples
    --------
    >>> checked_clips([ClipValue(5), ClipNorm(1)])
    (ClipValue(5), ClipNorm(1))
    """
    if clip is None:
        return ()
    several = isinstance(clip, Iterable) and not isinstance(clip, str)
    clips: tuple = tuple(clip) if several else (clip,)
    for one in clips:
        if not isinstance(one, Clip):
            raise TypeError(
                f"clip must be such as ClipNorm(1.0) or ClipValue(0.5), not {repr(one)[:60]}"
            )
    return clips
