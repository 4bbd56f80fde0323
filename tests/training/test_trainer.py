"""The training loop on a model whose gradient is known by hand."""

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.datasets import yin_yang
from brian_eventprop.training import Callback, Trainer
from brian_eventprop.training.optimizers import SGD, Adam


def trainer(seed=0, callbacks=(), optimizer=None):
    model = FakeModel(seed=seed)
    return Trainer(model, optimizer or Adam({WEIGHT: 0.02, DELAY: 0.1 * ms}), callbacks)


@pytest.fixture(scope="module")
def data():
    return yin_yang(size=130)


def parameters(trainer):
    keys = trainer.model.parameters.keys
    return np.concatenate([trainer.model.parameters.raw(key) for key in keys])


def test_the_loss_falls_and_the_history_tells(data):
    run = trainer()
    history = run.fit(data, epochs=8, batch_size=20, validation=data, progress=False)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert history["accuracy"][-1] > history["accuracy"][0]
    np.testing.assert_array_equal(history["epoch"], np.arange(8))
    assert history.columns == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert history is run.history


def test_one_epoch_in_one_batch_is_one_step_of_descent(data):
    run, by_hand = trainer(optimizer=SGD({WEIGHT: 0.5, DELAY: 0 * ms})), FakeModel()
    by_hand.run(data, data.targets)
    gradient = by_hand.gradient_arrays()[WEIGHT]
    run.fit(data, epochs=1, batch_size=len(data), shuffle=False, progress=False)
    expected = by_hand.parameters.raw(WEIGHT) - 0.5 * gradient
    np.testing.assert_array_equal(run.model.parameters.raw(WEIGHT), expected)


def test_same_seed_same_bits(data):
    runs = [trainer() for _ in range(3)]
    for run, seed in zip(runs, (3, 3, 4), strict=True):
        run.fit(data, epochs=3, batch_size=16, seed=seed, progress=False)
    np.testing.assert_array_equal(parameters(runs[0]), parameters(runs[1]))
    np.testing.assert_array_equal(runs[0].history["loss"], runs[1].history["loss"])
    assert not np.array_equal(parameters(runs[0]), parameters(runs[2]))


def test_going_on_equals_going_through(data):
    once, twice = trainer(), trainer()
    once.fit(data, epochs=4, batch_size=16, progress=False)
    twice.fit(data, epochs=1, batch_size=16, progress=False)
    twice.fit(data, epochs=3, batch_size=16, progress=False)
    np.testing.assert_array_equal(parameters(once), parameters(twice))
    assert twice.epoch == len(twice.history) == 4


def test_validation_does_not_touch_the_training(data):
    with_it, without = trainer(), trainer()
    with_it.fit(data, epochs=3, batch_size=16, validation=yin_yang("test"), progress=False)
    without.fit(data, epochs=3, batch_size=16, progress=False)
    np.testing.assert_array_equal(parameters(with_it), parameters(without))
    for name, array in with_it.optimizer.state().items():
        np.testing.assert_array_equal(array, without.optimizer.state()[name])


def test_evaluate_does_not_depend_on_the_batches(data):
    run = trainer()
    before = parameters(run)
    whole, parts = run.evaluate(data, 1000), run.evaluate(data, 7)
    assert whole["loss"] == pytest.approx(parts["loss"], rel=1e-12)
    assert whole["accuracy"] == parts["accuracy"]
    assert run.model.gradients == 0
    np.testing.assert_array_equal(parameters(run), before)


def test_predict(data):
    run = trainer()
    labels = run.predict(data, 32)
    assert labels.shape == (130,)
    assert np.mean(labels == data.targets) == run.evaluate(data)["accuracy"]
    unlabelled = yin_yang(size=130)
    unlabelled.targets = None
    np.testing.assert_array_equal(run.predict(unlabelled, 50), labels)


@pytest.mark.parametrize("key, name", [(WEIGHT, "syn.w"), (DELAY, "syn.delay")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_stops_by_name(data, key, name, bad):
    run = trainer()
    run.fit(data, epochs=1, batch_size=16, progress=False)
    before, state, real = parameters(run), run.optimizer.state(), run.model.gradient_arrays

    def broken():
        gradients = {k: g.copy() for k, g in real().items()}
        gradients[key][2] = bad
        return gradients

    run.model.gradient_arrays = broken
    with pytest.raises(FloatingPointError, match=rf"{name} .* epoch 1, batch 0: 1 of .*\(2,\)"):
        run.fit(data, epochs=1, batch_size=16, progress=False)
    np.testing.assert_array_equal(parameters(run), before)
    np.testing.assert_array_equal(run.optimizer.state()["mean/syn.w"], state["mean/syn.w"])


def test_a_loss_that_is_not_finite_stops(data):
    run = trainer()
    real = run.model.loss

    def broken(values, targets):
        losses, slopes = real(values, targets)
        losses[3] = np.nan
        return losses, slopes

    run.model.loss = broken
    with pytest.raises(FloatingPointError, match=r"the loss .* epoch 0, batch 0: 1 of 16"):
        run.fit(data, epochs=1, batch_size=16, progress=False)


def test_rates_follow_the_epochs(data):
    seen = []
    optimizer = Adam({WEIGHT: lambda e: seen.append(e) or 0.01 / (1 + e), DELAY: 0 * ms})
    run = trainer(optimizer=optimizer)
    run.fit(data, epochs=3, batch_size=64, progress=False)
    assert sorted(set(seen)) == [0, 1, 2]
    assert optimizer.rates[WEIGHT] == pytest.approx(0.01 / 3)


def test_moments_of_a_callback(data):
    class Diary(Callback):
        def __init__(self):
            self.entries = []

        def on_train_begin(self, trainer, epochs, batches):
            self.entries.append(("begin", epochs, batches))

        def on_epoch_begin(self, trainer, epoch):
            self.entries.append(("epoch", epoch))

        def on_batch_end(self, trainer, batch, result):
            self.entries.append(("batch", batch, len(result.losses)))

        def on_epoch_end(self, trainer, epoch, row):
            row["extra"] = 7.0

        def on_train_end(self, trainer):
            self.entries.append("end")

    diary = Diary()
    history = trainer(callbacks=[diary]).fit(data, 1, 50, progress=False)
    assert diary.entries == [
        ("begin", 1, 3),
        ("epoch", 0),
        ("batch", 0, 50),
        ("batch", 1, 50),
        ("batch", 2, 30),
        "end",
    ]
    assert history["extra"] == 7.0


def test_several_input_groups(data):
    class TwoInputs(FakeModel):
        def run(self, spikes=None, targets=None, seed=None):
            assert set(spikes) == {"a", "b"} and len(spikes["a"]) == len(spikes["b"])
            return super().run(spikes["a"], targets)

    model = TwoInputs()
    run = Trainer(model, Adam({WEIGHT: 0.02, DELAY: 0 * ms}))
    unlabelled = yin_yang(size=130)
    unlabelled.targets = None
    history = run.fit({"b": unlabelled, "a": data}, 2, 32, progress=False)
    assert history["accuracy"].shape == (2,)
    with pytest.raises(ValueError, match="different numbers of trials"):
        run.evaluate({"a": data, "b": data[:3]})


def test_a_loss_without_labels_has_no_accuracy(data):
    run = trainer()
    real = run.model.loss
    run.model.loss = lambda values, targets: real(values, targets)
    assert set(run.evaluate(data)) == {"loss"}
    with pytest.raises(ValueError, match="no labels"):
        run.predict(data)


def test_wrong_arguments(data):
    with pytest.raises(ValueError, match="batch_size"):
        trainer().fit(data, 1, 0)
    with pytest.raises(ValueError, match="no trials"):
        trainer().fit(data[[]], 1, 5)
