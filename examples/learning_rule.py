"""A learning rule learned by its gradient: plasticity that stores what it has to, within one trial.

In every trial two of six cues are each paired with one of two output neurons, once, and then one
of them is shown alone: which neuron belongs to it?  All weights begin every trial the same, so only
the plasticity within the trial can know.  The teacher makes its neuron fire shortly *before* the
cue comes, so the textbook rule (pre before post strengthens, post before pre weakens) learns the
wrong thing.  The gradient goes through all weight changes of a trial back to the rule's own
amplitudes and time constants, until post before pre strengthens, too.
"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
defaultclock.dt = 0.2 * ms
n_cues, n_outputs, duration = 6, 2, 200 * ms

# ---- the network, in Brian2 ----
inputs = SpikeGeneratorGroup(n_cues + n_outputs, [], [] * ms, name="inputs")
outputs = NeuronGroup(
    n_outputs,
    """dv/dt = (I + J - v)/(10*ms) : 1
    dI/dt = -I/(5*ms) : 1
    dJ/dt = -J/(3*ms) : 1""",
    threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", name="outputs",
)  # fmt: skip
teachers = Synapses(inputs, outputs, on_pre="J_post += 12", name="teachers")
teachers.connect(i=n_cues + np.arange(n_outputs), j=np.arange(n_outputs))
synapses = Synapses(
    inputs,
    outputs,
    """w : 1
    A_plus : 1 (shared, constant)
    A_minus : 1 (shared, constant)
    tau_plus : second (shared, constant)
    tau_minus : second (shared, constant)
    dpre/dt = -pre/tau_plus : 1 (event-driven)
    dpost/dt = -post/tau_minus : 1 (event-driven)""",
    on_pre="""I_post += w
    pre += 1
    w = clip(w + A_minus*post, 0, 1)""",
    on_post="""post += 1
    w = clip(w + A_plus*pre, 0, 1)""",
    name="synapses",
)
synapses.connect("i < n_cues")
synapses.w = 0.3
synapses.A_plus, synapses.A_minus = 0.02, -0.02  # the textbook rule
synapses.tau_plus, synapses.tau_minus = 10 * ms, 10 * ms


# ---- trials: two pairs, then one of the two cues alone ----
def trials(size, seed):
    """Return `size` trials; the target is the neuron that was paired with the last cue."""
    rng = np.random.default_rng(seed)
    times, channels, number, labels = [], [], [], rng.integers(0, n_outputs, size)
    for trial, label in enumerate(labels):
        cues = rng.permutation(n_cues)[:n_outputs]
        onsets = rng.permutation([20, 80]) + rng.uniform(-5, 5, n_outputs)
        for output, (cue, onset) in enumerate(zip(cues, onsets, strict=True)):
            teacher = onset + np.arange(4) * 4 + rng.uniform(0, 1, 4)
            burst = onset + 10 + np.arange(5) * 4 + rng.uniform(0, 1, 5)
            times += [*teacher, *burst]
            channels += [n_cues + output] * 4 + [cue] * 5
        times += [*(150 + np.arange(5) * 4 + rng.uniform(0, 1, 5))]
        channels += [cues[label]] * 5
        number += [trial] * (len(times) - len(number))
    return bep.SpikeData(
        np.array(times) * ms, channels, number, n_trials=size,
        n_channels=n_cues + n_outputs, targets=labels,
    )  # fmt: skip


train, test = trials(128, 1), trials(256, 2)
views = [synapses.A_plus, synapses.A_minus, synapses.tau_plus, synapses.tau_minus]
answer = bep.Integral(outputs, "I*int(t > 145*ms)")
model = bep.EventPropModel(
    [inputs, outputs, teachers, synapses],
    train=views, loss=bep.CrossEntropy(answer, scale=500), duration=duration,
)  # fmt: skip


def accuracy(data):
    """Return the share of trials in which the right neuron gets more current."""
    return np.mean(model.run(data).readout[0].argmax(axis=1) == data.targets)


def window():
    """Return the weight change for one pair of spikes, by the time between them, in ms."""
    A_plus, A_minus, tau_plus, tau_minus = (float(model.parameters[view][0]) for view in views)
    lag = np.linspace(-40, 40, 401) * 1e-3
    return lag * 1e3, np.where(
        lag > 0, A_plus * np.exp(-lag / tau_plus), A_minus * np.exp(lag / tau_minus)
    )


first, start = window(), accuracy(test)
rates = {
    synapses.A_plus: 0.002, synapses.A_minus: 0.002,
    synapses.tau_plus: 0.5 * ms, synapses.tau_minus: 0.5 * ms,
}  # fmt: skip
bounds = {view: (2 * ms, 50 * ms) for view in views[2:]}
trainer = bep.Trainer(model, bep.Adam(rates, bounds=bounds))
history = trainer.fit(train, epochs=20, batch_size=32)
print(f"accuracy: {100 * start:.0f}% with the textbook rule, {100 * accuracy(test):.0f}% learned")
for view in views:
    print(f"{view.name:9} {model.parameters[view]}")

# ---- a picture ----
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.semilogy(history["loss"])
left.set(xlabel="epoch", ylabel="loss")
right.plot(*first, "0.6", label="textbook")
right.plot(*window(), "C0", label="learned")
right.axhline(0, color="k", lw=0.5)
right.set(xlabel="time from pre to post (ms)", ylabel="change of the weight")
right.legend()
figure.savefig("learning_rule.png")
