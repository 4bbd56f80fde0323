"""Learning rates that change from epoch to epoch, as functions of the epoch.

They take and return rates with their unit, and go wherever an optimiser takes a rate:
``Adam({s.w: bep.schedules.cosine(1e-3, 40)})``.  `ease_in` changes from step to step.  What depends
on how well the training goes is a callback, `brian_eventprop.ReduceOnPlateau`.  Any function of
the epoch is a schedule, too; those made here have a `repr` and can be pickled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from brian_eventprop._checks import mapping, number, plain_numbers, whole_number

__all__ = ["cosine", "ease_in", "exponential", "linear", "piecewise", "step", "warm_up"]


def exponential(rate, factor: float) -> Callable:
    """Return ``rate * factor**epoch``.

    Parameters
    ----------
    rate : float or Quantity
        In the unit of the variable.
    factor : float
        By which each epoch multiplies it.

    Returns
    -------
    callable
        The rate by the epoch.

    Examples
    --------
    >>> [exponential(8.0, 0.5)(epoch) for epoch in range(3)]
    [8.0, 4.0, 2.0]
    """
    _check_rate(rate)
    return _Exponential(rate, _positive(factor, "factor"))


def step(rate, epochs: int, factor: float = 0.1) -> Callable:
    """Return a rate that is multiplied by a factor after every so many epochs.

    Parameters
    ----------
    rate : float or Quantity
        In the unit of the variable.
    epochs : int
        After how many epochs it is multiplied, again and again.
    factor : float
        By which.

    Returns
    -------
    callable
        The rate by the epoch.

    Examples
    --------
    >>> [step(8.0, 2, 0.5)(epoch) for epoch in range(5)]
    [8.0, 8.0, 4.0, 4.0, 2.0]
    """
    _check_rate(rate)
    return _Step(rate, whole_number(epochs, "epochs", least=1), _positive(factor, "factor"))


def piecewise(rate, factors: Mapping[int, float]) -> Callable:
    """Return a rate that is multiplied by a factor from each of some epochs on.

    Parameters
    ----------
    rate : float or Quantity
        That of epoch 0.
    factors : dict
        By the epoch, ``{30: 0.1, 45: 0.1}``; each acts on what the ones before it have left.

    Examples
    --------
    >>> [piecewise(8.0, {1: 0.5, 3: 0.5})(epoch) for epoch in range(5)]
    [8.0, 4.0, 4.0, 2.0, 2.0]
    """
    _check_rate(rate)
    given = mapping(factors, "factors", "{30: 0.1}")
    pairs = [(whole_number(e, "an epoch"), _positive(f, "a factor")) for e, f in given.items()]
    return _Piecewise(rate, tuple(sorted(pairs)))


def linear(rate, epochs: int, last: float = 0.0) -> Callable:
    """Return a straight line from ``rate`` in epoch 0 down to ``last * rate`` in epoch `epochs`.

    It stays there afterwards.

    Parameters
    ----------
    rate : float or Quantity
        In the unit of the variable.
    epochs : int
        When it ends.
    last : float
        Part of the rate that is left in the end.

    Returns
    -------
    callable
        The rate by the epoch.

    Examples
    --------
    >>> [linear(1.0, 4)(epoch) for epoch in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    _check_rate(rate)
    return _Linear(rate, *_until(epochs, last, "a line"))


def cosine(rate, epochs: int, last: float = 0.0) -> Callable:
    """Return half a cosine from ``rate`` in epoch 0 down to ``last * rate`` in epoch `epochs`.

    It stays there afterwards.

    Parameters
    ----------
    rate : float or Quantity
        In the unit of the variable.
    epochs : int
        When it ends.
    last : float
        Part of the rate that is left in the end.

    Returns
    -------
    callable
        The rate by the epoch.

    Examples
    --------
    >>> [round(cosine(1.0, 4)(epoch), 3) for epoch in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """
    _check_rate(rate)
    return _Cosine(rate, *_until(epochs, last, "a cosine"))


def warm_up(rate, epochs: int) -> Callable:
    """Return a rate, or another schedule, that grows from a small value over the first epochs.

    Epoch k gets the part ``(k + 1) / (epochs + 1)`` of it, so it is whole from `epochs` on.

    Parameters
    ----------
    rate : float, Quantity or schedule
        What it grows to.
    epochs : int
        How many epochs it grows.

    Returns
    -------
    callable
        The rate by the epoch.

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
    return _WarmUp(rate, epochs)


def ease_in(rate, start: float = 0.01, growth: float = 1.05) -> Callable:
    """Return a rate, or another schedule, that grows by a factor in every step (batch).

    Step n gets the part ``start * growth**n`` of it, until that is 1.  An optimiser calls it with
    the epoch and the number of steps done, at every step.

    Parameters
    ----------
    rate : float, Quantity or schedule
        What it grows to.
    start : float
        Part of it in the first step.
    growth : float
        By which each step multiplies that part.

    Returns
    -------
    callable
        The rate by the epoch and the number of steps done.

    Examples
    --------
    >>> [ease_in(8.0, start=0.25, growth=2)(0, step) for step in range(4)]
    [2.0, 4.0, 8.0, 8.0]
    """
    _check_rate(rate)
    if not 0 < number(start, "start") <= 1 or not number(growth, "growth") > 1:
        raise ValueError("an ease-in needs 0 < start <= 1 and growth > 1")
    return _EaseIn(rate, start, growth)


@dataclass(frozen=True, eq=False, repr=False)
class _Schedule:
    """A rate, or another schedule, and what changes it; other than a closure it can be pickled."""

    rate: Any

    def __repr__(self) -> str:
        name = {"_EaseIn": "ease_in", "_WarmUp": "warm_up"}.get(type(self).__name__)
        rest = ", ".join(repr(getattr(self, field.name)) for field in fields(self))
        return f"{name or type(self).__name__[1:].lower()}({rest})"


@dataclass(frozen=True, eq=False, repr=False)
class _Exponential(_Schedule):
    factor: float

    def __call__(self, epoch: int):
        return self.rate * self.factor**epoch


@dataclass(frozen=True, eq=False, repr=False)
class _Step(_Schedule):
    epochs: int
    factor: float

    def __call__(self, epoch: int):
        return self.rate * self.factor ** (epoch // self.epochs)


@dataclass(frozen=True, eq=False, repr=False)
class _Piecewise(_Schedule):
    factors: tuple[tuple[int, float], ...]

    def __call__(self, epoch: int):
        return self.rate * math.prod(factor for first, factor in self.factors if first <= epoch)

    def __repr__(self) -> str:
        return f"piecewise({self.rate!r}, {dict(self.factors)})"


@dataclass(frozen=True, eq=False, repr=False)
class _Linear(_Schedule):
    epochs: int
    last: float

    def __call__(self, epoch: int):
        return self.rate * (1 - (1 - self.last) * min(epoch / self.epochs, 1))


@dataclass(frozen=True, eq=False, repr=False)
class _Cosine(_Schedule):
    epochs: int
    last: float

    def __call__(self, epoch: int):
        down = (1 - math.cos(math.pi * min(epoch / self.epochs, 1))) / 2
        return self.rate * (1 - (1 - self.last) * down)


@dataclass(frozen=True, eq=False, repr=False)
class _WarmUp(_Schedule):
    epochs: float

    def __call__(self, epoch: int):
        value = self.rate(epoch) if isinstance(self.rate, Callable) else self.rate
        return value * min((epoch + 1) / (self.epochs + 1), 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class _EaseIn(_Schedule):
    start: float
    growth: float

    every_step = True

    def __call__(self, epoch: int, step: int):
        value = self.rate(epoch) if isinstance(self.rate, Callable) else self.rate
        needed = math.log(1 / self.start) / math.log(self.growth)
        return value * (self.start * self.growth**step if step < needed else 1.0)


def _until(epochs, last, what: str) -> tuple:
    if number(epochs, "epochs") < 1 or not 0 <= number(last, "last") <= 1:
        raise ValueError(f"{what} needs at least 1 epoch, and last between 0 and 1")
    return epochs, last


def _positive(factor, what: str):
    if not number(factor, what) > 0:
        raise ValueError(f"{what} must be positive, not {factor!r}")
    return factor


def _check_rate(rate) -> None:
    if not isinstance(rate, Callable):
        plain_numbers(rate, "the rate")
