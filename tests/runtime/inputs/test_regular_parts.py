"""`run_regularly` of Subgroups and of Synapses: Brian2's spikes, and exact gradients."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms
from helpers.backends import check_same_on_a_gpu
from helpers.brian_spikes import spikes_in_brian2, spikes_of

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

NAMES = {
    "a": 0.7,
    "eta": 0.05,
    "drive": TimedArray(np.array([[0.1, 0.5], [0.4, 0.2], [0.3, 0.6]]), dt=8 * ms),
}


def subgroups(threshold="v > 1"):
    """Code of overlapping parts of a group, which reads the indices of both, and of all of it."""
    source = SpikeGeneratorGroup(2, np.arange(10) % 2, np.arange(10) * 2 * ms + 1.05 * ms)
    G = NeuronGroup(
        4,
        """dv/dt = (k*x + 1.1 - v - z + 0.1*tanh(x*z)*z)/(10*ms) : 1
        dz/dt = -z/(5*ms) : 1
        x : 1
        n : integer
        k : 1
        q = 0.1*i + 0.2*N : 1""",
        threshold=threshold, reset="v = 0.1*z\nz += 0.2", refractory=2 * ms, method="euler",
        namespace=NAMES, name="G",
    )  # fmt: skip
    code = "x = a*x + 0.2*i + 0.1*N + drive(t, i) + 0.1*q\nn += 1\nz = z*0.5 + 0.05*n*v"
    G[1:3].run_regularly(code, dt=1.5 * ms)
    G[2:].run_regularly("v += 0.1*a*(i + 1)", dt=4 * ms)
    G.run_regularly("x *= 0.98", dt=2 * ms)
    S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    G.k, G.x, S.w = [1.7, 2.1, 0.5, 1], 0.1, [0.1, 0.3, 0.2, 0.25] * 2
    return [source, G, S]


#: Equations of synapses, on_pre, what runs regularly.
SYNAPSES = {
    "weights": ("w : 1\nx : 1", "I_post += w", "w = w*(1 - eta) + 0.02*a*x*j"),
    "resources": ("w : 1\nx : 1", "I_post += w*x\nx *= 0.7", "x += eta*(1 - x)*(i + a)"),
    "clock-driven": (
        "w : 1\ndx/dt = -x/(6*ms) : 1 (clock-driven)",
        "x += w\nI_post += x",
        "w = clip(w*(1 + eta) + 0.01*x, 0, 2)\nx *= a",
    ),
}


def synapses(case, threshold="v > 1", duration=20, lift=False):
    equations, on_pre, code = SYNAPSES[case]
    spikes = np.arange(6 if lift else 15)
    source = SpikeGeneratorGroup(3, spikes % 3, spikes * duration / 16 * ms + 1.05 * ms)
    G = NeuronGroup(
        2, "dv/dt = (I - v)/(8*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold=threshold, reset="v = 0",
        method="exact", namespace=NAMES, name="G",
    )  # fmt: skip
    S = Synapses(source, G, equations, on_pre=on_pre, namespace=NAMES, name="S", method="exact")
    S.connect()
    S.w, S.delay, S.x = "0.9 + 0.1*i + 0.05*j", "(0.3 + 0.2*i)*ms", 0.5
    S.run_regularly(code, dt=1.5 * ms)
    if lift:
        G.v = [0.6, 0.7]
        G.run_regularly("v += 0.3*a", dt=2.5 * ms)
    return [source, G, S]


def model(objects, duration=20, seen="v*v", **options):
    _, G, S = objects
    final = bep.Final(S, "x + w") if "x" in S.equations.names else bep.Final(G, "x")
    train = [S.w, (S.name if "x" in S.equations.names else "G", "x")]
    train += [("G" if "q" in G.equations.names else "S", "a")] if options.pop("a", True) else []
    options = {"train": train, "backend": "interpreter", "namespace": NAMES} | options
    loss = bep.Sum(bep.Integral(G, f"({seen})/ms"), final, bep.SpikeTimes(G, "t/ms"))
    return bep.EventPropModel(objects, loss=loss, duration=duration * ms, **options)


ALL = {"subgroups": subgroups} | {c: lambda c=c, **o: synapses(c, **o) for c in SYNAPSES}


@pytest.mark.parametrize("case", ALL)
def test_spikes_are_brian2s(case):
    objects = ALL[case]()
    expected = spikes_in_brian2(objects, objects[1], 20 * ms)
    assert spikes_of(model(objects).run(), objects[1]) == expected
    assert len(expected) > 3


@pytest.mark.parametrize("case", ALL)
def test_gradients_in_exact_time(case):
    options = {} if case == "subgroups" else {"duration": 3, "lift": True}
    exact = model(ALL[case](**options), options.get("duration", 10), solver="event")
    assert len(exact.run().spikes["G"]) > 1
    check = bep.check_gradient(exact, entries=1)
    assert check, str(check)


@pytest.mark.parametrize("case", ALL)
def test_gradients_on_the_grid(case):
    """Without spikes they are those of the steps themselves, to rounding."""
    m = model(ALL[case](threshold="v > 100"))
    m.run()
    found = m.gradient()
    for key in m.parameters.keys:
        values, slope = m.parameters.raw(key), []
        for k in range(len(values)):
            kept, losses = values[k], []
            for sign in (1, -1):
                values[k] = kept + sign * 1e-5
                losses.append(m.run().loss)
            values[k] = kept
            slope.append((losses[0] - losses[1]) / 2e-5)
        np.testing.assert_allclose(found.raw(key), slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", ALL)
def test_the_same_on_a_gpu(case, emulator):
    check_same_on_a_gpu(model, ALL[case](), emulator)


def test_a_threshold_that_jumps_among_coupled_neurons():
    """A TimedArray lowers it: what it lets spike, spikes then, whatever the weights are."""
    source = SpikeGeneratorGroup(3, np.arange(12) % 3, np.arange(12) * 0.4 * ms + 1.05 * ms)
    G = NeuronGroup(
        2, "dv/dt = (I - v)/(8*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 2*drive(t, i)",
        reset="v = 0", method="exact", namespace=NAMES | {"drive": TimedArray(
            [[1, 0.9], [0.1, 0.3], [0.7, 0.8]], dt=2.1 * ms)}, name="H",
    )  # fmt: skip
    G.v = [0.5, 0.7]
    T = Synapses(source, G, "w : 1\ndx/dt = -x/(6*ms) : 1 (clock-driven)", method="exact",
                 on_pre="x += w\nI_post += x", name="T")  # fmt: skip
    T.connect()
    T.w, T.delay = "0.9 + 0.1*i + 0.05*j", "(0.3 + 0.2*i)*ms"
    loss = bep.Sum(bep.Integral(G, "v*v/ms"), bep.SpikeTimes(G, "t/ms"))
    exact = bep.EventPropModel([source, G, T], train=[T.w, T.delay], loss=loss, solver="event",
                               duration=6 * ms, backend="interpreter")  # fmt: skip
    times = np.asarray(exact.run().spikes["H"].t) / 1e-3
    assert np.sum(np.abs(times - 2.1) < 1e-9) > 0 and len(times) > 3
    check = bep.check_gradient(exact, entries=1)
    assert check, str(check)


def refused(message, code, synaptic=True, error=UnsupportedError, network=None, **options):
    G = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1 (unless refractory)\nk : 1", threshold="v > 1",
                    reset="v = 0", refractory=1 * ms, method="exact", name="G")  # fmt: skip
    S = Synapses(G, G, "w : 1\ns : 1 (shared)", on_pre="v_post += w", name="S")
    S.connect()
    part = G[1:]
    (S if synaptic else part).run_regularly(code, **options)
    objects = [G, S] if network is None else [part]
    with pytest.raises(error, match=message):
        read_network(objects, [], NAMES)


def test_what_is_refused():
    refused("'w = rand.*random numbers", "w = rand()")
    refused("'w \\+= v_post'.*reads 'v_post' of the neurons", "w += v_post")
    refused("'v_post = 0'.*'v_post', which is no variable of single synapses", "v_post = 0")
    refused("'s = 0'.*'s', which is no variable of single synapses", "s = 0")
    refused("slot 'end'", "w = 0", when="end")
    refused("between the time steps of 'S'", "w = 0", dt=0.25 * ms)
    refused("is a TimedArray", "w = drive(t, 1)")
    refused("'v = 0'.*not while the neuron is refractory", "v = 0", synaptic=False)
    refused("slot 'resets'", "k = 0", synaptic=False, when="resets")
    refused(
        "changes neurons of 'G', which is not part",
        "k = 0",
        synaptic=False,
        error=ValueError,
        network="part",
    )
