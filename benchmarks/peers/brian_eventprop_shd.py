"""brian-eventprop on spikes in the shape of the Heidelberg digits, two hidden layers with delays.

The same network as its peers': every synapse has a trained weight and a trained delay, with
``axonal`` all synapses of a neuron have the same one, or with ``max_delay`` 0 a weight only.  Cost
depends on how often neurons spike, so the weights are scaled layer by layer until hidden neurons
emit RATE spikes a second on average, what regularised training on this task settles at.

Needs brian-eventprop.
"""

import sys
from pathlib import Path

import brian2
import measuring
import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep

sys.path.append(str(Path(__file__).parents[1]))
from shd_shape import LIF

RATE = 14.0


def connect(rng, source, target, weights, max_delay, dt, axonal):
    """Synapses from all to all, with delays of 1 to `max_delay` steps unless that is 0."""
    synapses = Synapses(source, target, "w : 1", on_pre="I_post += w")
    synapses.connect()
    synapses.w = weights.ravel()
    if max_delay:
        size = len(source) if axonal else weights.size
        delays = rng.integers(1, max_delay + 1, size) * dt * ms
        synapses.delay = delays[synapses.i] if axonal else delays
    return synapses


def network(task):
    """Return the model, its optimiser, the hidden groups and the synapses."""
    rng, dt = np.random.default_rng(0), task["dt_ms"]
    defaultclock.dt = dt * ms
    hidden, axonal = task["n_hidden"], task.get("axonal", False)
    sizes = task["n_inputs"], hidden, hidden, task["n_outputs"]
    layers = [SpikeGeneratorGroup(sizes[0], [], [] * ms)]
    layers += [
        NeuronGroup(n, LIF, threshold="v > 1", reset="v = 0", method="exact") for n in sizes[1:3]
    ]
    layers.append(NeuronGroup(sizes[3], LIF, method="exact"))
    parts = [
        connect(rng, *pair, rng.normal(0.35, 1.0, (len(pair[0]), len(pair[1]))) / 16,
                task["max_delay"], dt, axonal)
        for pair in zip(layers[:-1], layers[1:], strict=True)
    ]  # fmt: skip
    rates = {s.w: 1e-3 for s in parts}
    rates |= {s.delay: 0.01 * ms for s in parts} if task["max_delay"] else {}
    model = bep.EventPropModel(
        [*layers, *parts],
        train=[bep.Axonal(v) if axonal and v.name == "delay" else v for v in rates],
        loss=bep.CrossEntropy(bep.Integral(layers[-1], "v*exp(-t/T)")),
        duration=task["n_steps"] * dt * ms,
        solver=task.get("solver", "clock"),
        precision="float32" if task.get("solver", "clock") == "clock" else "float64",
        threads=task["threads"],
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
    )
    optimizer = bep.Adam(rates)
    optimizer.bind(model)
    return model, optimizer, layers[1:3], parts


def set_rates(model, groups, parts, data, seconds):
    """Scale the weights onto each hidden layer, the first one first, for RATE spikes a second."""
    for group, synapses in zip(groups, parts[:2], strict=True):
        weights = model.parameters[synapses.w]
        low, high = 0.05, 20.0
        for _ in range(8):
            middle = np.sqrt(low * high)
            model.parameters[synapses.w] = weights * middle
            spikes = model.run(data).spikes[group]
            rate = len(spikes) / (len(data) * len(group) * seconds)
            low, high = (low, middle) if rate > RATE else (middle, high)


def build(task):
    """Return how brian-eventprop holds a batch and takes a step."""
    model, optimizer, groups, parts = network({**task, "solver": "clock"})

    def prepare(events):
        key = np.unique(np.stack([events.trial, events.step, events.channel]), axis=1)  # binary
        return bep.SpikeData(
            (key[1] + 0.5) * task["dt_ms"] * ms, key[2], key[0],
            events.n_trials, task["n_inputs"], targets=events.labels,
        )  # fmt: skip

    sample = prepare(measuring.read_events(task))[np.arange(4)]
    set_rates(model, groups, parts, sample, task["n_steps"] * task["dt_ms"] * 1e-3)
    if task.get("solver") == "event":
        weights = [model.parameters[s.w] for s in parts]
        model, optimizer, groups, parts = network(task)
        for synapses, values in zip(parts, weights, strict=True):
            model.parameters[synapses.w] = values

    def step(data):
        result = model.run(data)
        optimizer.step(model.gradient_arrays())
        sent = [len(result.spikes[group]) for group in groups]
        facts["spikes per hidden neuron"] = [
            round(n / len(data) / len(group), 2) for n, group in zip(sent, groups, strict=True)
        ]
        counts = (len(data.times), *sent)
        sizes = [len(s) // len(s.source) for s in parts]
        facts["synaptic events"] = sum(n * size for n, size in zip(counts, sizes, strict=True))
        return result.loss

    facts = {"versions": {"brian2": brian2.__version__}, "solver": model.solver}
    return prepare, step, facts


if __name__ == "__main__":
    measuring.main(build)
