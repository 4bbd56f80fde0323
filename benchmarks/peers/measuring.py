"""What every program of the comparison shares: its task, its data, its clock and its report.

A program is started with one argument, a task in JSON, and prints one line of JSON at its end.  It
hands three things to `main`: how it holds a batch, how it takes one training step, and what is to
be known about it.  Only NumPy is needed here, so that each program can live in its own environment.
"""

import json
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Events:
    """Spikes of a batch on a grid: (step, channel, trial), and a label for each trial."""

    step: np.ndarray
    channel: np.ndarray
    trial: np.ndarray
    labels: np.ndarray

    @property
    def n_trials(self):
        return len(self.labels)

    def first(self):
        """Return the first trial alone."""
        kept = self.trial == 0
        return Events(self.step[kept], self.channel[kept], self.trial[kept], self.labels[:1])

    def binned(self, bin_steps, pool):
        """Return the events on a coarser grid, `pool` channels summed into one."""
        return Events(self.step // bin_steps, self.channel // pool, self.trial, self.labels)


def read_events(task):
    """Return the events of a task's file, on the task's grid."""
    with np.load(task["data"]) as file:
        raw = Events(*(file[name] for name in ("step", "channel", "trial", "labels")))
    return raw.binned(task.get("bin_steps", 1), task.get("pool", 1))


def memory_mib(name):
    """Return a line of this process's memory, 'VmRSS' (now) or 'VmHWM' (highest)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


def forget_peak():
    """Let VmHWM start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_seconds():
    """CPU time of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(build):
    """Measure the program that `build(task)` returns as (prepare, step, facts).

    `prepare(events)` returns a batch as the program holds it, `step(batch)` takes one training step
    (forward, backward, optimiser), `facts` is a dict for the report.  What is compiled or loaded on
    first use is so in a step of its own, on one trial or, where machine code is made for each batch
    size (``facts["warm_up"] == "batch"``), on the whole batch.
    """
    task = json.loads(sys.argv[1])
    began = time.perf_counter()
    prepare, step, facts = build(task)
    events = read_events(task)
    batch = prepare(events)
    step(batch if facts.pop("warm_up", "trial") == "batch" else prepare(events.first()))
    setup = time.perf_counter() - began

    idle = memory_mib("VmRSS")
    forget_peak()
    cpu, wall = [], []
    while not cpu or (len(cpu) < task["repeats"] and sum(wall) < task["seconds"]):
        start = cpu_seconds(), time.perf_counter()
        step(batch)
        cpu.append(cpu_seconds() - start[0])
        wall.append(time.perf_counter() - start[1])
    peak = memory_mib("VmHWM")
    report = {
        "cpu_s": statistics.median(cpu),
        "wall_s": statistics.median(wall),
        "batches": len(cpu),
        "setup_s": setup,
        "idle_mib": idle,
        "over_idle_mib": peak - idle,
        "facts": facts,
    }
    print(json.dumps(report))
