"""Losses on spike trains: derivatives, values against plain formulas, every form of targets."""

import numpy as np
import pytest
from brian2 import DimensionMismatchError, NeuronGroup, ms, mV
from helpers.losses import check_derivatives

from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.losses import (
    CrossEntropy,
    MeanSquaredError,
    SpikeTrainError,
    Sum,
    VanRossum,
)
from brian_eventprop.readouts import SpikeTimes

B, N, TAU = 5, 3, 4e-3
INF = np.inf


@pytest.fixture
def group():
    return NeuronGroup(N, "v : 1", threshold="v > 1", reset="v = 0")


def trains(seed, most=5):
    """Nested lists of spike times, with silent neurons and a silent trial."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, most + 1, (B, N))
    numbers[0, 0], numbers[1, 1], numbers[2] = 0, most, 0
    return [[np.sort(random.uniform(0, 0.03, n)) for n in row] for row in numbers]


def padded(nested):
    return SpikeData.from_lists(nested).padded()


def losses_of(group):
    return [
        VanRossum(group, TAU * 1e3 * ms),
        SpikeTrainError(group, 2 * ms),
        SpikeTrainError(group, 2 * ms, penalty=0),
    ]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("fired, due", [(1, 2), (3, 3), (4, None), (None, 5)])
def test_derivatives(group, number, fired, due):
    silent = [[[]] * N] * B
    values = padded(silent if fired is None else trains(fired))
    targets = silent if due is None else trains(due, most=3)
    check_derivatives(losses_of(group)[number], (values,), targets)


def test_van_rossum_is_the_integral_of_the_filtered_difference(group):
    fired, due = trains(1), trains(2)
    losses, _ = VanRossum(group, 4 * ms)((padded(fired),), due)
    for b in range(B):
        total = 0.0
        for mine, other in zip(fired[b], due[b], strict=True):
            s = np.r_[np.ones(len(mine)), -np.ones(len(other))]
            t = np.r_[mine, other]
            total += 0.5 * s @ np.exp(-np.abs(t[:, None] - t) / TAU) @ s
        assert losses[b] == pytest.approx(total, rel=1e-12)
    t = np.arange(0, 0.1, 2e-6)[:, None]
    f = np.sum(np.where(t >= fired[1][1], np.exp(-(t - fired[1][1]) / TAU), 0), axis=1)
    alone, _ = VanRossum(group[1:2], 4 * ms)((padded([[fired[1][1]]]),), [[[]]])
    assert alone[0] == pytest.approx(np.sum(f**2) * 2e-6 / TAU, rel=2e-3)


def test_normalisation_of_van_rossum(group):
    one, none = np.array([[[0.01]]]), np.empty((1, 1, 0))
    loss = VanRossum(group[:1], 1 * ms)
    assert loss((one,), [[[]]])[0] == pytest.approx(0.5)
    assert loss((none,), [[[0.01]]])[0] == pytest.approx(0.5)
    assert loss((one,), [[[0.5]]])[0] == pytest.approx(1)
    assert loss((none,), [[[]]])[0] == 0


def test_equal_trains_cost_nothing_and_pull_nowhere(group):
    fired = padded(trains(1))
    off = fired * (1 + 1e-16)  # the last digit differs
    losses, (slope,) = VanRossum(group, 4 * ms)((fired,), off)
    assert losses == pytest.approx(np.zeros(B), abs=1e-14)
    assert np.abs(slope).max() < 1e-9 / TAU
    losses, (slope,) = SpikeTrainError(group, 4 * ms)((fired,), fired)
    assert np.all(losses == 0) and np.all(slope == 0)


def test_spike_train_error_by_hand(group):
    values = padded([[[0.010, 0.020, 0.030], [], [0.005]]])
    targets = [[[0.012, 0.019], [0.007], [0.005]]]
    losses, (slope,) = SpikeTrainError(group, 1 * ms)((values,), targets)
    assert losses == pytest.approx((4 + 1 + 1 + 1) / 4)
    np.testing.assert_allclose(slope[0, 0], [-1000, 500, 0])
    ignored, _ = SpikeTrainError(group, 1 * ms, penalty=0)((values,), targets)
    assert ignored == pytest.approx(5 / 4)


def test_forms_of_targets(group):
    fired, due = (padded(trains(1)),), trains(2)
    data = SpikeData.from_lists(due)
    array = padded(due)
    objects = np.empty((B, N), object)
    for b in range(B):
        for j in range(N):
            objects[b, j] = list(due[b][j])
    forms = [data, array, np.where(np.isinf(array), np.nan, array)[:, :, ::-1], objects]
    forms += [array * 1e3 * ms, [[train * 1e3 * ms for train in row] for row in due]]
    for loss in losses_of(group):
        expected, (slope,) = loss(fired, due)
        for form in forms:
            losses, (other,) = loss(fired, form)
            np.testing.assert_allclose(losses, expected, rtol=1e-12)
            np.testing.assert_allclose(other, slope, rtol=1e-12)
    first = np.where(np.isinf(array[:, :, :1]), INF, array[:, :, :1])
    loss = VanRossum(group, 4 * ms)
    np.testing.assert_array_equal(loss(fired, first[:, :, 0])[0], loss(fired, first)[0])


def test_one_target_for_all_trials(group):
    fired, due = (padded(trains(1)),), trains(2)[1]
    repeated = VanRossum(group, 4 * ms)(fired, [due] * B)
    in_units = [train * 1e3 * ms for train in due]
    for target in (due, in_units, SpikeData.from_lists([due])):
        losses, (slope,) = VanRossum(group, 4 * ms, target=target)(fired, None)
        np.testing.assert_allclose(losses, repeated[0], rtol=1e-12)
        np.testing.assert_allclose(slope, repeated[1][0], rtol=1e-12)


def test_trains_are_targets_of_data():
    due = trains(2)
    for targets in (due, SpikeData.from_lists(due)):
        data = SpikeData.from_lists(trains(1), targets=targets)
        chosen = data[[3, 1]].targets
        assert isinstance(chosen, SpikeData)
        np.testing.assert_array_equal(chosen.padded(), padded([due[3], due[1]]))
        assert len(data[2].targets) == 1
    with pytest.raises(ValueError, match="one entry per trial"):
        SpikeData.from_lists(trains(1), targets=SpikeData.from_lists(due[:2]))


def test_wrong_targets(group):
    fired, due = (padded(trains(1)),), trains(2)
    for loss in losses_of(group):
        with pytest.raises(ValueError, match="needs targets"):
            loss(fired)
        with pytest.raises(ValueError, match="5 trials of 3 neurons"):
            loss(fired, due[:1])
        with pytest.raises(ValueError, match="5 trials of 3 neurons"):
            loss(fired, [row[:2] for row in due])
        with pytest.raises(ValueError, match="nested lists"):
            loss(fired, np.zeros(B))
        with pytest.raises(DimensionMismatchError, match="targets"):
            loss(fired, np.zeros((B, N, 1)) * mV)
    with pytest.raises(ValueError, match="one trial for all"):
        VanRossum(group, 1 * ms, target=SpikeData.from_lists(due))
    with pytest.raises(ValueError, match="tau"):
        VanRossum(group, 0 * ms)
    with pytest.raises(DimensionMismatchError, match="scale"):
        SpikeTrainError(group, 1)
    with pytest.raises(ValueError, match="penalty"):
        SpikeTrainError(group, 1 * ms, penalty=-1)


def test_each_spike_in_other_losses(group):
    each = SpikeTimes(group, which="each")
    for loss in (CrossEntropy, MeanSquaredError):
        with pytest.raises(ValueError, match="VanRossum"):
            loss(each)
    check_derivatives(Sum(each), (padded(trains(1)),), None)
