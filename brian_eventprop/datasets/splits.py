"""Parts of a data set: stratified and seeded, or by who spoke.

A model is chosen on validation trials and reported on test trials, so a split has three parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from brian_eventprop.data.spikes import SpikeData

__all__ = ["hold_out", "leave_one_out", "stratified_split"]


def stratified_split(
    data: SpikeData, fractions: Sequence[float] = (0.7, 0.1, 0.2), seed: int = 0
) -> tuple[SpikeData, ...]:
    """Return disjoint random parts in each of which every label is as frequent as in all data.

    Parameters
    ----------
    data : `SpikeData`
        Trials with one label each.
    fractions : sequence of float
        Size of each part; together at most 1.
    seed : int
        Of the choice.

    Examples
    --------
    >>> data = SpikeData([], [], [], 20, 1, targets=[0, 1] * 10)
    >>> [len(part) for part in stratified_split(data)]
    [14, 2, 4]
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.ndim != 1 or np.any(shares < 0) or shares.sum() > 1 + 1e-9:
        raise ValueError(f"fractions must not be negative nor add up to more than 1: {fractions}")
    labels = data.targets
    if not isinstance(labels, np.ndarray) or labels.ndim != 1:
        raise ValueError("a stratified split needs one label per trial")
    random = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        ends = np.rint(np.cumsum(shares) * len(rows)).astype(int)
        for part, chosen in zip(parts, np.split(rows, ends), strict=False):
            part.append(chosen)
    # Sorted: the order of the trials in a part then says nothing of the split.
    return tuple(data[np.sort(np.concatenate(part))] if part else data[[]] for part in parts)


def hold_out(data: SpikeData, values, column: str = "speaker") -> tuple[SpikeData, SpikeData]:
    """Return the trials of all others, and those whose ``data.extra[column]`` is in `values`.

    Parameters
    ----------
    data : `SpikeData`
        All trials.
    values : list
        What of the column is held out.
    column : str
        Which column of ``data.extra``.

    Returns
    -------
    tuple of two `SpikeData`
        The rest, and the trials that are held out.

    Examples
    --------
    >>> data = SpikeData([], [], [], 5, 1, extra={"speaker": [0, 3, 1, 3, 2]})
    >>> rest, held = hold_out(data, [2, 3])
    >>> held.extra["speaker"]
    array([3, 3, 2])
    """
    known = _column(data, column)
    values = np.atleast_1d(values)
    missing = np.setdiff1d(values, known)
    if len(missing):
        raise ValueError(f"no trial has {column} {missing.tolist()}; there are {np.unique(known)}")
    held = np.isin(known, values)
    return data[~held], data[held]


def leave_one_out(
    data: SpikeData, column: str = "speaker"
) -> Iterator[tuple[object, SpikeData, SpikeData]]:
    """Yield ``(value, rest, held)`` for every speaker (or value of another column) in turn.

    Parameters
    ----------
    data : `SpikeData`
        All trials.
    column : str
        Which column of ``data.extra``.

    Examples
    --------
    >>> data = SpikeData([], [], [], 5, 1, extra={"speaker": [0, 3, 1, 3, 0]})
    >>> [(int(who), len(rest), len(held)) for who, rest, held in leave_one_out(data)]
    [(0, 3, 2), (1, 4, 1), (3, 3, 2)]
    """
    for value in np.unique(_column(data, column)):
        yield value, *hold_out(data, value, column)


def _column(data: SpikeData, column: str) -> np.ndarray:
    if column not in data.extra:
        known = ", ".join(data.extra) or "nothing"
        raise ValueError(f"the data does not know the {column!r} of its trials, but {known}")
    return data.extra[column]
