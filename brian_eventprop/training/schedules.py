"""Learning rates that change from epoch to epoch, as functions of the epoch.

They take and return rates with their unit, and go wherever an optimiser takes a rate:
``Adam({s.w: bep.schedules.cosine(1e-3, 40)})``.  `ease_in` changes from step to step.  What depends
on how well the training goes is a callback, `brian_eventprop.ReduceOnPlateau`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from brian_eventprop._checks import number, plain_numbers

__all__ = ["cosine", "ease_in", "exponential", "warm_up"]


def exponential(rate, factor: float) -> Callable:
    """Return ``rate * factor**epoch``.

    Examples
    --------
    >>> [exponential(8.0, 0.5)(epoch) for epoch in range(3)]
    [8.0, 4.0, 2.0]
    """
    _check_rate(rate)
    if not number(factor, "factor") > 0:
        raise ValueError(f"factor must be positive, not {factor!r}")
    return lambda epoch: rate * factor**epoch


def cosine(rate, epochs: int, last: float = 0.0) -> Callable:
    """Return half a cosine from ``rate`` in epoch 0 down to ``last * rate`` in epoch `epochs`.

    It stays there afterwards.

    Examples
    --------
    >>> [round(cosine(1.0, 4)(epoch), 3) for epoch in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """
    _check_rate(rate)
    if number(epochs, "epochs") < 1 or not 0 <= number(last, "last") <= 1:
        raise ValueError("a cosine needs at least 1 epoch, and last between 0 and 1")

    def at(epoch: int):
        down = (1 - math.cos(math.pi * min(epoch / epochs, 1))) / 2
        return rate * (1 - (1 - last) * down)

    return at


def warm_up(rate, epochs: int) -> Callable:
    """Return a rate, or another schedule, that grows from a small value over the first epochs.

    Epoch k gets the part ``(k + 1) / (epochs + 1)`` of it, so it is whole from `epochs` on.

    Examples
    --------
    >>> [warm_up(1.0, 3)(epoch) for epoch in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    >>> warm_up(exponential(1.0, 0.5), 1)(1)
    0.5
    """
    _check_rate(rate)
    if number(epochs, "epochs") < 0:
        raise ValueError(f"epochs must not be negative: {epochs}")

    def at(epoch: int):
        value = rate(epoch) if isinstance(rate, Callable) else rate
        return value * min((epoch + 1) / (epochs + 1), 1.0)

    return at


def ease_in(rate, start: float = 0.01, growth: float = 1.05) -> Callable:
    """Return a rate, or another schedule, that grows by a factor in every step (batch).

    Step n gets the part ``start * growth**n`` of it, until that is 1.  An optimiser calls it with
    the epoch and the number of steps done, at every step.

    Examples
    --------
    >>> [ease_in(8.0, start=0.25, growth=2)(0, step) for step in range(4)]
    [2.0, 4.0, 8.0, 8.0]
    """
    _check_rate(rate)
    if not 0 < number(start, "start") <= 1 or not number(growth, "growth") > 1:
        raise ValueError("an ease-in needs 0 < start <= 1 and growth > 1")
    needed = math.log(1 / start) / math.log(growth)

    def at(epoch: int, step: int):
        value = rate(epoch) if isinstance(rate, Callable) else rate
        return value * (start * growth**step if step < needed else 1.0)

    at.every_step = True
    return at


def _check_rate(rate) -> None:
    if not isinstance(rate, Callable):
        plain_numbers(rate, "the rate")
