"""A `TimedArray` in thresholds and resets: what its next value lifts spikes at a fixed time."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms, prefs
from helpers.backends import check_same_on_a_gpu
from helpers.brian_spikes import spikes_in_brian2, spikes_of
from helpers.derivatives import assert_gradient

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

NAMES = {
    "limit": TimedArray(np.array([[1.1, 0.9], [0.6, 1.3], [1.2, 0.5], [0.8, 1.0]]), dt=5 * ms),
    "low": TimedArray(np.array([0.1, -0.2, 0.2, 0.3, 0.05]), dt=3 * ms),
}
#: Integration method, threshold, and whether neurons of the group excite each other.
CASES = {
    "linear": ("exact", "v > limit(t, i)", False),
    "nonlinear": ("euler", "v > limit(t, i)", False),
    "recurrent": ("exact", "v > limit(t, i)", True),
    "two conditions": ("euler", "v > 0.9 and limit(t, i) > 0.7", False),
    "resets only": ("exact", "v > 1", False),
}


def network(case):
    method, threshold, recurrent = CASES[case]
    source = SpikeGeneratorGroup(2, np.arange(12) % 2, np.arange(12) * 2 * ms + 1.05 * ms)
    more = "" if method == "exact" else " + 0.1*tanh(z)"
    G = NeuronGroup(
        2,
        f"dv/dt = (k + 1 - v - z{more})/(6*ms) : 1\ndz/dt = -z/(5*ms) : 1\nk : 1",
        threshold=threshold,
        reset="v = low(t)*z\nz += 0.2 + low(t)",
        refractory=1 * ms,
        method=method,
        namespace=NAMES,
        name="G",
    )
    S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    objects = [source, G, S]
    if recurrent:
        R = Synapses(G, G, "w : 1", on_pre="z_post += w", delay=1.3 * ms, name="R")
        R.connect("i != j")
        R.w = [0.1, 0.2]
        objects.append(R)
    G.k, S.w = [0.7, 0.9], [0.1, 0.3, 0.2, 0.25]
    return objects


def model(objects, **options):
    G, S = objects[1:3]
    options = {"duration": 20 * ms, "backend": "interpreter"} | options
    return bep.EventPropModel(
        objects, train=[S.w, G.k], loss=bep.Sum(bep.Integral(G, "v*v + z")), **options
    )


@pytest.mark.parametrize("case", CASES)
def test_spikes_are_brian2s(case, monkeypatch):
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    objects = network(case)
    expected = spikes_in_brian2(objects, objects[1], 20 * ms)
    assert spikes_of(model(objects).run(), objects[1]) == expected
    assert len(expected) > 5


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    exact = model(network(case), solver="event")
    assert len(exact.run().spikes["G"]) > 5
    assert_gradient(exact)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_what_the_array_lifts_spikes_at_a_fixed_time(solver):
    G = NeuronGroup(
        1, "dv/dt = -v/(50*ms) : 1", threshold="v > limit(t, 1)", reset="v = 0",
        namespace=NAMES, method="exact",
    )  # fmt: skip
    G.v = 0.8  # above the third value only
    loss = bep.Sum(bep.SpikeTimes(G, "t/ms"))
    options = {"duration": 15 * ms, "solver": solver, "backend": "interpreter"}
    m = bep.EventPropModel([G], train=[G.v], loss=loss, **options)
    assert m.run().loss == pytest.approx(10)
    assert m.gradient()[G.v][0] == 0


@pytest.mark.parametrize("case", ["linear", "two conditions", "resets only"])
def test_the_same_on_a_gpu(case, emulator):
    check_same_on_a_gpu(model, network(case), emulator)


def test_explosive_upstrokes_refuse_it():
    G = NeuronGroup(1, "dv/dt = (v*v - v)/(10*ms) : 1", threshold="v > 9*limit(t, 0)",
                    reset="v = 0", method="euler", namespace=NAMES)  # fmt: skip
    options = {"train": [G.v], "loss": bep.Sum(bep.Final(G, "v")), "duration": 5 * ms}
    with pytest.raises(UnsupportedError, match="'limit', which is a TimedArray.* solver='event'"):
        bep.EventPropModel([G], **options)
