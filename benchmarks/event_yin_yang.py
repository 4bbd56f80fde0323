"""CPU time of one training batch of the event solver: 100 Yin-Yang samples, 5-100-3 LIF neurons.

Forward, backward and Adam, delays learned as well, on one core.  Wunderlich and Pehle's C++ program
needs 19 to 22 ms for the same network without delays.

Run: ``python benchmarks/event_yin_yang.py``.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time

import numpy as np
from brian2 import *

import brian_eventprop as bep


def network(seed=0, loss="first spike", delays=True, weights=None):
    """The model and its optimiser; without ``delays`` only weights are trained, or given ones."""
    rng = np.random.default_rng(seed)
    tau_m, tau_s = 20 * ms, 5 * ms
    lif = """dv/dt = (I - v)/tau_m : 1
             dI/dt = -I/tau_s : 1"""
    inputs = SpikeGeneratorGroup(5, [], [] * ms, name="inputs")
    hidden = NeuronGroup(100, lif, threshold="v > 1", reset="v = 0", method="exact", name="hidden")
    spiking = {"threshold": "v > 1", "reset": "v = 0"} if loss == "first spike" else {}
    output = NeuronGroup(3, lif, method="exact", name="output", **spiking)
    s_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="s_in")
    s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w", name="s_out")
    s_in.connect()
    s_out.connect()
    s_in.w = rng.normal(1.5, 0.8, 500)
    s_in.delay = rng.uniform(0, 10, 500) * ms * delays
    s_out.w = rng.normal(0.1, 0.1, 300) if loss == "integral" else rng.normal(0.5, 0.4, 300)
    s_out.delay = rng.uniform(0, 5, 300) * ms * delays
    if weights is not None:
        s_in.w, s_out.w = (w.ravel() for w in weights)  # connected all to all: by row
    chosen = (
        bep.TimeToFirstSpike(output, tau=2 * ms)
        if loss == "first spike"
        else bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)"), scale=100)
    )
    rates = {s_in.w: 5e-3, s_out.w: 5e-3}
    rates |= {s_in.delay: 0.1 * ms, s_out.delay: 0.1 * ms} if delays else {}
    model = bep.EventPropModel(
        [inputs, hidden, output, s_in, s_out],
        train=list(rates),
        loss=chosen,
        duration=60 * ms,
        solver="event",
        threads=1,
        namespace={"tau_m": tau_m, "tau_s": tau_s},
    )
    return model, bep.Adam(rates), hidden, output


def measure(loss, batches=30, size=100):
    """Print the median CPU time of a batch."""
    model, adam, hidden, output = network(loss=loss)
    adam.bind(model)
    data = bep.datasets.yin_yang("train")
    parts = {"forward": [], "backward": [], "Adam": []}
    accuracy = []
    for number in range(batches + 2):
        chosen = data[np.arange(number * size, (number + 1) * size) % len(data)]
        start = time.process_time()
        result = model.run(chosen)
        middle = time.process_time()
        gradients = model.gradient_arrays()
        late = time.process_time()
        adam.step(gradients)
        end = time.process_time()
        accuracy.append(np.mean(model.loss.predict(result.readout) == chosen.targets))
        if number >= 2:  # the first ones compile
            for name, spent in zip(parts, (middle - start, late - middle, end - late), strict=True):
                parts[name].append(spent)
    spikes = [len(result.spikes[g]) / size for g in (hidden, output)]
    total = np.sum([np.median(p) for p in parts.values()])
    rows = ", ".join(f"{name} {1e3 * np.median(p):.1f}" for name, p in parts.items())
    print(
        f"{loss}: {1e3 * total:.1f} ms CPU per batch ({rows}); spikes a trial: hidden "
        f"{spikes[0]:.0f}, output {spikes[1]:.1f}; accuracy {np.mean(accuracy[-5:]):.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=30)
    batches = parser.parse_args().batches
    for kind in ("first spike", "integral"):
        measure(kind, batches)
