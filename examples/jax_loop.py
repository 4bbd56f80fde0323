"""A spiking network as a function of JAX: optax trains it under jit.

The network stays a Brian2 network; JAX calls it on the host.  Needs JAX and optax
(``pip install jax optax``).
"""

import argparse

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import optax
from brian2 import *

import brian_eventprop as bep
from brian_eventprop.jax import function

prefs.codegen.target = "numpy"  # Brian2 itself need not compile anything
jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--size", type=int, default=2000, help="training trials")
setting = parser.parse_args()
seed(2)
random = np.random.default_rng(2)

# ---- the network, in Brian2 ----
lif = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
inputs = SpikeGeneratorGroup(5, [], [] * ms)
hidden = NeuronGroup(40, lif, threshold="v > 1", reset="v = 0", method="exact")
output = NeuronGroup(3, lif, method="exact")
s_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="s_in")
s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w", name="s_out")
s_in.connect()
s_out.connect()
s_in.w, s_in.delay, s_out.w = "1 + 2.5*rand()", "10*ms*rand()", "0.5*randn()"

model = bep.EventPropModel(
    [inputs, hidden, output, s_in, s_out],
    train=[s_in.w, s_in.delay, s_out.w],
    readouts=[bep.Integral(output, "200*v*exp(-t/T)")],
    duration=60 * ms,
    solver="event",
)

# ---- everything else, in JAX: delays are in ms and stay in their bounds ----
logits = function(model)
parameters = logits.parameters()
optimizer = optax.multi_transform(
    {"weight": optax.adam(0.01), "delay": optax.adam(0.1)},
    {"s_in.w": "weight", "s_in.delay": "delay", "s_out.w": "weight"},
)


def loss(parameters, times, labels):
    found = logits(parameters, times)
    return optax.softmax_cross_entropy_with_integer_labels(found, labels).mean()


@jax.jit
def step(parameters, state, times, labels):
    value, gradient = jax.value_and_grad(loss)(parameters, times, labels)
    updates, state = optimizer.update(gradient, state, parameters)
    parameters = optax.apply_updates(parameters, updates)
    return optax.projections.projection_box(parameters, logits.lower, logits.upper), state, value


def accuracy(data, times):
    return np.mean(np.argmax(logits(parameters, times), axis=1) == data.targets)


data, test = bep.datasets.yin_yang("train", size=setting.size), bep.datasets.yin_yang("test")
times, test_times = 1e3 * data.padded(), 1e3 * test.padded()  # in ms, (trials, neurons, spikes)
print(f"accuracy at the start: {accuracy(test, test_times):.1%}")
state, curve = optimizer.init(parameters), []
for epoch in range(setting.epochs):
    losses = []
    for batch in np.array_split(random.permutation(len(data)), len(data) // 50):
        given = times[batch], np.asarray(data.targets)[batch]
        parameters, state, value = step(parameters, state, *given)
        losses.append(float(value))
    curve.append(np.mean(losses))
    print(f"epoch {epoch}: loss {curve[-1]:.3f}")
print(f"accuracy at the end: {accuracy(test, test_times):.1%}")
before = np.array(s_in.delay) * second  # a copy
logits.write_back(parameters)  # the trained values are now in the Brian2 objects

figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
axes[0].plot(curve)
axes[0].set(xlabel="epoch", ylabel="loss")
bep.plotting.delays(before, s_in.delay[:], axes[1:])
figure.savefig("jax_loop.png", dpi=110)
