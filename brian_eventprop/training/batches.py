"""Mini-batches of data that is one `SpikeData`, or a dict with one per input group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np


def size_of(data) -> int:
    """Return the number of trials, the same for all input groups."""
    sizes = {len(part) for part in data.values()} if isinstance(data, Mapping) else {len(data)}
    if len(sizes) != 1:
        raise ValueError(f"the input groups have different numbers of trials: {sorted(sizes)}")
    return sizes.pop()


def targets_of(data):
    """Return the targets, which one of several input groups may hold; None if there are none."""
    if not isinstance(data, Mapping):
        return data.targets
    return next((part.targets for part in data.values() if part.targets is not None), None)


def take(data, index: np.ndarray):
    """Return the chosen trials of all input groups."""
    if isinstance(data, Mapping):
        return {name: part[index] for name, part in data.items()}
    return data[index]


def batches(data, batch_size: int, order: np.ndarray | None = None) -> Iterator:
    """Yield ``(spikes, targets)`` of one batch after the other; the last one may be smaller."""
    order = np.arange(size_of(data)) if order is None else order
    for start in range(0, len(order), batch_size):
        part = take(data, order[start : start + batch_size])
        yield part, targets_of(part)


def with_next(items: Iterable) -> Iterator:
    """Yield each item with the one after it, None after the last.

    Examples
    --------
    >>> list(with_next("abc"))
    [('a', 'b'), ('b', 'c'), ('c', None)]
    """
    items = iter(items)
    item = next(items, None)
    while item is not None:
        coming = next(items, None)
        yield item, coming
        item = coming


def shuffled(size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the trials in an epoch.

    It depends on nothing but the seed and the epoch, so a run that continues at epoch 7 sees what
    an uninterrupted one would have seen.
    """
    return np.random.default_rng([seed, epoch]).permutation(size)
