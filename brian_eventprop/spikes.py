"""Ragged spike trains of many trials: the form in which data enters a model.

`SpikeData` keeps every spike once, sorted by trial, time and channel, with the row pointers of the
trials beside it (the layout of a CSR matrix), so that a mini-batch is a few NumPy slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from brian2 import Quantity, second

from brian_eventprop._units import to_seconds, to_si

__all__ = ["SpikeData"]


class SpikeData:
    """Input spikes of many trials, and what the trials should lead to.

    Parameters
    ----------
    times : array (E,)
        Time of each spike: a quantity, or numbers in seconds.
    channels : array (E,)
        Input neuron of each spike.
    trials : array (E,)
        Trial of each spike.
    n_trials, n_channels : int
        Number of trials and of input neurons.
    targets : array (n_trials, ...), optional
        What a loss compares with: class labels, target times, ...
    duration : quantity, optional
        Length of a trial, if the data knows it.

    Attributes
    ----------
    trial_ptr : array (n_trials + 1,)
        The spikes of trial ``b`` are ``trial_ptr[b]:trial_ptr[b + 1]``.

    Examples
    --------
    >>> data = SpikeData([0.002, 0.001, 0.003], [0, 1, 0], [0, 0, 1], 2, 2, targets=[1, 0])
    >>> data.times
    array([0.001, 0.002, 0.003])
    >>> data[[1]].targets
    array([0])
    """

    def __init__(self, times, channels, trials, n_trials, n_channels, targets=None, duration=None):
        self.times = _times(times)
        self.channels = _indices(channels, n_channels, "channels")
        trials = _indices(trials, n_trials, "trials")
        if not len(self.times) == len(self.channels) == len(trials):
            raise ValueError(
                "times, channels and trials must have one entry per spike, but there are "
                f"{len(self.times)}, {len(self.channels)} and {len(trials)}"
            )
        order = np.lexsort((self.channels, self.times, trials))
        self.times, self.channels = self.times[order], self.channels[order]
        counts = np.bincount(trials, minlength=n_trials)
        self.trial_ptr = _pointers(counts)
        self.n_channels = int(n_channels)
        self.targets = _targets(targets, n_trials)
        self.duration = None if duration is None else to_seconds(duration, "duration") * second

    @classmethod
    def from_lists(cls, trials: Sequence, targets=None, duration=None) -> SpikeData:
        """Build from nested lists: ``trials[b][c]`` holds the spike times of channel c in trial b.

        Examples
        --------
        >>> SpikeData.from_lists([[[0.001, 0.004], []], [[], [0.002]]])
        SpikeData(2 trials, 2 channels, 3 spikes)
        """
        sizes = {len(channels) for channels in trials}
        if len(sizes) > 1:
            raise ValueError(f"every trial needs the same number of channels, got {sorted(sizes)}")
        n_channels = sizes.pop() if sizes else 0
        trains = [_times(train) for channels in trials for train in channels]
        counts = [len(train) for train in trains]
        row = np.repeat(np.arange(len(trains)), counts)
        times = np.concatenate(trains) if trains else np.empty(0)
        trial, channel = np.divmod(row, max(n_channels, 1))
        return cls(times, channel, trial, len(trials), n_channels, targets, duration)

    @classmethod
    def from_raster(cls, raster, dt, targets=None) -> SpikeData:
        """Build from spike counts on a time grid of shape (trials, steps, channels).

        Examples
        --------
        >>> import numpy as np
        >>> from brian2 import ms
        >>> raster = np.zeros((1, 4, 2), dtype=int)
        >>> raster[0, 3, 1] = 1
        >>> SpikeData.from_raster(raster, 1*ms).times
        array([0.003])
        """
        raster = np.asarray(raster)
        if raster.ndim != 3:
            raise ValueError(
                f"a raster has the shape (trials, steps, channels), not {raster.shape}"
            )
        dt = to_seconds(dt, "dt")
        counts = raster.astype(np.int64)
        if np.any(counts != raster) or np.any(counts < 0):
            raise ValueError("a raster holds spike counts: whole numbers, 0 or more")
        trial, step, channel = np.nonzero(counts)
        several = counts[trial, step, channel]
        trial, step, channel = (np.repeat(a, several) for a in (trial, step, channel))
        n_trials, n_steps, n_channels = raster.shape
        duration = n_steps * dt * second
        return cls(step * dt, channel, trial, n_trials, n_channels, targets, duration)

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return len(self.trial_ptr) - 1

    @property
    def trials(self) -> np.ndarray:
        """Trial of each spike."""
        return np.repeat(np.arange(self.n_trials), np.diff(self.trial_ptr))

    def __len__(self) -> int:
        return self.n_trials

    def __repr__(self) -> str:
        return (
            f"SpikeData({self.n_trials} trials, {self.n_channels} channels, "
            f"{len(self.times)} spikes)"
        )

    def __getitem__(self, index) -> SpikeData:
        """Return the chosen trials, in that order: an index, a slice, a mask or an index array."""
        if not isinstance(index, slice) and np.size(index) == 0:
            index = np.empty(0, dtype=np.intp)
        rows = np.atleast_1d(np.arange(self.n_trials)[index])
        first, counts = self.trial_ptr[rows], np.diff(self.trial_ptr)[rows]
        pointers = _pointers(counts)
        spikes = np.arange(pointers[-1]) + np.repeat(first - pointers[:-1], counts)
        part = object.__new__(SpikeData)
        part.times, part.channels = self.times[spikes], self.channels[spikes]
        part.trial_ptr, part.n_channels = pointers, self.n_channels
        part.targets = None if self.targets is None else self.targets[rows]
        part.duration = self.duration
        return part


def _times(times) -> np.ndarray:
    times = Quantity(times, dtype=float)
    # Bare numbers are seconds: data comes from files, not from formulas.
    if not times.is_dimensionless:
        times = to_si(times, second.dim, "times")
    times = np.array(times, dtype=float).reshape(-1)
    if not np.all(np.isfinite(times)) or np.any(times < 0):
        raise ValueError("spike times must be finite and not negative")
    return times


def _indices(indices, size: int, what: str) -> np.ndarray:
    given = np.asarray(indices).reshape(-1)
    result = given.astype(np.int64)
    if np.any(result != given):
        raise TypeError(f"{what} must be whole numbers")
    if len(result) and (result.min() < 0 or result.max() >= size):
        raise ValueError(f"{what} must lie in 0..{size - 1}")
    return result


def _targets(targets, n_trials: int) -> np.ndarray | None:
    if targets is None:
        return None
    targets = np.array(targets)
    if targets.ndim == 0 or len(targets) != n_trials:
        raise ValueError(f"targets must have one entry per trial ({n_trials}): {targets.shape}")
    return targets


def _pointers(counts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
