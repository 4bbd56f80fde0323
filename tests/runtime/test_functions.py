"""Networks with functions of the user's own: spikes as Brian2's, gradients of what they compute."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs
from helpers.backends import check_same_on_a_gpu
from helpers.brian_spikes import spikes_in_brian2, spikes_of
from helpers.derivatives import assert_gradient

import brian_eventprop as bep


def of(f, derivative=None, n=1):
    return bep.function(f, derivative, arg_units=[1] * n, return_unit=1)


FUNCTIONS = {
    "saturating": of(lambda x, k: np.tanh(k * x) + 0.1 * np.where(x > 0.5, x - 0.5, 0), n=2),
    "cube": of(lambda x: x**3 / (1 + np.abs(x))),
    "wave": of(lambda u: np.sin(u), lambda u: np.cos(u)),
}


def network():
    source = SpikeGeneratorGroup(2, np.arange(12) % 2, np.arange(12) * 2 * ms + 1 * ms)
    G = NeuronGroup(
        3,
        """dv/dt = (k*saturating(z + 0.5, k) + 1 - 0.4*cube(v) - v)/(10*ms) : 1
        dz/dt = (wave(v) - z)/(5*ms) : 1
        k : 1""",
        threshold="cube(v) > 0.4",
        reset="v = 0.2*wave(z)\nz += cube(z)",
        refractory="(1 + cube(0.5))*ms",
        method="euler",
        namespace=FUNCTIONS,
    )
    S = Synapses(
        source,
        G,
        "w : 1",
        on_pre="v_post += w*saturating(v_post, w) + cube(w)",
        namespace=FUNCTIONS,
    )
    S.connect()
    G.k, S.w = [1.7, 2.1, 2.9], [0.1, 0.3, 0.2, 0.25, 0.15, 0.05]
    return source, G, S


def model(objects, **options):
    _, G, S = objects
    loss = bep.Sum(bep.Integral(G, "saturating(v, k) + z"))
    options = {"duration": 20 * ms, "backend": "interpreter"} | options
    return bep.EventPropModel(objects, train=[S.w, G.k], loss=loss, **options)


def test_spikes_are_brian2s(monkeypatch):
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    objects = network()
    expected = spikes_in_brian2(objects, objects[1], 20 * ms)
    assert spikes_of(model(objects).run(), objects[1]) == expected
    assert len(expected) > 4


def test_the_same_on_a_gpu(emulator):
    check_same_on_a_gpu(model, network(), emulator)


def test_gradients():
    exact = model(network(), solver="event", duration=10 * ms)
    assert len(exact.run().spikes[exact.spec.groups[0].name]) > 2
    assert_gradient(exact)
    assert "saturating" not in str(exact.equations) and "given_" not in str(exact.equations)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_given_derivatives_are_taken(solver):
    """Those of a step, which has none of its own, and of an argument that is left out."""
    step = of(lambda x: np.where(x > 0, 1, 0), lambda x: 3 * x)
    part = of(lambda a, b: a * b, (lambda a, b: 7 * b, None), n=2)
    names = {"step": step, "part": part}
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    G = NeuronGroup(1, "v : 1\nu : 1", namespace=names)
    S = Synapses(
        source, G, "w : 1\nq : 1", on_pre="v += step(2*w)\nu += part(w, q)", namespace=names
    )
    S.connect()
    S.w, S.q = 0.5, 0.2
    m = bep.EventPropModel(
        [source, G, S],
        train=[S.w, S.q],
        loss=bep.Sum(bep.Final(G, "step(v) + u")),
        duration=3 * ms,
        solver=solver,
        backend="interpreter",
    )
    assert m.run().loss == pytest.approx(1 + 0.1)
    found = m.gradient()
    # of v: 3*v times 3*(2*w)*2; of u: 7*q
    assert found[S.w][0] == pytest.approx(3 * 6 + 7 * 0.2)
    assert found[S.q][0] == 0
