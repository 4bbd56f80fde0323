"""Derivatives in what is 0 or at rest, where the states allow Runge-Kutta steps of any length.

Around rest the equations are linear, so the right values are formulas.
"""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV

import brian_eventprop as bep

TAU, TAU_S = 10e-3, 4e-3
EXACT = 1e-9  # ten times the tolerance of a step, for some ten steps

#: Each bends away from -v/tau with v*v or ge*v, so that it has no closed form.
EQUATIONS = """dv/dt = (-v + 0.3*v*v + ge*(E - v))/(10*ms) : 1
               dge/dt = -ge/(4*ms) : 1
               E : 1 (constant)"""


def resting(loss, duration, weight=0.0, train=("v", "ge"), arrivals=(3.0,), **options):
    """A model of two neurons at rest with an input of weight 0."""
    given = SpikeGeneratorGroup(1, [0] * len(arrivals), np.array(arrivals) * ms, name="given")
    group = NeuronGroup(2, EQUATIONS, method="rk4", name="group", **options)
    group.E = [1.0, 2.0]
    synapses = Synapses(given, group, "w : 1", on_pre="ge_post += w", name="synapses")
    synapses.connect()
    synapses.w = weight
    trained = [*(getattr(group, name) for name in train), synapses.w]
    model = bep.EventPropModel(
        [given, group, synapses], train=trained, loss=loss(group), duration=duration * ms,
        solver="event",
    )  # fmt: skip
    model.run()
    gradient = model.gradient()
    return [gradient.raw(model.key_of(item)) for item in trained]


def response(time):
    """v a time after ge was 1, for E = 1."""
    return TAU_S / (TAU_S - TAU) * (np.exp(-time / TAU_S) - np.exp(-time / TAU))


@pytest.mark.parametrize("duration", [12, 40, 120])
def test_an_input_of_0_and_a_neuron_at_rest(duration):
    v, ge, w = resting(lambda g: bep.Sum(bep.Final(g, "v")), duration)
    end = duration * 1e-3
    np.testing.assert_allclose(v, np.full(2, np.exp(-end / TAU)), rtol=EXACT)
    np.testing.assert_allclose(ge, np.array([1, 2]) * response(end), rtol=EXACT)
    np.testing.assert_allclose(w, np.array([1, 2]) * response(end - 3e-3), rtol=EXACT)


def test_an_integral_of_an_input_of_0():
    loss = lambda g: bep.Sum(bep.Integral(g, "ge*(2 - v)/(10*ms)"))  # noqa: E731
    v, ge, w = resting(loss, 50)
    np.testing.assert_allclose(v, np.zeros(2))
    np.testing.assert_allclose(ge, 2 * TAU_S / TAU * (1 - np.exp(-50 / 4)), rtol=EXACT)
    np.testing.assert_allclose(w, 2 * TAU_S / TAU * (1 - np.exp(-47 / 4)), rtol=EXACT)


def test_a_conductance_of_0_beside_others():
    """The readout ge*gi of two conductances, one 0 and one with two arrivals of weight 2."""
    given = SpikeGeneratorGroup(1, [0, 0], [4.88, 5.199] * ms, name="given")
    group = NeuronGroup(
        1,
        """dv/dt = (-v + ge*(1 - v) - gi*v)/(20*ms) : 1
           dge/dt = -ge/(3.733*ms) : 1
           dgi/dt = -gi/(10*ms) : 1""",
        threshold="v > 1 and gi < 50", reset="v = 0", refractory=2 * ms, method="rk4",
        name="group",
    )  # fmt: skip
    group.v = 0.5
    synapses = Synapses(given, group, "w : 1", on_pre="gi_post += w", name="synapses")
    synapses.connect()
    synapses.w = 2
    model = bep.EventPropModel(
        [given, group, synapses], train=[group.ge], loss=bep.Sum(bep.Final(group, "ge*gi")),
        duration=12 * ms, solver="event",
    )  # fmt: skip
    model.run()
    inhibition = 2 * (np.exp(-(12 - 4.88) / 10) + np.exp(-(12 - 5.199) / 10))
    found = model.gradient().raw(model.key_of(group.ge))
    np.testing.assert_allclose(found, inhibition * np.exp(-12 / 3.733), rtol=EXACT)


def test_an_input_of_0_to_a_neuron_that_slowly_rises_to_its_spike():
    """The steps before an upstroke follow v; differences are exact, as the method is for ge > 0."""
    given = SpikeGeneratorGroup(1, [0], [2] * ms, name="given")
    group = NeuronGroup(
        1,
        """dv/dt = (-65*mV - v + 2*mV*exp((v + 50*mV)/(2*mV)) + drive*mV + ge)/(40*ms) : volt
           dge/dt = -ge/(2*ms) : volt
           drive : 1 (constant)""",
        threshold="v > 0*mV", reset="v = -65*mV", method="euler", name="group",
    )  # fmt: skip
    group.v, group.drive = -58 * mV, 18
    synapses = Synapses(given, group, "w : volt", on_pre="ge_post += w", name="synapses")
    synapses.connect()
    model = bep.EventPropModel(
        [given, group, synapses], train=[synapses.w, group.drive],
        loss=bep.Sum(bep.SpikeTimes(group, "t/ms", which="first")), duration=100 * ms,
        solver="event",
    )  # fmt: skip
    key = model.key_of(synapses.w)

    def loss_at(weight):
        model.parameters.set_raw(key, np.array([weight]))
        return model.run().loss

    assert len(model.run().spikes[group].t) == 1
    found = model.gradient().raw(key)[0]
    step = 1e-7
    slopes = [(loss_at(k * step) - loss_at(-k * step)) / (2 * k * step) for k in (1, 2)]
    # of fourth order: what the step leaves, and the tolerance of the spike time over the step
    expected = (4 * slopes[0] - slopes[1]) / 3
    np.testing.assert_allclose(found, expected, rtol=1e-6)
