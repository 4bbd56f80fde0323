"""An optimal stimulus: the weakest current that makes a neuron spike at given times.

The current is a TimedArray, and its values are what is trained: the loss is the error of the spike
times plus the energy of the current.  The neuron is an adapting exponential integrate-and-fire
neuron, which answers a constant current with regular spikes that become rarer.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
defaultclock.dt = 0.02 * ms
duration, cell = 120 * ms, 2 * ms
wanted = [25, 35, 75, 82, 110] * ms

current = TimedArray(np.full(60, 0.5) * nA, dt=cell)
neuron = NeuronGroup(
    1,
    """dv/dt = (g*(EL - v) + g*DeltaT*exp((v - VT)/DeltaT) + current(t) - w)/C : volt
       dw/dt = (a*(v - EL) - w)/tau_w : amp""",
    threshold="v > -20*mV",
    reset="v = EL; w += b",
    method="euler",
    namespace={"C": 200 * pF, "g": 12 * nS, "EL": -65 * mV, "VT": -50 * mV, "DeltaT": 2 * mV,
               "a": 2 * nS, "b": 0.06 * nA, "tau_w": 60 * ms, "current": current},
)  # fmt: skip
neuron.v = -65 * mV


state, spikes = StateMonitor(neuron, "v", record=True), SpikeMonitor(neuron)
net = Network(neuron, state, spikes)
net.store()


def recorded():
    """Potential and spike times of a plain run of Brian2."""
    net.restore()
    net.run(duration)
    return np.array(state.t / ms), np.array(state.v[0] / mV), np.array(spikes.t / ms)


timing = bep.SpikeTrainError(neuron, scale=3 * ms, target=[wanted])
energy = bep.Sum(bep.Integral(neuron, "(current(t)/nA)**2/ms"))
model = bep.EventPropModel(
    [neuron], train=[current], loss=timing + 2e-5 * energy, duration=duration, solver="event"
)
print(bep.check_gradient(model, show=False))
before, start = recorded(), np.array(current.values)
adam = bep.Adam({current: lambda epoch: 0.02 * 0.5 ** (epoch / 150) * nA}, beta2=0.95)
nothing = bep.SpikeData([], [], [], n_trials=1, n_channels=0)  # no input spikes
history = bep.Trainer(model, adam).fit(nothing, epochs=800, batch_size=1, progress=False)
model.write_back()
after = recorded()

print(f"loss: {history['loss'][0]:.2g} at the start, {history['loss'][-1]:.2g} at the end")
print(f"spikes in Brian2 at the start: {before[2].round(1)} ms")
print(f"wanted: {np.array(wanted / ms)} ms; in Brian2 at the end: {after[2].round(1)} ms")

figure, (top, bottom) = plt.subplots(
    2, 1, figsize=(8, 5), sharex=True, layout="constrained", height_ratios=[2, 1]
)
for (t, v, spikes), values, color in ((before, start, "0.7"), (after, current.values, "C0")):
    top.plot(t, v, color=color)
    top.plot(spikes, np.full(len(spikes), -15), "v", color=color)
    bottom.step(np.arange(61) * (cell / ms), np.append(values, values[-1]) * 1e9, color=color,
                where="post")  # fmt: skip
for moment in wanted / ms:
    top.axvline(moment, color="C1", linestyle=":")
top.set(ylabel="v (mV)", title="before (gray), after (blue), wanted spikes (dotted)")
bottom.set(xlabel="time (ms)", ylabel="current (nA)", ylim=(0, None))
figure.savefig("optimal_stimulus.png", dpi=120)
