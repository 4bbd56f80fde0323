"""Runs tasks, each in a process of its own, and keeps what was measured after every one of them."""

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
from peers.tasks import TOOLS, YIN_YANG

FOLDER = Path(__file__).parent


def tool_of(task):
    """Return the tool that a task names."""
    return (YIN_YANG if task["family"] == "yin-yang" else TOOLS)[task["tool"]]


def cpu_name():
    """Return the name that the processor gives itself."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine():
    """Return what a reader has to know about the machine."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
        "date": date.today().isoformat(),
    }


def missing_modules(python, modules):
    """Return those modules that an interpreter cannot find."""
    program = (
        "import sys, importlib.util as u; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])"
    )
    done = subprocess.run(
        [python, "-c", program, *modules], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def write_data(task, folder):
    """Write the data of a task to a file, the same for every tool, and return its path."""
    if task["family"] == "yin-yang":
        path = folder / "yin_yang.npz"
        return path if path.exists() else _write_yin_yang(path, task["n_trials"])
    n_steps = task["n_steps"] * task.get("bin_steps", 1)
    n_inputs = task["n_inputs"] * task.get("pool", 1)
    path = folder / f"spikes_{n_steps}_{n_inputs}_{task['n_trials']}.npz"
    return path if path.exists() else _write_spikes(path, n_steps, n_inputs, task["n_trials"])


def _write_spikes(path, n_steps, n_inputs, n_trials):
    from shd_shape import spikes

    data = spikes(np.random.default_rng(0), n_trials, n_inputs, n_steps, n_steps * n_inputs // 100)
    np.savez(
        path,
        step=np.round(data.times * 1e3 - 0.5).astype(np.int32),
        channel=data.channels.astype(np.int32),
        trial=np.repeat(np.arange(n_trials, dtype=np.int32), np.diff(data.trial_ptr)),
        labels=data.targets,
    )
    return path


def _write_yin_yang(path, n_trials, n_hidden=100):
    import brian_eventprop as bep

    data = bep.datasets.yin_yang("train", size=n_trials)
    rng = np.random.default_rng(0)
    trial = np.repeat(np.arange(n_trials), np.diff(data.trial_ptr))
    times = np.empty((n_trials, data.n_channels))
    times[trial, data.channels] = data.times
    np.savez(
        path,
        times=times,
        labels=data.targets,
        step=np.zeros(len(trial), int),
        channel=data.channels,
        trial=trial,
        w_in=rng.normal(2.0, 0.8, (data.n_channels, n_hidden)),  # nine tenths spike once
        w_out=rng.normal(0.3, 0.3, (n_hidden, 3)),
    )
    return path


def run(task, python, data, timeout, **limits):
    """Run a task and return what it measured, or {"error": why not}."""
    tool = tool_of(task)
    given = {**task, **tool.options, **limits, "data": str(data)}
    count = str(task["threads"])
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, count), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable if tool.own else python, FOLDER / tool.script, json.dumps(given)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {timeout:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return {"error": f"failed: {last[:200]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


class Records:
    """What was measured so far, in a file that is written after every task."""

    def __init__(self, path, resume):
        self.path, self.records, self.machine = path, [], machine()
        if resume and path.exists():
            stored = json.loads(path.read_text())
            same = stored["machine"]["cpu"] == self.machine["cpu"]
            self.records = stored["records"] if same else []

    def find(self, task):
        """Return the record of a task, or None."""
        return next((r for r in self.records if r["task"] == task), None)

    def add(self, task, measured):
        """Keep a record and write the file."""
        self.records = [r for r in self.records if r["task"] != task]
        self.records.append({"task": task, **measured})
        text = json.dumps({"machine": self.machine, "records": self.records}, indent=1)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(self.path)
