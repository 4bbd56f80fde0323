"""The data sets: published samples, rules and encodings."""

import numpy as np
import pytest
from brian2 import ms

from brian_eventprop.datasets import sequence_detection, yin_yang
from brian_eventprop.datasets.yin_yang import classify, sample_points


def test_splits_have_the_published_sizes_and_differ():
    splits = {name: yin_yang(name) for name in ("train", "validation", "test")}
    assert [len(data) for data in splits.values()] == [5000, 1000, 1000]
    firsts = {tuple(data.times[:5]) for data in splits.values()}
    assert len(firsts) == 3
    for data in splits.values():
        assert np.all(np.abs(np.bincount(data.targets) / len(data) - 1 / 3) < 0.05)


def test_the_published_order_of_random_numbers():
    # Class first, then points until one has it.
    random = np.random.RandomState(40)
    label = random.randint(3)
    while True:
        point = random.rand(2)
        if np.hypot(*(point - 0.5)) <= 0.5 and classify(*point) == label:
            break
    points, labels = sample_points(3, 40)
    assert labels[0] == label
    np.testing.assert_array_equal(points[0], point)


def test_yin_and_yang_are_each_others_half_turn():
    random = np.random.default_rng(0)
    points = random.random((2000, 2))
    points = points[np.hypot(*(points - 0.5).T) < 0.5]
    here, there = classify(*points.T), classify(*(1 - points).T)
    np.testing.assert_array_equal(here == 2, there == 2)
    np.testing.assert_array_equal(here[here != 2], 1 - there[there != 2])


def test_each_channel_spikes_once_in_the_window():
    data = yin_yang("test", size=20, t_early=2 * ms, t_late=12 * ms)
    assert np.all(np.diff(data.trial_ptr) == 5)
    by_channel = np.empty((20, 5))
    by_channel[data.trials, data.channels] = data.times
    assert by_channel.min() >= 2e-3 and by_channel.max() <= 12e-3
    np.testing.assert_allclose(by_channel[:, :2] + by_channel[:, 2:4], 14e-3)
    np.testing.assert_allclose(by_channel[:, 4], 2e-3)
    assert yin_yang("test", size=3, bias=False).n_channels == 4


def test_same_seed_same_points():
    one, other = yin_yang(size=50, seed=7), yin_yang(size=50, seed=7)
    np.testing.assert_array_equal(one.times, other.times)
    assert not np.array_equal(one.times, yin_yang(size=50, seed=8).times)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="split"):
        yin_yang("tset")
    with pytest.raises(ValueError, match="t_late"):
        yin_yang(t_early=5 * ms, t_late=5 * ms)


def test_sequences():
    data = sequence_detection(3, t_first=1 * ms, interval=5 * ms)
    np.testing.assert_array_equal(data.targets, [0, 1] * 3)
    for trial, label in enumerate(data.targets):
        part = data[trial]
        np.testing.assert_array_equal(part.channels, [label, 1 - label])
        np.testing.assert_allclose(part.times, [1e-3, 6e-3])


def test_jitter_is_seeded():
    one, other, third = (sequence_detection(5, jitter=2 * ms, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.times, other.times)
    assert not np.array_equal(one.times, third.times)
    assert np.all(one.times <= 12e-3)
