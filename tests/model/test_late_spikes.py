"""Input spikes after the end of a trial, and data of longer trials: nothing is lost in silence."""

import logging

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, second

import brian_eventprop as bep
from brian_eventprop.model.late_spikes import check_end

SPIKES = bep.SpikeData


def build(solver="event", i=(), t=(), duration=20 * ms):
    source = SpikeGeneratorGroup(2, list(i), list(t) * ms, name="inp")
    cell = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    s = Synapses(source, cell, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    s.w = 1
    return bep.EventPropModel(
        [source, cell, s], train=[s.w], loss=bep.Sum(bep.Final(cell, "v")), duration=duration,
        solver=solver, threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return build()


def test_times_in_milliseconds_given_as_seconds(model):
    data = SPIKES([1.0, 5.0, 0.001], [0, 1, 1], [0, 0, 0], 1, 2)
    message = (
        "2 of the 3 input spikes of 'inp' come at or after the end of the trial, which lasts "
        "20 ms: the latest one at 5 s.*are seconds.*data.until"
    )
    with pytest.raises(ValueError, match=message):
        model.run(data)
    with pytest.raises(ValueError, match="'inp'"):
        model.run({"inp": data})


def test_the_end_itself_is_late_and_until_leaves_it_out(model):
    data = SPIKES([0.001, 0.02], [0, 1], [0, 0], 1, 2)
    with pytest.raises(ValueError, match="1 of the 2 input spikes"):
        model.run(data)
    expected = np.exp(-19 / 10)
    assert model.run(data.until(model.duration)).loss == pytest.approx(expected, rel=1e-12)
    assert model.run(SPIKES([0.001], [0], [0], 1, 2)).loss == pytest.approx(expected, rel=1e-12)


def test_on_the_grid_a_part_of_a_step_is_a_whole_one():
    """Brian2 runs 20 steps of 1 ms for 19.5 ms."""
    model = build("clock", duration=19.95 * ms)
    model.run(SPIKES([0.01996], [0], [0], 1, 2))
    with pytest.raises(ValueError, match="lasts 20 ms"):
        model.run(SPIKES([0.02], [0], [0], 1, 2))


def test_a_number_of_steps_that_rounds_up_has_the_same_end():
    end = 3 * 1e-4
    assert end > 0.0003
    with pytest.raises(ValueError, match="1 of the 1 input spikes"):
        check_end({"inp": SPIKES([0.0003], [0], [0], 1, 2)}, end, own=False)
    check_end({"inp": SPIKES([0.00029], [0], [0], 1, 2)}, end, own=False)


def test_own_spikes_of_a_group_may_come_later_and_are_mentioned(caplog):
    model = build(i=[0, 1, 1], t=[1, 2, 25])
    with caplog.at_level(logging.WARNING):
        assert model.run().loss > 0
    assert "1 of the 3 input spikes of 'inp' come at or after" in caplog.text
    assert "They do not count, as in a run of Brian2" in caplog.text


def test_data_of_longer_trials_are_mentioned(model, caplog):
    data = SPIKES([0.001], [0], [0], 1, 2, duration=60 * ms)
    with caplog.at_level(logging.WARNING):
        model.run(data)
        assert "last 60 ms, those of the model 20 ms" in caplog.text
        caplog.clear()
        model.run(data.until(20 * ms))
        model.run(SPIKES([0.001], [0], [0], 1, 2, duration=10 * ms))
    assert not caplog.text


def test_a_training_does_not_begin_with_late_spikes(model):
    times = np.full(10, 0.001)
    times[9] = 0.5
    data = SPIKES(times, np.zeros(10, int), np.arange(10), 10, 2)
    before = model.parameters.raw(("s", "w")).copy()
    trainer = bep.Trainer(model, bep.SGD({("s", "w"): 0.1}))
    good = SPIKES(times[:9], np.zeros(9, int), np.arange(9), 9, 2)
    for training, validation in ((data, None), (good, data)):
        with pytest.raises(ValueError, match="1 of the 10 input spikes"):
            trainer.fit(training, 1, batch_size=2, validation=validation, progress=False)
    np.testing.assert_array_equal(model.parameters.raw(("s", "w")), before)


@pytest.mark.parametrize("time", [-0.001, np.nan, np.inf])
def test_what_is_no_time_is_refused(time):
    with pytest.raises(ValueError, match="finite and not negative"):
        SPIKES([0.001, time], [0, 0], [0, 0], 1, 1)


@pytest.mark.parametrize("duration", [-1 * second, np.nan * second, np.inf * second])
def test_what_is_no_duration_is_refused(duration):
    with pytest.raises(ValueError, match="duration must be a finite time"):
        SPIKES([], [], [], 1, 1, duration=duration)
    with pytest.raises(ValueError, match="duration must be a finite time"):
        SPIKES([], [], [], 1, 1).until(duration)
