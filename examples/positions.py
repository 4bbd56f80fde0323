"""Where are the neurons? Delays are distances over a speed, and the gradient finds the positions.

Electrodes at known places excite axons, one after the other; neurons at unknown places answer with
a spike when the signal arrives.  Positions and conduction speed are found from the times of the
answers, by least squares with the exact Jacobian through ``bep.Expression``.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from brian2 import *
from scipy.optimize import least_squares

import brian_eventprop as bep

prefs.codegen.target = "numpy"  # Brian2 itself need not compile anything
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture goes")
setting = parser.parse_args()
random = np.random.default_rng(1)

# ---- six electrodes on a ring, eight neurons somewhere ----
n_electrodes, n_neurons = 6, 8
electrodes = SpikeGeneratorGroup(n_electrodes, [], [] * ms)
neurons = NeuronGroup(
    n_neurons,
    """dv/dt = (I - v)/(10*ms) : 1
       dI/dt = -I/(3*ms) : 1
       x : meter (constant)
       y : meter (constant)""",
    threshold="v > 1",
    reset="v = 0; I = 0",
    method="exact",
)
axons = Synapses(electrodes, neurons, "w : 1", on_pre="I_post += w", name="axons")
axons.connect()
axons.w = 15
angle = 2 * np.pi * np.arange(n_electrodes) / n_electrodes
ring_x, ring_y = 2 * np.cos(angle) * mm, 2 * np.sin(angle) * mm
true_x, true_y = random.uniform(-1.5, 1.5, (2, n_neurons)) * mm
true_speed = 0.35 * meter / second

neurons.x, neurons.y = true_x, true_y
delay = bep.Expression(
    axons.delay,
    "sqrt((ring_x[i] - x_post)**2 + (ring_y[i] - y_post)**2)/speed",
    ring_x=ring_x,
    ring_y=ring_y,
    speed=true_speed,
)
model = bep.EventPropModel(
    [electrodes, neurons, axons],
    train=[neurons.x, neurons.y, delay],
    readouts=[bep.SpikeTimes(neurons, which="first")],
    duration=60 * ms,
    solver="event",
)
units = {neurons.x: mm, neurons.y: mm, "ring_x": mm, "ring_y": mm}

# ---- the answers: one trial per electrode; the ring itself stays where it is ----
trials = np.arange(n_electrodes)
stimuli = bep.SpikeData(np.full(n_electrodes, 1e-3), trials, trials, n_electrodes, n_electrodes)
answers = model.run(stimuli).readout[0] + random.normal(0, 0.05e-3, (n_electrodes, n_neurons))
found_at = [*range(2 * n_neurons), -1]  # x and y of the neurons, and the speed
start = model.parameters.flatten(units)


def differences(unknown):
    x = start.copy()
    x[found_at] = unknown
    model.parameters.unflatten(x, units)
    return (model.run(stimuli).readout[0] - answers).ravel() * 1e3  # in ms


def slopes(unknown):
    differences(unknown)
    found = model.jacobian()[0].flatten(units)  # (electrodes, neurons, values)
    return found.reshape(n_electrodes * n_neurons, -1)[:, found_at] * 1e3


first = np.append(random.uniform(-1, 1, 2 * n_neurons), 0.6)
fit = least_squares(differences, first, slopes)
model.write_back()
x, y, speed = fit.x[:n_neurons], fit.x[n_neurons:-1], fit.x[-1]
error = np.hypot(x - true_x / mm, y - true_y / mm)
print(f"speed {speed:.3f} m/s (true {true_speed / (meter / second):.3f}, start 0.6)")
print(f"positions off by {1e3 * error.mean():.0f} um on average, {1e3 * error.max():.0f} at most")
print(
    f"answers off by {np.sqrt(np.mean(fit.fun**2)):.3f} ms, with noise of 0.05 ms, {fit.nfev} runs"
)

figure, axes = plt.subplots(figsize=(5.5, 5.5), layout="tight")
axes.plot(ring_x / mm, ring_y / mm, "s", color="black", label="electrode")
axes.plot(true_x / mm, true_y / mm, "o", ms=12, mfc="none", color="C0", label="neuron")
axes.plot(first[:n_neurons], first[n_neurons:-1], "x", color="C1", label="first guess")
axes.plot(x, y, ".", color="C3", label="found")
for k in range(n_neurons):
    axes.plot([first[k], x[k]], [first[n_neurons + k], y[k]], color="C1", lw=0.5)
axes.set(xlabel="x (mm)", ylabel="y (mm)", aspect="equal")
axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
setting.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(setting.folder / "positions.png", dpi=150)
print(f"picture: {setting.folder / 'positions.png'}")
