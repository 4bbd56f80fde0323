"""Central differences of arrays, extrapolated to a step of 0, with an estimate of their error.

The method of Ridders (1982): steps fall by a constant factor, Neville's scheme takes one power of
the squared step after the other out of their differences, and what neighbours of the scheme
disagree by is the error: of the extrapolation for wide steps, of rounding for narrow ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

#: The factor from step to step.
RATIO = 2.0
#: Steps at most, and those after which a result may be returned.
MOST, LEAST = 10, 4
#: After a step that is too wide comes one so many times narrower, down to this part of the first.
NARROWER, NARROWEST = 4.0, 1e-8
#: A relative error at which no better result is looked for.
ENOUGH = 1e-12


def extrapolate(
    difference: Callable[[float], Sequence[np.ndarray] | None], start: float
) -> tuple[list[np.ndarray], list[float]] | None:
    """Return the limits of some central differences for a step of 0, and their errors.

    Parameters
    ----------
    difference
        Returns the differences at a step, or None if the step is too wide.
    start
        The first step.

    Returns
    -------
    values : list of array
    errors : list of float
        Of the largest entry of each array that may be wrong; None for both if all steps are too
        wide, but for one at most.

    Examples
    --------
    >>> def difference(h):
    ...     return [(np.exp(np.array([0.0, 1.0]) + h) - np.exp(np.array([0.0, 1.0]) - h)) / (2 * h)]
    >>> (value,), (error,) = extrapolate(difference, 0.5)
    >>> bool(np.all(np.abs(value - [1.0, np.e]) <= 1e-12)), error < 1e-11
    (True, True)
    """
    rows: list[list[Sequence[np.ndarray]]] = []
    best: list[tuple[float, np.ndarray]] = []
    step = start
    while len(rows) < MOST and step >= NARROWEST * start:
        first = difference(step)
        if first is None:
            rows, step = [], step / NARROWER  # wider steps were no better
            continue
        rows.append(_refined(first, rows[-1] if rows else []))
        step /= RATIO
        if len(rows) > 1:
            found = [_best_of(rows[-2], rows[-1], k) for k in range(len(first))]
            best = [
                min(pair, key=lambda p: p[0]) for pair in zip(best or found, found, strict=True)
            ]
            if len(rows) >= LEAST and _done(best, found):
                break
    return ([value for _, value in best], [error for error, _ in best]) if best else None


def _refined(first, above: list) -> list:
    """Return a row of Neville's scheme: the difference itself, then with ever higher orders."""
    row = [first]
    for order, wider in enumerate(above, start=1):
        factor = RATIO ** (2 * order)
        pairs = zip(row[-1], wider, strict=True)
        row.append([narrow + (narrow - wide) / (factor - 1) for narrow, wide in pairs])
    return row


def _best_of(above: list, row: list, k: int) -> tuple[float, np.ndarray]:
    """Return the entry of a row whose neighbours disagree least, for one array."""
    found = []
    for order in range(1, len(row)):
        value = row[order][k]
        error = max(_largest(value - row[order - 1][k]), _largest(value - above[order - 1][k]))
        found.append((error, value))
    return min(found, key=lambda pair: pair[0])


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0.0))


def _done(best, found) -> bool:
    """Whether all errors are small, or grow by far since rounding has taken over."""
    pairs = zip(best, found, strict=True)
    return all(
        error <= ENOUGH * _largest(value) or now > 4 * error for (error, value), (now, _) in pairs
    )
