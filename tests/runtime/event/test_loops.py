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
from helpers.backends import gradient_arrays

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


def named(objects, *names):
    found = {obj.name: obj for obj in objects}
    return [found[name] for name in names]


def build(objects, train=(), duration=DURATION, readouts=None, **options):
    """A model of any of these networks; all of its arrays, so that kernels are shared."""
    group = named(objects, "neurons")[0]
    parts = {obj.name: obj for obj in objects}
    trained = [group.v, *([group.rest] if "rest" in group.variables else [])]
    trained += [s.w for s in objects if isinstance(s, Synapses)]
    trained += [parts[n].delay for n in ("exc", "slow", "feed", "pulse", "last") if n in parts]
    readouts = readouts or [
        bep.Integral(group, "v**2/ms"), bep.SpikeTimes(group, "t/ms"), bep.Final(group, "v"),
        bep.Maximum(group, "v"),
    ]  # fmt: skip
    return bep.EventPropModel(
        objects, train=list(train) or trained, loss=bep.Sum(*readouts), duration=duration,
        solver="event", **options,
    )  # fmt: skip


def spikes_of(model, group):
    spikes = model.run().spikes[group]
    return np.asarray(spikes.i), np.asarray(spikes.t / ms)


def assert_gradient(model, leave_out=(), tolerance=1e-6):
    """Central differences of all arrays but those where simultaneous arrivals may swap."""
    report = bep.check_gradient(model, entries=1, tolerance=tolerance, show=False)
    compared = [a for a in report.arrays if a.name not in leave_out]
    assert len(compared) == len(report.arrays) - len(leave_out)
    assert all(a.ok for a in compared), str(report)


def assert_as_brian2(make, dt, duration=DURATION):
    """Brian2's spikes follow ours by no more than a few steps; a generation lasts a step."""
    objects = make()
    (group,) = named(objects, "neurons")
    i, t = spikes_of(build(objects, duration=duration), group)
    objects = make()
    monitor = SpikeMonitor(*named(objects, "neurons"))
    defaultclock.dt = dt
    Network(*objects, monitor).run(duration)
    defaultclock.dt = 0.1 * ms
    assert len(i) > 5
    for neuron in range(group.N):
        ours, theirs = t[i == neuron], np.asarray(monitor.t / ms)[np.asarray(monitor.i) == neuron]
        np.testing.assert_allclose(theirs, ours, atol=8 * float(dt / ms))


def test_gradients_of_two_groups_that_feed_themselves():
    objects = populations(delays=True)
    model = build(objects)
    assert "event by event" in model.source
    assert len(model.run().spikes[objects[0]].i) >= 5
    assert len(model.run().spikes[objects[1]].i) >= 1
    assert_gradient(model)


def test_gradients_of_pulses_that_fire_neurons_at_once():
    objects = pulses()
    model = build(objects)
    _, t = spikes_of(model, objects[1])
    assert len(np.unique(t)) < len(t)  # cascades
    assert_gradient(model, leave_out=["pulse.delay"])


@pytest.mark.slow
@pytest.mark.parametrize("reset", ["v = 0", "v -= 1.1", "v = 0.2*v; I += 0.1"])
def test_gradients_without_refractoriness(reset):
    """An arrival at a neuron that spikes comes before its reset, which makes a difference."""
    assert_gradient(build(pulses(reset=reset, refractory=False)), leave_out=["pulse.delay"])


@pytest.mark.slow
def test_gradients_with_conductances():
    assert_gradient(build(populations("conductance")))


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
    assert_gradient(build([neurons, s], [s.w, neurons.v, neurons.a]))


@pytest.mark.slow
def test_a_delay_of_zero_is_the_limit_of_short_ones():
    """Short delays take windows, none go event by event: two ways to the same numbers."""
    found = []
    for delay in (0 * ms, 1 * us):
        objects = populations()
        for s in objects[2:]:
            s.delay = delay
        model = build(objects)
        assert ("event by event" in model.source) == (delay == 0 * ms)
        found.append((*spikes_of(model, objects[0]), gradient_arrays(model)))
    (i, t, gradients), (j, u, others) = found
    np.testing.assert_array_equal(i[np.lexsort((t, i))], j[np.lexsort((u, j))])
    np.testing.assert_allclose(np.sort(t), np.sort(u), atol=5e-3)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, others[key], atol=2e-3 * np.abs(gradient).max())


@pytest.mark.parametrize("make", [populations, pulses])
def test_spikes_are_those_of_brian2(make):
    assert_as_brian2(make, 10 * us)


def chain(n=4, back=0.0, reset="v = 0", flags="", **options):
    """Neuron k fires neuron k + 1 at once, the last one sends a pulse to the first one."""
    source = SpikeGeneratorGroup(1, [0], [2] * ms, name="source")
    neurons = NeuronGroup(
        n, f"dv/dt = -v/(10*ms) : 1 {flags}", threshold="v > 1", reset=reset, method="exact",
        name="neurons", **options,
    )  # fmt: skip
    feed = Synapses(source, neurons, "w : 1", on_pre="v += w", name="feed")
    pulse = Synapses(neurons, neurons, "w : 1", on_pre="v += w", name="pulse")
    last = Synapses(neurons, neurons, "w : 1", on_pre="v += w", name="last")
    feed.connect(i=0, j=0)
    pulse.connect("j == i + 1")
    last.connect(i=n - 1, j=0)
    feed.w, pulse.w, last.w = 1.5, 1.2, back
    return [source, neurons, feed, pulse, last]


def build_chain(objects):
    neurons = objects[1]
    readouts = [bep.SpikeTimes(neurons, "t/ms"), bep.Final(neurons, "v*exp(2.8)")]
    return build(objects, readouts=readouts)


def test_a_cascade_moves_with_what_set_it_off():
    objects = chain()
    model = build_chain(objects)
    i, t = spikes_of(model, objects[1])
    np.testing.assert_array_equal(i, [0, 1, 2, 3])
    np.testing.assert_allclose(t, 2.0, rtol=1e-15)
    gradients = gradient_arrays(model)
    np.testing.assert_allclose(gradients["feed_pre", "delay"], 4e3)
    np.testing.assert_allclose(gradients["pulse_pre", "delay"], [3e3, 2e3, 1e3])
    np.testing.assert_array_equal(gradients["pulse", "w"], 0)
    np.testing.assert_allclose(gradients["last", "w"], 1)


@pytest.mark.parametrize(
    "reset, remains", [("v = 0", 0.0), pytest.param("v -= 1", 0.9, marks=pytest.mark.slow)]
)
def test_a_pulse_to_itself_comes_before_the_reset_as_in_brian2(reset, remains):
    objects = chain(1, back=0.4, reset=reset)
    model = build_chain(objects)
    result = model.run()
    assert len(result.spikes[objects[1]].i) == 1
    assert result.readout[1].item() == pytest.approx(remains)
    assert gradient_arrays(model)["last", "w"].item() == pytest.approx(float(remains > 0))


def test_a_cascade_without_end_is_an_error_that_names_group_and_time():
    with pytest.raises(FloatingPointError, match=r"neurons: an instantaneous cascade.*t = 0.002 s"):
        build_chain(chain(back=1.5)).run()


@pytest.mark.slow
def test_refractory_neurons_end_a_cascade():
    objects = chain(back=1.5, refractory=1 * ms, flags="(unless refractory)")
    assert len(build_chain(objects).run().spikes[objects[1]].i) == 4


def test_training_may_take_the_delays_of_a_loop_to_zero():
    """The kernels change to those of a model that begins there, and back."""
    objects = chain()
    pulse, last = objects[3:]
    pulse.delay, last.delay = 0.5 * ms, 1 * ms
    model = build_chain(objects)
    apart, before = spikes_of(model, objects[1])[1], gradient_arrays(model)
    assert "event by event" not in model.source
    model.parameters[pulse.delay] = 0 * ms
    model.parameters[last.delay] = 0 * ms
    np.testing.assert_array_equal(spikes_of(model, objects[1])[1], 2.0)
    assert "event by event" in model.source
    np.testing.assert_allclose(gradient_arrays(model)["pulse_pre", "delay"], [3e3, 2e3, 1e3])
    model.parameters[pulse.delay] = 0.5 * ms
    model.parameters[last.delay] = 1 * ms
    np.testing.assert_array_equal(spikes_of(model, objects[1])[1], apart)
    np.testing.assert_array_equal(
        gradient_arrays(model)["pulse_pre", "delay"], before["pulse_pre", "delay"]
    )


@pytest.mark.slow
@pytest.mark.compiled
def test_results_do_not_depend_on_threads():
    objects = pulses()
    rng = np.random.default_rng(0)
    data = bep.SpikeData(
        rng.uniform(0, 0.02, 60), rng.integers(0, 2, 60), rng.integers(0, 11, 60), 11, 2
    )
    found = []
    for threads in (1, 3):
        model = build(objects, threads=threads)
        model.run(data)
        found.append(gradient_arrays(model))
    for key, gradient in found[0].items():
        np.testing.assert_array_equal(gradient, found[1][key])
