"""An adaptive neuron is fitted to its spikes: five parameters, many starts, error bars.

An exponential integrate-and-fire neuron with adaptation was recorded under four noisy currents:
only its spike times are known.  `bep.fit.SpikeFitter` draws starts within bounds, follows the exact
gradient of van Rossum's distance (with a bound of the rate) from all of them in one batch, and
finishes by least squares on the spike times, which give the error bars.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"  # Brian2 itself need not compile anything
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture goes")
parser.add_argument("--rounds", type=int, default=80, help="batches of neurons that are run")
parser.add_argument("--starts", type=int, default=20, help="neurons in a batch")
setting = parser.parse_args()
random = np.random.default_rng(2)

model = """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) - w + I)/C : volt
           dw/dt = (a*(v - E_L) - w)/tau_w : amp
           g_L : siemens (constant)
           C : farad (constant)
           a : siemens (constant)
           b : amp (constant)
           tau_w : second (constant)"""
E_L, V_T, V_r, D_T = -70 * mV, -50 * mV, -58 * mV, 2 * mV
neuron = {"threshold": "v > -40*mV", "reset": "v = V_r; w += b", "method": "exponential_euler"}

# ---- the recordings: four noisy currents, and the spikes of a neuron with the true parameters ----
dt, steps = 0.1 * ms, 4000
noise = np.zeros((4, steps))
for k in range(1, steps):
    noise[:, k] = 0.98 * noise[:, k - 1] + np.sqrt(1 - 0.98**2) * random.normal(size=4)
current = (np.array([[250], [400], [550], [700]]) + 120 * noise) * pA
true = {"g_L": 10 * nS, "C": 200 * pF, "a": 3 * nS, "b": 70 * pA, "tau_w": 120 * ms}
injected = TimedArray(current.T, dt=dt)
cell = NeuronGroup(4, model + "\nI = injected(t, i) : amp", dt=dt, **neuron)
cell.v = E_L
for name, value in true.items():
    setattr(cell, name, value)
monitor = SpikeMonitor(cell)
run(steps * dt)
recorded = [monitor.spike_trains()[k] for k in range(4)]

# ---- the fit ----
fitter = bep.fit.SpikeFitter(
    model, current, recorded, dt, n_samples=setting.starts, param_init={"v": E_L}, **neuron
)
bounds = {
    "g_L": [3, 30] * nS,
    "C": [60, 600] * pF,
    "a": [0, 10] * nS,
    "b": [0, 150] * pA,
    "tau_w": [20, 300] * ms,
}
found, error = fitter.fit(setting.rounds, seed=1, bounds=bounds)
rows = fitter.results()
searched = fitter.generate_spikes()
refined, estimate = fitter.refine()
final = fitter.generate_spikes()
gamma = [
    np.mean(
        [
            bep.fit.gamma_factor(a, b, 2 * ms, steps * dt)
            for a, b in zip(trains, recorded, strict=True)
        ]
    )
    for trains in (searched, final)
]
print(f"{monitor.num_spikes} spikes; error {float(error):.3f} after the search")
print(f"coincidences (gamma factor, 2 ms): {gamma[0]:.2f} -> {gamma[1]:.2f} by least squares")
print(estimate)

# ---- the picture ----
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for k, trains in enumerate(zip(recorded, searched, final, strict=True)):
    rows_of = [4.0 * k + offset for offset in (2, 1, 0)]
    left.eventplot(
        [train / ms for train in trains],
        lineoffsets=rows_of,
        linelengths=0.8,
        colors=["black", "C1", "C0"],
    )
left.set(yticks=[4 * k + 1 for k in range(4)], yticklabels=[f"current {k + 1}" for k in range(4)])
left.set(xlabel="time (ms)", title="recorded (black), after the search, refined (blue)")
names = list(true)
for k, name in enumerate(names):
    each = [float(row[name] / true[name]) for row in rows]
    best = float(estimate.params[name] / true[name])
    bar = 2 * float(estimate.stderr[name] / true[name])
    right.plot([k - 0.15] * len(each), each, ".", color="0.75", label="starts" if not k else "")
    right.plot(k - 0.15, each[0], "o", color="C1", label="best start" if not k else "")
    right.errorbar(
        k + 0.15, best, bar, fmt="o", color="C0", capsize=3,
        label="refined, 2 standard errors" if not k else "",
    )  # fmt: skip
right.axhline(1, color="black", lw=0.8)
right.set(xticks=range(5), xticklabels=names, ylabel="parameter / true value", ylim=(0, 2.5))
right.legend(frameon=False, ncol=3, loc="upper center")
setting.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(setting.folder / "fit_neuron.png", dpi=150)
print(f"picture: {setting.folder / 'fit_neuron.png'}")
