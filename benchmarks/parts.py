"""Where the time of a training step goes: neurons at rest, input spikes, hidden spikes, Adam.

The network of against_peers.py (700 inputs, 2 x 256 hidden neurons, 1000 steps, trained delays, a
batch of 32, one thread) is run three times: without any spike, with input spikes that reach nobody
(first weights 0), and as it is.  The differences are the cost of what was added, in CPU time and
per synaptic event.

    python benchmarks/parts.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent / "peers"))
from brian_eventprop_shd import network, set_rates
from peers.tasks import BASE
from shd_shape import spikes

import brian_eventprop as bep


def cpu_of(function, *arguments):
    """Return the CPU seconds of a call, and its result."""
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def measure(model, optimizer, data, repeats=8):
    """Return the least CPU seconds of (forward, backward, Adam), and the last result."""
    best = np.full(3, np.inf)
    for _ in range(repeats):
        forward, result = cpu_of(model.run, data)
        backward, gradients = cpu_of(model.gradient_arrays)
        adam, _ = cpu_of(optimizer.step, {key: 0 * g for key, g in gradients.items()})
        best = np.minimum(best, (forward, backward, adam))
    return best, result


def row(name, seconds, events):
    """Print one part: milliseconds forward and backward, and nanoseconds per event."""
    each = f"{seconds.sum() / events * 1e9:9.2f}" if events else " " * 9
    forward, backward = 1e3 * seconds
    print(f"{name:38}{forward:9.1f}{backward:9.1f}{events / 1e6:9.1f}{each}")


def main():
    """Measure and print."""
    rng = np.random.default_rng(0)
    model, optimizer, groups, parts = network(BASE)
    data = spikes(rng, BASE["n_trials"], BASE["n_inputs"], BASE["n_steps"], 7000)
    set_rates(model, groups, parts, data[np.arange(4)], 1.0)
    silence = bep.SpikeData([0.5], [0], [0], len(data), BASE["n_inputs"], targets=data.targets)
    weights = model.parameters[parts[0].w]

    everything, result = measure(model, optimizer, data)
    model.parameters[parts[0].w] = 0 * weights
    inputs, _ = measure(model, optimizer, data)
    nothing, _ = measure(model, optimizer, silence)

    sent = [len(result.spikes[group]) for group in groups]
    n_input = len(data.times) * BASE["n_hidden"]
    n_hidden = sent[0] * BASE["n_hidden"] + sent[1] * BASE["n_outputs"]
    print(f"{'CPU time':38}{'fwd ms':>9}{'bwd ms':>9}{'M events':>9}{'ns each':>9}")
    row("neurons without spikes, all steps", nothing[:2], 0)
    row("+ input spikes", (inputs - nothing)[:2], n_input)
    row("+ hidden spikes, threshold and reset", (everything - inputs)[:2], n_hidden)
    row("together", everything[:2], n_input + n_hidden)
    print(f"Adam: {1e3 * everything[2]:.1f} ms")


if __name__ == "__main__":
    main()
