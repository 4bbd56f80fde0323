"""Peak memory of one training step in the shape of the delay-learning paper's benchmark.

700 inputs, two feed-forward hidden layers of 256 LIF neurons, 20 readouts, batches of 256 trials
of 1127 steps, a trained weight and a trained delay of up to 512 steps on every synapse (Mészáros,
Knight & Nowotny 2025, where mlGeNN needs 4056 MiB and DCLS 11512 MiB of GPU memory).  Reported is
the peak resident memory over that of the process with its data, its model and its compiled kernels
at rest.

    python benchmarks/memory.py
"""

import resource
import time

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, defaultclock, ms
from shd_shape import LIF, project, spikes

import brian_eventprop as bep


def peak_mib():
    """Peak resident memory of the process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def network(rng, n_inputs=700, n_hidden=256, n_outputs=20, n_steps=1127, max_delay=512, **options):
    """Two hidden layers, all delays trained."""
    defaultclock.dt = 1 * ms
    layers = [SpikeGeneratorGroup(n_inputs, [], [] * ms)]
    layers += [
        NeuronGroup(n_hidden, LIF, threshold="v > 1", reset="v = 0", method="exact")
        for _ in range(2)
    ]
    layers.append(NeuronGroup(n_outputs, LIF, method="exact"))
    sizes = (n_inputs, n_hidden, n_hidden, n_outputs)
    gains = (0.35, 1.0, 0.06), (0.3, 1.0, 0.15), (0.0, 1.0, 0.06)
    parts = []
    for k, (mean, spread, scale) in enumerate(gains):
        weights = rng.normal(mean, spread, sizes[k : k + 2]) * scale
        parts.append(project(rng, layers[k], layers[k + 1], weights, max_delay))
    model = bep.EventPropModel(
        [*layers, *parts],
        train=[view for s in parts for view in (s.w, s.delay)],
        loss=bep.CrossEntropy(bep.Integral(layers[-1], "v*exp(-t/T)")),
        duration=n_steps * ms,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
        **{"precision": "float32"} | options,
    )
    rates = {s.w: 1e-3 for s in parts} | {s.delay: 0.01 * ms for s in parts}
    optimizer = bep.Adam(rates)
    optimizer.bind(model)
    return model, optimizer


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    model, optimizer = network(rng)
    data = spikes(rng, 256, 700, 1127, 8000)
    small = data[[0]]
    model.run(small)
    model.gradient()  # compiled now
    idle = peak_mib()
    start = time.perf_counter()
    result = model.run(data)
    optimizer.step(model.gradient_arrays())
    wall = time.perf_counter() - start
    counts = [len(train) / 256 / 256 for train in list(result.spikes.values())[:2]]
    print(f"spikes per hidden neuron and trial: {counts[0]:.1f}, {counts[1]:.1f}")
    print(f"one training step: {wall:.2f} s, {peak_mib() - idle:.0f} MiB over {idle:.0f} MiB idle")
