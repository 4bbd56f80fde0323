"""Short-term plasticity from spike trains: which synapses are these?

Neurons fire to bursts of input through synapses that are depressed and facilitated (Tsodyks,
Pawelzik and Markram 1998, https://doi.org/10.1162/089976698300017502).  Only the spikes of both
sides are known.  The release probability U and both time constants are learned from them, by the
exact gradient of the distance between spike trains.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
rng = np.random.default_rng(1)
seed(1)
duration, n_inputs, n_trials = 600 * ms, 40, 6

# ---- the network, in Brian2 ----
inputs = SpikeGeneratorGroup(n_inputs, [], [] * ms, name="inputs")
neurons = NeuronGroup(
    4, "dv/dt = (I - v)/(15*ms) : 1\ndI/dt = -I/(4*ms) : 1",
    threshold="v > 1", reset="v = 0", method="exact", name="neurons",
)  # fmt: skip
synapses = Synapses(
    inputs,
    neurons,
    """w : 1
    U : 1 (shared, constant)
    tau_f : second (shared, constant)
    tau_d : second (shared, constant)
    du/dt = (U - u)/tau_f : 1 (event-driven)
    dx/dt = (1 - x)/tau_d : 1 (event-driven)""",
    on_pre="""u += U*(1 - u)
    I_post += w*u*x
    x -= u*x""",
    name="synapses",
)
synapses.connect(p=0.5)
synapses.w = rng.uniform(1, 4, len(synapses))
synapses.delay = rng.uniform(0.5, 5, len(synapses)) * ms
synapses.x, synapses.u = 1, 0.2

# ---- bursts of input, and the spikes that the true synapses make of them ----
times, channels, trials = [], [], []
for trial in range(n_trials):
    for channel in range(n_inputs):
        for start in rng.uniform(0, 500, 2):
            burst = start + np.cumsum(rng.uniform(4, 16, rng.integers(3, 9)))
            times += list(burst * 1e-3)
            channels += [channel] * len(burst)
            trials += [trial] * len(burst)
true = {"U": 0.15, "tau_f": 120 * ms, "tau_d": 60 * ms}
start = {"U": 0.4, "tau_f": 40 * ms, "tau_d": 150 * ms}
views = [synapses.U, synapses.tau_f, synapses.tau_d]


def made(loss, values):
    """Return a model of the network with some values of the parameters."""
    for name, value in values.items():
        setattr(synapses, name, value)
    return bep.EventPropModel(
        [inputs, neurons, synapses], train=views, loss=loss, duration=duration, solver="event"
    )


given = dict(n_trials=n_trials, n_channels=n_inputs)
spikes = np.array(times), np.array(channels), np.array(trials)
teacher = made(bep.Sum(bep.SpikeTimes(neurons)), true)
wanted = teacher.run(bep.SpikeData(*spikes, **given)).spikes[neurons]
target = bep.SpikeData(wanted.t, wanted.i, wanted.sample, n_trials=n_trials, n_channels=4)
data = bep.SpikeData(*spikes, **given, targets=target)
print(f"{len(times)} input spikes, {len(wanted)} spikes of the neurons")

# ---- learn ----
model = made(bep.VanRossum(neurons, 20 * ms), start)
bep.check_gradient(model, data)
rates = {synapses.U: 0.005, synapses.tau_f: 2 * ms, synapses.tau_d: 2 * ms}
optimizer = bep.Adam(rates, bounds={synapses.U: (0.01, 1)})
trainer = bep.Trainer(model, optimizer)
before = model.run(data).spikes[neurons]
path, losses = [], []
for _ in range(150):
    path.append([float(model.parameters[view][0]) for view in views])
    losses.append(trainer.fit(data, 1, n_trials, progress=False)["loss"][-1])
after = model.run(data).spikes[neurons]

print("        start   learned  true")
for k, (name, scale) in enumerate((("U", 1), ("tau_f", 1e3), ("tau_d", 1e3))):
    first, last, known = path[0][k] * scale, path[-1][k] * scale, float(true[name]) * scale
    print(f"{name:6} {first:6.2f}   {last:6.2f}   {known:6.2f}" + " ms" * (scale > 1))
print(f"distance of the spike trains: {losses[0]:.2f} at the start, {losses[-1]:.3f} at the end")

# ---- a picture ----
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
shown = [s.t[(s.sample == 0) & (s.i == 0)] / ms for s in (after, wanted, before)]
axes[0].eventplot(shown, colors=["C0", "k", "0.6"])
axes[0].set(yticks=[0, 1, 2], yticklabels=["learned", "true", "start"], xlabel="time (ms)")
axes[1].semilogy(losses)
axes[1].set(xlabel="step", ylabel="distance of spike trains")
relative = np.array(path) / [float(true[name]) for name in ("U", "tau_f", "tau_d")]
axes[2].plot(relative, label=["U", r"$\tau_f$", r"$\tau_d$"])
axes[2].axhline(1, color="k", lw=0.5)
axes[2].set(xlabel="step", ylabel="value / true value")
axes[2].legend()
figure.savefig("short_term_plasticity.png")
