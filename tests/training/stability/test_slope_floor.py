"""A trainer that clips by slope: the steps it takes, and what it counts."""

import csv

import numpy as np
import pytest
from brian2 import ms, mV, second, start_scope
from helpers.fake_model import DELAY, WEIGHT, FakeModel
from model.grazing.test_slope_floor import constant_current

import brian_eventprop as bep


def steps(grazing, solver="event", n=1, drive=1.05, epochs=1):
    """Return what was subtracted from the currents, and the history."""
    group, model = constant_current(solver, drive=drive)
    before = np.array(model.parameters[group.I])
    trainer = bep.Trainer(model, bep.SGD({group.I: 1e-4}), grazing=grazing)
    history = trainer.fit([(bep.SpikeData([], [], [], 1, 1), None)] * n, epochs, progress=False)
    return (before - np.asarray(model.parameters[group.I])) / 1e-4, history


@pytest.mark.parametrize("solver", ["event", "clock"])
def test_a_slope_in_units(solver):
    plain, history = steps(None, solver)
    assert "clipped_spikes" not in history
    floored, history = steps(bep.SlopeFloor(20 / second), solver)
    if solver == "event":
        np.testing.assert_allclose(floored, [plain[0] * 5 / 20, plain[1]], rtol=1e-9)
    else:  # the slope is that at the end of a step
        assert 0.2 < floored[0] / plain[0] < 0.3 and floored[1] == plain[1]
    np.testing.assert_array_equal(history["clipped_spikes"], [1])


def test_a_floor_below_all_slopes_is_no_floor():
    plain, _ = steps(None)
    for grazing in (bep.SlopeFloor(4.9 / second), bep.SlopeFloor(0.01), bep.SlopeFloor(0)):
        floored, history = steps(grazing)
        np.testing.assert_array_equal(floored, plain)
        assert history["clipped_spikes"][0] == 0


def test_a_part_of_the_median():
    """The other neuron spikes more often: its slope (3 - 1)/(10 ms) is the median."""
    plain, _ = steps(None)
    floored, history = steps(bep.SlopeFloor(0.1))
    np.testing.assert_allclose(floored, [plain[0] * 5 / 20, plain[1]], rtol=1e-9)
    assert history["clipped_spikes"][0] == 1


def test_the_log_has_the_count(tmp_path):
    group, model = constant_current("event")
    hooks = [bep.CSVLog(tmp_path / "log.csv")]
    trainer = bep.Trainer(model, bep.SGD({group.I: 1e-4}), hooks, grazing=bep.SlopeFloor(0.1))
    trainer.fit([(bep.SpikeData([], [], [], 1, 1), None)], 1, progress=False)
    (row,) = csv.DictReader((tmp_path / "log.csv").open())
    assert row["clipped_spikes"] == "1"


def test_spikes_are_counted_in_each_epoch():
    _, history = steps(bep.SlopeFloor({"cell": 20 / second}), n=3, epochs=2)
    np.testing.assert_array_equal(history["clipped_spikes"], [3, 3])


def test_the_median_follows_the_batches():
    floor = bep.SlopeFloor(0.5)
    floor.see({"a": np.array([1.0, 2.0, np.nan, 9.0])})
    floor.see({"a": np.array([np.nan]), "b": np.array([4.0])})
    floor.see({"a": np.array([3.0])})
    assert floor.floors() == pytest.approx({"a": 0.5 * (0.9 * 2 + 0.1 * 3), "b": 2.0})
    other = bep.SlopeFloor(0.5)
    other.on_resume(None, floor.state())
    assert other.floors() == floor.floors()


def test_units_and_names_are_checked_at_once():
    group, model = constant_current("event", unit=mV)
    optimizer = bep.SGD({group.I: 1 * mV})
    with pytest.raises(Exception, match="wrong unit"):
        bep.Trainer(model, optimizer, grazing=bep.SlopeFloor(1 / ms))
    with pytest.raises(ValueError, match="'other' is no group that spikes"):
        bep.Trainer(model, optimizer, grazing=bep.SlopeFloor({"other": 1 / ms}))
    with pytest.raises(ValueError, match="least must not be negative"):
        bep.SlopeFloor(-1)
    model.backend = "cuda"
    with pytest.raises(bep.UnsupportedError, match="CUDA"):
        bep.Trainer(model, optimizer, grazing=bep.SlopeFloor(0.1))


def test_what_is_no_choice():
    optimizer = bep.Adam({WEIGHT: 0.1, DELAY: 1 * ms})
    with pytest.raises(TypeError, match="clipped by the optimiser"):
        bep.Trainer(FakeModel(), optimizer, grazing=bep.ClipNorm(1.0))
    with pytest.raises(ValueError, match="two of ClipTrials"):
        bep.Trainer(FakeModel(), optimizer, grazing=[bep.ClipTrials(3), bep.ClipTrials(4)])
    with pytest.raises(ValueError, match="do not go together"):
        bep.Trainer(FakeModel(), optimizer, communicator=object(), grazing=bep.ClipTrials(3))


@pytest.mark.parametrize("first", [None, bep.SlopeFloor(20 / second)])
def test_a_training_that_goes_on_without_it_is_reported(first, tmp_path, caplog):
    def fit(grazing, resume=False):
        start_scope()  # the same names again
        group, model = constant_current("event")
        optimizer, checkpoint = bep.SGD({group.I: 1e-4}), bep.Checkpoint(tmp_path / "run.h5")
        trainer = bep.Trainer(model, optimizer, [checkpoint], grazing=grazing)
        if resume:
            trainer.resume(tmp_path / "run.h5")
        trainer.fit([(bep.SpikeData([], [], [], 1, 1), None)], 1, progress=False)

    fit(first)
    fit(first, resume=True)
    assert "goes on otherwise" not in caplog.text
    fit(bep.SlopeFloor(0.1) if first is None else None, resume=True)
    assert "goes on otherwise" in caplog.text and "grazing is" in caplog.text
