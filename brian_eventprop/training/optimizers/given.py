"""What a user gives an optimiser for the trained variables, found again by their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Number

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DimensionMismatchError

from brian_eventprop._names import name_of
from brian_eventprop._units import to_si, unit_name

Key = tuple[str, str]


def given_rates(rates, kind: str) -> tuple[object | None, list]:
    """Return the one rate of all variables, or the pairs of variable and rate."""
    if isinstance(rates, Mapping):
        if not rates:
            raise ValueError("give a learning rate for every trained variable: {s.w: 1e-3, ...}")
        return None, list(rates.items())
    if isinstance(rates, Callable) and not isinstance(rates, type):
        return rates, []
    if _is_one(rates):
        return rates, []
    raise TypeError(
        f"{kind} takes a dict with a learning rate for every trained variable, {kind}({{s.w: 1e-3, "
        f"s.delay: 0.1*ms}}), or one number for all, not {repr(rates)[:60]}"
    )


def given_bounds(bounds) -> list:
    """Return the pairs of variable and bounds."""
    if bounds is None:
        return []
    if not isinstance(bounds, Mapping):
        raise TypeError(f"bounds must be a dict such as {{s.w: (0, None)}}, not {bounds!r}")
    for limits in bounds.values():
        if not isinstance(limits, tuple | list | Quantity) or len(limits) != 2:
            raise ValueError(f"bounds are a lowest and a highest value, (0, None), not {limits!r}")
    return list(bounds.items())


def given_amounts(amounts, what: str, example: str) -> tuple[object | None, list]:
    """Return the one amount of all variables, or the pairs of variable and amount.

    Examples
    --------
    >>> given_amounts({("s", "w"): 0.01}, "weight_decay", "{s.w: 0.01}")
    (None, [(('s', 'w'), 0.01)])
    """
    if amounts is None or isinstance(amounts, Mapping):
        # Brian2's views compare element by element: keep pairs, never look a view up.
        return None, list((amounts or {}).items())
    if _is_one(amounts):
        return amounts, []
    raise TypeError(
        f"{what} must be a dict such as {example}, or one number for all variables, not "
        f"{repr(amounts)[:60]}"
    )


def amounts_in_si(given: tuple, what: str, model, power: int) -> dict[Key, float]:
    """Return amounts by key, in SI units.

    Parameters
    ----------
    given
        What `given_amounts` returned.
    what
        Their name in error messages.
    model
        Whose trained variables they belong to.
    power
        An amount has the dimensions of its variable to this power.

    Raises
    ------
    DimensionMismatchError
        If an amount has another unit; the message names the variable.
    """
    one, pairs = given
    trained = list(model.parameters.keys)
    if one is not None:
        pairs = [(key, one) for key in trained]
    found = {}
    for view, amount in pairs:
        key = model.key_of(view)
        if key not in trained:
            raise ValueError(f"{name_of(key)} has a {what} but is not in train=[...]")
        dimension = model.parameters.dimension(key) ** power
        try:
            value = to_si(amount, dimension, f"the {what} of {name_of(key)}")
        except DimensionMismatchError:
            if one is None:
                raise
            raise DimensionMismatchError(
                f"{what}={amount!r} is one for all variables, but {name_of(key)} needs it in "
                f"{unit_name(dimension)}: give each its own, {what}={{s.w: ..., s.delay: ...}}"
            ) from None
        if value.size != 1 or not np.all(np.isfinite(value)) or np.any(value < 0):
            raise ValueError(
                f"the {what} of {name_of(key)} must be one finite number, not negative: {amount}"
            )
        found[key] = value.item()
    return found


def default_bounds(key: Key) -> tuple[float, float]:
    """Return the bounds that a variable has by itself."""
    # A negative delay would let an effect come before its cause.
    return (0.0 if key[1] == "delay" else -np.inf, np.inf)


def _is_one(value) -> bool:
    if isinstance(value, Number) and not isinstance(value, bool):
        return True
    return isinstance(value, Quantity | np.ndarray) and np.ndim(value) == 0
