"""Ragged spike trains of many trials: the form in which data enters a model.

`SpikeData` keeps every spike once, sorted by trial, time and channel, with the row pointers of the
trials beside it (the layout of a CSR matrix), so that a mini-batch is a few NumPy slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from brian2 import second, us

from brian_eventprop._checks import mapping, whole_number
from brian_eventprop._units import to_seconds
from brian_eventprop.data.events import joined_events
from brian_eventprop.data.spike_checks import (
    given_duration,
    given_extra,
    given_indices,
    given_times,
    given_traces,
)
from brian_eventprop.data.spike_files import read_spikes, write_spikes

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
    targets : array (n_trials, ...) or `SpikeData`, optional
        What a loss compares with: class labels, target times, target spike trains (one trial each;
        nested lists of different lengths, ``targets[b][c]``, are taken as such).
    duration : quantity, optional
        Length of a trial, if the data knows it.
    extra : dict, optional
        What else is known of every trial, ``{"speaker": array (n_trials,)}``.
    traces : dict, optional
        Continuous input: values of the `TimedArray` objects of a network by their name in its
        equations, ``{"I_ext": array (n_trials, cells, columns) * nA}``, and for each
        `PoissonInput` its numbers of spikes, ``{noise: array (n_trials, steps, neurons)}``.

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

    def __init__(
        self,
        times,
        channels,
        trials,
        n_trials,
        n_channels,
        targets=None,
        duration=None,
        extra: Mapping | None = None,
        traces: Mapping | None = None,
    ):
        n_trials = whole_number(n_trials, "n_trials")
        n_channels = whole_number(n_channels, "n_channels")
        self.times = given_times(times)
        self.channels = given_indices(channels, n_channels, "channels")
        trials = given_indices(trials, n_trials, "trials")
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
        self.duration = given_duration(duration)
        self.extra = given_extra(extra, n_trials)
        self.traces = given_traces(traces, n_trials)

    @classmethod
    def _from_sorted(
        cls, times, channels, trial_ptr, n_channels, targets=None, duration=None, extra=None,
        traces=None,
    ) -> SpikeData:  # fmt: skip
        # For arrays that were checked and sorted already: they are kept, not copied.
        data = object.__new__(cls)
        data.times, data.channels, data.trial_ptr = times, channels, trial_ptr
        data.n_channels, data.duration = int(n_channels), given_duration(duration)
        data.targets = _targets(targets, len(trial_ptr) - 1)
        data.extra = given_extra(extra, len(trial_ptr) - 1)
        data.traces = given_traces(traces, len(trial_ptr) - 1)
        return data

    @classmethod
    def from_traces(cls, traces: Mapping, targets=None, extra=None) -> SpikeData:
        """Build from continuous input only, for networks without input spikes.

        Examples
        --------
        >>> import numpy as np
        >>> SpikeData.from_traces({"I_ext": np.zeros((5, 20, 3))}, targets=[0, 1, 0, 1, 1])
        SpikeData(5 trials, 0 channels, 0 spikes, traces I_ext)
        """
        traces = mapping(traces, "traces", "{'I_ext': array}")
        sizes = {len(values) for values in traces.values()}
        if len(sizes) != 1:
            raise ValueError(
                f"the traces have different numbers of trials: {sorted(sizes) or 'there are none'}"
            )
        return cls([], [], [], sizes.pop(), 0, targets, None, extra, traces)

    @classmethod
    def from_lists(cls, trials: Sequence, targets=None, duration=None) -> SpikeData:
        """Build from nested lists: ``trials[b][c]`` holds the spike times of channel c in trial b.

        Examples
        --------
        >>> SpikeData.from_lists([[[0.001, 0.004], []], [[], [0.002]]])
        SpikeData(2 trials, 2 channels, 3 spikes)
        """
        try:
            sizes = {len(channels) for channels in trials}
        except TypeError:
            raise TypeError(
                "from_lists takes the spike times of each channel of each trial, trials[b][c] = "
                f"[0.001, 0.004], not {repr(trials)[:60]}"
            ) from None
        if len(sizes) > 1:
            raise ValueError(f"every trial needs the same number of channels, got {sorted(sizes)}")
        n_channels = sizes.pop() if sizes else 0
        trains = [given_times(train) for channels in trials for train in channels]
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

    @staticmethod
    def from_events(
        samples, sensor_size=None, targets=None, *, unit=us, duration=None
    ) -> SpikeData:
        """Build from the events of each trial, structured arrays as tonic has them.

        Parameters
        ----------
        samples : sequence of array
            One structured array per trial with the fields ``t`` and ``x``, and ``y`` and ``p``.
        sensor_size : int or tuple of int
            (width, height, polarities), as a tonic dataset has it, or the number of channels.  The
            channel of an event is ``(p*height + y)*width + x``, its place in a flattened frame;
            where there is one polarity only, ``p`` says nothing.
        targets, duration
            As for `SpikeData`.
        unit : Quantity
            Of ``t``; that of tonic is the microsecond.

        Examples
        --------
        >>> import numpy as np
        >>> fields = [("t", int), ("x", int), ("p", int)]
        >>> events = np.array([(1000, 3, 1), (2500, 0, 1)], dtype=fields)
        >>> data = SpikeData.from_events([events], (4, 1, 1), targets=[2])
        >>> data, data.times, data.channels
        (SpikeData(1 trials, 4 channels, 2 spikes), array([0.001 , 0.0025]), array([3, 0]))
        """
        joined = joined_events(samples, sensor_size, to_seconds(unit, "unit"))
        return SpikeData(*joined, targets=targets, duration=duration)

    def padded(self) -> np.ndarray:
        """Return the times as an array (trials, channels, K), K the most spikes of a channel.

        Where a channel has fewer spikes, the rest is infinite.

        Examples
        --------
        >>> SpikeData.from_lists([[[0.001, 0.004], []], [[], [0.002]]]).padded()
        array([[[0.001, 0.004],
                [  inf,   inf]],
        <BLANKLINE>
               [[  inf,   inf],
                [0.002,   inf]]])
        """
        trials = self.trials
        rank = occurrence(trials * self.n_channels + self.channels)
        shape = (self.n_trials, self.n_channels, int(rank.max(initial=-1)) + 1)
        result = np.full(shape, np.inf)
        result[trials, self.channels, rank] = self.times
        return result

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
            f"{len(self.times)} spikes{''.join(f', traces {name}' for name in self.traces)})"
        )

    def __getitem__(self, index) -> SpikeData:
        """Return the chosen trials, in that order: an index, a slice, a mask or an index array."""
        if not isinstance(index, slice) and np.size(index) == 0:
            index = np.empty(0, dtype=np.intp)
        rows = np.atleast_1d(np.arange(self.n_trials)[index])
        first, counts = self.trial_ptr[rows], np.diff(self.trial_ptr)[rows]
        pointers = _pointers(counts)
        spikes = np.arange(pointers[-1]) + np.repeat(first - pointers[:-1], counts)
        return SpikeData._from_sorted(
            self.times[spikes],
            self.channels[spikes],
            pointers,
            self.n_channels,
            None if self.targets is None else self.targets[rows],
            self.duration,
            {name: column[rows] for name, column in self.extra.items()},
            {name: values[rows] for name, values in self.traces.items()},
        )

    def with_spikes(self, times, channels, trials) -> SpikeData:
        """Return the same trials with other spikes, given in any order."""
        order = np.lexsort((channels, times, trials))
        return self._with_sorted(times[order], channels[order], trials[order])

    def _with_sorted(self, times, channels, trials, n_channels=None, duration=None) -> SpikeData:
        # The same for spikes that are sorted by trial, time and channel.
        return SpikeData._from_sorted(
            times,
            channels,
            _pointers(np.bincount(trials, minlength=self.n_trials)),
            self.n_channels if n_channels is None else n_channels,
            self.targets,
            self.duration if duration is None else duration,
            self.extra,
            self.traces,
        )

    # ---- other forms of the same data ------------------------------------------------------

    def on_grid(self, dt) -> SpikeData:
        """Return the data on a time grid, with at most one spike per step, channel and trial.

        Spikes of one channel that fall into the same step become one: a `SpikeGeneratorGroup`
        cannot spike twice in a step.  A spike belongs to the step that has begun, as in Brian2.

        Examples
        --------
        >>> data = SpikeData([0.0011, 0.0019, 0.0019], [0, 0, 1], [0, 0, 0], 1, 2)
        >>> from brian2 import ms
        >>> data.on_grid(1*ms)
        SpikeData(1 trials, 2 channels, 2 spikes)
        """
        dt = to_seconds(dt, "dt")
        if not dt > 0:
            raise ValueError("dt must be positive")
        steps = np.floor((self.times + 1e-3 * dt) / dt).astype(np.int64)
        n_steps = int(steps.max(initial=0)) + 1
        # Nearly sorted already, so that a sort is far quicker than np.unique.
        cells = np.sort((self.trials * n_steps + steps) * self.n_channels + self.channels)
        cells = cells[np.diff(cells, prepend=-1) > 0]
        rows, channels = np.divmod(cells, max(self.n_channels, 1))
        trials, steps = np.divmod(rows, n_steps)
        return self._with_sorted(steps * dt, channels, trials)

    def pooled(self, factor: int) -> SpikeData:
        """Return the data with every `factor` neighbouring channels joined into one.

        Examples
        --------
        >>> SpikeData([0.001, 0.002], [3, 6], [0, 0], 1, 7).pooled(2).channels
        array([1, 3])
        """
        factor = whole_number(factor, "factor", least=1)
        channels, n_channels = self.channels // factor, -(-self.n_channels // factor)
        return self._with_sorted(self.times, channels, self.trials, n_channels)

    def until(self, duration) -> SpikeData:
        """Return trials of this duration, without the spikes that come later.

        Examples
        --------
        >>> from brian2 import ms
        >>> SpikeData([0.001, 0.002], [0, 0], [0, 0], 1, 1).until(2*ms).times
        array([0.001])
        """
        duration = given_duration(duration)
        early = self.times < float(duration)
        times, channels = self.times[early], self.channels[early]
        return self._with_sorted(times, channels, self.trials[early], duration=duration)

    # ---- files -----------------------------------------------------------------------------

    def save(self, path) -> None:
        """Write everything to an HDF5 file in the layout of the Spiking Heidelberg Digits.

        The file is replaced only when the new one is complete.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     SpikeData([0.001], [1], [0], 1, 2, targets=[3]).save(folder + "/spikes.h5")
        ...     SpikeData.load(folder + "/spikes.h5").targets
        array([3])
        """
        write_spikes(self, path)

    @staticmethod
    def load(path, n_channels: int | None = None) -> SpikeData:
        """Read a file that `save` wrote, or any other in the layout of SHD.

        Parameters
        ----------
        path : path-like
            The file.
        n_channels : int, optional
            For files that do not say it themselves.

        Raises
        ------
        ValueError
            If the file is cut off, damaged or in another layout; the message says where.
        """
        return read_spikes(path, n_channels, SpikeData._from_sorted)


def occurrence(labels: np.ndarray) -> np.ndarray:
    """Return how many equal labels come before each one.

    Examples
    --------
    >>> occurrence(np.array([4, 2, 4, 4, 2]))
    array([0, 0, 1, 2, 1])
    """
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    begins = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    sizes = np.diff(np.append(begins, len(labels)))
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - np.repeat(begins, sizes)[: len(labels)]
    return ranks


def _targets(targets, n_trials: int) -> np.ndarray | SpikeData | None:
    if targets is None:
        return None
    if not isinstance(targets, SpikeData):
        try:
            targets = np.array(targets)
        except ValueError:  # lists of different lengths: spike trains
            targets = SpikeData.from_lists(targets)
    shape = targets.shape if isinstance(targets, np.ndarray) else (len(targets),)
    if shape[:1] != (n_trials,):
        raise ValueError(f"targets must have one entry per trial ({n_trials}): {shape}")
    return targets


def _pointers(counts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
