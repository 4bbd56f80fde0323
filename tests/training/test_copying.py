"""Copies of a training, what of it can be pickled, and how it presents itself."""

import pickle
from copy import copy, deepcopy

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel
from helpers.networks import small

import brian_eventprop as bep
from brian_eventprop.datasets import yin_yang
from brian_eventprop.training.optimizers import SGD, Adam

RATES = {WEIGHT: 0.02, DELAY: 0.1 * ms}


def spiking(callbacks=lambda objects: []):
    """A training of a small network, its data, and whether its views stand in what it was given."""
    model, spikes = small.all_to_all(n_inputs=4, n_hidden=5, n_steps=20, trials=4)
    objects = {obj.name: obj for obj in model.objects}
    rates = {
        view: 1e-3 * (ms if view.name == "delay" else 1)
        for name in ("s_in", "s_rec", "s_out")
        for view in (objects[name].w, objects[name].delay)
    }
    units = {view: 1 * ms for view in rates if view.name == "delay"}
    optimizer = Adam(rates, clip=bep.ClipNorm(1.0, per=units), weight_decay={objects["s_in"].w: 1})
    return bep.Trainer(model, optimizer, callbacks(objects)), spikes


def values(trainer):
    parameters = trainer.model.parameters
    return {key: parameters.raw(key).copy() for key in parameters.keys}


def assert_same(found, expected):
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=str(key))


def test_a_copied_training_goes_on_as_the_first_would():
    trainer, spikes = spiking(
        lambda objects: [
            bep.GradientNorms(),
            bep.LiftSilent({objects["s_in"].w: 0.1}),
            bep.EarlyStopping(9),
        ]
    )
    options = {"batch_size": 2, "progress": False}
    trainer.fit(spikes, 1, **options)
    twin = deepcopy(trainer)
    start = values(trainer)
    assert twin.optimizer.model is twin.model is not trainer.model
    assert twin.callbacks[1].given[0][0] is trainer.callbacks[1].given[0][0]  # a view
    assert twin.callbacks[2].best_values is not trainer.callbacks[2].best_values
    trainer.fit(spikes, 2, **options)
    assert_same(values(twin), start)
    assert len(twin.history) == 1 and twin.optimizer.steps == 2
    twin.fit(spikes, 2, **options)
    assert_same(values(twin), values(trainer))
    np.testing.assert_array_equal(twin.history["loss"], trainer.history["loss"])
    assert_same(twin.optimizer.state(), trainer.optimizer.state())


def test_a_copied_optimiser_has_its_own_memory():
    optimizer = SGD(RATES, momentum=0.9)
    optimizer.bind(FakeModel())
    gradient = {WEIGHT: np.ones(15), DELAY: np.ones(5)}
    optimizer.step(gradient)
    twin = deepcopy(optimizer)
    state, before = optimizer.state(), optimizer.model.parameters.raw(WEIGHT).copy()
    twin.step(gradient)
    assert_same(optimizer.state(), state)
    np.testing.assert_array_equal(optimizer.model.parameters.raw(WEIGHT), before)
    assert np.all(twin.model.parameters.raw(WEIGHT) < before)
    assert twin.steps == 2 and optimizer.steps == 1
    assert copy(optimizer).model is optimizer.model


def test_an_optimiser_of_ones_own_is_copied_with_all_that_it_remembers():
    class Counts(SGD):
        def __init__(self, rates):
            super().__init__(rates)
            self.seen = {"signs": np.zeros(15)}

        def _change(self, key, gradient):
            if key == WEIGHT:
                self.seen["signs"] += np.sign(gradient)
            return super()._change(key, gradient)

    optimizer = Counts(RATES)
    optimizer.bind(FakeModel())
    twin = deepcopy(optimizer)
    twin.step({WEIGHT: np.ones(15), DELAY: np.ones(5)})
    assert np.all(optimizer.seen["signs"] == 0) and np.all(twin.seen["signs"] == 1)


def test_what_holds_a_model_is_not_pickled():
    trainer, _ = spiking()
    with pytest.raises(TypeError, match=r"a Trainer cannot.*bep\.Checkpoint.*model\.save\(path\)"):
        pickle.dumps(trainer)
    with pytest.raises(TypeError, match=r"an Adam cannot be pickled.*state\(\)"):
        pickle.dumps(trainer.optimizer)
    view = trainer.optimizer.given_rates[0][0]
    for unbound in (Adam({view: 1}), Adam({"w": 1}, bounds={view: (0, 1)})):
        with pytest.raises(TypeError, match="names the variables"):
            pickle.dumps(unbound)


def test_an_optimiser_of_names_is_pickled():
    rates = {"s_in.w": bep.schedules.cosine(0.1, 5), WEIGHT: 0.1, "s_in.delay": 1 * ms}
    again = pickle.loads(pickle.dumps(Adam(rates, 0.8, clip=bep.ClipNorm(2), weight_decay=0.5)))
    assert again.beta1 == 0.8 and again.clip[0].most == 2 and again.model is None
    given = dict(again.given_rates)
    assert given["s_in.w"](5) == 0 and given["s_in.delay"] == 1 * ms


@pytest.mark.parametrize("again", [deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_a_history_travels(again):
    trainer = bep.Trainer(FakeModel(), Adam(RATES))
    history = trainer.fit(yin_yang(size=20), 2, 10, progress=False)
    found = again(history)
    assert found.rows == history.rows and found.rows[0] is not history.rows[0]


def test_they_present_themselves_in_a_line():
    trainer, spikes = spiking(lambda objects: [bep.GradientNorms(), bep.EarlyStopping()])
    trainer.fit(spikes, 1, 4, progress=False)
    text = repr(trainer)
    for part in ("EventPropModel(", "Adam(", "GradientNorms, EarlyStopping]", "epoch 1"):
        assert part in text
    assert "and 2 more; 1 steps" in repr(trainer.optimizer)
    assert repr(Adam(RATES)) == "Adam(not bound to a model yet)"
    optimizer = SGD({WEIGHT: np.linspace(0, 0.5, 15), DELAY: 0.1 * ms})
    optimizer.bind(FakeModel())
    assert repr(optimizer) == (
        "SGD(learning rates syn.w 0 to 0.5 (SI), syn.delay 100. us; 0 steps)"
    )
    history = bep.History([{f"gradient(s{k}.w)": k for k in range(500)}])
    assert "492 more" in repr(history)
    for thing in (trainer, trainer.optimizer, history, trainer.history):
        assert len(repr(thing)) < 400
    assert repr(bep.History()) == "History(0 epochs)"


def test_a_callback_that_cannot_be_copied_is_shared():
    class Talks(bep.Callback):
        def __init__(self, file):
            self.file, self.heard = file, [[]]

    with open(__file__) as file:
        talks = Talks(file)
        twin = deepcopy(talks)
        assert twin.file is file
    twin.heard[0].append(1)
    assert talks.heard == [[]]
