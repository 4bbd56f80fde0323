"""mlGeNN's EventProp with trained delays, on GeNN's backend for CPUs, where GeNN is installed.

That backend takes one trial at a time, on one core, and updates the weights after each of them, so
a step here is one pass over the batch.  Written for mlGeNN 2.4; GeNN is built from source and not
to be had from pip, so this program is the one that our own runs do not exercise.

Needs ml_genn and pygenn, and a C++ compiler.
"""

import os
from importlib.metadata import version
from pathlib import Path

import measuring
import numpy as np
from ml_genn import Connection, Network, Population
from ml_genn.compilers import EventPropCompiler
from ml_genn.compilers.event_prop_compiler import default_params
from ml_genn.connectivity import Dense
from ml_genn.initializers import Normal, Uniform
from ml_genn.neurons import LeakyIntegrate, LeakyIntegrateFire, SpikeInput
from ml_genn.optimisers import Adam
from ml_genn.synapses import Exponential
from ml_genn.utils.data import preprocess_spikes

#: Mean and deviation of the weights of each layer: hidden neurons spike about ten times a second.
WEIGHTS = (0.03, 0.01), (0.02, 0.03), (0.0, 0.03)


def network(task, most_spikes):
    """Return the network, its input, its output and its connections."""
    sizes = task["n_inputs"], task["n_hidden"], task["n_hidden"], task["n_outputs"]
    net = Network(default_params)
    with net:
        layers = [Population(SpikeInput(max_spikes=most_spikes), sizes[0])]
        for size in sizes[1:3]:
            neuron = LeakyIntegrateFire(v_thresh=1.0, tau_mem=20.0, tau_refrac=None)
            layers.append(Population(neuron, size))
        neuron = LeakyIntegrate(tau_mem=20.0, readout="avg_var_exp_weight")
        layers.append(Population(neuron, sizes[3]))
        connections = [
            Connection(
                layers[k], layers[k + 1],
                Dense(Normal(mean=mean, sd=spread), Uniform(0, task["max_delay"])),
                Exponential(5.0), max_delay_steps=task["max_delay"] + 1,
            )
            for k, (mean, spread) in enumerate(WEIGHTS)
        ]  # fmt: skip
    return net, layers[0], layers[-1], connections


def build(task):
    """Return how mlGeNN holds a batch and takes a step."""
    counts = np.bincount(measuring.read_events(task).trial)
    net, source, target, connections = network(task, int(counts.max()))
    compiler = EventPropCompiler(
        example_timesteps=task["n_steps"], losses="sparse_categorical_crossentropy",
        max_spikes=1500, dt=task["dt_ms"], batch_size=1, optimiser=Adam(1e-3),
        delay_optimiser=Adam(1e-2), delay_learn_conns=connections, optimize_code=True,
    )  # fmt: skip
    os.chdir(Path(task["data"]).parent)  # GeNN writes its code to where it runs
    compiled = compiler.compile(net)
    compiled.__enter__()  # until the process ends

    def prepare(events):
        trials = []
        for trial in range(events.n_trials):
            kept = events.trial == trial
            times = events.step[kept] * float(task["dt_ms"])
            trials.append(preprocess_spikes(times, events.channel[kept], task["n_inputs"]))
        return trials, events.labels

    def step(batch):
        trials, labels = batch
        compiled.train({source: trials}, {target: labels}, num_epochs=1, callbacks=[])

    return prepare, step, {"versions": {name: version(name) for name in ("ml_genn", "pygenn")}}


if __name__ == "__main__":
    measuring.main(build)
