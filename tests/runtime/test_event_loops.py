"""Loops without delay in exact time: event by event, cascades, and the gradients of all of it."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    ms,
    us,
)  # fmt: skip

import brian_eventprop as bep

DURATION = 30 * ms


def populations(synapse="current", delays=False):
    """Excitation and inhibition within one group that feeds itself, and a second group."""
    rng = np.random.default_rng(1)
    drive = {"current": "ge - gi", "conductance": "ge*(4 - v) + gi*(-0.5 - v)"}[synapse]
    equations = f"""dv/dt = (rest + {drive} - v)/(20*ms) : 1 (unless refractory)
                    dge/dt = -ge/(5*ms) : 1
                    dgi/dt = -gi/(10*ms) : 1
                    rest : 1 (constant)"""
    neurons = NeuronGroup(
        5, equations, threshold="v > 1", reset="v = 0", refractory=4 * ms, name="neurons",
        method="exact" if synapse == "current" else "rk4",
    )  # fmt: skip
    neurons.v, neurons.rest = rng.uniform(0, 1, 5), rng.uniform(1.4, 2.2, 5)
    other = NeuronGroup(
        2, "dv/dt = (0.8 - v)/(10*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact",
        name="other",
    )  # fmt: skip
    scale = 1.0 if synapse == "current" else 0.2
    exc = Synapses(neurons[:4], neurons, "w : 1", on_pre="ge += w", name="exc")
    inh = Synapses(neurons[4:], neurons, "w : 1", on_pre="gi += w", name="inh")
    there = Synapses(neurons, other, "w : 1", on_pre="v += w", name="there")
    back = Synapses(other, neurons, "w : 1", on_pre="gi += w", name="back")
    for s in (exc, inh, there, back):
        s.connect()  # autapses as well
        s.w = rng.uniform(0.2, 1.0, len(s)) * scale
    there.w = rng.uniform(0.1, 0.4, len(there))
    if delays:  # some of them exactly 0
        exc.delay = rng.uniform(0, 3, len(exc)) * rng.integers(0, 2, len(exc)) * ms
    return [neurons, other, exc, inh, there, back]


def pulses(**options):
    """Pulses that fire neurons at once: resets and inputs besides, some arrivals with delays."""
    rng = np.random.default_rng(2)
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [1, 2.3, 9, 13.7] * ms, name="source")
    options = {"reset": "v = 0", "refractory": 2 * ms, **options}
    neurons = NeuronGroup(
        5,
        """dv/dt = (rest + I - v)/(10*ms) : 1 (unless refractory)
           dI/dt = -I/(4*ms) : 1
           rest : 1 (constant)""",
        threshold="v > 1", method="exact", name="neurons", **options,
    )  # fmt: skip
    neurons.v, neurons.rest = rng.uniform(0, 0.9, 5), rng.uniform(0.9, 1.3, 5)
    feed = Synapses(source, neurons, "w : 1", on_pre="v += w", name="feed")
    pulse = Synapses(neurons, neurons, "w : 1", on_pre="v += w", name="pulse")
    slow = Synapses(neurons, neurons, "w : 1", on_pre="I += w", name="slow")
    for s in (feed, pulse, slow):
        s.connect()
    feed.w, feed.delay = rng.uniform(0, 0.8, len(feed)), rng.uniform(0, 2, len(feed)) * ms
    pulse.w = rng.uniform(0, 0.3, len(pulse))
    slow.w = rng.uniform(-0.3, 0.5, len(slow))
    slow.delay = rng.uniform(0, 3, len(slow)) * rng.integers(0, 2, len(slow)) * ms
    return [source, neurons, feed, pulse, slow]


def named(objects, name):
    return next(obj for obj in objects if obj.name == name)


def build(objects, train, group="neurons", duration=DURATION, **options):
    group = named(objects, group)
    readouts = [
        bep.Integral(group, "v**2/ms"), bep.SpikeTimes(group, "t/(10*ms)"), bep.Final(group, "v"),
        bep.Maximum(group, "v"),
    ]  # fmt: skip
    return bep.EventPropModel(
        objects, train=train, loss=bep.Sum(*options.pop("readouts", readouts)), duration=duration,
        solver="event", **options,
    )  # fmt: skip


def spikes_of(model, group):
    spikes = model.run().spikes[group]
    return np.asarray(spikes.i), np.asarray(spikes.t / ms)


def assert_as_brian2(make, dt, duration=DURATION):
    """Brian2's spikes follow ours by no more than a few steps; a generation lasts a step."""
    objects = make()
    group = named(objects, "neurons")
    i, t = spikes_of(build(objects, [group.v], duration=duration), group)
    objects = make()
    monitor = SpikeMonitor(named(objects, "neurons"))
    defaultclock.dt = dt
    Network(*objects, monitor).run(duration)
    defaultclock.dt = 0.1 * ms
    assert len(i) > 5
    for neuron in range(group.N):
        ours, theirs = t[i == neuron], np.asarray(monitor.t / ms)[np.asarray(monitor.i) == neuron]
        np.testing.assert_allclose(theirs, ours, atol=8 * float(dt / ms))


def test_gradients_of_two_groups_that_feed_themselves():
    objects = populations(delays=True)
    neurons, _, exc, inh, there, back = objects
    model = build(objects, [exc.w, inh.w, there.w, back.w, exc.delay, neurons.v, neurons.rest])
    assert "event by event" in model.source
    assert len(model.run().spikes[neurons].i) >= 5
    assert len(model.run().spikes[objects[1]].i) >= 1
    report = bep.check_gradient(model, entries=3, tolerance=1e-6, show=False)
    assert report.ok, str(report)


def test_gradients_of_pulses_that_fire_neurons_at_once():
    objects = pulses()
    source, neurons, feed, pulse, slow = objects
    model = build(objects, [feed.w, feed.delay, pulse.w, slow.w, slow.delay, neurons.v])
    _, t = spikes_of(model, neurons)
    assert len(np.unique(t)) < len(t)  # cascades
    report = bep.check_gradient(model, entries=3, tolerance=1e-6, show=False)
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("reset", ["v = 0", "v -= 1.1", "v = 0.2*v; I += 0.1"])
def test_gradients_without_refractoriness(reset):
    """An arrival at a neuron that spikes comes before its reset, which makes a difference."""
    objects = pulses(reset=reset, refractory=False)
    source, neurons, feed, pulse, slow = objects
    model = build(objects, [feed.w, feed.delay, pulse.w, slow.w, neurons.v])
    report = bep.check_gradient(model, entries=3, tolerance=1e-6, show=False)
    assert report.ok, str(report)


@pytest.mark.slow
def test_gradients_with_conductances():
    objects = populations("conductance")
    neurons, _, exc, inh, there, back = objects
    model = build(objects, [exc.w, inh.w, exc.delay, neurons.v, neurons.rest])
    report = bep.check_gradient(model, entries=3, tolerance=1e-6, show=False)
    assert report.ok, str(report)


@pytest.mark.slow
def test_gradients_with_a_timed_array():
    current = TimedArray(np.array([1.6, 0.4, 2.0, 1.1]), dt=6.3 * ms, name="current")
    neurons = NeuronGroup(
        4, "dv/dt = (current(t) + a - v)/(8*ms) : 1\na : 1 (constant)", threshold="v > 1",
        reset="v = 0", method="exact", name="neurons", namespace={"current": current},
    )  # fmt: skip
    neurons.v, neurons.a = [0.1, 0.3, 0.5, 0.8], [0.0, 0.1, 0.05, 0.2]
    s = Synapses(neurons, neurons, "w : 1", on_pre="v += w", name="s")
    s.connect()
    s.w = "0.1 + 0.05*i - 0.03*j"
    model = build([neurons, s], [s.w, neurons.v, neurons.a])
    report = bep.check_gradient(model, entries=3, tolerance=1e-6, show=False)
    assert report.ok, str(report)


def test_a_delay_of_zero_is_the_limit_of_short_ones():
    """Short delays take windows, none go event by event: two ways to the same numbers."""
    found = []
    for delay in (0 * ms, 1 * us):
        objects = populations()
        neurons, _, exc, inh, there, back = objects
        for s in objects[2:]:
            s.delay = delay
        model = build(objects, [exc.w, inh.w, neurons.v, exc.delay])
        assert ("event by event" in model.source) == (delay == 0 * ms)
        found.append((*spikes_of(model, neurons), model._gradient_arrays()))
    (i, t, gradients), (j, u, others) = found
    np.testing.assert_array_equal(i[np.lexsort((t, i))], j[np.lexsort((u, j))])
    np.testing.assert_allclose(np.sort(t), np.sort(u), atol=5e-3)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, others[key], atol=2e-3 * np.abs(gradient).max())


@pytest.mark.parametrize("make", [populations, pulses])
def test_spikes_are_those_of_brian2(make):
    assert_as_brian2(make, 10 * us)


@pytest.mark.slow
@pytest.mark.parametrize("reset", ["v = 0", "v -= 1.1"])
def test_spikes_without_refractoriness_are_those_of_brian2(reset):
    def make():
        return pulses(reset=reset, refractory=False)

    assert_as_brian2(make, 2 * us, 15 * ms)


def chain(reset="v = 0", equations="dv/dt = -v/(10*ms) : 1", refractory=False, n=4):
    """Neuron k fires neuron k + 1 at once; what comes first is given to neuron 0."""
    source = SpikeGeneratorGroup(1, [0], [2] * ms, name="source")
    neurons = NeuronGroup(
        n, equations, threshold="v > 1", reset=reset, refractory=refractory, method="exact",
        name="neurons",
    )  # fmt: skip
    feed = Synapses(source, neurons, "w : 1", on_pre="v += w", name="feed")
    feed.connect(i=0, j=0)
    feed.w = 1.5
    pulse = Synapses(neurons, neurons, "w : 1", on_pre="v += w", name="pulse")
    pulse.connect("j == i + 1")
    pulse.w = 1.2
    return [source, neurons, feed, pulse]


def test_a_cascade_moves_with_what_set_it_off():
    objects = chain()
    source, neurons, feed, pulse = objects
    model = build(
        objects, [feed.delay, pulse.delay, pulse.w], readouts=[bep.SpikeTimes(neurons, "t/ms")]
    )
    i, t = spikes_of(model, neurons)
    np.testing.assert_array_equal(i, [0, 1, 2, 3])
    np.testing.assert_allclose(t, 2.0, rtol=1e-15)
    gradients = model.gradient()
    np.testing.assert_allclose(np.asarray(gradients.raw(("feed_pre", "delay"))), 4e3)
    np.testing.assert_allclose(np.asarray(gradients.raw(("pulse_pre", "delay"))), [3e3, 2e3, 1e3])
    np.testing.assert_array_equal(np.asarray(gradients.raw(("pulse", "w"))), 0)


def test_a_pulse_to_itself_comes_before_the_reset_as_in_brian2():
    """With 'v = 0' it is lost, with 'v -= 1' it is kept."""
    for reset, remains in (("v = 0", 0.0), ("v -= 1", 0.9)):
        objects = chain(n=1, reset=reset)
        neurons, feed = objects[1:3]
        echo = Synapses(neurons, neurons, "w : 1", on_pre="v += w", name="echo")
        echo.connect()
        echo.w = 0.4
        model = build(
            [*objects[:3], echo], [echo.w], readouts=[bep.Final(neurons, "v*exp(28/10.0)")]
        )
        assert len(model.run().spikes[neurons].i) == 1
        assert model.run().readout[0].item() == pytest.approx(remains)
        gradient = np.asarray(model.gradient().raw(("echo", "w"))).item()
        assert gradient == pytest.approx(float(remains > 0))


def test_a_cascade_without_end_is_an_error_that_names_group_and_time():
    objects = chain(n=2)
    back = Synapses(objects[1], objects[1], on_pre="v += 1.5", name="back")
    back.connect(i=1, j=0)
    model = build([*objects, back], [objects[3].w])
    with pytest.raises(FloatingPointError, match=r"neurons: an instantaneous cascade.*t = 0.002 s"):
        model.run()


def test_refractory_neurons_end_a_cascade():
    objects = chain(n=2, refractory=1 * ms, equations="dv/dt = -v/(10*ms) : 1 (unless refractory)")
    back = Synapses(objects[1], objects[1], on_pre="v += 1.5", name="back")
    back.connect(i=1, j=0)
    model = build([*objects, back], [objects[3].w])
    assert len(model.run().spikes[objects[1]].i) == 2


def test_training_may_take_the_delays_of_a_loop_to_zero():
    found = []
    for delay in (0.5 * ms, 0 * ms):
        objects = populations()
        neurons = objects[0]
        for s in objects[2:]:
            s.delay = delay
        model = build(objects, [s.delay for s in objects[2:]])
        model.run()
        for s in objects[2:]:
            model.parameters[s.delay] = 0 * ms
        found.append((*spikes_of(model, neurons), model._gradient_arrays()))
    for a, b in zip(*(f[:2] for f in found), strict=True):
        np.testing.assert_array_equal(a, b)
    for key, gradient in found[0][2].items():
        assert np.any(gradient != 0)
        np.testing.assert_array_equal(gradient, found[1][2][key])


def test_results_do_not_depend_on_threads():
    objects = pulses()
    rng = np.random.default_rng(0)
    data = bep.SpikeData(
        rng.uniform(0, 0.02, 60), rng.integers(0, 2, 60), rng.integers(0, 11, 60), 11, 2
    )
    found = []
    for threads in (1, 3):
        model = build(objects, [objects[3].w, objects[4].delay], threads=threads)
        model.run(data)
        found.append(model._gradient_arrays())
    for key, gradient in found[0].items():
        np.testing.assert_array_equal(gradient, found[1][key])
