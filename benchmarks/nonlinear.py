"""What neurons with a closed form spare, and nonlinear ones cost: forward, backward and memory.

The recurrent network of shd_shape.py with a batch of 16, its hidden neurons replaced: quadratic and
exponential (AdEx) integrate-and-fire neurons, and leaky ones with a conductance as synapse, whose
states the backward pass has to read.  They are kept at a few steps of a trial, from which a
part of the trial is recomputed at a time.  Memory is the peak over the process at rest, with data,
model and compiled kernels; every model runs in a process of its own.

    python benchmarks/nonlinear.py
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, second
from memory import peak_mib
from shd_shape import LIF, events, spikes

import brian_eventprop as bep

CURRENT = "dI/dt = -I/tau_s : 1"
SPIKE = {"threshold": "v > 1", "reset": "v = 0"}
#: Equations, the variable that arrivals add to, options of the group, and the scale of its weights.
MODELS = {
    "LIF (closed form)": (LIF, "I", {**SPIKE, "method": "exact"}, 1.0),
    "QIF": (
        f"dv/dt = (0.5*v*(v - 1) - 0.1 + I)/tau_m : 1\n{CURRENT}",
        "I",
        {"threshold": "v > 2", "reset": "v = -0.5", "method": "euler"},
        1.0,
    ),
    "AdEx": (
        f"""dv/dt = (0.2*exp((v - 1)/0.2) - v - z + I)/tau_m : 1
            dz/dt = (0.1*v - z)/(100*ms) : 1
            {CURRENT}""",
        "I",
        {"threshold": "v > 1.5", "reset": "v = 0; z += 0.05", "method": "euler"},
        1.0,
    ),
    "conductance": (
        "dv/dt = (g*(4 - v) - v)/tau_m : 1\ndg/dt = -g/tau_s : 1",
        "g",
        {**SPIKE, "method": "euler"},
        0.3,
    ),
}


def project(rng, source, target, variable, weights):
    """Synapses from all to all with random delays of 1 to 62 steps."""
    synapses = Synapses(source, target, "w : 1", on_pre=f"{variable}_post += w")
    synapses.connect()
    synapses.w, synapses.delay = weights.ravel(), rng.integers(1, 63, weights.size) * ms
    return synapses


def network(name, n_inputs=700, n_hidden=256, n_outputs=20):
    """Return the model, its hidden group and its synapses."""
    equations, variable, options, scale = MODELS[name]
    rng = np.random.default_rng(0)
    defaultclock.dt = 1 * ms
    inputs = SpikeGeneratorGroup(n_inputs, [], [] * ms)
    hidden = NeuronGroup(n_hidden, equations, **options)
    output = NeuronGroup(n_outputs, LIF, method="exact")
    w_in = rng.normal(0.35, 1.0, (n_inputs, n_hidden)) * 0.06 * scale
    w_rec = rng.normal(0, 0.6, (n_hidden, n_hidden)) / np.sqrt(n_hidden) * scale
    w_out = rng.normal(0, 0.6, (n_hidden, n_outputs)) / np.sqrt(n_hidden)
    parts = [
        project(rng, inputs, hidden, variable, w_in),
        project(rng, hidden, hidden, variable, w_rec),
        project(rng, hidden, output, "I", w_out),
    ]
    model = bep.EventPropModel(
        [inputs, hidden, output, *parts],
        train=[view for s in parts for view in (s.w, s.delay)],
        loss=bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)")),
        duration=1 * second,
        precision="float32",
        threads=1,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
    )
    return model, hidden, parts


def measure(name, n_trials=16, repeats=5):
    """Return one row of the table."""
    model, hidden, parts = network(name)
    data = spikes(np.random.default_rng(1), n_trials, 700, 1000, 7000)
    model.run(data[[0]])
    model.gradient()  # compiled now
    idle, best = peak_mib(), np.full(2, np.inf)
    for _ in range(repeats):
        start = time.process_time()
        result = model.run(data)
        middle = time.process_time()
        model.gradient_arrays()
        best = np.minimum(best, (middle - start, time.process_time() - middle))
    n = events(data, result, hidden, parts)
    rate = len(result.spikes[hidden]) / n_trials / len(hidden)
    forward, backward = 1e3 * best
    return (
        f"| {name} | {rate:.1f} | {forward:.0f} | {backward:.0f} | {backward / forward:.1f} | "
        f"{best.sum() / n * 1e9:.1f} | {peak_mib() - idle:.0f} |"
    )


def main():
    """Measure every model and write the table."""
    lines = ["CPU time on one core, the least of five batches of 16.", ""]
    lines += ["| neurons | spikes each | forward ms | backward ms | ratio | ns per event | MiB |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name in MODELS:
        command = [sys.executable, __file__, "--only", name]
        lines.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        lines[-1] = lines[-1].strip()
        print(lines[-1], flush=True)
    folder = Path(__file__).parent / "results"
    (folder / "nonlinear.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(MODELS))
    chosen = parser.parse_args()
    if chosen.only:
        print(measure(chosen.only))
    else:
        main()
