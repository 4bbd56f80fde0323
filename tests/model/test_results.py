"""The scripts that make the tables of results: on tiny files in the format of the real data."""

import json
import sys

import numpy as np
import pytest
from project.test_examples import EXAMPLES, run

import brian_eventprop as bep


def trials(random, n_trials, n_channels, n_labels, duration):
    """Spike data in which each label has its own busy channels."""
    labels = np.arange(n_trials) % n_labels
    trial = np.repeat(np.arange(n_trials), 30)
    channel = (labels[trial] * 3 + random.integers(0, n_channels // 2, len(trial))) % n_channels
    times = random.uniform(0, duration, len(trial))
    speakers = np.arange(n_trials) // n_labels % 4
    return bep.SpikeData(
        times, channel, trial, n_trials, n_channels, labels, extra={"speaker": speakers}
    )


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def random():
    return np.random.default_rng(5)


SMALL = ["--hidden", "6", "--epochs", "2", "--batch-size", "8", "--dt", "5"]


@pytest.mark.slow
def test_braille(tmp_path, random):
    data = trials(random, 60, 24, 3, 1.3)
    np.savez(
        tmp_path / "letters.npz",
        times=data.times,
        channel=data.channels,
        offsets=data.trial_ptr,
        labels=data.targets,
    )
    command = ["braille.py", "letters.npz", *SMALL, "--layer", "recurrent"]
    command += ["--delays", "none", "fixed", "learned", "--fan-in", "3", "--figure", "braille.png"]
    table = run(*command, folder=tmp_path)
    found = rows(tmp_path / "braille.jsonl")
    assert len(found) == 3
    assert table.count("| 3 |") == 0 and table.count("| 1 |") == 3  # one seed each
    dense, sparse = 6 * 3, 3 * 6
    wanted = {
        "none": 2 * sparse + dense,
        "fixed": 2 * sparse + dense,
        "learned": 4 * sparse + dense,
    }
    assert {row["configuration"]["delays"]: row["parameters"] for row in found} == wanted
    assert (tmp_path / "braille.png").exists()

    # what the file has already is not repeated
    run(*command, "--seeds", "0", folder=tmp_path)
    assert len(rows(tmp_path / "braille.jsonl")) == 3


@pytest.mark.slow
def test_digits(tmp_path, random):
    for split, size in (("train", 40), ("test", 20)):
        trials(random, size, 20, 2, 0.3).save(tmp_path / f"digits_{split}.h5")
    command = ["digits.py", ".", *SMALL, "--channels", "20", "--pool", "2", "--duration", "300"]
    command += ["--penalty", "0.01", "--shift", "1", "--blend", "0.5", "--stretch", "0.1"]
    command += ["--figure", "digits.png"]
    run(*command, folder=tmp_path)
    run(*command, "--validation-speakers", "1", "3", folder=tmp_path)
    first, second = rows(tmp_path / "digits.jsonl")
    assert second["configuration"]["validation_speakers"] == [1, 3]
    assert 0 <= first["test_accuracy"] <= 1
    assert (tmp_path / "digits.png").exists()


@pytest.mark.slow
def test_yin_yang(tmp_path):
    command = ["yin_yang_delays.py", "--hidden", "5", "--delays", "none", "learned"]
    command += ["--trials", "40", "--epochs", "1", "--figure", "yin_yang.png"]
    run(*command, folder=tmp_path)
    found = rows(tmp_path / "yin_yang_delays.jsonl")
    assert [row["parameters"] for row in found] == [5 * 5 + 5 * 3, 2 * (5 * 5 + 5 * 3)]
    assert (tmp_path / "yin_yang.png").exists()


def test_table_averages_over_seeds(tmp_path):
    sys.path.insert(0, str(EXAMPLES))
    try:
        import experiment
    finally:
        sys.path.remove(str(EXAMPLES))

    def train_one(delays, seed):
        score = 0.5 + 0.1 * seed + 0.2 * (delays == "learned")
        scores = dict.fromkeys(experiment.MEASURED, score)
        return {**scores, "parameters": 7, "epoch_seconds": 1.0}

    settings = experiment.combinations(delays=["none", "learned"], seed=[0, 1, 2])
    experiment.run_all(settings, train_one, tmp_path / "results.jsonl")
    table = experiment.table(experiment.read(tmp_path / "results.jsonl"))
    assert "| none | 3 | 60.0 ± 10.0 |" in table
    assert "| learned | 3 | 80.0 ± 10.0 |" in table
