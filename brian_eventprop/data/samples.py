"""Batches and samples as other libraries hand them out, brought into the form of a model's input.

Events are structured arrays, see `SpikeData.from_events`; rasters are arrays or tensors of spike
counts (trials, steps, ...), tonic's frames among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from brian2 import second

from brian_eventprop.data.events import kind_of
from brian_eventprop.data.spikes import SpikeData

__all__ = ["Grid", "as_batch", "batch_of_samples", "sensor_size_of"]


@dataclass(frozen=True)
class Grid:
    """What the input of a model looks like.

    Parameters
    ----------
    channels
        Number of neurons of each input group, by its name.
    n_steps, dt
        Time steps of a trial, and their length in seconds.
    sensor_size
        Width, height and polarities of what recorded the events, if that is known.
    """

    channels: Mapping[str, int]
    n_steps: int
    dt: float
    sensor_size: tuple[int, ...] | None = None


def sensor_size_of(dataset) -> tuple[int, ...] | None:
    """Return tonic's ``sensor_size`` of a dataset, or of the one that it is a part or a cache of.

    Examples
    --------
    >>> from types import SimpleNamespace as Dataset
    >>> sensor_size_of(Dataset(dataset=Dataset(sensor_size=(700, 1, 1))))
    (700, 1, 1)
    """
    while dataset is not None:
        size = getattr(dataset, "sensor_size", None)
        if size is not None and None not in size:
            return tuple(size)
        dataset = getattr(dataset, "dataset", None)
    return None


def as_batch(batch, grid: Grid) -> tuple:
    """Return ``(spikes, targets)`` of a batch as somebody else made it.

    Parameters
    ----------
    batch
        `SpikeData`, or a dict of them by input group, that hold their targets; or a pair of inputs
        and targets.  Inputs are `SpikeData`, a list of events, a raster (trials, steps, ...) on the
        time grid of the model, or a dict of such by input group.
    grid
        What the model's input looks like.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or of another shape.
    """
    if isinstance(batch, SpikeData):
        return batch, batch.targets
    if isinstance(batch, Mapping) and all(isinstance(d, SpikeData) for d in batch.values()):
        targets = (data.targets for data in batch.values() if data.targets is not None)
        return batch, next(targets, None)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(
            "a batch is SpikeData with its targets, or a pair (spikes, targets), not "
            f"{kind_of(batch)}"
        )
    inputs, targets = batch
    if targets is not None and not isinstance(targets, SpikeData):
        targets = _array(targets)
    if isinstance(inputs, Mapping):
        spikes = {}
        for group, given in inputs.items():
            name = getattr(group, "name", group)
            spikes[name] = _spikes(given, grid.channels.get(name), grid)
        return spikes, targets
    sizes = list(grid.channels.values())
    return _spikes(inputs, sizes[0] if len(sizes) == 1 else None, grid), targets


def batch_of_samples(samples: Sequence, grid: Grid) -> tuple:
    """Return ``(spikes, targets)`` of samples ``(input, target)``, as a dataset holds them."""
    for sample in samples:
        if not isinstance(sample, tuple | list) or len(sample) != 2:
            raise TypeError(f"a sample is a pair (input, target), not {kind_of(sample)}")
    inputs, targets = zip(*samples, strict=True)
    if hasattr(getattr(inputs[0], "dtype", None), "names") and inputs[0].dtype.names:
        return as_batch((inputs, np.array(targets)), grid)
    arrays = [_array(one) for one in inputs]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"the rasters of a batch have different shapes: {sorted(shapes)[:3]}")
    return as_batch((np.stack(arrays), np.array([_array(one) for one in targets])), grid)


def _spikes(inputs, n_channels: int | None, grid: Grid) -> SpikeData:
    if isinstance(inputs, SpikeData):
        return inputs
    if isinstance(inputs, tuple | list):
        size = grid.sensor_size
        return SpikeData.from_events(inputs, n_channels if size is None else size)
    if not hasattr(inputs, "shape"):
        raise TypeError(
            "the spikes of a batch are SpikeData, a raster (trials, steps, channels) or a list of "
            f"events, not {kind_of(inputs)}"
        )
    raster = _array(inputs)
    flat = raster.reshape(*raster.shape[:2], -1) if raster.ndim > 2 and raster.size else raster
    if flat.ndim != 3 or flat.shape[1] != grid.n_steps or n_channels not in (None, flat.shape[2]):
        raise ValueError(
            f"a raster of the shape {raster.shape} is not (trials, {grid.n_steps} steps, "
            f"{'' if n_channels is None else n_channels} channels), the time grid of the model "
            f"({grid.dt * 1e3:g} ms): make SpikeData of it, lambda: ((bep.SpikeData.from_raster(x, "
            "dt), y) for x, y in loader), with x[trial, step, channel] and its own dt"
        )
    return SpikeData.from_raster(flat, grid.dt * second)


def _array(given) -> np.ndarray:
    """Return an array of what may be a tensor, on a GPU or with a gradient."""
    if hasattr(given, "detach") and hasattr(given, "cpu"):
        given = given.detach().cpu()
    return np.asarray(given)
