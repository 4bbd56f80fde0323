"""The Yin-Yang task of Kriener, Göltz and Petrovici (2022): is a point in yin, in yang or in a dot?

Points are drawn uniformly from the disc, class by class, with the random numbers of the published
data set, so the splits are the ones that the literature reports on.
"""

from __future__ import annotations

import numpy as np
from brian2 import ms, second

from brian_eventprop._units import to_seconds
from brian_eventprop.data.spikes import SpikeData

__all__ = ["encode_points", "yin_yang"]

#: Published seed and size of each split.
SPLITS = {"train": (42, 5000), "validation": (41, 1000), "test": (40, 1000)}


def yin_yang(
    split: str = "train",
    *,
    size: int | None = None,
    seed: int | None = None,
    t_early=0 * ms,
    t_late=30 * ms,
    bias: bool = True,
    r_small: float = 0.1,
    r_big: float = 0.5,
) -> SpikeData:
    """Return a split of the Yin-Yang data set with each coordinate as the time of one spike.

    The channels are x, y, 1 - x, 1 - y and (with ``bias``) one that always spikes at ``t_early``.
    The labels are 0 (yang), 1 (yin) and 2 (a dot).

    Parameters
    ----------
    split : {'train', 'validation', 'test'}
        5000, 1000 and 1000 points of the published seeds.
    size, seed : int, optional
        Another number of points, another seed.
    t_early, t_late : quantity
        Spike times of the coordinates 0 and 1.
    bias : bool
        Whether there is a fifth channel.
    r_small, r_big : float
        Radius of the dots and of the whole sign.

    Examples
    --------
    >>> data = yin_yang("test")
    >>> data
    SpikeData(1000 trials, 5 channels, 5000 spikes)
    >>> data.targets[:5]
    array([2, 2, 1, 1, 1])
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    published_seed, published_size = SPLITS[split]
    size = published_size if size is None else size
    points, labels = sample_points(size, published_seed if seed is None else seed, r_small, r_big)
    return encode_points(points, labels, t_early=t_early, t_late=t_late, bias=bias)


def encode_points(
    points, labels=None, *, t_early=0 * ms, t_late=30 * ms, bias: bool = True
) -> SpikeData:
    """Return points (size, 2) as spikes, one per channel, as `yin_yang` does.

    Examples
    --------
    >>> encode_points([[0.0, 0.5]], bias=False).times
    array([0.   , 0.015, 0.015, 0.03 ])
    """
    early, late = to_seconds(t_early, "t_early"), to_seconds(t_late, "t_late")
    if not 0 <= early < late:
        raise ValueError("t_early must not be negative and t_late must be later")
    points = np.asarray(points, dtype=float)
    values = np.hstack([points, 1 - points, np.zeros((len(points), 1))])
    values = values if bias else values[:, :4]
    size, n_channels = values.shape
    return SpikeData(
        times=(early + (late - early) * values).ravel() * second,
        channels=np.tile(np.arange(n_channels), size),
        trials=np.repeat(np.arange(size), n_channels),
        n_trials=size,
        n_channels=n_channels,
        targets=labels,
    )


def sample_points(size: int, seed: int, r_small: float = 0.1, r_big: float = 0.5):
    """Return points (size, 2) and labels (size,) in the published order of random numbers."""
    random = np.random.RandomState(seed)
    points, labels = np.empty((size, 2)), np.empty(size, dtype=np.int64)
    for k in range(size):
        labels[k] = random.randint(3)
        while True:
            points[k] = 2 * r_big * random.rand(2)
            inside = np.hypot(*(points[k] - r_big)) <= r_big
            if inside and classify(*points[k], r_small=r_small, r_big=r_big) == labels[k]:
                break
    return points, labels


def classify(x, y, r_small: float = 0.1, r_big: float = 0.5):
    """Return the class of points of the disc: 0 yang, 1 yin, 2 dot.

    Examples
    --------
    >>> [int(classify(x, 0.5)) for x in (0.25, 0.45, 0.75)]
    [2, 1, 2]
    """
    left, right = np.hypot(x - r_big / 2, y - r_big), np.hypot(x - 1.5 * r_big, y - r_big)
    dot = (left < r_small) | (right < r_small)
    # The upper half without the right lobe, and the left lobe.
    yin = (left <= r_big / 2) | ((y > r_big) & (right > r_big / 2))
    return np.where(dot, 2, yin.astype(int))
