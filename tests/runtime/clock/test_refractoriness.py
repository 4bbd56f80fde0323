"""Ends of refractoriness that move with states, on the time grid."""

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    cm,
    defaultclock,
    ms,
    msiemens,
    mV,
    uA,
    uF,
)
from helpers.networks.refractory import KINDS, brian_spikes, model, steps_of

import brian_eventprop as bep


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_spikes_as_in_brian2(kind, precision):
    expected = brian_spikes(KINDS[kind])
    assert len(expected) > 2
    found = model(KINDS[kind], "clock", precision=precision).run()
    assert steps_of(found.spikes["group"]) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_has_the_same_gradients(kind):
    found = {}
    for precision in ("float64", "float32"):
        made = model(KINDS[kind], "clock", precision=precision)
        made.run()
        gradients = made.gradient()
        found[precision] = [gradients.raw(key) for key in made.parameters.keys]
    for single, double in zip(found["float32"], found["float64"], strict=True):
        assert np.abs(single - double).max() < 2e-3 * np.abs(double).max()


#: The time step (ms) at which the events have the order of exact time, where that is short.
STEPS = {"ended by arrivals": 0.001}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k in STEPS else k for k in KINDS]
)
def test_gradients_tend_to_those_of_exact_time(kind):
    found, spikes = {}, {}
    for solver, dt in (("event", 0.1), ("clock", STEPS.get(kind, 0.005))):
        made = model(KINDS[kind], solver, dt=dt)
        spikes[solver] = np.bincount(made.run().spikes["group"].i)
        gradients = made.gradient()
        assert gradients.grazing == 0
        found[solver] = [gradients.raw(key).copy() for key in made.parameters.keys]
    assert np.array_equal(spikes["clock"], spikes["event"])
    for on_grid, exact in zip(found["clock"], found["event"], strict=True):
        assert 0 < np.abs(on_grid - exact).max() < 0.05 * np.abs(exact).max()


def hodgkin_huxley(refractory="v > -40*mV"):
    """Traub and Miles' neurons, with the mask that counts each spike once."""
    defaultclock.dt = 0.02 * ms
    group = NeuronGroup(
        3,
        """dv/dt = (gl*(El - v) + ge*(0*mV - v) - g_na*m**3*h*(v - ENa) - g_kd*n**4*(v - EK) + I)
                   /Cm : volt
           dm/dt = 0.32*4/exprel((13*mV - v + VT)/(4*mV))/ms*(1 - m)
                   - 0.28*5/exprel((v - VT - 40*mV)/(5*mV))/ms*m : 1
           dn/dt = 0.032*5/exprel((15*mV - v + VT)/(5*mV))/ms*(1 - n)
                   - 0.5*exp((10*mV - v + VT)/(40*mV))/ms*n : 1
           dh/dt = 0.128*exp((17*mV - v + VT)/(18*mV))/ms*(1 - h)
                   - 4/(1 + exp((40*mV - v + VT)/(5*mV)))/ms*h : 1
           dge/dt = -ge/(5*ms) : siemens/meter**2
           I : amp/meter**2 (constant)""",
        threshold="v > -40*mV", refractory=refractory, method="exponential_euler", name="group",
        namespace=dict(
            gl=0.05 * msiemens / cm**2, g_na=100 * msiemens / cm**2, g_kd=30 * msiemens / cm**2,
            El=-65 * mV, ENa=50 * mV, EK=-90 * mV, VT=-63 * mV, Cm=1 * uF / cm**2,
        ),
    )  # fmt: skip
    group.v, group.h = -65 * mV, 1
    group.I = [2, 3, 4] * uA / cm**2
    loop = Synapses(group, group, "w : siemens/meter**2", on_pre="ge_post += w", name="loop")
    loop.connect(i=[0, 1, 2], j=[1, 2, 0])
    loop.w = [0.05, 0.1, 0.08] * msiemens / cm**2
    loss = bep.Sum(bep.SpikeTimes(group))
    made = bep.EventPropModel([group, loop], train=[loop.w, group.I], loss=loss, duration=15 * ms)
    return made, [group, loop]


def test_the_mask_of_hodgkin_and_huxley():
    made, objects = hodgkin_huxley()
    found = steps_of(made.run().spikes["group"])
    gradients = made.gradient()
    monitor = SpikeMonitor(objects[0])
    Network(*objects, monitor).run(15 * ms)
    assert found == steps_of(monitor) and len(found) >= 6
    assert gradients.grazing == 0
    # nothing stands still, so a period that masks the same spikes has the same gradient
    period, _ = hodgkin_huxley(3 * ms)
    assert steps_of(period.run().spikes["group"]) == found
    others = period.gradient()
    for key in made.parameters.keys:
        assert gradients.raw(key) == pytest.approx(others.raw(key), rel=1e-12)
        assert np.all(gradients.raw(key) != 0)


def with_events(custom: bool, **options):
    """The same neurons, once with a threshold and once with an event of another name."""
    defaultclock.dt = 0.1 * ms
    inputs = SpikeGeneratorGroup(1, [0, 0, 0], [1, 2, 8] * ms, name="inputs")
    if custom:
        options["events"] = {"fire": "v > 0.6"}
    else:
        options |= {"threshold": "v > 0.6", "reset": "v = 0; u += 1"}
    group = NeuronGroup(
        2, "dv/dt = (I - v - u)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1\ndu/dt = -u/(4*ms) : 1",
        method="euler", name="group", **options,
    )  # fmt: skip
    if custom:
        group.run_on_event("fire", "v = 0; u += 1")
    feed = Synapses(inputs, group, "w : 1", on_pre="I_post += w", name="feed")
    feed.connect()
    feed.w = [3.5, 2.5]
    on_event = {"on_event": "fire"} if custom else {}
    loop = Synapses(group, group, on_pre="I_post += 0.3", delay=1 * ms, name="loop", **on_event)
    loop.connect()
    objects = [inputs, group, feed, loop]
    made = bep.EventPropModel(
        objects, train=[feed.w], loss=bep.Sum(bep.SpikeTimes(group)), duration=20 * ms
    )
    found = steps_of(made.run().spikes["group"])
    monitor = EventMonitor(group, "fire" if custom else "spike")
    gradient = made.gradient().raw(("feed", "w")).copy()
    Network(*objects, monitor).run(20 * ms)
    assert found == steps_of(monitor) and len(found) > 6
    return found, gradient


def test_a_custom_event_alone_is_a_spike():
    spikes, gradient = with_events(custom=False)
    for custom, options in ((True, {}), (True, {"refractory": 5 * ms})):
        found = with_events(custom, **options)
        assert found[0] == spikes
        assert np.array_equal(found[1], gradient)


def test_an_event_that_nothing_follows_changes_nothing():
    expected = with_events(custom=False)
    found = with_events(custom=False, events={"watched": "u > 0.5"})
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])
