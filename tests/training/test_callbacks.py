"""Callbacks and the history."""

import csv
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.datasets import yin_yang
from brian_eventprop.training import (
    Callback,
    CSVLog,
    EarlyStopping,
    GradientNorms,
    History,
    ProgressBar,
    ReduceOnPlateau,
    TensorBoardLog,
    Trainer,
)
from brian_eventprop.training.optimizers import Adam


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


def test_the_remaining_time_does_not_count_what_comes_before_the_end_of_the_first_batch(run):
    """Such as compiling; here it is the data that are slow in the beginning."""
    run.callbacks.append(bar := ProgressBar())

    def batches():
        time.sleep(0.5)
        data = yin_yang(size=40)
        for start in range(0, 40, 10):
            yield data[start : start + 10]

    run.fit(batches, 1, progress=False)
    assert bar.bar.initial == 1 and bar.bar.n == 4
    assert bar.bar.format_dict["elapsed"] < 0.4


def test_history():
    history = History([{"loss": 1.0}, {"loss": 0.5, "rate": 3.0}])
    np.testing.assert_array_equal(history["rate"], [np.nan, 3.0])
    assert "rate" in history and "other" not in history
    assert "loss=0.5" in repr(history)
    with pytest.raises(KeyError, match="loss, rate"):
        history["other"]


def scales(callback, scores):
    run = SimpleNamespace(optimizer=SimpleNamespace(scale=0.3))
    callback.on_train_begin(run, len(scores), 1)
    found = []
    for epoch, score in enumerate(scores):
        row = {"loss": score}
        callback.on_epoch_end(run, epoch, row)
        assert row["rate_scale"] == run.optimizer.scale
        found.append(run.optimizer.scale)
    return found


def test_plateau_lowers_the_rates():
    assert scales(ReduceOnPlateau(0.5, 2), [5, 4, 4, 4, 4, 4, 3, 3]) == [
        1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25,
    ]  # fmt: skip
    assert scales(ReduceOnPlateau(0.1, 1, least=0.05), [1, 1, 1, 1]) == [1, 0.1, 0.05, 0.05]
    assert scales(ReduceOnPlateau(0.5, 1, min_delta=2), [5, 4, 2.5]) == [1, 0.5, 0.5]
    with pytest.raises(ValueError, match="factor"):
        ReduceOnPlateau(1.5)


def test_plateau_in_a_training(run):
    run.callbacks += [ReduceOnPlateau(0.5, 1, min_delta=100.0), rates := Rates()]
    run.fit(yin_yang(size=20), 3, 20, progress=False)
    # better than nothing in the first epoch, then halved after every one
    np.testing.assert_allclose(rates.seen, [0.02, 0.02, 0.01])


class Rates(Callback):
    """Notes the learning rate of every batch."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, trainer, batch, result):
        self.seen.append(float(trainer.optimizer.rates[WEIGHT]))


def test_gradient_norms(run):
    norms = []

    class Note(Callback):
        def on_batch_end(self, trainer, batch, result):
            norms.append(np.sqrt(np.sum(trainer.model.gradient_arrays()[WEIGHT] ** 2)))

    run.callbacks += [GradientNorms(), Note()]
    history = run.fit(yin_yang(size=30), 2, 10, progress=False)
    np.testing.assert_allclose(history["gradient(syn.w)"], np.reshape(norms, (2, 3)).mean(axis=1))
    assert np.all(history["gradient(syn.delay)"] > 0)


def test_tensorboard_log(run, tmp_path, monkeypatch):
    writers = []

    class Writer:
        def __init__(self, folder):
            self.folder, self.rows, self.closed = folder, [], False
            writers.append(self)

        def add_scalar(self, name, value, step):
            self.rows.append((name, step, value))

        def flush(self):
            pass

        def close(self):
            self.closed = True

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Writer))
    run.callbacks.append(TensorBoardLog(tmp_path / "runs"))
    history = run.fit(yin_yang(size=20), 2, 10, progress=False)
    (writer,) = writers
    assert writer.folder == str(tmp_path / "runs") and writer.closed
    losses = [value for name, _, value in writer.rows if name == "loss"]
    assert losses == list(history["loss"])


def test_tensorboard_log_says_what_is_missing(run, tmp_path, monkeypatch):
    for name in ("tensorboardX", "torch.utils.tensorboard", "torch.utils", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    run.callbacks.append(TensorBoardLog(tmp_path / "runs"))
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        run.fit(yin_yang(size=20), 2, 10, progress=False)


def test_tensorboard_files(run, tmp_path):
    pytest.importorskip("tensorboardX")
    run.callbacks.append(TensorBoardLog(tmp_path))
    run.fit(yin_yang(size=20), 2, 10, progress=False)
    (file,) = tmp_path.iterdir()
    assert b"accuracy" in file.read_bytes()
