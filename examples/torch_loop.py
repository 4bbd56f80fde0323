"""Somebody else's optimiser and loss: PyTorch around `model.run` and `model.gradient`.

The network stays a Brian2 network; PyTorch holds the parameters, computes the loss and its
derivative in what the network shows, and takes the steps.  Needs PyTorch (``pip install torch``).
"""

import argparse

import numpy as np
import torch
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--size", type=int, default=2000, help="training trials")
setting = parser.parse_args()
seed(2)
random = np.random.default_rng(2)
defaultclock.dt = 0.5 * ms

# ---- the network, in Brian2 ----
lif = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
inputs = SpikeGeneratorGroup(5, [], [] * ms)
hidden = NeuronGroup(40, lif, threshold="v > 1", reset="v = 0", method="exact")
output = NeuronGroup(3, lif, method="exact")
s_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w")
s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w")
s_in.connect()
s_out.connect()
s_in.w, s_in.delay, s_out.w = "1 + 2.5*rand()", "10*ms*rand()", "0.5*randn()"


# ---- the loss, in PyTorch: losses of the trials, and their derivatives in the readouts ----
def loss(readouts, targets):
    logits = torch.tensor(200 * readouts[0], requires_grad=True)
    labels = torch.as_tensor(np.asarray(targets))
    losses = torch.nn.functional.cross_entropy(
        logits, labels, reduction="none", label_smoothing=0.05
    )
    (derivative,) = torch.autograd.grad(losses.sum(), logits)
    return losses.detach().numpy(), (200 * derivative.numpy(),)


model = bep.EventPropModel(
    [inputs, hidden, output, s_in, s_out],
    train=[s_in.w, s_in.delay, s_out.w],
    loss=loss,
    readouts=[bep.Integral(output, "v*exp(-t/T)")],
    duration=60 * ms,
)

# ---- the parameters and the optimiser, in PyTorch: delays in ms ----
units = {s_in.w: 1, s_in.delay: ms, s_out.w: 1}
trained = [
    (view, unit, torch.nn.Parameter(torch.tensor(np.asarray(model.parameters[view] / unit))))
    for view, unit in units.items()
]
RATES = 0.01, 0.1, 0.01  # of weights, of delays in ms, of weights
groups = [{"params": [p], "lr": rate} for (_, _, p), rate in zip(trained, RATES, strict=True)]
optimizer = torch.optim.AdamW(groups, weight_decay=0)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, setting.epochs)


def to_model():
    with torch.no_grad():
        trained[1][2].clamp_(min=0)  # delays
        for view, unit, p in trained:
            model.parameters[view] = p.numpy() * unit


def accuracy(data):
    value = model.run(data).readout[0]
    return np.mean(np.argmax(value, axis=1) == data.targets)


data, test = bep.datasets.yin_yang("train", size=setting.size), bep.datasets.yin_yang("test")
to_model()
print(f"accuracy at the start: {accuracy(test):.1%}")
for epoch in range(setting.epochs):
    total = 0.0
    for batch in np.array_split(random.permutation(len(data)), len(data) // 50):
        total += model.run(data[batch]).loss
        gradient = model.gradient()
        for view, unit, p in trained:
            p.grad = torch.tensor(np.asarray(gradient[view] * unit))
        optimizer.step()
        to_model()
    schedule.step()
    print(f"epoch {epoch}: loss {total / (len(data) // 50):.3f}")
print(f"accuracy at the end: {accuracy(test):.1%}")
model.write_back()
