"""The comparison with peers runs, names what is missing, goes on where it stopped, and divides."""

import csv
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.cuda.emulator import Emulator

from brian_eventprop.runtime.cuda import solver as clock_cuda

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
OURS = "brian-eventprop"
MACHINE = {"cpu": "Some CPU", "cores": 2, "system": "Linux", "python": "3", "date": "today"}


def compare(folder, *options):
    command = [sys.executable, BENCHMARKS / "against_peers.py", "--quick", "--out", folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_quick_comparison_names_missing_peers(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)  # an environment without any peer
    bare = ["--peers-python", tmp_path / "bare" / "bin" / "python"]
    compare(tmp_path, *bare)
    (stored,) = tmp_path.glob("peers_quick_*.json")
    content = json.loads(stored.read_text())
    assert content["machine"]["cpu"]
    for record in content["records"]:
        if record["task"]["tool"] == OURS:
            assert record["cpu_s"] > 0 and min(record["facts"]["spikes per hidden neuron"]) > 0.5
        else:
            assert record["error"].startswith("missing (")
    report = stored.with_suffix(".md").read_text()
    assert "- DCLS: missing (torch, DCLS not installed)" in report
    assert f"| {OURS} |" in report
    rows = list(csv.DictReader(stored.with_suffix(".csv").open()))
    assert len(rows) == len(content["records"])
    assert stored.with_suffix(".png").stat().st_size > 10_000

    again = compare(tmp_path, "--resume", *bare)  # what is missing is looked for again
    assert f"{OURS} (" not in again and "DCLS (" in again


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from peers import report

    return report


def record(tool, cpu, max_delay, threads=1):
    task = {"family": "shd", "tool": tool, "n_inputs": 7, "n_hidden": 3, "n_outputs": 2}
    task |= {"n_steps": 10, "max_delay": max_delay, "dt_ms": 1, "n_trials": 4, "threads": threads}
    return {"task": task, "cpu_s": cpu, "wall_s": 2 * cpu, "over_idle_mib": 0.1, "idle_mib": 50}


def test_ratios_compare_the_same_network(report):
    records = [record(OURS, 0.5, 5), record(OURS, 0.25, 9), record(OURS, 9.0, 5, threads=2)]
    records += [record("DCLS", 10.0, 5), record("surrogate, no delays", 1.0, 0)]
    base = records[0]["task"]
    delays = ("max_delay", (5, 9))
    assert report.ratios(records, base, *delays, "DCLS", "cpu_s") == [(5, 20.0)]
    # A network without delays is the same one whatever the longest delay of the others.
    flat = report.ratios(records, base, *delays, "surrogate, no delays", "cpu_s")
    assert flat == [(5, 2.0), (9, 4.0)]
    # Less than a MiB is not told from nothing.
    assert report.ratios(records, base, *delays, "DCLS", "over_idle_mib") == [(5, 1.0)]
    table = "\n".join(report.sweep(records, base, *delays))
    assert "| 5 | 0.500, 0 | not run | not run | 20x, 20x, 1x | not run | 2x, 2x, 1x |" in table


def test_shared_machines_are_reported(report):
    waited = record(OURS, 1.0, 5)
    assert "shared: in 1 of 1" in report.conditions(MACHINE, [waited])
    assert "shared" not in report.conditions(MACHINE, [{**waited, "wall_s": 1.1}])


def test_a_picture_of_nothing_can_be_drawn(report, tmp_path):
    failed = {"task": record(OURS, 1.0, 5)["task"], "error": "failed: no such thing"}
    base = failed["task"]
    for records in ([failed], [failed, record("DCLS", 10.0, 5)]):
        report.draw(tmp_path / "x.png", {"cpu": "x"}, records, base, {"max_delay": (5,)})
        lines = report.markdown(MACHINE, records, base, {"max_delay": (5,)}, {})
        assert "failed: no such thing" in lines


def test_a_step_on_a_gpu_is_taken_apart(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gpu

    class Mark:
        """An event whose time is its number."""

        def __init__(self, number):
            self.number = number

        def elapsed_time(self, later):
            return later.number - self.number

    class Device(Emulator):
        def event(self, on_copy_stream=False):
            return super().event(on_copy_stream) if on_copy_stream else Mark(len(self.launches))

        def after(self, event, on_copy_stream=False):
            super().after(event.number if on_copy_stream else event, on_copy_stream)

        def finish(self, event):
            super().finish(0 if isinstance(event, Mark) else event)

    monkeypatch.setattr(clock_cuda, "CudaDevice", Device)
    rng = np.random.default_rng(0)
    shape = {"n_inputs": 8, "n_hidden": 6, "n_outputs": 20, "n_steps": 30, "max_delay": 5}
    model, optimizer = gpu.memory.network(rng, **shape, backend="cuda")
    data = gpu.memory.spikes(rng, 4, 8, 30, 60)
    first = gpu.training_step(model, optimizer, data)
    kernels = gpu.device_times(
        model.runtime.device, lambda: gpu.training_step(model, optimizer, data)
    )
    assert first.losses.shape == (4,)
    assert {"forward", "backward", "collect_dense", "adam"} < set(kernels)
    assert kernels["adam"] == pytest.approx(6e-3)  # three projections' weights and delays
    # blocks of 282 steps look at the spikes of 512 steps before, too
    blocks, looks = gpu.looks("paper")
    assert blocks == 4 and looks == pytest.approx(1 + 512 / 282)
    n = gpu.events("paper", data, first)
    assert n[0] == 256 * len(data.times) and n[1] % 4 == 0  # fans of 256 and 20
    # some hundred million events of 6 bytes and 0.6 billion sums of 20 bytes
    assert 3e9 < gpu.traffic("paper", (5e8, 2e6)) < 1e11
    device = SimpleNamespace(
        MEMORY_CLOCK_RATE=2.6e6, GLOBAL_MEMORY_BUS_WIDTH=5120,
        MULTIPROCESSOR_COUNT=132, CLOCK_RATE=1.98e6,
    )  # fmt: skip
    shares = gpu.limits(device, "paper", (5e8, 2e6), 0.01)
    assert all(0.01 < share < 1 for share in shares.values())
    ours = {"seconds": 0.05, "device MiB": 700.0, "device seconds": 0.04}
    ours |= {"device seconds by kernel": {"forward": 0.02}, "million synaptic events": 500.0}
    rows = [{"shape": "paper", "tool": "brian-eventprop"} | ours]
    rows += [{"shape": "paper", "tool": "DCLS", "seconds": 2.0}]
    rows += [{"shape": "paper", "tool": "mlGeNN", "not measured": "ml_genn is not installed"}]
    page = gpu.table(rows, "NVIDIA H200")
    assert "| paper | DCLS | 2000.0 | 40.0 |" in page and "0.100 ns each" in page
    assert "| forward | 20.00 |" in page and "ml_genn is not installed" in page
