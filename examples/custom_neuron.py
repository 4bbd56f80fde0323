"""A neuron that nobody provides: AdEx with a conductance synapse, fitted to a target spike train.

The equations below are all that the package is told.  It derives the adjoint, its gradient is
checked against central differences, and then the adaptation time constant, the adaptation jump and
the synaptic weights are fitted until the neuron spikes when a target spike train says.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
rng = np.random.default_rng(4)
duration = 200 * ms

# ---- the neuron, in Brian2 ----
C, gL, EL, VT, DeltaT = 200 * pF, 10 * nS, -70 * mV, -50 * mV, 2 * mV
Ee, tau_e, a = 0 * mV, 4 * ms, 2 * nS
adex = """
dv/dt = (gL*(EL - v) + gL*DeltaT*exp((v - VT)/DeltaT) - w + g*(Ee - v))/C : volt
dw/dt = (a*(v - EL) - w)/tau_w : amp
dg/dt = -g/tau_e : siemens
tau_w : second (constant)
b : amp (constant)
"""
channels = 20
when = np.sort(rng.uniform(0, 180, 160))
inputs = SpikeGeneratorGroup(channels, rng.integers(0, channels, 160), when * ms)
neuron = NeuronGroup(
    1, adex, threshold="v > -40*mV", reset="v = -58*mV; w += b", method="rk4", name="neuron"
)
synapses = Synapses(inputs, neuron, "weight : siemens", on_pre="g_post += weight")
synapses.connect()
synapses.delay = rng.uniform(1, 10, channels) * ms
neuron.v = EL

# ---- the spike train to reproduce: the same neuron with other parameters ----
true = {"tau_w": 80 * ms, "b": 60 * pA, "weight": rng.uniform(2, 6, channels) * nS}
neuron.tau_w, neuron.b, synapses.weight = true["tau_w"], true["b"], true["weight"]
options = dict(duration=duration, solver="event")
teacher = bep.EventPropModel(
    [inputs, neuron, synapses],
    train=[neuron.tau_w],
    loss=bep.Sum(bep.SpikeCount(neuron)),
    **options,
)
target = np.asarray(teacher.run().spikes[neuron].t)
print(f"target: {len(target)} spikes")

# ---- the neuron that shall learn it ----
neuron.tau_w, neuron.b = 40 * ms, 40 * pA
synapses.weight = true["weight"] * rng.uniform(0.9, 1.1, channels)
error = bep.SpikeTrainError(neuron, scale=5 * ms, target=[target * second])

model = bep.EventPropModel(
    [inputs, neuron, synapses],
    train=[neuron.tau_w, neuron.b, synapses.weight],
    loss=error,
    **options,
)
print(model.equations)  # the derived adjoint
bep.check_gradient(model)


def falling(rate):
    """A learning rate that falls to a half with every epoch."""
    return lambda epoch: rate * 0.5**epoch


adam = bep.Adam(
    {neuron.tau_w: falling(2 * ms), neuron.b: falling(2 * pA), synapses.weight: falling(0.05 * nS)}
)
adam.bind(model)
losses, before = [], np.asarray(model.run().spikes[neuron].t)
for step in range(2000):
    adam.start_epoch(step // 250)
    losses.append(model.run().loss)
    adam.step(model.gradient_arrays())
after = np.asarray(model.run().spikes[neuron].t)

print(f"loss: {losses[0]:.3f} at the start, {losses[-1]:.4f} at the end")
print(f"tau_w: {model.parameters[neuron.tau_w][0] / ms:.1f} ms (of the target: 80 ms)")
print(f"spikes: {len(before)} at the start, {len(after)} at the end, {len(target)} in the target")
if len(after) == len(target):
    print(f"largest error of a spike time: {np.abs(after - target).max() * 1e3:.3f} ms")

figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 4), layout="constrained")
top.eventplot([after * 1e3, target * 1e3, before * 1e3], colors=["C0", "k", "0.6"])
top.set(yticks=[0, 1, 2], yticklabels=["fitted", "target", "start"], xlabel="time (ms)")
bottom.semilogy(losses)
bottom.set(xlabel="step", ylabel="error")
figure.savefig("custom_neuron.png")
