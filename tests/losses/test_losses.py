"""Every loss: its derivatives against central differences, its value against plain formulas."""

import numpy as np
import pytest
from brian2 import DimensionMismatchError, NeuronGroup, ms, mV, volt
from helpers.losses import check_derivatives

from brian_eventprop.losses import (
    CrossEntropy,
    Loss,
    MeanSquaredError,
    ShiftInvariantFirstSpike,
    Sum,
    TimeToFirstSpike,
)
from brian_eventprop.losses.base import evaluate
from brian_eventprop.readouts import Final, Integral, Maximum, SpikeCount, SpikeTimes

B, N = 6, 3
INF = np.inf


@pytest.fixture
def group():
    return NeuronGroup(N, "v : 1", threshold="v > 1", reset="v = 0")


def first_spikes(seed=0):
    """Spike times of about 10 ms, with every pattern of silence among three neurons."""
    times = np.random.default_rng(seed).uniform(5e-3, 15e-3, (8, N))
    for row, pattern in enumerate(np.ndindex(2, 2, 2)):
        times[row, np.array(pattern, dtype=bool)] = INF
    return times


# ---- derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 100.0, -3.0])
def test_cross_entropy(group, scale):
    values = np.random.default_rng(1).normal(size=(B, N)) / abs(scale)
    check_derivatives(CrossEntropy(Integral(group, "v"), scale), (values,), np.arange(B) % N)


def test_mean_squared_error(group):
    random = np.random.default_rng(2)
    loss = MeanSquaredError(Final(group, "v"), scale=0.5)
    check_derivatives(loss, (random.normal(size=(B, N)),), random.normal(size=(B, N)))


@pytest.mark.parametrize("late", [None, 40 * ms])
def test_mean_squared_error_of_first_spikes(group, late):
    loss = MeanSquaredError(SpikeTimes(group, which="first"), scale=1 * ms, late=late)
    targets = first_spikes(3)[::-1].copy()
    targets[2, 1] = np.nan
    check_derivatives(loss, (first_spikes(),), targets)


def test_sum(group):
    random = np.random.default_rng(4)
    loss = Sum(Integral(group, "v"), SpikeTimes(group, which="first"), SpikeCount(group))
    values = (random.normal(size=(8, N)), first_spikes(), random.integers(0, 9, (8, N)))
    check_derivatives(loss, values, None)


@pytest.mark.parametrize("label", range(N))
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("closeness", [None, "v - 1"])
@pytest.mark.parametrize("late", [None, 20 * ms])
def test_first_spike_losses(group, label, alpha, closeness, late):
    times, labels = first_spikes(), np.full(8, label)
    values = [times]
    values += [] if late is not None else [np.full((8, N), 0.03)]
    values += [] if closeness is None else [np.random.default_rng(5).uniform(-1, -0.1, (8, N))]
    options = dict(late=late, closeness=closeness)
    losses = [
        TimeToFirstSpike(group, 1 * ms, alpha=alpha, tau_alpha=10 * ms, **options),
        ShiftInvariantFirstSpike(group, 2 * ms, **options),
    ]
    for loss in losses:
        assert len(loss.readouts) == len(values)
        # The end of the trial is no variable: its derivative is 0 by definition.
        fixed = loss if late is not None else _with_fixed_end(loss)
        seen = values if late is not None else [values[0], *values[2:]]
        check_derivatives(fixed, seen, labels)


def _with_fixed_end(loss):
    def fixed(values, targets):
        end = np.full_like(values[0], 0.03)
        losses, (first, _, *rest) = loss((values[0], end, *values[1:]), targets)
        return losses, (first, *rest)

    return fixed


def test_weighted_sum(group):
    random = np.random.default_rng(6)
    loss = 2 * CrossEntropy(Final(group, "v")) + 0.1 * Sum(Integral(group, "v"), SpikeCount(group))
    loss = sum([loss, MeanSquaredError(SpikeCount(group), target=2.0)])
    values = tuple(random.normal(size=(B, N)) for _ in loss.readouts)
    assert [readout.kind for readout in loss.readouts] == [
        "final",
        "integral",
        "spike_count",
        "spike_count",
    ]
    check_derivatives(loss, values, np.arange(B) % N)


# ---- values ------------------------------------------------------------------------------------


def test_cross_entropy_is_the_negative_log_of_the_softmax(group):
    values = np.array([[0.1, 0.2, 0.4]])
    p = np.exp(10 * values) / np.sum(np.exp(10 * values))
    losses, _ = CrossEntropy(Final(group, "v"), scale=10)((values,), [1])
    assert losses[0] == pytest.approx(-np.log(p[0, 1]))


def test_cross_entropy_survives_huge_logits(group):
    losses, (derivative,) = CrossEntropy(Final(group, "v"))((np.array([[1e4, -1e4, 0.0]]),), [1])
    assert losses[0] == pytest.approx(2e4)
    assert np.all(np.isfinite(derivative))


def test_mean_squared_error_in_units(group):
    loss = MeanSquaredError(Final(group, "v*mV"), target=1 * mV, scale=1 * mV)
    losses, _ = loss((np.full((2, N), 0.003),))
    assert losses == pytest.approx(4.0)


def test_silence_that_is_wanted_costs_nothing(group):
    loss = MeanSquaredError(SpikeTimes(group, which="first"), late=50 * ms)
    losses, _ = loss((np.full((1, N), INF),), np.full((1, N), INF))
    assert losses == 0


def test_silence_costs_with_late_and_is_left_out_without(group):
    values, targets = (np.array([[INF, 0.01, 0.01]]),), np.array([[0.01, 0.01, 0.01]])
    readout = SpikeTimes(group, which="first")
    assert MeanSquaredError(readout)(values, targets)[0] == 0
    losses, _ = MeanSquaredError(readout, late=40 * ms, scale=1 * ms)(values, targets)
    assert losses == pytest.approx(30**2 / 3)


def test_time_to_first_spike_formula(group):
    times, tau = np.array([[0.010, 0.012, 0.011]]), 2e-3
    loss = TimeToFirstSpike(group, 2 * ms, alpha=0.5, tau_alpha=8 * ms, late=20 * ms)
    p = np.exp(-times / tau) / np.sum(np.exp(-times / tau))
    expected = -np.log(p[0, 2]) + 0.5 * (np.exp(0.011 / 8e-3) - 1)
    assert loss((times,), [2])[0] == pytest.approx(expected)


def test_shift_invariant_loss_does_not_see_a_shift(group):
    loss = ShiftInvariantFirstSpike(group, 2 * ms, late=50 * ms)
    times = np.array([[0.010, 0.012, 0.012]])
    assert loss((times,), [0])[0] == pytest.approx(0)
    one, other = loss((times,), [1])[0], loss((times + 5e-3,), [1])[0]
    assert one == pytest.approx(other)


def test_a_silent_right_neuron_costs_more_than_a_late_one(group):
    late = np.array([[0.019, 0.010, 0.010]])
    silent = np.array([[INF, 0.010, 0.010]])
    for loss in (
        TimeToFirstSpike(group, 1 * ms, late=20 * ms),
        ShiftInvariantFirstSpike(group, 1 * ms, late=20 * ms),
    ):
        assert loss((silent,), [0])[0] > loss((late,), [0])[0]


def test_without_the_right_spike_nothing_is_learned_from_the_wrong_ones(group):
    times = np.array([[INF, 0.010, 0.012]])
    for loss in (
        TimeToFirstSpike(group, 1 * ms, late=20 * ms),
        ShiftInvariantFirstSpike(group, 1 * ms, late=20 * ms),
    ):
        losses, (slope,) = loss((times,), [0])
        assert np.all(slope == 0)
        assert losses == loss((np.array([[INF, INF, 0.019]]),), [0])[0]


def test_closeness_lifts_a_silent_right_neuron(group):
    loss = TimeToFirstSpike(group, 1 * ms, late=20 * ms, closeness="v - 1")
    assert [type(readout) for readout in loss.readouts] == [SpikeTimes, Maximum]
    _, (_, slope) = loss((np.full((1, N), INF), np.full((1, N), -0.5)), [1])
    # Descent raises the potential of the right neuron and leaves the others alone.
    assert slope[0, 1] < -1
    assert slope[0, 0] == slope[0, 2] == 0


def test_no_distance_from_the_threshold_is_too_far(group):
    loss = TimeToFirstSpike(group, 1 * ms, late=20 * ms, alpha=1.0, closeness="v - 1")
    losses, derivatives = loss((np.full((1, N), INF), np.full((1, N), -1e6)), [1])
    assert np.all(np.isfinite(losses)) and all(np.all(np.isfinite(d)) for d in derivatives)


def test_silence_of_the_wrong_neurons_is_no_error(group):
    loss = ShiftInvariantFirstSpike(group, 2 * ms, late=30 * ms)
    losses, (slope,) = loss((np.array([[0.01, INF, INF]]),), [0])
    assert losses == 0
    assert np.all(slope == 0)


# ---- labels ------------------------------------------------------------------------------------


def test_predictions(group):
    first = TimeToFirstSpike(group, 1 * ms, late=20 * ms)
    times = np.array([[0.01, 0.005, INF], [INF, INF, INF], [INF, INF, 0.01]])
    np.testing.assert_array_equal(first.predict((times,)), [1, -1, 2])
    entropy = CrossEntropy(Final(group, "v"))
    np.testing.assert_array_equal(entropy.predict((np.eye(3),)), [0, 1, 2])
    assert Sum(Final(group, "v")).predict((np.eye(3),)) is None
    both = Sum(Final(group, "v")) + entropy
    np.testing.assert_array_equal(both.predict((np.eye(3), np.eye(3)[::-1])), [2, 1, 0])


def test_an_own_loss_is_four_lines(group):
    class Squares(Loss):
        readouts = (Final(group, "v"),)

        def __call__(self, values, targets=None):
            return np.sum(values[0] ** 2, axis=1), (2 * values[0],)

    loss = 0.5 * Squares()
    check_derivatives(loss, (np.random.default_rng(0).normal(size=(B, N)),), None)


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [[0, 1], [0.5, 1, 2], [0, 1, 3], [-1, 0, 1], [[0], [1], [2]]])
def test_wrong_labels(group, targets):
    with pytest.raises(ValueError, match="label"):
        CrossEntropy(Final(group, "v"))((np.zeros((3, N)),), targets)


def test_missing_targets(group):
    with pytest.raises(ValueError, match="needs targets"):
        CrossEntropy(Final(group, "v"))((np.zeros((3, N)),))


def test_cross_entropy_of_first_spikes_is_refused(group):
    with pytest.raises(ValueError, match="TimeToFirstSpike"):
        CrossEntropy(SpikeTimes(group, which="first"))


def test_units(group):
    for wrong in (3, 3 * volt):
        with pytest.raises(DimensionMismatchError, match="tau"):
            TimeToFirstSpike(group, wrong)
    with pytest.raises(ValueError, match="tau"):
        TimeToFirstSpike(group, 0 * ms)


def test_targets_of_trials_are_not_taken_for_those_of_neurons(group):
    """As many labels as neurons would fit as one target per neuron."""
    loss = MeanSquaredError(Final(group, "v"))
    for wrong in (np.arange(N), 0.0, np.zeros((1, N))):
        with pytest.raises(ValueError, match="one number per trial and neuron"):
            loss((np.zeros((N, N)),), wrong)
    single = MeanSquaredError(Final(group[:1], "v"))
    np.testing.assert_array_equal(single((np.zeros((B, 1)),), np.arange(B))[0], np.arange(B) ** 2)


def test_the_time_of_a_late_spike_is_compared_with_times_only(group):
    with pytest.raises(ValueError, match="late is for the times of first spikes"):
        MeanSquaredError(SpikeTimes(group, "t/ms", which="first"), late=50 * ms)
    for wrong in (dict(target=10 * mV), dict(scale=1 * mV)):
        with pytest.raises(DimensionMismatchError, match="wrong unit"):
            MeanSquaredError(SpikeTimes(group, which="first"), **wrong)
    with pytest.raises(ValueError, match="scale must be"):
        MeanSquaredError(Final(group, "v"), scale=0)


def test_a_group_is_no_readout(group):
    with pytest.raises(TypeError, match="readout"):
        Sum(group)


@pytest.mark.parametrize(
    "returned, message",
    [
        ((np.zeros(B), (np.zeros((1, N)),)), r"readout 0 has the shape \(1, 3\)"),
        ((np.zeros(B), np.zeros((B, N))), "its derivative in each readout, 1, not ndarray"),
        ((np.zeros(B), (np.zeros((B, N)),) * 2), "in each readout, 1, not 2"),
        ((np.float64(0), (np.zeros((B, N)),)), r"one number per trial, .*the shape \(\)"),
        (np.zeros(B), r"must return \(losses, derivatives\), not ndarray"),
    ],
)  # fmt: skip
def test_what_an_own_loss_returns_is_checked(returned, message):
    with pytest.raises((ValueError, TypeError), match=message):
        evaluate(lambda values, targets: returned, (np.zeros((B, N)),), None)


def test_a_variable_that_is_called_as_the_end_of_the_trial():
    group = NeuronGroup(2, "dT/dt = -T/ms : 1", threshold="T > 1", reset="T = 0", name="hot")
    with pytest.raises(ValueError, match="'hot' has a variable 'T'.*late="):
        TimeToFirstSpike(group, tau=1 * ms)
    assert TimeToFirstSpike(group, tau=1 * ms, late=5 * ms).readouts
