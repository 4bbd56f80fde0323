"""Yin-Yang: 30 hidden neurons learn weights and delays, and the class is told by the first spike.

Trains with exact spike times in about a minute, draws what was learned, writes the trained values
back into the Brian2 objects and runs the whole test set again in plain Brian2 on a fine time grid:
the predictions are the same.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep
from brian_eventprop import plotting
from brian_eventprop.datasets.yin_yang import encode_points

prefs.codegen.target = "numpy"
seed(1)
defaultclock.dt = 0.01 * ms  # of plain Brian2 in the end; the training needs no time steps
duration = 60 * ms

# ---- the network, in Brian2 ----
tau_m, tau_s = 20 * ms, 5 * ms
lif = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""
neuron = dict(model=lif, threshold="v > 1", reset="v = 0", method="exact")
synapse = dict(model="w : 1", on_pre="I_post += w")

inputs = SpikeGeneratorGroup(5, [], [] * ms)
hidden = NeuronGroup(30, **neuron)
output = NeuronGroup(3, **neuron)
s_in = Synapses(inputs, hidden, **synapse)
s_out = Synapses(hidden, output, **synapse)
s_in.connect()
s_out.connect()
s_in.w, s_in.delay, s_out.w = "1 + 2.5*rand()", "10*ms*rand()", "1 + randn()"
delays_before = s_in.delay[:]

# ---- its gradient, and the training ----
model = bep.EventPropModel(
    [inputs, hidden, output, s_in, s_out],
    train=[s_in.w, s_in.delay, s_out.w],
    # inputs come until 30 ms; an output that stays silent counts as one that spikes at 35 ms
    loss=bep.TimeToFirstSpike(output, tau=1 * ms, closeness="v - 1", late=35 * ms),
    duration=duration,
    solver="event",
)


def falling(rate):
    return lambda epoch: rate * 0.94**epoch


optimizer = bep.Adam({s_in.w: falling(5e-3), s_in.delay: falling(0.1 * ms), s_out.w: falling(5e-3)})
train, validation, test = (bep.datasets.yin_yang(s) for s in ("train", "validation", "test"))
# validated, tested and written back is the average of the parameters over the last steps
trainer = bep.Trainer(model, optimizer, [bep.ParameterAverage(0.998)])
history = trainer.fit(train, epochs=50, batch_size=20, validation=validation)
print(f"test accuracy: {trainer.evaluate(test)['accuracy']:.1%}")

# ---- pictures ----
result = model.run(test)
figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
plotting.learning_curves(history, axes[0, :2])
plotting.decision_map(trainer.predict, encode_points, axes=axes[0, 2])
plotting.raster(result.spikes[hidden], sample=0, axes=axes[1, 0])
plotting.delays(delays_before, model.parameters[s_in.delay], axes[1, 1:])
figure.savefig("yin_yang.png", dpi=120)

# ---- the same test set in plain Brian2: one copy of the network per sample ----
model.write_back()


def copies(source, target, trained, n_copies):
    """Return the synapses of all copies of a network, with the trained values."""
    all_synapses = Synapses(source, target, **synapse)
    block = np.repeat(np.arange(n_copies), len(trained))
    sizes = trained.source.N, trained.target.N
    all_synapses.connect(
        i=np.tile(trained.i, n_copies) + block * sizes[0],
        j=np.tile(trained.j, n_copies) + block * sizes[1],
    )
    all_synapses.w = np.tile(trained.w, n_copies)
    all_synapses.delay = np.tile(trained.delay / ms, n_copies) * ms
    return all_synapses


n = len(test)
all_inputs = SpikeGeneratorGroup(5 * n, test.channels + 5 * test.trials, test.times * second)
all_hidden, all_output = NeuronGroup(30 * n, **neuron), NeuronGroup(3 * n, **neuron)
all_in = copies(all_inputs, all_hidden, s_in, n)
all_out = copies(all_hidden, all_output, s_out, n)
spikes = SpikeMonitor(all_output)
Network(all_inputs, all_hidden, all_output, all_in, all_out, spikes).run(duration)

first = np.full(3 * n, np.inf)
np.minimum.at(first, spikes.i[:], spikes.t / second)
brian_labels = np.argmin(first.reshape(n, 3), axis=1)
same = np.sum(brian_labels == trainer.predict(test))
print(f"test accuracy in plain Brian2: {np.mean(brian_labels == test.targets):.1%}")
print(f"predictions that agree: {same} of {n}")
