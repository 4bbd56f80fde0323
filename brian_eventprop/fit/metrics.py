"""How far spikes are from the recorded ones: coincidences and distances, for every start."""

from __future__ import annotations

import numpy as np

from brian_eventprop._units import to_seconds


def gamma_factor(spikes, recorded, delta, duration) -> float:
    """Return the coincidence factor of two spike trains (Jolivet et al. 2008).

    Parameters
    ----------
    spikes, recorded : Quantity
        Times of the model's spikes and of the recorded ones.
    delta : Quantity
        Spikes not farther apart than this coincide.
    duration : Quantity
        Of the recording.

    Returns
    -------
    float
        1 if every spike has its partner, 0 if there are as many coincidences as a Poisson process
        of the recorded rate would have; NaN without recorded spikes.

    Examples
    --------
    >>> from brian2 import ms
    >>> round(gamma_factor([10, 51]*ms, [10, 50]*ms, delta=2*ms, duration=100*ms), 3)
    1.0
    >>> round(gamma_factor([10, 80]*ms, [10, 50]*ms, delta=2*ms, duration=100*ms), 3)
    0.457
    """
    ours, theirs = (np.sort(np.asarray(train, dtype=float)) for train in (spikes, recorded))
    delta, duration = to_seconds(delta, "delta"), to_seconds(duration, "duration")
    return _gamma(ours, theirs, delta, duration)


def _gamma(ours: np.ndarray, theirs: np.ndarray, delta: float, duration: float) -> float:
    if not len(theirs):
        return float("nan")
    rate = len(theirs) / duration
    chance = 2 * rate * delta * len(theirs)
    norm = 0.5 * (1 - 2 * rate * delta) * (len(ours) + len(theirs))
    return float((_coincidences(ours, theirs, delta) - chance) / norm)


def _coincidences(ours: np.ndarray, theirs: np.ndarray, delta: float) -> int:
    """Count pairs of spikes; each spike is part of one pair at most."""
    count, k = 0, 0
    for time in theirs:
        while k < len(ours) and ours[k] < time - delta * (1 + 1e-9):
            k += 1
        if k < len(ours) and ours[k] <= time + delta * (1 + 1e-9):
            count, k = count + 1, k + 1
    return count


def gamma_factors(times: np.ndarray, recorded: np.ndarray, delta: float, duration: float):
    """Return the mean coincidence factor of every start over its recordings that have spikes.

    Parameters
    ----------
    times : array (n_recordings, n_starts, most)
        Infinite where there is no spike.
    recorded : array (n_recordings, most)
        As well.
    delta, duration
        In seconds.

    Returns
    -------
    array (n_starts,)
    """
    target = [train[np.isfinite(train)] for train in recorded]
    some = [b for b, train in enumerate(target) if len(train)]
    rows = [
        [_gamma(own[np.isfinite(own)], target[b], delta, duration) for own in times[b]]
        for b in some
    ]
    return np.mean(rows, axis=0) if rows else np.full(times.shape[1], np.nan)
