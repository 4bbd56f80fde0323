"""Sequence detection: two inputs spike one after the other; which came first?

The smallest task that delays alone can solve (Mészáros, Knight and Nowotny 2025): with all weights
equal, an output tells the order only if its delays bring the two spikes together.
"""

from __future__ import annotations

import numpy as np
from brian2 import ms, second

from brian_eventprop._units import to_seconds
from brian_eventprop.data.spikes import SpikeData

__all__ = ["sequence_detection"]


def sequence_detection(
    repeats: int = 1, *, t_first=0 * ms, interval=10 * ms, jitter=0 * ms, seed: int = 0
) -> SpikeData:
    """Return trials in which input 0 leads (label 0) or input 1 leads (label 1), in turn.

    Parameters
    ----------
    repeats : int
        How often each of the two sequences occurs.
    t_first, interval : quantity
        Time of the leading spike, and how much later the other one comes.
    jitter : quantity
        Each spike is moved by a uniform random time of up to this, later.
    seed : int
        Of the jitter.

    Examples
    --------
    >>> data = sequence_detection()
    >>> data.channels, data.times, data.targets
    (array([0, 1, 1, 0]), array([0.  , 0.01, 0.  , 0.01]), array([0, 1]))
    """
    first, gap = to_seconds(t_first, "t_first"), to_seconds(interval, "interval")
    spread = to_seconds(jitter, "jitter")
    labels = np.tile([0, 1], repeats)
    channels = np.column_stack([labels, 1 - labels])
    times = first + np.tile([0.0, gap], (len(labels), 1))
    times = times + spread * np.random.default_rng(seed).random(times.shape)
    return SpikeData(
        times=times.ravel() * second,
        channels=channels.ravel(),
        trials=np.repeat(np.arange(len(labels)), 2),
        n_trials=len(labels),
        n_channels=2,
        targets=labels,
    )
