"""SciPy fits a neuron to its spikes: time constants, weights and delays, within bounds.

A neuron with unknown parameters is driven by known spikes, and its own spike times are recorded.
L-BFGS-B minimises the distance of van Rossum until there are as many spikes as in the recording,
then least squares with the Jacobian of all spike times finish.  ``model.parameters`` is one vector
for SciPy, each number in its unit, with bounds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from brian2 import *
from scipy.optimize import least_squares, minimize

import brian_eventprop as bep

prefs.codegen.target = "numpy"  # Brian2 itself need not compile anything
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture goes")
setting = parser.parse_args()
random = np.random.default_rng(4)

n, duration = 4, 200 * ms
source = SpikeGeneratorGroup(n, np.tile(range(n), 8), random.uniform(0, 180, 8 * n) * ms)
neuron = NeuronGroup(
    1,
    """dv/dt = (I - v)/tau_m : 1
       dI/dt = -I/tau_s : 1
       tau_m : second (constant)
       tau_s : second (constant)""",
    threshold="v > 1",
    reset="v = 0",
    method="exact",
)
synapses = Synapses(source, neuron, "w : 1", on_pre="I_post += w", name="synapses")
synapses.connect()
neuron.tau_m, neuron.tau_s = 15 * ms, 4 * ms
synapses.w, synapses.delay = [3.0, 4.0, 2.5, 3.5], [1, 6, 3, 9] * ms
trained = [neuron.tau_m, neuron.tau_s, synapses.w, synapses.delay]
objects = [source, neuron, synapses]

# ---- what was recorded: the spikes of the neuron with its true parameters ----
times = bep.EventPropModel(
    objects,
    train=trained,
    readouts=[bep.SpikeTimes(neuron, which="each")],
    duration=duration,
    solver="event",
)
recorded = times.run().spikes[neuron].t
x_true = times.parameters.flatten()

# ---- the fit: every parameter is off by up to 15 % ----
loss = bep.VanRossum(neuron, tau=10 * ms, target=[recorded])
model = bep.EventPropModel(objects, train=trained, loss=loss, duration=duration, solver="event")
limits = {neuron.tau_m: (5 * ms, 40 * ms), neuron.tau_s: (1 * ms, 10 * ms), synapses.w: (0, 8)}
x_start = x_true * random.uniform(0.85, 1.15, x_true.size)


def distance(x):
    model.parameters.unflatten(x)
    value = model.run().loss
    return value, model.gradient().flatten()


def differences(x):
    times.parameters.unflatten(x)
    return (times.run().readout[0].ravel() - np.asarray(recorded)) * 1e3  # in ms


def slopes(x):
    differences(x)
    return times.jacobian()[0].flatten()[0, 0] * 1e3


bounds = model.parameters.bounds(limits)
model.parameters.unflatten(x_start)
before = model.run()
near = minimize(distance, x_start, jac=True, bounds=bounds)
found = least_squares(differences, near.x, slopes, bounds=np.transpose(bounds), x_scale=x_start)
model.parameters.unflatten(found.x)
after = model.run()
model.write_back()  # the fitted values are now in the Brian2 objects

names = ["tau_m", "tau_s", *(f"w[{k}]" for k in range(n)), *(f"delay[{k}]" for k in range(n))]
print(f"{'':9} true  start  found")
for row in zip(names, x_true, x_start, found.x, strict=True):
    print("{:9} {:5.2f} {:5.2f} {:6.3f}".format(*row))
print(f"distance {before.loss:.2f} -> {near.fun:.2f} in {near.nfev} runs of L-BFGS-B")
print(f"-> {after.loss:.1e} in {found.nfev} steps of least squares, {len(recorded)} spikes")

# ---- the picture ----
rows = {"recorded": recorded, "start": before.spikes[neuron].t, "fitted": after.spikes[neuron].t}
figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 5), height_ratios=(1, 2), layout="tight")
top.eventplot(
    [times / ms for times in rows.values()], colors=["black", "C1", "C0"], linelengths=0.7
)
top.set(yticks=range(3), yticklabels=rows, xlabel="time (ms)", title="Spikes of the neuron")
bottom.plot(names, x_start / x_true, "o", color="C1", label="start")
bottom.plot(names, found.x / x_true, "o", color="C0", label="fitted")
bottom.axhline(1, color="black", lw=0.8)
bottom.set(ylabel="parameter / true value")
bottom.legend(frameon=False)
setting.folder.mkdir(parents=True, exist_ok=True)
figure.savefig(setting.folder / "scipy_fit.png", dpi=150)
print(f"picture: {setting.folder / 'scipy_fit.png'}")
