"""Checks of arguments: what a user gives, as the plain number that is meant, or one clear error."""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import numpy as np

__all__ = [
    "mapping",
    "number",
    "other_than_zero",
    "plain_numbers",
    "positive_number",
    "whole_number",
]


def whole_number(value, what: str, least: int = 0) -> int:
    """Return a count as an int.

    Parameters
    ----------
    value
        A Python or NumPy integer; a float that is one, such as 2.0, is taken as well.
    what
        Its name in the error message.
    least
        The smallest that is allowed.

    Examples
    --------
    >>> whole_number(np.int32(3), "batch_size", least=1)
    3
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if not number or not np.isfinite(value) or value != int(value):
        kind = TypeError if not number else ValueError
        raise kind(f"{what} must be a whole number, {least} or more, not {value!r}")
    if value < least:
        raise ValueError(f"{what} must be {least} or more, not {value!r}")
    return int(value)


def positive_number(value, what: str) -> float:
    """Return a finite number above 0 as a float.

    Examples
    --------
    >>> positive_number(1, "tolerance")
    1.0
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what} must be a number above 0, not {value!r}") from None
    if not 0 < number < np.inf:
        raise ValueError(f"{what} must be a finite number above 0, not {value!r}")
    return number


def plain_numbers(values, what: str) -> np.ndarray:
    """Return values as an array of floats; text, ragged lists and objects are refused.

    Examples
    --------
    >>> plain_numbers([1, 2], "target")
    array([1., 2.])
    """
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            f"{what} must be a number or an array of numbers, not {repr(values)[:60]}"
        ) from None


def number(value, what: str) -> float:
    """Return one number, which may be infinite but not NaN, as a float.

    Examples
    --------
    >>> number(np.float32(0.5), "momentum")
    0.5
    """
    array = plain_numbers(value, what)
    if array.size != 1 or np.isnan(array).any():
        raise ValueError(f"{what} must be one number, not {value!r}")
    return array.item()


def mapping(value, what: str, example: str) -> dict:
    """Return a mapping as a dict; None is an empty one.

    Examples
    --------
    >>> mapping(None, "extra", "{'speaker': array}")
    {}
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a dict such as {example}, not {repr(value)[:60]}")
    return dict(value)


def other_than_zero(value, what: str) -> float:
    """Return one finite number other than 0 as a float.

    Examples
    --------
    >>> other_than_zero(-2, "scale")
    -2.0
    """
    number = plain_numbers(value, what)
    if number.size != 1 or not 0 < abs(number.item()) < np.inf:
        raise ValueError(f"{what} must be one number other than 0, not {value!r}")
    return number.item()
