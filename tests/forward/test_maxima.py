"""Forward against reverse mode on the time grid where events make, move or end maxima."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, defaultclock, ms
from helpers.agreement import ROUNDING, agreement, by_part
from helpers.derivatives import Weighted

import brian_eventprop as bep

LIF = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1"
COBA = """dv/dt = (ge*(4 - v) - gi*(1 + v) - v)/(20*ms) : 1 (unless refractory)
          dge/dt = -ge/(5*ms) : 1
          dgi/dt = -gi/(8*ms) : 1"""
DRIVEN = "dv/dt = (0.3*step(t) + I - v)/(4*ms) : 1\ndI/dt = -I/(5*ms) : 1"
SPIKES = {"threshold": "v > 1", "reset": "v = -0.2"}
ADD_E, ADD_I = "ge_post += w", "gi_post += w"

#: Equations, options, maxima, and for each pathway its code and the weights from each of three
#: input spikes, which arrive one after the other, to neurons 0, 1, ...
CASES = {
    # turns of v, jumps up of v + 0.3*I, jumps down of v + 0.1*I while that rises
    "turns and jumps": (
        LIF, {}, ["v", "0.3*I + v", "v + 0.1*I"],
        {"I_post += w": [(2, -4, 0.1), (2, 1, -0.5), (3, -1.5, 0)]},
    ),
    # several states share a jump; a spike ends a maximum, and one is reached while refractory
    "conductances": (
        COBA, {**SPIKES, "refractory": 3 * ms, "method": "rk4"}, ["v", "ge + v - gi/4"],
        {ADD_E: [(0.6, 0, 0.1), (3, 0, 4), (3, 6, 3)], ADD_I: [(0, 8, 0), (0, 0.2, 0), (1, 0, 2)]},
    ),
    # a maximum that the reset makes, of a state that arrivals add to as well
    "raised by the reset": (
        COBA, {**SPIKES, "reset": "v = -0.2; gi += 0.6", "method": "rk4"}, ["gi", "ge*gi"],
        {ADD_E: [(2, 0.1, 0.1), (3, 3, 0.1)], ADD_I: [(0.05, 0, 0.02), (0, 0.1, 0)]},
    ),
    # a maximum at the end of a refractory period, where m stops to rise
    "release": (
        "dv/dt = -v/(5*ms) : 1 (unless refractory)\ndu/dt = (1 - u)/(10*ms) : 1",
        {"threshold": "v > 1", "reset": "v = 0.95", "refractory": 4 * ms}, ["u + v"],
        {"v_post += w": [(1.05, 0.3, 0.05), (1.08, 0.1, 0.05)]},
    ),
    # arrivals in the very step of a spike: what jumps up after the reset is theirs
    "at the spike": (
        "dv/dt = 1/(2.25*ms) : 1\ndI/dt = -I/(5*ms) : 1",
        {"threshold": "v > 1", "reset": "v = -4; I += 0.5", "method": "euler"}, ["I"],
        {"I_post += w": [(0.3, 0.1, 0.05), (-0.1, 0.1, 0)]},
    ),
    # arrivals that are delivered one by one
    "saturating": (
        LIF, {}, ["v", "v + 0.1*I"],
        {"I_post += w*(5 - I_post)": [(0.4, -0.8, 0), (0.6, -0.2, 0.1)]},
    ),
    # jumps of v that do not fire the neuron, and some that do
    "delta": (
        "dv/dt = -v/(20*ms) : 1", SPIKES, ["v"], {"v_post += w": [(0.4, 0.5, -1), (0.7, 0.8, -1)]}
    ),
    # the maximum is the last sample
    "end of the trial": (
        LIF.replace("20", "90"), {}, ["v", "v + t/(4*ms)"], {"I_post += w": [(2, 1, 1)]}
    ),
    # constants of a step, and the time itself
    "timed": (
        DRIVEN, {"method": "euler"}, ["v*step(t)", "0.3*I*(1 - t/(40*ms)) + v"],
        {"I_post += w": [(0.5, 0.4, 1), (1, -2, 0.2)]},
    ),
}  # fmt: skip


def model_of(equations, options, maxima, arrivals):
    """A model of a group, each pathway with delays of its own."""
    defaultclock.dt = 0.1 * ms
    step = TimedArray(np.array([1.0, 2.5, 0.7, 1.6]), dt=3 * ms)
    source = SpikeGeneratorGroup(3, [0, 1, 2], [1, 2, 4] * ms, name="source")
    size = len(next(iter(arrivals.values())))
    cells = NeuronGroup(
        size, equations, name="cells", namespace={"step": step}, **{"method": "exact", **options}
    )
    objects, trained = [source, cells], [cells.v]
    for k, (on_pre, weights) in enumerate(arrivals.items()):
        s = Synapses(source, cells, "w : 1", on_pre=on_pre, name=f"s{k}")
        s.connect()
        delays = np.repeat([1.2, 3.3, 4.7], size) + 0.2 * (k % 2)
        s.w, s.delay = np.transpose(weights).ravel(), delays * ms
        objects.append(s)
        trained += [s.w, s.delay]
    return bep.EventPropModel(
        objects, train=trained, loss=Weighted(1), duration=11 * ms, solver="clock",
        readouts=[bep.Maximum(cells, m) for m in maxima], namespace={"step": step},
    )  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_maximum(name):
    model = model_of(*CASES[name])
    found = agreement(model, seed=2)
    assert found.forward != 0
    assert found.error < ROUNDING, by_part(model, 2)
