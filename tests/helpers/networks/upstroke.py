"""Neurons with explosive upstrokes: AdEx, Izhikevich and quadratic ones, and a network of EIF."""

from __future__ import annotations

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope

import brian_eventprop as bep

#: Equations, threshold, reset, initial state, what is trained, numbers per neuron, duration in ms.
NEURONS = {
    "adex": (
        """dv/dt = (-(v + 70) + D*exp((v + 50)/D) - w + I)/tau : 1
        dw/dt = (0.3*(v + 70) - w)/tau_w : 1""",
        "v > cut",
        "v = -58; w += b",
        {"v": -70.0, "w": 0.0},
        ("I", "b", "D", "cut"),
        {
            "I": np.full(10, 30.0),
            "b": np.full(10, 3.0),
            "D": np.repeat([2.0, 1.0], 5),
            "cut": np.tile([-40.0, -30.0, -20.0, 0.0, 30.0], 2),
        },
        40,
    ),
    "izhikevich": (
        """dv/dt = (0.04*v**2 + 5*v + 140 - w + I)/ms : 1
        dw/dt = a*(0.2*v - w)/ms : 1""",
        "v >= 30",
        "v = c; w += d",
        {"v": -65.0, "w": -13.0},
        ("I", "a", "c", "d"),
        {
            "I": np.array([10.0, 14.0, 10.0]),
            "a": np.array([0.02, 0.02, 0.02]),
            "c": np.array([-65.0, -65.0, -55.0]),
            "d": np.array([8.0, 6.0, 4.0]),
        },
        40,
    ),
    "qif": (
        "dv/dt = (v**2 + I)/tau : 1",
        "v > peak",
        "v = low",
        {"v": -1.0},
        ("I", "low", "peak"),
        {
            "I": np.full(4, 4.0),
            "low": np.array([-1.0, -3.0, -10.0, -10.0]),
            "peak": np.array([3.0, 10.0, 100.0, 1000.0]),
        },
        60,
    ),
}


def neurons(kind, method, solver="clock", readout=None):
    """A model of uncoupled neurons; the loss is the sum of their spike times."""
    equations, threshold, reset, start, names, values, duration = NEURONS[kind]
    start_scope()
    lines = "\n".join([equations, *(f"{n} : 1 (constant)" for n in names)])
    group = NeuronGroup(len(values["I"]), lines, threshold=threshold, reset=reset, method=method)
    for name, value in {**start, **values}.items():
        setattr(group, name, value)
    loss = bep.Sum(bep.SpikeTimes(group, "t/ms") if readout is None else readout(group))
    return bep.EventPropModel(
        [group],
        train=[getattr(group, n) for n in names],
        duration=duration * ms,
        namespace={"tau": 10 * ms, "tau_w": 50 * ms},
        loss=loss,
        solver=solver,
        threads=1,
    )


def network(backend="cpu", precision="float64", method="euler"):
    """Recurrent exponential neurons; arrivals of two kinds, one of which needs the state."""
    start_scope()
    rng = np.random.default_rng(2)
    times = 0.5 + 0.45 * np.arange(60)
    source = SpikeGeneratorGroup(6, rng.integers(0, 6, 60), times * ms, name="source")
    cells = NeuronGroup(
        5,
        """dv/dt = (-(v + 65) + slope*exp((v + 50)/slope) + s + I)/tau : 1 (unless refractory)
        ds/dt = (0.02*(v + 65) - s)/(5*ms) : 1
        I : 1 (constant)
        slope : 1 (constant)""",
        threshold="v > top",
        reset="s += 0.1*clip(v, -60, -25); v = -60",
        refractory=1.3 * ms,
        method=method,
        name="cells",
    )
    cells.v, cells.I, cells.slope = -65, rng.uniform(12, 16, 5), rng.uniform(1.4, 2, 5)
    current = Synapses(source, cells, "w : 1", on_pre="s_post += w", name="current")
    current.connect()
    current.w, current.delay = rng.uniform(0, 8, 30), rng.uniform(0.3, 4, 30) * ms
    kick = Synapses(cells, cells, "w : 1", on_pre="v_post += w*(0 - v_post)", name="kick")
    kick.connect(condition="i != j")
    kick.w, kick.delay = rng.uniform(0, 0.05, 20), rng.uniform(0.5, 3, 20) * ms
    model = bep.EventPropModel(
        [source, cells, current, kick],
        train=[cells.I, cells.slope, current.w, current.delay, kick.w, kick.delay],
        duration=30 * ms,
        namespace={"tau": 10 * ms, "top": -30.0},
        loss=bep.Sum(bep.SpikeTimes(cells, "t/ms"))
        + bep.Sum(bep.Integral(cells, "0.1*v*v*slope/ms"))
        + bep.FiringRate(cells, upper=2, strength=0.1, scale=5.0),
        backend=backend,
        precision=precision,
        threads=1,
    )
    return model
