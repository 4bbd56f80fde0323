"""Checks of arguments: what a user gives, as the plain number that is meant, or one clear error."""

from __future__ import annotations

import numbers

import numpy as np

__all__ = ["positive_number", "whole_number"]


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
