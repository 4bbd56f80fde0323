"""What the studies train on: spikes of signals, and tasks that counts of spikes do not solve."""

import numpy as np
import pytest

from studies.mnist1d import level_crossings
from studies.timing import DURATION, N_CHANNELS, N_CLASSES, QUIET, TASKS, trials


def test_a_line_crosses_levels_where_it_should():
    signals = np.array([[0.0, 2.0, 2.0, -1.0], [0.5, 0.5, 0.5, 0.5]])
    times, channels, of_trial = level_crossings(signals, np.array([-0.4, 0.5, 1.0]), 0.01)
    found = sorted(zip(times.round(9).tolist(), channels.tolist(), strict=True))
    expected = [(0.0025, 2), (0.005, 4), (0.02 + 0.01 / 3, 5), (0.025, 3), (0.02 + 0.008, 1)]
    np.testing.assert_allclose(found, sorted(expected), atol=1e-9)
    assert set(of_trial.tolist()) == {0}


@pytest.mark.parametrize("task", TASKS)
def test_counts_are_the_same_in_all_trials_of_all_classes(task):
    data = trials(task, 0, 5 * N_CLASSES, jitter=2.0)
    counts = np.zeros((len(data), N_CHANNELS), int)
    np.add.at(counts, (data.trials, data.channels), 1)
    assert len(np.unique(counts)) == 1
    assert sorted(set(data.targets)) == list(range(N_CLASSES))
    assert data.times.min() > 0 and data.times.max() < (DURATION - QUIET) / 1000


@pytest.mark.parametrize("task", TASKS)
def test_backwards_is_the_same_trial_from_its_end(task):
    ahead, back = (trials(task, 2, 30, jitter=1.0, backwards=b) for b in (False, True))
    for b in range(30):
        one, other = ahead[[b]], back[[b]]
        turned = (DURATION - QUIET) / 1000 - one.times
        np.testing.assert_allclose(np.sort(turned), np.sort(other.times), atol=1e-12)
    np.testing.assert_array_equal(ahead.targets, back.targets)


def test_pairs_of_a_class_coincide_and_others_do_not():
    times, labels = TASKS["coincidence"](
        np.random.default_rng(0), np.random.default_rng(7), 3 * N_CLASSES
    )
    same = np.all(times[:, :, None] == times[:, None], axis=-1).sum(axis=2)
    assert np.all(same == 2)  # a channel and its partner
    partners = np.all(times[:, :, None] == times[:, None], axis=-1)
    for label in range(N_CLASSES):
        of_class = partners[labels == label]
        assert np.all(of_class == of_class[0])
