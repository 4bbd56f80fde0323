"""Gap junctions: how strongly five neurons are coupled, found from their spikes alone.

The network is the one of Brian2's own example: a (summed) variable carries the current through the
gap junctions.  Spikes of a network with known conductances are the target; another one with equal
conductances everywhere learns them by gradient descent on its spike times.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
defaultclock.dt = 0.05 * ms
rng = np.random.default_rng(3)

neurons = NeuronGroup(
    5,
    """dv/dt = (drive - v + Igap)/(10*ms) : 1
       Igap : 1
       drive : 1 (constant)""",
    threshold="v > 1",
    reset="v = 0",
    method="exact",
)
gap = Synapses(neurons, neurons, "w : 1\nIgap_post = w*(v_pre - v_post) : 1 (summed)")
gap.connect(condition="abs(i - j) == 1")  # a chain
neurons.v = "i/5.0"

options = dict(duration=200 * ms)
true = rng.uniform(0.02, 0.4, len(gap))
gap.w, neurons.drive = true, rng.uniform(1.1, 1.6, 5)
teacher = bep.EventPropModel(
    [neurons, gap], train=[gap.w], loss=bep.Sum(bep.SpikeCount(neurons)), **options
)
found = teacher.run().spikes[neurons]
target = [np.asarray(found.t)[np.asarray(found.i) == k] for k in range(5)]

gap.w = 0.2
model = bep.EventPropModel(
    [neurons, gap],
    train=[gap.w],
    loss=bep.SpikeTrainError(neurons, scale=5 * ms, target=[t * second for t in target]),
    **options,
)
adam = bep.Adam({gap.w: lambda epoch: 0.02 * 0.8**epoch})
adam.bind(model)
losses, before = [], model.run().spikes[neurons]
for step in range(2500):
    adam.start_epoch(step // 100)
    losses.append(model.run().loss)
    adam.step(model.gradient_arrays())
after = model.run().spikes[neurons]
w = np.asarray(model.parameters[gap.w])

print(f"spikes: {len(before)} at the start, {len(after)} at the end, {len(found)} in the target")
print(f"loss: {losses[0]:.2f} at the start, {losses[-1]:.1e} at the end")
print(f"conductances: wrong by {np.abs(w - true).max():.3f} at most")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
for spikes, color, shift in ((before, "0.7", 0.2), (found, "k", 0.0), (after, "C1", -0.2)):
    left.plot(np.asarray(spikes.t) * 1e3, spikes.i + shift, "|", color=color, markersize=9)
left.set(xlabel="time (ms)", ylabel="neuron", title="before (gray), target (black), after")
middle.semilogy(losses)
middle.set(xlabel="step", title="error of the spike times")
right.plot([0, 0.45], [0, 0.45], "0.8")
right.plot(true, w, "o")
right.set(xlabel="true", ylabel="learned", title="conductance of each gap junction")
figure.savefig("gap_junctions.png", dpi=120)
