"""Data-parallel training over MPI: measured on this machine, and a model of many machines.

    mpiexec -n 2 python benchmarks/mpi.py

One training step of a network in the shape of spoken digits (700 inputs, 128 recurrent LIF neurons,
20 readouts, all weights and delays trained), a batch of 64 trials, on 1, 2, ... processes of those
that were started, in turn, one thread each.  Reported are the seconds per step and, of these, those
that a process waits for and spends in messages.

The model: with R ranks, each with cores and memory of its own, a step takes
``compute/R + optimiser + log2(R) * transfer``, where `compute` is what one process needs for all
trials, `optimiser` is done by every rank, and `transfer` is one sum of the gradients from rank to
rank and back, which goes up and down a binary tree.  It leaves out that trials differ in length, so
that ranks wait for the slowest.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

import brian_eventprop as bep

prefs.codegen.target = "numpy"
LIF = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
N_INPUTS, N_HIDDEN, N_OUTPUTS = 700, 128, 20


def made():
    """Return the model and the rates of its optimiser."""
    defaultclock.dt = 1 * ms
    random = np.random.default_rng(0)
    inputs = SpikeGeneratorGroup(N_INPUTS, [], [] * ms, name="inputs")
    hidden = NeuronGroup(
        N_HIDDEN, LIF, threshold="v > 1", reset="v = 0", method="exact", name="hidden"
    )
    output = NeuronGroup(N_OUTPUTS, LIF, method="exact", name="output")
    rates, objects = {}, [inputs, hidden, output]
    ends = (inputs, hidden, 0.05, 0.05), (hidden, hidden, 0.0, 0.03), (hidden, output, 0.0, 0.1)
    for source, target, mean, spread in ends:
        name = f"{source.name}_{target.name}"
        s = Synapses(source, target, "w : 1", on_pre="I_post += w", name=name)
        s.connect()
        s.w, s.delay = random.normal(mean, spread, len(s)), random.integers(1, 60, len(s)) * ms
        rates |= {s.w: 1e-3, s.delay: 0.1 * ms}
        objects.append(s)
    loss = bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)"), scale=50)
    model = bep.EventPropModel(objects, train=list(rates), loss=loss, duration=500 * ms, threads=1)
    return model, rates


def spikes(n_trials: int):
    """Return random trials with about 8000 spikes each."""
    random = np.random.default_rng(1)
    n = 8000 * n_trials
    times = random.integers(0, 450, n) * 1e-3
    trials, channels = np.repeat(np.arange(n_trials), 8000), random.integers(0, N_INPUTS, n)
    _, first = np.unique(np.stack([trials, channels, times * 1e3]), axis=1, return_index=True)
    targets = random.integers(0, N_OUTPUTS, n_trials)
    given = times[first], channels[first], trials[first]
    return bep.SpikeData(*given, n_trials, N_INPUTS, targets=targets)


class Timed:
    """A communicator that counts the seconds in messages."""

    def __init__(self, world):
        self.world, self.seconds = world, 0.0

    def __getattr__(self, name):
        method = getattr(self.world, name)

        def timed(*given, **options):
            start = time.perf_counter()
            try:
                return method(*given, **options)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def measured(model, rates, data, world, chunks: int, steps: int):
    """Return the seconds of a step, those in messages, and those of the optimiser."""
    timed = Timed(world)
    communicator = bep.MPI(timed, chunks=chunks)
    optimizer = bep.Adam(rates)
    optimizer.bind(model)
    rows = []
    for _ in range(steps + 1):
        world.Barrier()
        timed.seconds, start = 0.0, time.perf_counter()
        _, gradients = communicator.step(model, data, data.targets)
        middle = time.perf_counter()
        optimizer.step(gradients)
        end = time.perf_counter()
        rows.append((end - start, timed.seconds, end - middle))
    return np.median(rows[1:], axis=0)


def transfer(world, size: int) -> float:
    """Return the seconds that `size` numbers need from one process to another and back."""
    if world.Get_size() < 2:
        return math.nan
    row, seconds = np.zeros(size), []
    for _ in range(10):
        world.Barrier()
        start = time.perf_counter()
        if world.Get_rank() == 0:
            world.send(row, 1)
            world.recv(source=1)
        elif world.Get_rank() == 1:
            world.send(world.recv(source=0), 0)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--output", type=Path, help="file for the table")
    setting = parser.parse_args()
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    most = world.Get_size()
    model, rates = made()
    data = spikes(setting.batch)
    n_values = len(model.parameters.flatten())
    found = {}
    for n_ranks in range(1, most + 1):
        part = world.Split(int(world.Get_rank() < n_ranks), world.Get_rank())
        if world.Get_rank() < n_ranks:
            found[n_ranks] = measured(model, rates, data, part, most, setting.steps)
        world.Barrier()
    round_trip = transfer(world, n_values)
    if world.Get_rank():
        return
    lines = [
        f"{n_values} trained values, batches of {setting.batch} trials, {most} chunks",
        "",
        "| ranks | s per step | of it in messages | speed-up |",
        "| --- | --- | --- | --- |",
    ]
    for n_ranks, (seconds, messages, _) in found.items():
        gain = found[1][0] / seconds
        lines.append(f"| {n_ranks} | {seconds:.3f} | {messages:.3f} | {gain:.2f} |")
    total, _, update = found[1]
    if most > 1:
        lines += [
            "",
            f"The model, with {1e3 * round_trip:.1f} ms for one transfer and back, and "
            f"{1e3 * update:.1f} ms for the optimiser:",
            "",
            "| ranks | trials per rank | s per step | speed-up |",
            "| --- | --- | --- | --- |",
        ]
        for n_ranks, batch in ((16, setting.batch), (16, 1024), (256, 1024)):
            compute = (total - update) * batch / setting.batch
            seconds = compute / n_ranks + update + math.log2(n_ranks) * round_trip
            gain = (compute + update) / seconds
            lines.append(f"| {n_ranks} | {batch // n_ranks} | {seconds:.3f} | {gain:.1f} |")
    table = "\n".join(lines)
    print(table)
    if setting.output:
        setting.output.write_text(table + "\n")


if __name__ == "__main__":
    main()
