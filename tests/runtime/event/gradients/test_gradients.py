"""Gradients of the event solver against central differences of its own loss, on random networks."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    ms,
)
from helpers.derivatives import assert_gradient, spikes_of
from helpers.networks import random as random_networks

import brian_eventprop as bep

OUTPUT = """dv/dt = (I - v)/tau_m : 1
            dI/dt = -I/tau_s : 1"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_random_network(kind):
    net = random_networks.build(kind, 1, size=0.4, trials=2).with_delays()
    model = bep.EventPropModel(
        net.objects,
        train=net.train,
        loss=net.loss,
        duration=net.duration,
        solver="event",
        namespace=net.namespace,
    )
    assert_gradient(model, net.spikes, tolerance=2e-6, entries=4)


def network(rng, equations, on_pre="I_post += w", hidden=4, namespace=None, low=1.0, **group):
    """Inputs, a recurrent hidden group with delays everywhere, and an output."""
    names = {"tau_m": 12 * ms, "tau_s": 4 * ms, **(namespace or {})}
    n = 14
    inputs = SpikeGeneratorGroup(
        3, rng.integers(0, 3, n), np.sort(rng.uniform(0.5, 30, n)) * ms, name="inputs"
    )
    hid = NeuronGroup(hidden, equations, name="hidden", namespace=names, **group)
    out = NeuronGroup(2, OUTPUT, method="exact", name="output", namespace=names)
    s_in = Synapses(inputs, hid, "w : 1", on_pre=on_pre, name="s_in")
    s_rec = Synapses(hid, hid, "w : 1", on_pre=on_pre, name="s_rec")
    s_out = Synapses(hid, out, "w : 1", on_pre="I_post += w", name="s_out")
    s_in.connect()
    s_rec.connect(condition="i != j")
    s_out.connect()
    s_in.w = rng.uniform(low, 2 * low, len(s_in))
    s_rec.w = rng.uniform(-0.3 * low, 0.4 * low, len(s_rec))
    s_out.w = rng.normal(0, 1, len(s_out))
    for s in (s_in, s_rec, s_out):
        s.delay = rng.uniform(1, 8, len(s)) * ms
    return inputs, hid, out, s_in, s_rec, s_out


def test_everything_of_a_refractory_adaptive_neuron():
    """Weights, delays, taus, threshold, reset value, refractory period, initial values, inputs."""
    equations = """dv/dt = (I - v)/tau_m : 1 (unless refractory)
                   dI/dt = -I/tau_s : 1
                   dtheta/dt = -theta/tau_th : 1
                   tau_th : second (constant)
                   low : 1 (constant)
                   vth : 1 (constant, shared)
                   t_ref : second (constant)"""
    rng = np.random.default_rng(3)
    parts = network(
        rng, equations, threshold="v > vth + theta", reset="v = low; theta += 0.2",
        refractory="t_ref", method="exact",
    )  # fmt: skip
    _, hid, out, s_in, s_rec, s_out = parts
    hid.tau_th, hid.low, hid.vth, hid.t_ref = "(15 + i)*ms", "0.05*i", 0.6, "(2 + 0.1*i)*ms"
    hid.v, hid.I = "0.1*i", "0.2 + 0.1*i"
    model = bep.EventPropModel(
        list(parts),
        train=[
            s_in.w, s_in.delay, s_rec.w, s_rec.delay, s_out.w, s_out.delay, hid.tau_th, hid.low,
            hid.vth, hid.t_ref, hid.v, hid.I, hid.theta, out.v, "hidden.tau_m", "output.tau_s",
        ],
        loss=bep.Sum(
            bep.Integral(out, "v**2*exp(-t/T)"), bep.Maximum(out, "v"), bep.Final(hid, "theta"),
            bep.Integral(hid, "v*I"), bep.SpikeTimes(hid, "10*t"),
        ),
        duration=45 * ms,
        solver="event",
    )  # fmt: skip
    spikes = model.run().spikes[hid]
    assert len(spikes) > 8
    assert_gradient(model, tolerance=2e-6)
    _check_input_times(model)


def _check_input_times(model):
    own = spikes_of(model, "inputs")
    model.run(own)
    found = np.asarray(model.gradient().inputs)
    numeric = np.zeros_like(found)
    for k in range(0, len(found), 3):
        losses = []
        for change in (1e-7, -1e-7):
            moved = own.times.copy()
            moved[k] += change
            data = bep.SpikeData(moved, own.channels, np.zeros(len(moved), int), 1, 3)
            losses.append(model.run(data).loss)
        numeric[k] = (losses[0] - losses[1]) / 2e-7
    chosen = slice(0, None, 3)
    scale = np.abs(found).max()
    np.testing.assert_allclose(found[chosen], numeric[chosen], atol=1e-5 * scale)


@pytest.mark.slow
def test_equations_with_time_and_one_shared_delay():
    equations = """dv/dt = (I + 0.3*sin(2*pi*f*t) - v)/tau_m : 1
                   dI/dt = -I/tau_s : 1
                   f : Hz (constant, shared)"""
    rng = np.random.default_rng(5)
    parts = network(
        rng, equations, threshold="v > 0.8 + 0.1*cos(200*Hz*t)", reset="v -= 0.7", method="euler"
    )
    hid, out, s_in = parts[1], parts[2], parts[3]
    hid.f = 60 * Hz
    shared = Synapses(parts[0], out, "w : 1", on_pre="I_post += w", delay=3 * ms, name="direct")
    shared.connect()
    shared.w = 0.4
    model = bep.EventPropModel(
        [*parts, shared],
        train=[s_in.w, s_in.delay, hid.f, shared.delay, "hidden.tau_s"],
        loss=bep.Sum(bep.Integral(out, "v*cos(300*t/second)"), bep.Maximum(hid, "v")),
        duration=40 * ms,
        solver="event",
    )
    assert len(model.run().spikes[hid]) > 5
    assert_gradient(model, tolerance=2e-6, entries=4)
