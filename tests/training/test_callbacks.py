"""Callbacks and the history."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.datasets import yin_yang
from brian_eventprop.optimizers import Adam
from brian_eventprop.training import CSVLog, EarlyStopping, History, ProgressBar, Trainer


@pytest.fixture
def run():
    return Trainer(FakeModel(), Adam({WEIGHT: 0.02, DELAY: 0.1 * ms}))


def pretend(stopping, scores, column="val_loss"):
    """Feed a sequence of scores; the model's first weight is the epoch."""
    model = FakeModel()
    run = SimpleNamespace(model=model, stop=False)
    stopping.on_train_begin(run, len(scores), 1)
    for epoch, score in enumerate(scores):
        model.parameters.raw(WEIGHT)[0] = epoch
        stopping.on_epoch_end(run, epoch, {"loss": 0.0, column: score})
        if run.stop:
            break
    stopping.on_train_end(run)
    return epoch, model.parameters.raw(WEIGHT)[0]


def test_early_stopping_restores_the_best():
    assert pretend(EarlyStopping(2), [5, 3, 4, 3.5, 1]) == (3, 1)
    assert pretend(EarlyStopping(2, restore_best=False), [5, 3, 4, 3.5, 1]) == (3, 3)


def test_early_stopping_goes_on_while_it_gets_better():
    assert pretend(EarlyStopping(2), [5, 3, 4, 2, 3]) == (4, 3)
    assert pretend(EarlyStopping(2, min_delta=2.5), [5, 3, 4, 2, 3]) == (2, 0)


def test_accuracy_shall_grow():
    assert pretend(EarlyStopping(2), [0.5, 0.9, 0.8, 0.9], "val_accuracy") == (3, 1)
    assert pretend(EarlyStopping(1, monitor="loss"), [0.5, 0.9], "val_accuracy") == (1, 0)


def test_early_stopping_names_an_unknown_column():
    with pytest.raises(KeyError, match="cannot watch 'nothing'"):
        pretend(EarlyStopping(2, monitor="nothing"), [1.0])


def test_early_stopping_in_a_training(run):
    data = yin_yang(size=60)
    huge = Adam({WEIGHT: 30.0, DELAY: 0 * ms})
    run = Trainer(FakeModel(), huge)
    history = run.fit(data, 50, 60, validation=data, early_stopping=3, progress=False)
    assert len(history) < 50
    assert run.evaluate(data)["accuracy"] == history["val_accuracy"].max()


def test_csv_log_is_the_history(run, tmp_path):
    path = tmp_path / "log.csv"
    run.callbacks.append(CSVLog(path))
    history = run.fit(yin_yang(size=30), 3, 10, progress=False)
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == list(history["loss"])
    history.to_csv(tmp_path / "history.csv")
    assert path.read_text() == (tmp_path / "history.csv").read_text()


def test_progress_bar_counts_batches(run, capsys):
    bar = ProgressBar()
    run.callbacks.append(bar)
    run.fit(yin_yang(size=25), 2, 10, progress=False)
    assert bar.bar.n == 6
    assert "loss" in capsys.readouterr().err


def test_history():
    history = History([{"loss": 1.0}, {"loss": 0.5, "rate": 3.0}])
    np.testing.assert_array_equal(history["rate"], [np.nan, 3.0])
    assert "rate" in history and "other" not in history
    assert "loss=0.5" in repr(history)
    with pytest.raises(KeyError, match="loss, rate"):
        history["other"]
