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
    bep.check_gradient(model, entries=2, raises=True, show=False)


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
