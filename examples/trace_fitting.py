"""Trace fitting: conductances of a neuron, found from noisy voltage traces.

A neuron with a hyperpolarization-activated current answers current steps with a sag.  Its voltage,
with the noise of a measurement, is the target: a `Value` at many times is the whole trace, so the
gradient of the mean squared error is exact, and SciPy's L-BFGS-B does the rest.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *
from scipy.optimize import minimize

import brian_eventprop as bep

prefs.codegen.target = "numpy"
rng = np.random.default_rng(1)

T, cells = 300 * ms, 30
step = np.zeros((3, cells))  # currents of three trials, in pieces of 10 ms
step[:, 5:20] = np.array([[-0.2], [-0.1], [0.1]])
current = TimedArray(step[0] * nA, dt=10 * ms)
neuron = NeuronGroup(
    1,
    """dv/dt = (g_l*(-60*mV - v) + g_h*m*(-30*mV - v) + current(t))/(100*pF) : volt
       dm/dt = (1/(1 + exp((v + 75*mV)/(6*mV))) - m)/tau_h : 1
       g_l : siemens
       g_h : siemens
       tau_h : second""",
    method="rk4",
)
neuron.v, neuron.m = -58.7 * mV, 0.06
traces = {"current": step[:, :, np.newaxis] * nA}
options = dict(train=[neuron.g_l, neuron.g_h, neuron.tau_h], duration=T)
names, units = ("g_l", "g_h", "tau_h"), (nS, nS, ms)

# the neuron that is measured
true = np.array([8.0, 5.0, 40.0])
times = np.arange(0, 300, 0.5) * ms
readout = bep.Value(neuron, "v/mV", at=times)
for name, value, unit in zip(names, true, units, strict=True):
    setattr(neuron, name, value * unit)
teacher = bep.EventPropModel([neuron], loss=bep.Sum(readout), **options)
clean = teacher.run(traces=traces).readout[0]
measured = clean + rng.normal(0, 0.3, clean.shape)

# the one that is fitted
guess = np.array([4.0, 1.0, 100.0])
for name, value, unit in zip(names, guess, units, strict=True):
    setattr(neuron, name, value * unit)
model = bep.EventPropModel([neuron], loss=bep.MeanSquaredError(readout), **options)
views = [getattr(neuron, name) for name in names]


def error(factors):
    """The loss and its gradient in logarithms of the parameters, which keep them positive."""
    for view, value, unit in zip(views, guess * np.exp(factors), units, strict=True):
        model.parameters[view] = value * unit
    loss = model.run(traces=traces, targets=measured).loss
    gradients = model.gradient()
    return loss, [float(gradients[view][0] * model.parameters[view][0]) for view in views]


start = error(np.zeros(3))[0]
before = model.record(neuron, ["v"], times=times)
fit = minimize(error, np.zeros(3), jac=True, method="L-BFGS-B")
found = guess * np.exp(fit.x)
error(fit.x)
after = model.record(neuron, ["v", "m"], times=times, adjoint=True)

print(f"loss: {start:.1f} at the start, {fit.fun:.3f} after {fit.nfev} runs; noise: 0.090")
for name, value, known, unit in zip(names, found, true, units, strict=True):
    print(f"{name}: {value:.2f} {unit}, true {known:.2f}")

figure, axes = plt.subplots(3, 1, figsize=(7, 6), sharex=True, layout="constrained")
axes[0].plot(times / ms, measured[0, 0], color="0.7", lw=0.8, label="measured")
axes[0].plot(times / ms, before.v[0] / mV, "C0", label="before")
axes[0].plot(times / ms, after.v[0] / mV, "C1", label="after")
axes[0].set(ylabel="v (mV)")
axes[0].legend(frameon=False)
bep.plotting.adjoint(after, axes=axes[1:], color="C1")
figure.savefig("trace_fitting.png", dpi=150)
