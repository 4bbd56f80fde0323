"""Ragged spike data: order, selection, and the ways to build it."""

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, mV, second

from brian_eventprop.data.spikes import SpikeData


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    trials = random.integers(0, 9, 200)
    trials[trials == 4] = 3  # one empty trial
    times = random.integers(0, 20, 200) * 1e-3
    return SpikeData(times, random.integers(0, 5, 200), trials, 9, 5, targets=np.arange(9))


def test_sorted_by_trial_time_and_channel(data):
    rows = list(zip(data.trials, data.times, data.channels, strict=True))
    assert rows == sorted(rows)
    assert np.all(np.diff(data.trial_ptr) == np.bincount(data.trials, minlength=9))
    assert data.trial_ptr[4] == data.trial_ptr[5]


@pytest.mark.parametrize(
    "index",
    [[3, 1, 1, 4], slice(2, 8, 2), np.arange(9) % 2 == 0, 5, -1, [], np.array([8, 0])],
)
def test_selection(data, index):
    part = data[index]
    chosen = np.atleast_1d(np.arange(9)[index]) if np.size(index) else []
    assert len(part) == len(chosen)
    np.testing.assert_array_equal(part.targets, chosen)
    for row, trial in enumerate(chosen):
        for name in ("times", "channels"):
            np.testing.assert_array_equal(
                getattr(part, name)[part.trials == row], getattr(data, name)[data.trials == trial]
            )


def test_selection_out_of_range(data):
    with pytest.raises(IndexError):
        data[9]


def test_iteration_ends(data):
    assert sum(len(trial.times) for trial in data) == len(data.times)


def test_from_lists():
    data = SpikeData.from_lists([[[0.003, 0.001], []], [[], [0.002]]], targets=[1, 0])
    np.testing.assert_array_equal(data.times, [0.001, 0.003, 0.002])
    np.testing.assert_array_equal(data.channels, [0, 0, 1])
    np.testing.assert_array_equal(data.trial_ptr, [0, 2, 3])
    with pytest.raises(ValueError, match="same number of channels"):
        SpikeData.from_lists([[[]], [[], []]])


def test_from_lists_with_units():
    data = SpikeData.from_lists([[[1, 3] * ms, [] * ms, [2 * ms]]], duration=10 * ms)
    np.testing.assert_allclose(data.times, [0.001, 0.002, 0.003])
    assert data.duration == 10 * ms


def test_from_raster():
    random = np.random.default_rng(1)
    raster = random.integers(0, 3, (4, 6, 2))
    data = SpikeData.from_raster(raster, 1 * ms)
    counts = np.zeros_like(raster)
    np.add.at(counts, (data.trials, np.rint(data.times / 1e-3).astype(int), data.channels), 1)
    np.testing.assert_array_equal(counts, raster)
    assert data.duration == 6 * ms
    with pytest.raises(ValueError, match="whole numbers"):
        SpikeData.from_raster(raster * 0.5, 1 * ms)


def test_no_spikes_at_all():
    data = SpikeData([], [], [], 3, 2)
    assert len(data) == 3
    assert len(data[[0, 2]].times) == 0


def test_times_with_units():
    assert SpikeData([1, 2] * ms, [0, 0], [0, 0], 1, 1).times == pytest.approx([0.001, 0.002])
    with pytest.raises(DimensionMismatchError, match="times"):
        SpikeData([1, 2] * mV, [0, 0], [0, 0], 1, 1)
    with pytest.raises(DimensionMismatchError, match="duration"):
        SpikeData([] * second, [], [], 1, 1, duration=3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0.1], [2], [0], 1, 2), "channels must lie in 0..1"),
        (([0.1], [0], [1], 1, 2), "trials must lie in 0..0"),
        (([-0.1], [0], [0], 1, 2), "not negative"),
        (([np.nan], [0], [0], 1, 2), "finite"),
        (([0.1, 0.2], [0], [0], 1, 2), "one entry per spike"),
        (([0.1], [0], [0], 1, 2, [1, 2]), "one entry per trial"),
    ],
)
def test_wrong_data(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpikeData(*arguments)


def test_channels_are_whole_numbers():
    with pytest.raises(TypeError, match="whole"):
        SpikeData([0.1], [0.5], [0], 1, 2)


def test_other_forms_stay_sorted():
    random = np.random.default_rng(3)
    times, channels, trials = (random.integers(0, high, 400) for high in (50, 13, 5))
    data = SpikeData(times * 1e-3, channels, trials, 6, 13, targets=np.arange(6))
    for other in (data.pooled(4), data.until(30 * ms), data.on_grid(3 * ms)):
        spikes = other.times, other.channels, other.trials
        again = SpikeData(*spikes, 6, other.n_channels)
        for mine, wanted in zip(spikes, (again.times, again.channels, again.trials), strict=True):
            np.testing.assert_array_equal(mine, wanted)
        np.testing.assert_array_equal(other.targets, np.arange(6))
    cells = {(b, t // 3, c) for b, t, c in zip(trials, times, channels, strict=True)}
    grid = data.on_grid(3 * ms)
    steps = np.rint(grid.times / 3e-3).astype(int)
    assert set(zip(grid.trials, steps, grid.channels, strict=True)) == cells
    assert len(grid.times) == len(cells)
