"""A training that is killed and resumed gives the bits of one that was not."""

import csv
import os
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.data.files import writing
from brian_eventprop.datasets import yin_yang
from brian_eventprop.training import (
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    ReduceOnPlateau,
    Trainer,
)
from brian_eventprop.training.fingerprint import describe, difference
from brian_eventprop.training.optimizers import SGD, Adam

EPOCHS = 9


class Killed(Exception):
    """What stands for the end of the process."""


class KillAt(Callback):
    """Ends the training after a number of batches."""

    def __init__(self, batch):
        self.left = batch

    def on_batch_end(self, trainer, batch, result):
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.fixture(scope="module")
def data():
    return yin_yang(size=60)


def adam():
    return Adam({WEIGHT: lambda epoch: 0.1 * 0.9**epoch, DELAY: 0.1 * ms})


def sgd():
    return SGD({WEIGHT: 0.3, DELAY: 1e-4 * ms}, momentum=0.8)


def new_trainer(callbacks=(), optimizer=adam):
    return Trainer(FakeModel(), optimizer(), callbacks)


def fit(trainer, data, epochs=EPOCHS, **settings):
    settings = {"batch_size": 16, "seed": 5, "progress": False, **settings}
    return trainer.fit(data, epochs, **settings)


def run_with_kills(path, data, kills, every=1, optimizer=adam, more=lambda: (), **settings):
    """Start again after every kill, with nothing left of the run before but the file."""
    for kill in [*kills, None]:
        checkpoint = Checkpoint(path, every)
        killer = () if kill is None else [KillAt(kill)]
        trainer = new_trainer([*more(), checkpoint, *killer], optimizer)
        done = checkpoint.resume(trainer)
        try:
            fit(trainer, data, EPOCHS - done, **settings)
        except Killed:
            continue
    return trainer


def everything(trainer):
    """All numbers of a training but the seconds."""
    parameters = trainer.model.parameters
    arrays = {str(key): parameters.raw(key) for key in parameters.keys}
    arrays.update(trainer.optimizer.state())
    columns = [c for c in trainer.history.columns if c != "seconds"]
    arrays.update({column: trainer.history[column] for column in columns})
    arrays["next epoch"] = np.array(trainer.epoch)
    return arrays


def assert_same_bits(one, other):
    one, other = everything(one), everything(other)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert one[name].tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("optimizer", [adam, sgd])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_killed_at_random_moments(data, tmp_path, optimizer, every):
    straight = new_trainer(optimizer=optimizer)
    fit(straight, data, validation=data)
    random = np.random.default_rng(every)
    for attempt in range(4):
        kills = random.integers(1, 4 * EPOCHS, 3)
        path = tmp_path / f"{attempt}.h5"
        killed = run_with_kills(path, data, kills, every, optimizer, validation=data)
        assert_same_bits(killed, straight)
        assert [row["epoch"] for row in killed.history.rows] == list(range(EPOCHS))


@pytest.mark.parametrize("kill", [6, 19, 30])
def test_plateaus_are_remembered(data, tmp_path, kill):
    def more():
        return [ReduceOnPlateau(0.5, 2, "accuracy", min_delta=0.02)]

    straight = new_trainer(more())
    fit(straight, data)
    assert 0 < straight.history["rate_scale"][-1] < straight.history["rate_scale"][0]
    killed = run_with_kills(tmp_path / "run.h5", data, [kill], more=more)
    assert_same_bits(killed, straight)


@pytest.mark.parametrize("kill", [2, 14, 33])
def test_augmentations_go_on(data, tmp_path, kill):
    def jitter(batch, random, data):
        times = batch.times + 1e-3 * random.random(len(batch.times))
        return batch.with_spikes(times, batch.channels, batch.trials)

    more = {"augment": [jitter], "validation": data}
    straight = new_trainer()
    fit(straight, data, **more)
    assert_same_bits(run_with_kills(tmp_path / "run.h5", data, [kill], **more), straight)
    plain = new_trainer()
    fit(plain, data, validation=data)
    assert not np.array_equal(plain.history["loss"], straight.history["loss"])


@pytest.mark.parametrize("kill", [3, 11, 19, 24])
def test_early_stopping_remembers(data, tmp_path, kill):
    stopping = EarlyStopping(2, "val_accuracy", min_delta=0.05)
    early = {"validation": yin_yang("test", size=40), "early_stopping": stopping}
    straight = new_trainer()
    fit(straight, data, **early)
    assert 2 < straight.epoch < EPOCHS
    killed = run_with_kills(tmp_path / "run.h5", data, [kill], **early)
    assert_same_bits(killed, straight)
    # Once more: the training is over, and the best parameters come back.
    assert_same_bits(run_with_kills(tmp_path / "run.h5", data, [], **early), straight)


def test_the_log_goes_on(data, tmp_path):
    straight, killed = tmp_path / "straight.csv", tmp_path / "killed.csv"
    fit(new_trainer([CSVLog(straight)]), data)
    run_with_kills(tmp_path / "run.h5", data, [7, 18], 2, more=lambda: [CSVLog(killed)])

    def rows(path):
        with open(path, newline="") as file:
            return [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(file)]

    assert len(rows(straight)) == EPOCHS and rows(straight) == rows(killed)


def test_killed_while_writing(data, tmp_path, monkeypatch):
    straight = new_trainer()
    fit(straight, data)
    path = tmp_path / "run.h5"
    fit(new_trainer([Checkpoint(path)]), data, 3)
    good = path.read_bytes()

    def killed(*_):
        raise Killed

    trainer = new_trainer([Checkpoint(path)])
    trainer.resume(path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", killed)
        fit(trainer, data, 1)
    assert path.read_bytes() == good
    assert_same_bits(run_with_kills(path, data, []), straight)


def test_what_is_saved_when(data, tmp_path):
    path = tmp_path / "run.h5"
    saved = []

    class Watch(Callback):
        def on_epoch_recorded(self, trainer):
            if path.exists():
                saved.append(trainer.epoch)
                path.unlink()

    fit(new_trainer([Checkpoint(path, every=3), Watch()]), data, 8)
    assert saved == [3, 6, 8]
    with pytest.raises(ValueError, match="every"):
        Checkpoint(path, every=0)
    with pytest.raises(FileNotFoundError, match="no folder"):
        fit(new_trainer([Checkpoint(tmp_path / "missing" / "run.h5")]), data, 1)
    with pytest.raises(FileNotFoundError, match="no file"):
        new_trainer().resume(tmp_path / "missing.h5")


def test_the_file_is_plain_hdf5(data, tmp_path):
    path = tmp_path / "run.h5"
    trainer = new_trainer([Checkpoint(path)])
    fit(trainer, data, 2)
    with h5py.File(path) as file:
        weights = file["parameters/syn.w"][()]
        assert set(file["optimizer"]) == {"epoch", "steps", "mean", "square"}
    np.testing.assert_array_equal(weights, trainer.model.parameters.raw(WEIGHT))


# ---- files that are refused ----------------------------------------------------------------


@pytest.fixture
def saved(data, tmp_path):
    path = tmp_path / "run.h5"
    fit(new_trainer([Checkpoint(path)]), data, 2)
    return path


def refused(path, match, trainer=None):
    trainer = trainer or new_trainer()
    before = everything(trainer)
    with pytest.raises(ValueError, match=match):
        trainer.resume(path)
    after = everything(trainer)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


@pytest.mark.parametrize("part", [0.0, 0.01, 0.2, 0.7, 0.9999])
def test_torn_files_are_refused(saved, part):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(part * len(content))])
    refused(saved, "is empty|is not a checkpoint|is cut off: it has")


def test_damaged_files_are_refused(saved):
    content = saved.read_bytes()
    for place in np.random.default_rng(0).integers(512, len(content), 30):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        saved.write_bytes(damaged)
        refused(saved, "is damaged")


def test_foreign_files_are_refused(saved, tmp_path, data):
    data.save(tmp_path / "spikes.h5")
    refused(tmp_path / "spikes.h5", "is not a checkpoint: it holds spikes")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["parameters/syn.w"] = np.zeros(15)
    refused(tmp_path / "other.h5", r"is not a checkpoint: it begins with b'\\x89HDF")
    (tmp_path / "text").write_text("epoch,loss\n")
    refused(tmp_path / "text", "not a checkpoint: it begins with b'epoch,loss")
    saved.write_bytes(saved.read_bytes().replace(b"checkpoint 1", b"checkpoint 7", 1))
    refused(saved, r"newer version \(checkpoint 7\)")


def test_a_checkpoint_of_something_else_is_refused(saved):
    with writing(saved, "checkpoint") as file:
        file["parameters/syn.w"] = np.zeros(15)
    refused(saved, "not a checkpoint of a training")


def test_other_models_are_refused(saved):
    model = FakeModel(channels=4)
    refused(
        saved,
        r"trained\.syn\.(w|delay)\[0\] is \d+ here and \d+ in the file",
        Trainer(model, adam()),
    )
    model = FakeModel()
    model.spec = SimpleNamespace(groups=(), inputs=(), dt=1e-4)
    refused(saved, r"network\.dt is 0\.0001 here and 0\.001 in the file", Trainer(model, adam()))


def test_other_optimisers_are_refused(saved):
    other = Adam({WEIGHT: 0.1, DELAY: 0 * ms}, beta1=0.5)
    refused(saved, r"optimizer\.beta1 is 0\.5 here and 0\.9", Trainer(FakeModel(), other))
    refused(saved, "optimizer", new_trainer(optimizer=sgd))


def test_a_training_that_goes_on_otherwise_is_reported(saved, data, caplog):
    trainer = new_trainer()
    trainer.resume(saved)
    with caplog.at_level("WARNING"):
        fit(trainer, data, 1, seed=6, batch_size=16)
    assert "seed is 6, not 5" in caplog.text
    assert "batch_size" not in caplog.text


# ---- descriptions --------------------------------------------------------------------------


def test_the_first_difference_is_named():
    one, other = FakeModel(), FakeModel()
    trainer = Trainer(one, adam())
    assert difference(describe(one, trainer.optimizer), describe(other, trainer.optimizer)) == ""
    one.spec = SimpleNamespace(groups=(SimpleNamespace(name="a", threshold="v > 1"),), t=np.nan)
    other.spec = SimpleNamespace(groups=(SimpleNamespace(name="a", threshold="v > 2"),), t=np.nan)
    found = difference(describe(one, trainer.optimizer), describe(other, trainer.optimizer))
    assert found == "network.groups[0].threshold is 'v > 1' here and 'v > 2' in the file"
