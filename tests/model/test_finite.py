"""Gradients of networks whose states are at 0, where powers and roots have an edge."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope

import brian_eventprop as bep
from brian_eventprop.model import finite

TAU, TAU_X = 10 * ms, 20 * ms
EQUATIONS = """
dv/dt = (1 - v + x**n + y**q/(y**q + K**q) + clip(x - th, 0, inf)**p + sqrt(clip(x, 0, inf))
         + 1/(1 + (K/y)**n) + 1/(1 + exp(-(y - 0.2)/0.0002)))/TAU : 1
dx/dt = -x/TAU_X : 1
dy/dt = -y/TAU_X : 1
p : 1
q : 1
"""
CONSTANTS = {"n": 2.0, "K": 0.5, "th": 0.1, "TAU": TAU, "TAU_X": TAU_X}


def network(solver):
    """States x and y that begin at 0 and stay there in the third neuron; on_pre has a power."""
    start_scope()
    source = SpikeGeneratorGroup(2, [0, 1], [1, 4] * ms, name="source")
    group = NeuronGroup(3, EQUATIONS, method="euler", name="G")
    group.p, group.q = [0.5, 1, 2.5], [1, 2.5, 3]
    s = Synapses(
        source, group, "w : 1\nz : 1", on_pre="x_post += w**n; y_post += z**n + w", name="S"
    )
    s.connect("j < 2")
    s.w, s.z = "0.3 + 0.2*i + 0.1*j", 0  # the power of z is one of 0
    train = [s.w, s.z, group.p, group.q, group.v, "n", "K", "th", "TAU", "TAU_X"]
    loss = bep.Sum(bep.Final(group, "v"), bep.Integral(group, "x**n*sqrt(clip(y, 0, inf))/ms"))
    return bep.EventPropModel(
        [source, group, s], train=train, loss=loss, duration=8 * ms, solver=solver,
        namespace=CONSTANTS, threads=1,
    )  # fmt: skip


def differences(model, key, entry, h=1e-5):
    """The derivative of the loss by central differences; of nothing but smooth functions."""
    array = model.parameters.raw(key)
    kept = array[entry]
    h *= abs(kept) or 1.0
    sides = []
    for step in (h, -h):
        array[entry] = kept + step
        sides.append(model.run().loss)
    array[entry] = kept
    return (sides[0] - sides[1]) / (2 * h)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["clock", "event"])
def test_states_at_zero_have_a_gradient(solver):
    model = network(solver)
    model.run()
    gradient = model.gradient()
    for key in model.parameters.keys:
        found = np.asarray(gradient.raw(key))
        expected = [differences(model, key, entry) for entry in range(found.size)]
        assert found == pytest.approx(np.array(expected), rel=2e-6, abs=1e-7), key
    assert np.any(gradient.raw(("S", "w")) != 0)


def infinite(equations, train, **values):
    start_scope()
    group = NeuronGroup(2, equations, method="euler", name="G")
    for name, value in values.items():
        setattr(group, name, value)
    return group, bep.EventPropModel(
        [group], train=[getattr(group, name) for name in train], duration=1 * ms,
        loss=bep.Sum(bep.Final(group, "v")), threads=1,
    )  # fmt: skip


def test_an_infinite_derivative_is_reported():
    equations = "dv/dt = (x**p - v)/(10*ms) : 1\ndx/dt = -x/(10*ms) : 1\np : 1"
    group, model = infinite(equations, ["x", "v", "p"], x=[0, -0.5], p=[0.5, 2])
    model.run()
    gradient = model.gradient()
    assert np.all(np.asarray(gradient[group.v]) == pytest.approx(0.99**10))
    with pytest.raises(FloatingPointError) as raised:
        gradient[group.x]
    message = str(raised.value)
    assert "gradient of G.x is not finite in 1 of 2 entries, first in entry 0: inf" in message
    assert "'x ** p' in dv/dt of NeuronGroup 'G'" in message
    with pytest.raises(FloatingPointError, match=r"G\.p is not finite .* first in entry 1: nan"):
        gradient[group.p]  # of a negative base there is no derivative in the exponent
    # nothing is infinite away from 0
    model.parameters[group.x] = [0.25, 0.5]
    model.run()
    assert np.all(np.isfinite(np.asarray(model.gradient()[group.x])))


def test_a_loss_that_is_no_number_is_reported(monkeypatch):
    equations = "dv/dt = (x/(exp(x) - 1) - v)/(10*ms) : 1\ndx/dt = -x/(10*ms) : 1"
    group, model = infinite(equations, ["x"])
    said = []
    monkeypatch.setattr(finite.logger, "warn", lambda text, *_, **options: said.append(text))
    model.run()
    (text,) = said
    assert text.startswith("The loss of 1 of 1 trials is not a number, first of trial 0: a state")
    with pytest.raises(FloatingPointError, match=r"G\.x is not finite .* The loss itself is nan"):
        model.gradient()[group.x]
