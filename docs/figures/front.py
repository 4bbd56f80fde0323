"""Draw docs/figures/front.svg: the exact gradient in a delay, of a neuron with two synapses.

Left, the potential of the neuron for two delays of the second synapse; right, the loss over that
delay, with the tangents that the gradient gives.
"""

from pathlib import Path

import matplotlib
import numpy as np
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs

import brian_eventprop as bep

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "front"  # the same bytes every time
import matplotlib.pyplot as plt  # noqa: E402

prefs.codegen.target = "numpy"
LIF = """dv/dt = (I - v)/(10*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
SHOWN, COLOURS = (8.0, 12.5), ("tab:blue", "tab:orange")


def made():
    """Return a model whose loss is how far the first spike is from 20 ms, and its parts."""
    inputs = SpikeGeneratorGroup(2, [0, 1], [2, 5] * ms, name="inputs")
    cell = NeuronGroup(1, LIF, threshold="v > 1", reset="v = 0", method="exact", name="cell")
    s = Synapses(inputs, cell, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w, s.delay = [3.2, 3.0], [1, 8] * ms
    loss = bep.MeanSquaredError(bep.SpikeTimes(cell, "t/ms", which="first"), target=20.0)
    model = bep.EventPropModel(
        Network(inputs, cell, s), train=[s.w, s.delay], loss=loss, duration=40 * ms,
        solver="event", backend="interpreter",
    )  # fmt: skip
    return model, s, cell


def at(model, s, delay):
    """Return the loss and its derivative at a delay in ms."""
    model.parameters[s.delay] = [1, delay] * ms
    return model.run().loss, float(model.gradient()[s.delay][1] * ms)


model, s, cell = made()
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.9), layout="constrained")
delays = np.linspace(4, 15, 45)
right.plot(delays, [at(model, s, d)[0] for d in delays], color="0.3", label="loss")
for delay, colour in zip(SHOWN, COLOURS, strict=True):
    loss, slope = at(model, s, delay)
    record = model.record(cell, ["v"])
    left.plot(record.t / ms, record.v[0], color=colour, label=f"delay {delay:g} ms")
    for spike in model.run().spikes[cell].t / ms:
        left.axvline(spike, color=colour, linestyle=":")
    near = delay + np.array([-2.0, 2.0])
    right.plot(near, loss + slope * (near - delay), color=colour)
    right.plot(delay, loss, "o", color=colour, label=f"gradient {slope:.3g} per ms")
left.axhline(1, color="0.7", linewidth=0.8)
left.set(xlabel="time (ms)", ylabel="potential", xlim=(0, 40))
right.set(xlabel="delay of the second synapse (ms)", ylabel="(first spike - 20 ms)² / ms²")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
figure.savefig(Path(__file__).with_name("front.svg"), metadata={"Date": None})
