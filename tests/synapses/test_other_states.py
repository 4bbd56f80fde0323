"""Synapses that touch their pre-synaptic neuron, and synapses with clock-driven equations."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    second,
)
from helpers.derivatives import assert_gradient

import brian_eventprop as bep

#: Equations of the synapses, on_pre, on_post.
CODES = {
    "reads pre": ("w : 1", "I_post += w*z_pre", None),
    "writes pre": ("w : 1\nU : 1", "I_post += w*x_pre\nx_pre *= 1 - 0.1*U", None),
    "clock-driven": (
        "w : 1\nU : 1\nds/dt = -s*s/(9*ms) + 50*Hz*q*(1 - s) : 1 (clock-driven)\n"
        "dq/dt = -q/(3*ms) : 1 (clock-driven)",
        "q += w*U",
        None,
    ),
    "all at once": (
        "w : 1\nU : 1\nds/dt = -s/(8*ms) : 1 (clock-driven)\nda/dt = -a/(6*ms) : 1 (event-driven)",
        "s += w\nI_post += s*U + a\na += w*z_pre",
        None,
    ),
}


def network(code: str, dt=0.1, **options):
    """A group that spikes, and synapses from it onto neurons that do not."""
    defaultclock.dt = dt * ms
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(0, 0.035, 24)) * second
    source = SpikeGeneratorGroup(4, rng.integers(0, 4, 24), times, name="source")
    a = NeuronGroup(
        3,
        "dv/dt = (I - v)/(18*ms) : 1\ndI/dt = -I/(5*ms) : 1\ndz/dt = (v - z)/tz : 1\nx : 1\n"
        "tz : second",
        threshold="v > 1", reset="v = 0; z += 0.2", method="exact", name="a",
    )  # fmt: skip
    a.tz, a.x = "(9 + i)*ms", 1
    b = NeuronGroup(3, "dv/dt = (I - v)/(14*ms) : 1\ndI/dt = -I/(5*ms) : 1", name="b")
    first = Synapses(source, a, "w : 1", on_pre="I_post += w", name="first")
    first.connect()
    first.w, first.delay = 5 * rng.uniform(0.7, 1.3, 12), rng.uniform(0.3, 5, 12) * ms
    model, on_pre, on_post = CODES[code]
    s = Synapses(a, b, model, on_pre=on_pre, on_post=on_post, name="s", method="rk4")
    s.connect()
    s.w, s.delay = rng.uniform(0.7, 1.3, 9), rng.uniform(0.3, 5, 9) * ms
    if "U" in s.equations.names:
        s.U = 0.4 * rng.uniform(0.7, 1.3, 9)
    final = "s" in s.equations.names
    if final:
        s.s = 0.1
    readouts = [bep.Integral(b, "v**2*(1 + i)")] * (code != "clock-driven")
    readouts += [bep.Final(s, "s**2")] * final
    # none of these moves a spike, so that the loss on the time grid is smooth in them
    views = [s.w, *(getattr(s, name) for name in ("U", "s") if name in s.equations.names)]
    views += [a.tz] * ("z_pre" in on_pre) + [a.x] * ("x_pre" in on_pre)
    objects = [source, a, b, first, s]
    model = bep.EventPropModel(
        objects, train=views, loss=bep.Sum(*readouts), duration=40 * ms, **options
    )
    return model, views, objects


def differences(model, view):
    """Central differences of the loss in each entry."""
    start, found = model.parameters.raw(view).copy(), []
    for k in range(len(start)):
        step, losses = 1e-4 * abs(start[k]) + 1e-6 * np.abs(start).max() + 1e-9, []
        for sign in (1, -1):
            moved = start.copy()
            moved[k] += sign * step
            model.parameters.set_raw(view, moved)
            losses.append(model.run().loss)
        found.append((losses[0] - losses[1]) / (2 * step))
    model.parameters.set_raw(view, start)
    return np.array(found)


@pytest.mark.parametrize("code", CODES)
def test_gradient_on_the_grid_is_that_of_differences(code):
    model, views, _ = network(code)
    model.run()
    gradients = model.gradient()
    found = [np.asarray(gradients[view]) for view in views]
    for view, gradient in zip(views, found, strict=True):
        expected = differences(model, view)
        # what the loss bends within a step
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize("code", CODES)
def test_spikes_and_states_are_those_of_brian(code):
    model, _, objects = network(code)
    result = model.run()
    monitor = SpikeMonitor(objects[1])
    Network([*objects, monitor]).run(40 * ms)
    assert len(monitor.t) > 20
    np.testing.assert_array_equal(np.asarray(result.spikes["a"].t), np.asarray(monitor.t))
    if "s" in objects[4].equations.names:
        np.testing.assert_allclose(result.readout[-1][0], np.asarray(objects[4].s) ** 2, rtol=1e-12)


def test_clock_driven_synapses_in_exact_time():
    model, _, _ = network("clock-driven", solver="event")
    assert_gradient(model)


@pytest.mark.compiled
def test_gradients_in_delays_converge_with_the_time_step():
    """At first order: the distances of three grids fall by the ratio of their steps."""
    found = []
    for dt in (0.02, 0.005, 0.00125):
        model, _, objects = network("all at once", dt=dt)
        s = objects[4]
        model = bep.EventPropModel(objects, train=[s.delay, s.w], loss=model.loss, duration=40 * ms)
        model.run()
        gradients = model.gradient()
        found.append(np.asarray(gradients[s.delay]))
    far, near = (np.abs(g - found[2]).max() for g in found[:2])
    assert near < 0.05 * np.abs(found[2]).max()
    assert near < 0.5 * far


def reward_modulated():
    """STDP that a reward makes effective, after Brian2's example of Izhikevich (2007).

    Synapses are the target of synapses, some of their variables are clock-driven and others
    event-driven, and both of their ends spike in one time step.
    """
    defaultclock.dt = 0.1 * ms
    times = [5, 5, 30, 31, 60, 62] * ms
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1, 1, 0], times, name="source")
    neurons = NeuronGroup(
        2, "dv/dt = (20*g - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1", threshold="v > 1",
        reset="v = 0", method="exact", name="neurons",
    )  # fmt: skip
    first = Synapses(source, neurons, on_pre="g += 0.5", name="first")
    first.connect(j="i")
    plastic = Synapses(
        neurons,
        neurons,
        """mode : 1
        dc/dt = -c/(100*ms) : 1 (clock-driven)
        dd/dt = -d/(50*ms) : 1 (clock-driven)
        ds/dt = mode*c*d/ms : 1 (clock-driven)
        da/dt = -a/(20*ms) : 1 (event-driven)
        db/dt = -b/(20*ms) : 1 (event-driven)""",
        on_pre="g += 0*s; a += 1e-2; c = clip(c + mode*b, -1, 1); s += (1 - mode)*b",
        on_post="b -= 1.1e-2; c = clip(c + mode*a, -1, 1); s += (1 - mode)*a",
        method="euler",
        name="plastic",
    )
    plastic.connect(i=0, j=1)
    plastic.mode = 0.9
    dopamine = SpikeGeneratorGroup(1, [0, 0], [20, 40] * ms, name="dopamine")
    reward = Synapses(dopamine, plastic, "amount : 1", on_pre="d_post += amount", name="reward")
    reward.connect()
    reward.amount, reward.delay = 0.05, 2 * ms
    views = [reward.amount, plastic.mode, plastic.c, plastic.d]
    objects = [source, neurons, first, plastic, dopamine, reward]
    model = bep.EventPropModel(
        objects, train=views, loss=bep.Sum(bep.Final(plastic, "s")), duration=120 * ms
    )
    return model, views, objects


def test_reward_modulated_plasticity():
    model, views, objects = reward_modulated()
    result = model.run()
    gradients = model.gradient()
    for view in views:
        expected = differences(model, view)
        np.testing.assert_allclose(np.asarray(gradients[view]), expected, rtol=1e-6)
    monitor = SpikeMonitor(objects[1])
    Network([*objects, monitor]).run(120 * ms)
    steps = np.rint(np.asarray(monitor.t) / 1e-4)
    assert len(set(steps)) < len(steps)  # both neurons in one step
    np.testing.assert_array_equal(np.asarray(result.spikes["neurons"].t), np.asarray(monitor.t))
    np.testing.assert_allclose(result.readout[0][0], np.asarray(objects[3].s), rtol=1e-12)


@pytest.mark.compiled
def test_reward_modulated_plasticity_in_exact_time():
    _, views, objects = reward_modulated()
    loss = bep.Sum(bep.Final(objects[3], "s"))
    model = bep.EventPropModel(objects, train=views, loss=loss, duration=120 * ms, solver="event")
    assert_gradient(model)
