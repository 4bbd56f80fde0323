"""The examples run as they are and reach what they promise."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *options, folder):
    command = [sys.executable, EXAMPLES / name, *options]
    environment = {"PYTHONPATH": str(EXAMPLES.parent), "PATH": "", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_sequence_detection(tmp_path):
    printed = run("sequence_detection.py", folder=tmp_path)
    assert "accuracy at the start: 0%" in printed
    assert "accuracy at the end: 100%" in printed
    assert (tmp_path / "sequence_detection.png").exists()


@pytest.mark.slow
def test_yin_yang(tmp_path):
    printed = run("yin_yang.py", folder=tmp_path)
    assert float(re.search(r"test accuracy: ([\d.]+)%", printed)[1]) >= 97.0
    assert int(re.search(r"agree: (\d+) of 1000", printed)[1]) >= 995
    assert (tmp_path / "yin_yang.png").exists()


@pytest.mark.slow
def test_fit_neuron(tmp_path):
    printed = run("fit_neuron.py", folder=tmp_path)
    assert float(re.search(r"-> ([\d.]+) by least squares", printed)[1]) >= 0.98
    found = dict(re.findall(r"^(\w+) = ([\d.]+) \+-", printed, re.MULTILINE))
    for name, true in {"g_L": 10, "C": 200, "a": 3, "b": 0.07, "tau_w": 120}.items():
        assert abs(float(found[name]) / true - 1) < 0.1
    assert (tmp_path / "fit_neuron.png").exists()


@pytest.mark.slow
def test_custom_neuron(tmp_path):
    printed = run("custom_neuron.py", folder=tmp_path)
    assert "DIFFERS" not in printed
    start, end = map(float, re.search(r"loss: ([\d.]+) .* ([\d.]+) at the end", printed).groups())
    assert end < 0.01 * start
    assert (tmp_path / "custom_neuron.png").exists()


@pytest.mark.slow
def test_short_term_plasticity(tmp_path):
    printed = run("short_term_plasticity.py", folder=tmp_path)
    assert "DIFFERS" not in printed
    rows = re.findall(r"^(?:U|tau_f|tau_d) +([\d.]+) +([\d.]+) +([\d.]+)", printed, re.MULTILINE)
    assert len(rows) == 3
    for start, learned, true in (map(float, row) for row in rows):
        assert abs(learned / true - 1) < 0.1 < abs(start / true - 1)
    assert (tmp_path / "short_term_plasticity.png").exists()


@pytest.mark.slow
def test_learning_rule(tmp_path):
    printed = run("learning_rule.py", folder=tmp_path)
    start, end = map(int, re.search(r"accuracy: (\d+)% .* (\d+)% learned", printed).groups())
    assert start < 20 and end > 95
    assert (tmp_path / "learning_rule.png").exists()


@pytest.mark.slow
def test_trace_fitting(tmp_path):
    printed = run("trace_fitting.py", folder=tmp_path)
    loss = float(re.search(r"at the start, ([\d.]+) after", printed)[1])
    assert loss == pytest.approx(0.09, rel=0.05)  # that of the noise
    for found, true in re.findall(r": ([\d.]+) n?m?[Ss], true ([\d.]+)", printed):
        assert float(found) == pytest.approx(float(true), rel=0.03)
    assert (tmp_path / "trace_fitting.png").exists()


@pytest.mark.slow
def test_gap_junctions(tmp_path):
    printed = run("gap_junctions.py", folder=tmp_path)
    assert "65 at the end, 65 in the target" in printed
    assert float(re.search(r"wrong by ([\d.]+)", printed)[1]) < 0.03
    assert (tmp_path / "gap_junctions.png").exists()


@pytest.mark.slow
def test_optimal_stimulus(tmp_path):
    printed = run("optimal_stimulus.py", folder=tmp_path)
    assert "DIFFERS" not in printed
    found = re.search(r"wanted: \[(.*)\] ms; in Brian2 at the end: \[(.*)\] ms", printed)
    wanted, spikes = (np.array(times.split(), dtype=float) for times in found.groups())
    np.testing.assert_allclose(spikes, wanted, atol=0.5)
    assert (tmp_path / "optimal_stimulus.png").exists()


@pytest.mark.slow
def test_rewiring(tmp_path):
    printed = run("rewiring.py", "--epochs", "12", folder=tmp_path)
    rows = re.findall(r"^(no|yes) +(no|yes) +([\d.]+)% +(\d+)$", printed, re.MULTILINE)
    assert len(rows) == 4 and [int(row[3]) > 0 for row in rows] == [False, False, True, True]
    assert float(rows[1][2]) > 75 and float(rows[3][2]) > 65  # found: 79 to 91 %
    assert (tmp_path / "rewiring.png").exists()


def write_speech(folder, name, split, size, classes, seed):
    """Write a small file in the layout of SHD and SSC: each class has its own place and time."""
    random = np.random.default_rng(seed)
    with h5py.File(folder / f"{name}_{split}.h5", "w") as file:
        times = file.create_dataset("spikes/times", (size,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (size,), h5py.vlen_dtype(np.uint16))
        labels = np.arange(size) % classes
        for k, label in enumerate(labels):
            when = random.normal(0.02 + 0.05 * label / classes, 0.005, 400)
            where = random.normal(100 + 500 * label / classes, 40, 400)
            times[k] = np.sort(np.clip(when, 0, 0.099)).astype(np.float16)
            units[k] = np.clip(where, 0, 699).astype(np.uint16)
        file["labels"] = labels.astype(np.uint16)
        file["extra/speaker"] = (np.arange(size) // classes % 3).astype(np.uint16)


SMALL = "--hidden 24 --epochs 12 --batch-size 4 --duration 100 --rate 1e-2 --delay 10".split()


@pytest.mark.slow
def test_shd_on_small_files_in_the_same_layout(tmp_path):
    for split, size, seed in (("train", 45, 0), ("test", 12, 1)):
        write_speech(tmp_path, "shd", split, size, 3, seed)
    options = [tmp_path, *SMALL, "--folder", tmp_path / "run"]
    interrupted = [str(o).replace("12", "5") if o == "12" else o for o in options]
    run("shd.py", *interrupted, folder=tmp_path)  # and goes on from its checkpoint
    printed = run("shd.py", *options, folder=tmp_path)
    found = re.search(r"test accuracy: ([\d.]+)% of 12 trials", printed)
    assert float(found[1]) > 60  # chance is 33 %
    for name in ("training.png", "checkpoint.h5", "log.csv"):
        assert (tmp_path / "run" / name).exists()
    with open(tmp_path / "run" / "log.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == [str(k) for k in range(12)]


@pytest.mark.slow
def test_digits_on_small_files_with_and_without_validation(tmp_path):
    for split, size, seed in (("train", 60, 0), ("test", 12, 1)):
        write_speech(tmp_path, "shd", split, size, 3, seed)
    options = "--hidden 24 --epochs 12 --batch-size 4 --duration 100 --max-delay 20".split()
    options += "--rate 1e-2 --stretch 0.1 --beta2 0.95 --dropout 0.1 --results lines.jsonl".split()
    printed = run("digits.py", tmp_path, *options, "--validation", "0.25", folder=tmp_path)
    assert re.search(r"\| 1 \| [\d.]+ \| [\d.]+ \| [\d.]+ \|", printed)
    printed = run("digits.py", tmp_path, *options, "--validation", "0", folder=tmp_path)
    assert re.search(r"\| 1 \| [\d.]+ \|  \| [\d.]+ \|", printed)  # no validation accuracy
    rows = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [row["configuration"]["validation"] for row in rows] == [0.25, 0]
    assert rows[1]["best_epoch"] == 11
    assert min(row["test_accuracy"] for row in rows) > 0.6  # chance is a third


def test_dropout_is_over_after_each_batch(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
    from layers import LIF, Dropout

    import brian_eventprop as bep

    source = SpikeGeneratorGroup(40, [], [] * ms)
    output = NeuronGroup(2, LIF, method="exact")
    synapses = Synapses(source, output, "w : 1", on_pre="I_post += w")
    synapses.connect()
    synapses.w = "0.1 + rand()"
    before, seen = np.array(synapses.w), []
    model = bep.EventPropModel(
        [source, output, synapses],
        train=[synapses.w],
        loss=bep.CrossEntropy(bep.Integral(output, "v")),
        duration=10 * ms,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
    )

    class Look(bep.Callback):
        def on_batch_end(self, trainer, batch, result):
            seen.append(np.array(model.parameters[synapses.w]))

    data = bep.SpikeData([0.001] * 4, [0, 1, 2, 3], [0, 1, 2, 3], 4, 40, targets=[0, 1, 0, 1])
    dropout = Dropout([synapses], 0.25, seed=0)
    trainer = bep.Trainer(model, bep.SGD({synapses.w: 0.0}), [dropout, Look()])
    trainer.fit(data, epochs=20, batch_size=2, progress=False)
    for unheard, after in zip(seen[::2], seen[1::2], strict=True):  # batches 1 and 2 of an epoch
        np.testing.assert_allclose(after, before, rtol=1e-14)  # a sum of two rounded numbers
        factors = (unheard / before).reshape(40, 2)
        np.testing.assert_allclose(factors[:, 0], factors[:, 1])  # of one neuron
        assert set(np.round(factors.ravel(), 9)) == {0.0, round(4 / 3, 9)}
    share = np.mean([np.mean(unheard == 0) for unheard in seen[::2]])
    assert abs(share - 0.25) < 0.05  # 800 draws: a standard error of 0.015


@pytest.mark.slow
def test_ssc_on_small_files_in_the_same_layout(tmp_path):
    for split, size, seed in (("train", 48, 0), ("valid", 12, 1), ("test", 12, 2)):
        write_speech(tmp_path, "ssc", split, size, 4, seed)
    printed = run("ssc.py", tmp_path, *SMALL, "--folder", tmp_path / "run", folder=tmp_path)
    assert float(re.search(r"test accuracy: ([\d.]+)% of 12 trials", printed)[1]) > 45
    layers = ["--layers", "2", "--feed-forward", "--epochs", "1", "--folder", tmp_path / "deep"]
    assert "of 12 trials" in run("ssc.py", tmp_path, *SMALL, *layers, folder=tmp_path)


@pytest.mark.slow
def test_torch_loop(tmp_path):
    pytest.importorskip("torch")
    printed = run("torch_loop.py", folder=tmp_path)
    start, end = map(float, re.findall(r"accuracy at the \w+: ([\d.]+)%", printed))
    assert start < 60 and end > 80


@pytest.mark.slow
def test_jax_loop(tmp_path):
    pytest.importorskip("optax")
    printed = run("jax_loop.py", folder=tmp_path)
    start, end = map(float, re.findall(r"accuracy at the \w+: ([\d.]+)%", printed))
    assert start < 60 and end > 80


@pytest.mark.slow
def test_nir_export(tmp_path):
    pytest.importorskip("nir")
    printed = run("nir_export.py", folder=tmp_path)
    before, after = map(float, re.findall(r"^accuracy, .* ([\d.]+)%", printed, re.MULTILINE))
    assert before > 90 and after > 90
    assert "all the same after the way back" in printed
    assert "predictions that agree: 1000 of 1000" in printed
    assert (tmp_path / "yin_yang.nir").exists()


@pytest.mark.slow
def test_scipy_fit(tmp_path):
    printed = run("scipy_fit.py", "--folder", tmp_path, folder=tmp_path)
    rows = re.findall(r"^\S+ +([\d.]+) +([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
    assert len(rows) == 10
    assert all(abs(float(true) - float(found)) < 0.01 for true, _, found in rows)
    assert any(abs(float(true) - float(start)) > 0.1 * float(true) for true, start, _ in rows)
    assert (tmp_path / "scipy_fit.png").exists()


@pytest.mark.slow
def test_positions(tmp_path):
    printed = run("positions.py", "--folder", tmp_path, folder=tmp_path)
    speed, off = re.search(r"speed ([\d.]+) .*\n.* off by (\d+) um", printed).groups()
    assert abs(float(speed) - 0.35) < 0.01 and float(off) < 50
    assert (tmp_path / "positions.png").exists()
