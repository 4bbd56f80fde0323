"""Silent groups are reported once; weights onto silent neurons rise."""

from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import Hz
from brian2.core.base import BrianObject  # noqa: F401  (Brian2's logger is set up on import)
from brian2.utils.logger import catch_logs
from helpers.fake_model import FakeParameters

from brian_eventprop.model.results import Spikes
from brian_eventprop.runtime.readouts import GroupSpikes
from brian_eventprop.training import LiftSilent, RateWarning, SilenceWarning

KEY = ("s", "w")


@pytest.fixture
def trainer():
    group = SimpleNamespace(name="hidden", size=3, threshold="v > 1")
    output = SimpleNamespace(name="output", size=2, threshold=None)
    pathway = SimpleNamespace(name="s_pre", synapses="s", target="hidden")
    dimension = SimpleNamespace(is_dimensionless=True)
    model = SimpleNamespace(
        spec=SimpleNamespace(groups=(group, output), pathways=(pathway,)),
        parameters=FakeParameters({KEY: np.zeros(4)}, {KEY: dimension}),
        key_of=lambda view: view,
        targets=lambda name: np.array([0, 1, 2, 1]),
    )
    model.parameters.keys = [KEY]
    return SimpleNamespace(model=model, stop=False)


def epoch(callback, trainer, number, *batches):
    """Run the hooks of one epoch with the spikes of the given neurons."""
    callback.on_epoch_begin(trainer, number)
    for k, neurons in enumerate(batches):
        neurons = np.array(neurons, int)
        none = np.empty(0)
        spikes = Spikes({"hidden": GroupSpikes(none, neurons, none, none)})
        result = SimpleNamespace(spikes=spikes, losses=np.zeros(2))
        callback.on_batch_end(trainer, k, result)
    callback.on_epoch_end(trainer, number, {})


def test_a_silent_group_is_named_once(trainer):
    callback = SilenceWarning()
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as logs:
        epoch(callback, trainer, 0, [], [])
        epoch(callback, trainer, 1, [])
    assert len(logs) == 1 and "'hidden' did not spike in epoch 0" in logs[0][2]


def test_a_group_that_spikes_is_no_news(trainer):
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as logs:
        epoch(SilenceWarning(), trainer, 0, [], [2])
    assert logs == []


def test_weights_onto_silent_neurons_rise(trainer, monkeypatch):
    monkeypatch.setattr("brian_eventprop.training.silence.to_si", lambda value, *_: value)
    callback = LiftSilent({KEY: 0.5})
    weights = trainer.model.parameters.raw
    callback.on_train_begin(trainer, 2, 1)
    epoch(callback, trainer, 0, [0], [0, 2])
    # those that were validated after the epoch stay: `EarlyStopping` may keep them
    np.testing.assert_array_equal(weights(KEY), 0)
    state = callback.state()
    callback.on_epoch_begin(trainer, 1)
    np.testing.assert_array_equal(weights(KEY), [0, 0.5, 0, 0.5])
    callback.on_train_begin(trainer, 1, 1)  # another training begins with nothing known
    callback.on_epoch_begin(trainer, 0)
    np.testing.assert_array_equal(weights(KEY), [0, 0.5, 0, 0.5])
    callback.on_train_begin(trainer, 1, 1)  # and one that is resumed with what was known
    callback.on_resume(trainer, state)
    callback.on_epoch_begin(trainer, 1)
    np.testing.assert_array_equal(weights(KEY), [0, 1, 0, 1])


def test_only_trained_synaptic_variables_can_be_lifted(trainer):
    with pytest.raises(ValueError, match=r"'s\.u'"):
        LiftSilent({("s", "u"): 1}).on_train_begin(trainer, 1, 1)


def test_silence_may_end_the_training(trainer):
    epoch(SilenceWarning(), trainer, 0, [])
    assert not trainer.stop
    epoch(SilenceWarning(stop=True), trainer, 0, [1])
    assert not trainer.stop
    epoch(SilenceWarning(stop=True), trainer, 0, [])
    assert trainer.stop


def test_exploding_rates_are_named_and_may_end_the_training(trainer):
    # 3 neurons, two batches of 2 trials of 10 ms: 0.12 s of neurons; 12 spikes are 100 Hz
    trainer.model.duration = 0.01
    callback = RateWarning(99 * Hz)
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as logs:
        epoch(callback, trainer, 4, [0] * 8, [1] * 4)
        epoch(callback, trainer, 5, [0] * 8, [1] * 4)
    assert len(logs) == 1 and not trainer.stop
    assert "'hidden' spiked at 100 Hz on average in epoch 4" in logs[0][2]
    assert "neuron 0: 200 Hz" in logs[0][2]
    epoch(RateWarning(101 * Hz, stop=True), trainer, 4, [0] * 8, [1] * 4)
    assert not trainer.stop
    epoch(RateWarning(99 * Hz, stop=True), trainer, 4, [0] * 8, [1] * 4)
    assert trainer.stop
    with pytest.raises(ValueError, match="positive"):
        RateWarning(0 * Hz)
