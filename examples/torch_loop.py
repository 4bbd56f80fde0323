"""A spiking network as a layer of PyTorch: a loop, an optimiser and a head that torch users know.

The network stays a Brian2 network. PyTorch holds its weights and delays (in ms), puts a linear
layer behind it, and takes the steps.  Needs PyTorch (``pip install torch``).
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from brian2 import *

import brian_eventprop as bep
from brian_eventprop.torch import Layer

prefs.codegen.target = "numpy"  # Brian2 itself need not compile anything
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--size", type=int, default=2000, help="training trials")
setting = parser.parse_args()
seed(2)
torch.manual_seed(2)
defaultclock.dt = 0.5 * ms

# ---- the network, in Brian2 ----
lif = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
inputs = SpikeGeneratorGroup(5, [], [] * ms)
hidden = NeuronGroup(40, lif, threshold="v > 1", reset="v = 0", method="exact")
output = NeuronGroup(10, lif, method="exact")
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
)

# ---- everything else, in PyTorch ----
layer = Layer(model)  # layer.s_in_w, layer.s_in_delay (in ms), layer.s_out_w
net = torch.nn.Sequential(layer, torch.nn.Linear(10, 3).double())
rates = {"s_in_delay": 0.1}
groups = [{"params": [p], "lr": rates.get(name, 0.01)} for name, p in layer.named_parameters()]
optimizer = torch.optim.AdamW([*groups, {"params": net[1].parameters(), "lr": 0.01}])
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, setting.epochs)
criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.05)


def accuracy(data):
    with torch.no_grad():
        return (net(data).argmax(1) == torch.as_tensor(data.targets)).double().mean().item()


data, test = bep.datasets.yin_yang("train", size=setting.size), bep.datasets.yin_yang("test")
print(f"accuracy at the start: {accuracy(test):.1%}")
curve = []
for epoch in range(setting.epochs):
    losses = []
    for batch in torch.randperm(len(data)).split(50):
        trials = data[batch.numpy()]
        optimizer.zero_grad()
        loss = criterion(net(trials), torch.as_tensor(trials.targets))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    schedule.step()
    curve.append(sum(losses) / len(losses))
    print(f"epoch {epoch}: loss {curve[-1]:.3f}")
print(f"accuracy at the end: {accuracy(test):.1%}")
before = np.array(s_in.delay) * second  # a copy
layer.write_back()  # the trained values are now in the Brian2 objects

figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
axes[0].plot(curve)
axes[0].set(xlabel="epoch", ylabel="loss")
bep.plotting.delays(before, s_in.delay[:], axes[1:])
figure.savefig("torch_loop.png", dpi=110)
