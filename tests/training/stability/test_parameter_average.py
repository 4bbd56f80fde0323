"""The average of the parameters: what validation sees, what training does not."""

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.datasets import yin_yang
from brian_eventprop.training import (
    Callback,
    Checkpoint,
    DeepR,
    EarlyStopping,
    ParameterAverage,
    Trainer,
)
from brian_eventprop.training.optimizers import SGD, Adam


class Watch(Callback):
    """Keeps the values after every step."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, trainer, batch, result):
        self.seen.append(values(trainer))


def values(trainer):
    parameters = trainer.model.parameters
    return np.concatenate([parameters.raw(key).copy() for key in (WEIGHT, DELAY)])


def trained(*callbacks, epochs=3, data=None, validation=None, **options):
    trainer = Trainer(FakeModel(), Adam({WEIGHT: 0.05, DELAY: 0.1 * ms}), list(callbacks))
    trainer.fit(data, epochs, 20, validation=validation, progress=False, **options)
    return trainer


@pytest.fixture(scope="module")
def data():
    return yin_yang(size=60)


def average(start, steps, decay):
    found = start.copy()
    for n, step in enumerate(steps, 1):
        found += (1 - min(decay, n / (9 + n))) * (step - found)
    return found


def test_steps_are_those_without_it(data):
    plain, averaged = Watch(), Watch()
    trained(plain, data=data, validation=data)
    trainer = trained(averaged, ParameterAverage(0.9), data=data, validation=data)
    np.testing.assert_array_equal(plain.seen, averaged.seen)
    start = values(Trainer(FakeModel(), SGD({WEIGHT: 0, DELAY: 0 * ms})))
    expected = average(start, plain.seen, 0.9)
    np.testing.assert_allclose(values(trainer), expected, rtol=1e-12)
    assert np.abs(expected - plain.seen[-1]).max() > 1e-3


def test_validation_is_that_of_the_average(data):
    trainer = trained(ParameterAverage(0.9), data=data, validation=data)
    assert trainer.history["val_loss"][-1] == pytest.approx(trainer.evaluate(data)["loss"])


@pytest.mark.parametrize("stopping_first", [False, True])
def test_early_stopping_restores_the_best_average(data, stopping_first):
    stopping = EarlyStopping(patience=10)
    hooks = [ParameterAverage(0.9)]
    hooks = [stopping, *hooks] if stopping_first else [*hooks, stopping]
    trainer = trained(*hooks, data=data, validation=data, epochs=6)
    best = np.max(trainer.history["val_accuracy"])
    assert trainer.evaluate(data)["accuracy"] == pytest.approx(best)


@pytest.mark.parametrize("checkpoint_first", [False, True])
def test_a_training_is_resumed_with_the_same_bits(data, tmp_path, checkpoint_first):
    def hooks():
        both = [ParameterAverage(0.9), Checkpoint(tmp_path / "run.h5")]
        return both[::-1] if checkpoint_first else both

    once = trained(ParameterAverage(0.9), data=data, epochs=5)
    trained(*hooks(), data=data, epochs=2)
    again = Trainer(FakeModel(seed=3), Adam({WEIGHT: 0.05, DELAY: 0.1 * ms}), hooks())
    assert again.resume(tmp_path / "run.h5") == 2
    again.fit(data, 3, 20, progress=False)
    np.testing.assert_array_equal(values(again), values(once))


def test_what_is_refused(data):
    for decay in (0, 1, -0.5):
        with pytest.raises(ValueError, match="decay must lie between 0 and 1"):
            ParameterAverage(decay)
    rewiring = object.__new__(DeepR)
    rewiring.on_train_begin = lambda *_: None
    with pytest.raises(ValueError, match="leave one out"):
        trained(ParameterAverage(), rewiring, data=data)
