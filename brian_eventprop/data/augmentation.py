"""Variations of training trials, made anew for every batch: shifted channels, blends of two trials.

An augmentation is a function ``f(batch, random, data)``: it gets the trials of one batch, a
`numpy.random.Generator`, and all training data, and returns the trials to train on instead.
`Trainer.fit` takes one or several; the generator depends on the seed, the epoch and the number of
the batch only, so that a resumed training sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from brian_eventprop._checks import number, whole_number
from brian_eventprop.data.spikes import SpikeData

__all__ = ["Blend", "ChannelShift"]


class ChannelShift:
    """Move all spikes of a trial up or down by the same number of channels.

    What leaves the range of channels is dropped.

    Parameters
    ----------
    most : int
        The shift of each trial is drawn from ``-most ... most``.

    Examples
    --------
    >>> data = SpikeData([0.001, 0.002], [3, 9], [0, 0], 1, 10)
    >>> shifted = ChannelShift(5)(data, np.random.default_rng(3), data)
    >>> shifted.channels, shifted.times
    (array([6]), array([0.001]))
    """

    def __init__(self, most: int):
        self.most = whole_number(most, "most")

    def __call__(self, batch: SpikeData, random: np.random.Generator, data=None) -> SpikeData:
        del data
        shifts = random.integers(-self.most, self.most, size=len(batch), endpoint=True)
        trials = batch.trials
        channels = batch.channels + shifts[trials]
        kept = (channels >= 0) & (channels < batch.n_channels)
        return batch.with_spikes(batch.times[kept], channels[kept], trials[kept])

    def __repr__(self) -> str:
        return f"ChannelShift({self.most})"


class Blend:
    """Replace trials by a blend of two trials of one class.

    The partner is any trial of the training data with the same label.  Both are moved so that their
    centres of mass, in time and in channel, meet halfway; then half of the spikes of each are kept,
    by chance.  What leaves the range of channels or of times is put on its border.  (Nowotny,
    Turner & Knight 2025, who add as many blends as there are trials instead of replacing half of
    them: the same mixture, in longer epochs.)

    Parameters
    ----------
    probability : float
        That a trial is replaced.
    keep : float
        Part of the spikes of each of the two that is kept.

    Examples
    --------
    >>> data = SpikeData([0.002, 0.004], [2, 8], [0, 1], 2, 10, targets=[1, 1])
    >>> blend = Blend(probability=1, keep=1)(data[[0]], np.random.default_rng(0), data)
    >>> blend.channels, blend.times
    (array([5, 5]), array([0.003, 0.003]))
    """

    def __init__(self, probability: float = 0.5, keep: float = 0.5):
        self.probability, self.keep = number(probability, "probability"), number(keep, "keep")
        if not (0 <= self.probability <= 1 and 0 < self.keep <= 1):
            raise ValueError("probability must lie in [0, 1] and keep in (0, 1]")

    def __call__(self, batch: SpikeData, random: np.random.Generator, data: SpikeData) -> SpikeData:
        if batch.traces:
            raise ValueError("Blend is for spikes: there is no rule for blending traces")
        blended = np.flatnonzero(random.random(len(batch)) < self.probability)
        partners = _same_label(batch, blended, random, data)
        one, other = batch[blended], data[partners]
        centres = [_centres(part) for part in (one, other)]
        # a trial without spikes has no centre: the other stays where it is
        a, b = (np.where(np.isnan(c), d, c) for c, d in (centres, centres[::-1]))
        middle = (a + b) / 2
        last = _last_time(one, other)
        kept = [
            self._moved(part, middle - centre, last, random)
            for part, centre in zip((one, other), centres, strict=True)
        ]
        times, channels, rows = (np.concatenate(column) for column in zip(*kept, strict=True))
        trials = batch.trials
        untouched = ~np.isin(trials, blended)
        return batch.with_spikes(
            np.concatenate([batch.times[untouched], times]),
            np.concatenate([batch.channels[untouched], channels]),
            np.concatenate([trials[untouched], blended[rows]]),
        )

    def _moved(self, part: SpikeData, shift: np.ndarray, last: np.ndarray, random):
        """The spikes that are kept of one of the two, moved: times, channels, trials."""
        chosen = random.random(len(part.times)) < self.keep
        trials = part.trials[chosen]
        times = part.times[chosen] + shift[0, trials]
        channels = part.channels[chosen] + np.rint(shift[1, trials]).astype(np.int64)
        return np.clip(times, 0, last[trials]), np.clip(channels, 0, part.n_channels - 1), trials

    def __repr__(self) -> str:
        return f"Blend({self.probability}, {self.keep})"


def _same_label(batch, rows, random, data) -> np.ndarray:
    """A random trial of the data with the label of each of these rows of the batch."""
    labels = None if isinstance(batch.targets, SpikeData) else batch.targets
    if labels is None or labels.ndim != 1:
        raise ValueError(
            "Blend needs data with one label per trial: SpikeData(..., targets=labels)"
        )
    order = np.argsort(data.targets, kind="stable")
    known = data.targets[order]
    first = np.searchsorted(known, labels[rows], "left")
    last = np.searchsorted(known, labels[rows], "right")
    return order[random.integers(first, last)] if len(rows) else np.empty(0, np.int64)


def _centres(part: SpikeData) -> np.ndarray:
    """Mean time and mean channel of every trial; NaN where there are no spikes."""
    counts = np.diff(part.trial_ptr)
    sums = [np.bincount(part.trials, column, len(part)) for column in (part.times, part.channels)]
    with np.errstate(invalid="ignore"):
        return np.stack(sums) / counts


def _last_time(one: SpikeData, other: SpikeData) -> np.ndarray:
    """The latest spike of either trial of each pair."""
    last = np.zeros(len(one))
    for part in (one, other):
        np.maximum.at(last, part.trials, part.times)
    return last


def augmented(batches, augment, data, seed: int, epoch: int):
    """Yield the batches of an epoch, each passed through the augmentations."""
    for batch, (part, targets) in enumerate(batches):
        # numbers of one purpose: the order of the trials is drawn from [seed, epoch]
        key = np.random.SeedSequence(seed, spawn_key=(epoch, batch))
        random = np.random.default_rng(key)
        for change in augment:
            part = change(part, random, data)
        yield part, targets if part.targets is None else part.targets


def checked(augment, data) -> tuple:
    """Return augmentations as a tuple after checking that they fit the data."""
    if augment is None:
        return ()
    several = isinstance(augment, Iterable) and not isinstance(augment, str)
    augment = tuple(augment) if several and not callable(augment) else (augment,)
    for change in augment:
        if not callable(change):
            raise TypeError(
                f"an augmentation is a function f(batch, random, data) such as ChannelShift(40), "
                f"not {change!r}"
            )
    if augment and not isinstance(data, SpikeData):
        raise TypeError("augment= is for data of one input group: give one SpikeData")
    return augment
