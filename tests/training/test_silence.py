"""Silent groups are reported once; weights onto silent neurons rise."""

from types import SimpleNamespace

import numpy as np
import pytest
from brian2.core.base import BrianObject  # noqa: F401  (Brian2's logger is set up on import)
from brian2.utils.logger import catch_logs
from helpers.fake_model import FakeParameters

from brian_eventprop.training import LiftSilent, SilenceWarning

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
    return SimpleNamespace(model=model)


def epoch(callback, trainer, number, *batches):
    """Run the hooks of one epoch with the spikes of the given neurons."""
    callback.on_epoch_begin(trainer, number)
    for k, neurons in enumerate(batches):
        spikes = {"hidden": SimpleNamespace(i=np.array(neurons, int))}
        callback.on_batch_end(trainer, k, SimpleNamespace(spikes=spikes))
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
    callback.on_train_begin(trainer, 1, 1)
    epoch(callback, trainer, 0, [0], [0, 2])
    np.testing.assert_array_equal(trainer.model.parameters.raw(KEY), [0, 0.5, 0, 0.5])


def test_only_trained_synaptic_variables_can_be_lifted(trainer):
    with pytest.raises(ValueError, match=r"'s\.u'"):
        LiftSilent({("s", "u"): 1}).on_train_begin(trainer, 1, 1)
