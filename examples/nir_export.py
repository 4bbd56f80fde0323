"""To a chip by NIR: delays are learned, brought onto a chip's grid, and the network is handed over.

Trains delays and weights on the Yin-Yang task, rounds the delays to whole steps of 1 ms as on
Loihi 2, says what that costs, writes the network to a file in the Neuromorphic Intermediate
Representation, and reads the file as Brian2 objects again: they give the same spikes.

Needs the package nir: pip install 'brian-eventprop[nir]'.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nir
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
seed(1)
defaultclock.dt = 0.1 * ms
duration = 60 * ms

# ---- a network in Brian2, and its training ----
tau_m, tau_s = 20 * ms, 5 * ms
lif = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""
synapse = dict(model="w : 1", on_pre="I_post += w")

inputs = SpikeGeneratorGroup(5, [], [] * ms, name="inputs")
hidden = NeuronGroup(30, lif, threshold="v > 1", reset="v = 0", method="exact", name="hidden")
output = NeuronGroup(3, lif, method="exact", name="readout")
s_in = Synapses(inputs, hidden, name="s_in", **synapse)
s_out = Synapses(hidden, output, name="s_out", **synapse)
s_in.connect()
s_out.connect()
s_in.w, s_in.delay, s_out.w = "1 + 2.5*rand()", "10*ms*rand()", "0.5*randn()"

model = bep.EventPropModel(
    [inputs, hidden, output, s_in, s_out],
    train=[s_in.w, s_in.delay, s_out.w],
    loss=bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)"), scale=200),
    duration=duration,
)
data, test = bep.datasets.yin_yang("train"), bep.datasets.yin_yang("test")
trainer = bep.Trainer(model, bep.Adam({s_in.w: 5e-3, s_in.delay: 0.1 * ms, s_out.w: 5e-3}))
trainer.fit(data, epochs=6, batch_size=20)
print(f"accuracy, delays in steps of 0.1 ms: {trainer.evaluate(test)['accuracy']:.1%}")

# ---- delays on the grid of a chip: whole milliseconds, 62 at most ----
learned = model.parameters[s_in.delay]
print(bep.quantize(model, test, dt=1 * ms, maximum=62))
print(f"accuracy, delays in steps of 1 ms: {trainer.evaluate(test)['accuracy']:.1%}")

# ---- to NIR: one Delay and one Linear for each distinct delay ----
graph = bep.nir.export(model)
kinds = [type(node).__name__ for node in graph.nodes.values()]
print("nodes:", ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
print(graph.metadata["notes"])
nir.write("yin_yang.nir", graph)

# ---- and back ----
network = bep.nir.read("yin_yang.nir")
again = bep.EventPropModel(
    network.objects,
    train=[network["s_in"].w, network["s_in"].delay],
    loss=bep.CrossEntropy(bep.Integral(network["readout"], "v*exp(-t/T)"), scale=200),
    duration=duration,
)
first, second = model.run(test), again.run(test)
spikes = [result.spikes[group] for result, group in ((first, hidden), (second, network["hidden"]))]
same = np.array_equal(spikes[0].t, spikes[1].t) and np.array_equal(spikes[0].i, spikes[1].i)
agree = np.sum(first.readout[0].argmax(1) == second.readout[0].argmax(1))
print(f"{len(spikes[0].t)} spikes, {'all the same' if same else 'DIFFERENT'} after the way back")
print(f"predictions that agree: {agree} of {len(test)}")

# ---- a picture: learned and rounded delays, and the spikes of one trial after the way back ----
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
bep.plotting.delays(learned, model.parameters[s_in.delay], axes[:2])
axes[1].set(xlabel="learned (ms)", ylabel="on the grid (ms)")
bep.plotting.raster(spikes[0], axes=axes[2], color="0.7", s=150)
bep.plotting.raster(spikes[1], axes=axes[2])
axes[2].set(title="spikes before (grey) and after")
figure.savefig("nir_export.png", dpi=110)
