"""Where the batches of an epoch come from: data in memory, a dataset of samples, or ready batches.

All three are asked for the batches of an epoch, and give pairs ``(spikes, targets)``.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop._checks import whole_number
from brian_eventprop.data.augmentation import augmented
from brian_eventprop.data.events import kind_of
from brian_eventprop.data.samples import Grid, as_batch, batch_of_samples, sensor_size_of
from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.training.batches import batches, shuffled, size_of

__all__ = ["Source", "source_of"]


class Source(ABC):
    """Batches of one epoch after the other."""

    #: Number of batches of an epoch; None if nobody knows.
    count: int | None

    @abstractmethod
    def epoch(self, epoch: int) -> Iterator[tuple]:
        """Yield ``(spikes, targets)`` of the batches of an epoch."""

    def check(self, model) -> None:
        """Find what the model will refuse before anything is learned, where that is known."""
        del model

    @property
    @abstractmethod
    def settings(self) -> dict:
        """What the order of the batches depends on, for a checkpoint."""


@dataclass(frozen=True)
class _Order:
    """Trials per batch, and the order of the trials in an epoch."""

    size: int
    batch_size: int
    shuffle: bool
    seed: int

    @property
    def count(self) -> int:
        return -(-self.size // self.batch_size)

    def of(self, epoch: int) -> np.ndarray | None:
        return shuffled(self.size, self.seed, epoch) if self.shuffle else None

    @property
    def settings(self) -> dict:
        return {
            "trials": self.size, "batch_size": self.batch_size, "shuffle": self.shuffle,
            "seed": self.seed,
        }  # fmt: skip


class _InMemory(Source):
    """`SpikeData`, or a dict of them by input group."""

    def __init__(self, data, order: _Order, augment=()):
        self.data, self.order, self.augment, self.count = data, order, augment, order.count

    def epoch(self, epoch):
        found = batches(self.data, self.order.batch_size, self.order.of(epoch))
        if self.augment:
            found = augmented(found, self.augment, self.data, self.order.seed, epoch)
        return found

    def check(self, model):
        if hasattr(model, "check_inputs"):
            model.check_inputs(self.data)

    @property
    def settings(self):
        more = {"augment": [_name(change) for change in self.augment]} if self.augment else {}
        return self.order.settings | more


class _Dataset(Source):
    """Samples by number, each looked up when its batch is made."""

    def __init__(self, data, order: _Order, grid: Grid):
        self.data, self.order, self.grid, self.count = data, order, grid, order.count

    def epoch(self, epoch):
        order = self.order.of(epoch)
        order = range(self.order.size) if order is None else order.tolist()
        for start in range(0, len(order), self.order.batch_size):
            chosen = order[start : start + self.order.batch_size]
            yield batch_of_samples([self.data[k] for k in chosen], self.grid)

    @property
    def settings(self):
        return self.order.settings


class _Ready(Source):
    """Batches that somebody else has made: whatever can be iterated over, or makes that."""

    def __init__(self, data, grid: Grid, what: str):
        self.data, self.grid, self.what = data, grid, what
        self.count = _length(data)

    def epoch(self, epoch):
        data = self.data
        if isinstance(data, Callable):
            data = data(epoch) if _takes_one(data) else data()
            if not isinstance(data, Iterable):
                raise TypeError(f"{self.what} made {kind_of(data)}, not something with batches")
        for number, batch in enumerate(data):
            try:
                made = as_batch(batch, self.grid)
            except (TypeError, ValueError) as error:
                raise type(error)(f"batch {number} of {self.what}: {error}") from error
            yield made

    @property
    def settings(self):
        return {"batches": self.count}


def source_of(
    data,
    what: str,
    model,
    *,
    batch_size: int | None = None,
    default: int | None = None,
    shuffle: bool | None = False,
    seed: int = 0,
    augment=(),
    passes: int = 1,
) -> Source:
    """Return where batches come from.

    Parameters
    ----------
    data
        `SpikeData` or a dict of them by input group; a dataset, with a length and samples by
        number; an iterable of batches, or a function that returns one.
    what
        Its name in messages.
    model
        Whose input it is.
    batch_size, default
        Trials per batch, of data that is not in batches yet; what to take for None, if anything.
    shuffle, seed
        Whether each epoch has its own order of the trials (None: if it can have one), drawn from
        this seed.
    augment
        Variations of the trials.
    passes
        How many epochs there will be.
    """
    if batch_size is not None:
        batch_size = whole_number(batch_size, "batch_size", least=1)
    if _in_memory(data) or _is_dataset(data):
        trials = batch_size or default
        if trials is None:
            raise ValueError(f"batch_size=... is missing: how many trials of {what} make a step")
        size = size_of(data) if _in_memory(data) else len(data)
        order = _Order(size, trials, shuffle is not False, seed)
        if _in_memory(data):
            return _InMemory(data, order, augment)
        return _Dataset(data, order, _grid(model, data))
    _check_ready(data, what, batch_size, shuffle, passes)
    return _Ready(data, _grid(model, data), what)


def _check_ready(data, what: str, batch_size, shuffle, passes: int) -> None:
    """Refuse what has no batches, and what cannot be done with batches that are ready."""
    batchwise = isinstance(data, Iterable) and not isinstance(data, str | tuple | Mapping)
    if not (batchwise or isinstance(data, Callable)) or hasattr(data, "shape"):
        wrong = data
        if isinstance(data, Mapping):
            wrong = next((d for d in data.values() if not isinstance(d, SpikeData)), data)
        kind = "an empty dict" if isinstance(wrong, Mapping) else kind_of(wrong)
        raise TypeError(
            f"{what} must be one SpikeData that holds its targets, SpikeData(..., targets=y), a "
            f"dict with one for each input group, or an iterable of batches (spikes, targets), not "
            f"{kind}: SpikeData.from_raster and from_lists make one from arrays and lists"
        )
    if isinstance(data, Iterator) and passes > 1:
        raise ValueError(
            f"{what} is an iterator, which gives its batches once, but there are {passes} epochs: "
            "give the function that makes it, fit(make_batches, ...), or a list"
        )
    if batch_size is not None or shuffle:
        given = "batch_size" if batch_size is not None else "shuffle"
        raise ValueError(f"{what} comes in batches, in an order of its own: leave {given}= out")


def _in_memory(data) -> bool:
    parts = list(data.values()) if isinstance(data, Mapping) else [data]
    return bool(parts) and all(isinstance(part, SpikeData) for part in parts)


def _is_dataset(data) -> bool:
    """Whether it has samples by number, as map-style datasets of PyTorch and tonic have."""
    kind = type(data)
    by_number = hasattr(kind, "__getitem__") and hasattr(kind, "__len__")
    return by_number and not hasattr(kind, "__iter__")


def _grid(model, data) -> Grid:
    spec = model.spec
    channels = {each.name: each.size for each in getattr(spec, "inputs", ())}
    return Grid(channels, model.n_steps, spec.dt, sensor_size_of(data))


def _length(data) -> int | None:
    try:
        return len(data)
    except TypeError:  # also of a loader whose dataset has no length
        return None


def _takes_one(function) -> bool:
    """Whether a function wants an argument: the number of the epoch."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is p.empty for p in given)


def _name(change) -> str:
    """An augmentation as it stands in a checkpoint: without addresses in memory."""
    plain = type(change).__repr__ is object.__repr__ or hasattr(change, "__qualname__")
    return getattr(change, "__qualname__", type(change).__name__) if plain else repr(change)
