"""A trainer that clips by trial: the steps it takes, and what it counts."""

import numpy as np
import pytest
from brian2 import second
from model.grazing.test_slope_floor import constant_current, layers

import brian_eventprop as bep


def test_a_trial_keeps_its_direction_and_no_more_than_the_multiple():
    random = np.random.default_rng(1)
    arrays = {("a", "w"): random.normal(size=(9, 4)), ("b", "d"): random.normal(size=(9, 3))}
    arrays["b", "d"][2] *= 1e5
    arrays["a", "w"][5] *= 100
    clip = bep.ClipTrials(3.0)
    found = clip.mean(arrays)
    expected = {key: array.copy() for key, array in arrays.items()}
    for trial in (2, 5):
        factors = [
            3 * np.median(np.linalg.norm(a, axis=1)) / np.linalg.norm(a[trial])
            for a in arrays.values()
        ]
        for array in expected.values():
            array[trial] *= min(factors)
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array.mean(axis=0), rtol=1e-12)
    assert clip.clipped == 2


def test_the_median_is_that_of_the_last_trials_with_a_gradient():
    clip, key = bep.ClipTrials(1.0, window=3), ("a", "w")
    for norm in (5.0, 0.0, 1.0, 2.0):
        clip.mean({key: np.array([[norm]])})
    found = clip.mean({key: np.array([[10.0]])})  # the last three: 1, 2, 10
    np.testing.assert_allclose(found[key], [2.0])
    resumed = bep.ClipTrials(1.0, window=3)
    resumed.on_resume(None, clip.state())
    for each in (clip, resumed):
        np.testing.assert_allclose(each.mean({key: np.array([[7.0]])})[key], [7.0])  # 2, 10, 7


def test_without_a_gradient_nothing_is_clipped():
    clip, key = bep.ClipTrials(1.0), ("a", "w")
    np.testing.assert_array_equal(clip.mean({key: np.zeros((3, 2))})[key], np.zeros(2))
    assert clip.clipped == 0


@pytest.mark.parametrize("solver", ["event", "clock"])
def test_a_training_of_trials(solver):
    """With a large multiple the steps are those of the plain training, to rounding."""
    data = bep.SpikeData(
        np.tile([2, 4, 7, 11], 3) * 1e-3, [0, 1, 0, 1] * 3, np.repeat(range(3), 4), 3, 2
    )
    found = []
    for grazing in (None, bep.ClipTrials(1e9), bep.ClipTrials(1e-3)):
        model = layers(solver)
        optimizer = bep.SGD(
            {key: 1e-9 for key in model.parameters.keys if key[1] == "w"}
            | {key: 1e-9 * second for key in model.parameters.keys if key[1] != "w"}
        )
        trainer = bep.Trainer(model, optimizer, grazing=grazing)
        history = trainer.fit(data, epochs=1, batch_size=3, progress=False)
        found.append((trainer.gradients, history))
    for key, gradient in found[0][0].items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(found[1][0][key], gradient, rtol=0, atol=1e-9 * scale)
        assert np.linalg.norm(found[2][0][key]) < 2e-3 * np.linalg.norm(gradient)
    assert [h["clipped_trials"][0] for _, h in found[1:]] == [0, 3]
    assert found[1][0].grazing == found[0][0].grazing


def test_with_a_floor_as_well():
    group, model = constant_current("event")
    rules = [bep.SlopeFloor(20 / second), bep.ClipTrials(1e9)]
    trainer = bep.Trainer(model, bep.SGD({group.I: 1e-4}), grazing=rules)
    history = trainer.fit(bep.SpikeData([], [], [], 1, 1), 1, 1, progress=False)
    exact = np.array([-10 / (1.05 * 0.05) * 5 / 20, -10 / (3 * 2)])
    np.testing.assert_allclose(trainer.gradients[group.name, "I"], exact, rtol=1e-9)
    assert history["clipped_spikes"] == [1] and history["clipped_trials"] == [0]


def test_a_multiple_is_above_0():
    with pytest.raises(ValueError, match="multiple must be above 0"):
        bep.ClipTrials(0)
