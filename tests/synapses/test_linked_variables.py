"""Linked variables of Synapses, and Synapses onto inputs of spikes."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    linked_var,
    ms,
)

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

DURATION = 10 * ms

#: Equations of the synapses besides the links, on_pre and on_post.
CODES = {
    # as in Brian2's example of homeostatic plasticity: a subexpression of one neuron, G = H - gamma
    "global factor": ("", "zi += 1; w += 0.1*ms*G*zj", "zj += 1; w += 0.1*ms*G*(zi + 1)"),
    "by an index": ("", "zi += x4*b4; w += 0.01*zj*q", "zj += 1; w += 0.02*(zi + x4**2)"),
    "event-driven": ("dz/dt = (x4 - z)/(7*ms) : 1 (event-driven)", "z += w; w += 0.1*z", "zj += 1"),
}


def network(code, onto_neurons, dt=0.1):
    """Plastic synapses between inputs, or onto neurons, which read neurons of other groups."""
    defaultclock.dt = dt * ms
    times = [0.6, 1.3, 2.5, 4, 5, 5.5, 7.5] * ms
    source = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 0], times, name="source")
    teacher = SpikeGeneratorGroup(2, [0, 1, 0, 1, 1], [0.3, 2.6, 3, 6, 8] * ms, name="teacher")
    one = NeuronGroup(
        1, "dH/dt = -H/tau : Hz\nG = H - gamma : Hz\ntau : second\ngamma : Hz\nq : 1 (shared)",
        name="one", method="exact",
    )  # fmt: skip
    one.H, one.tau, one.gamma, one.q = 40 * Hz, 15 * ms, 12 * Hz, 0.7
    four = NeuronGroup(4, "dx/dt = (b - x)/(12*ms) : 1\nb : 1", name="four", method="exact")
    four.x, four.b = [0.2, 0.5, 0.3, 0.1], [0.8, 0.4, 1.1, 0.6]
    drive = Synapses(source, one, "a : Hz", on_pre="H_post += a", name="drive")
    drive.connect()
    drive.a, drive.delay = 20 * Hz, 0.65 * ms
    target = teacher
    if onto_neurons:
        target = NeuronGroup(
            2, "dv/dt = (I - v)/(9*ms) : 1\ndI/dt = -I/(4*ms) : 1", threshold="v > 1",
            reset="v = 0", name="target", method="exact",
        )  # fmt: skip
    model, on_pre, on_post = CODES[code]
    s = Synapses(
        source, target,
        f"""G : Hz (linked)
        x4 : 1 (linked)
        b4 : 1 (linked)
        q : 1 (linked)
        k : integer
        w : 1
        dzi/dt = -zi/(20*ms) : 1 (event-driven)
        dzj/dt = -zj/(18*ms) : 1 (event-driven)
        {model}""",
        on_pre=on_pre + "; I_post += 5*w" * onto_neurons, on_post=on_post, name="s",
    )  # fmt: skip
    s.connect()
    s.k, s.w, s.delay = [3, 1, 1, 0, 2, 3], [0.9, 0.8, 1.1, 1, 0.7, 0.6], 0.4 * ms
    s.post.delay = 0.6 * ms
    s.G = linked_var(one, "G")
    s.x4, s.b4 = (linked_var(four, name, index="k") for name in "xb")
    s.q = linked_var(one, "q")
    used = on_pre + on_post + model
    views = [s.w]
    views += [one.H, one.tau, one.gamma, drive.a] * ("G" in used) + [one.q] * ("*q" in used)
    views += [four.x, four.b] * ("x4" in used)
    objects = [source, teacher, one, four, drive, s] + [target] * onto_neurons
    return objects, views


def model_of(objects, views, **options):
    s = objects[5]
    loss = bep.Sum(bep.Final(s, "w**2"), *(bep.Integral(g, "v**2") for g in objects[6:]))
    return bep.EventPropModel(objects, train=views, loss=loss, duration=DURATION, **options)


@pytest.mark.parametrize("onto_neurons", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_weights_are_those_of_brian(code, onto_neurons):
    objects, views = network(code, onto_neurons)
    result = model_of(objects, views).run()
    Network(objects).run(DURATION)
    np.testing.assert_allclose(result.readout[0][0], np.asarray(objects[5].w) ** 2, rtol=1e-12)


def slopes(model, views, steps):
    """The derivative along a random direction: of the adjoint, and central differences."""
    rng = np.random.default_rng(0)
    starts = [model.parameters.raw(view).copy() for view in views]
    ways = [np.abs(start) * rng.normal(size=start.shape) for start in starts]
    model.run()
    gradients = model.gradient()
    found = [sum(np.sum(gradients.raw(v) * way) for v, way in zip(views, ways, strict=True))]
    for step in steps:
        losses = []
        for signed in (step, -step):
            for view, start, way in zip(views, starts, ways, strict=True):
                model.parameters.set_raw(view, start + signed * way)
            losses.append(model.run().loss)
        found.append((losses[0] - losses[1]) / (2 * step))
    for view, start in zip(views, starts, strict=True):
        model.parameters.set_raw(view, start)
    return found


@pytest.mark.parametrize(
    ("code", "onto_neurons"), [("global factor", True), *((code, False) for code in CODES)]
)
def test_gradient_in_exact_time(code, onto_neurons):
    objects, views = network(code, onto_neurons)
    views += [objects[5].delay, objects[5].post.delay]
    model = model_of(objects, views, solver="event")
    slope, far, near = slopes(model, views, (2e-4, 1e-4))
    assert slope == pytest.approx((4 * near - far) / 3, rel=1e-7)


@pytest.mark.parametrize("code", CODES)
def test_gradient_on_the_grid_is_that_of_differences(code):
    """Onto inputs no spike moves, so the loss on the grid is smooth."""
    objects, views = network(code, False)
    slope, far, near = slopes(model_of(objects, views), views, (2e-4, 1e-4))
    assert slope == pytest.approx((4 * near - far) / 3, rel=1e-9)


# --- links in the equations of synapses ---------------------------------------------------------


def with_equations(model, summed="", on_pre="u += w"):
    """Synapses whose own equations read neurons of another group, a clock's step behind or not."""
    defaultclock.dt = 0.1 * ms
    source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 4] * ms, name="source")
    four = NeuronGroup(4, "dx/dt = (b - x)/(3*ms) : 1\nb : 1", name="four", method="exact")
    four.x, four.b = [0.2, 0.5, 0.3, 0.1], [0.8, 0.4, 1.1, 0.6]
    target = NeuronGroup(2, "dv/dt = (g - v)/(4*ms) : 1\ng : 1", name="target", method="euler")
    s = Synapses(
        source, target,
        f"k : integer\nw : 1\nx4 : 1 (linked)\nb4 : 1 (linked)\n{model}\n{summed}",
        on_pre=on_pre, name="s", method="euler",
    )  # fmt: skip
    s.connect(j="i")
    s.k, s.w = [3, 1], [0.9, 0.8]
    s.x4, s.b4 = (linked_var(four, name, index="k") for name in "xb")
    views = [s.w, four.b] + [four.x] * ("x4" in model)
    loss = bep.Sum(bep.Integral(target, "v**2"), bep.Final(s, "u"))
    return [source, four, target, s], views, loss


EQUATIONS = {
    "state": ("du/dt = (x4 - u)/(2*ms) : 1 (clock-driven)", "g_post = u*b4 : 1 (summed)"),
    "parameter": ("du/dt = (b4 - u)/(2*ms) : 1 (clock-driven)", "g_post = u : 1 (summed)"),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_of_synapses_read_linked_variables(name):
    objects, views, loss = with_equations(*EQUATIONS[name])
    found = []
    for solver in ("clock", "event"):
        model = bep.EventPropModel(objects, train=views, loss=loss, duration=8 * ms, solver=solver)
        slope, far, near = slopes(model, views, (2e-4, 1e-4))
        assert slope == pytest.approx((4 * near - far) / 3, rel=1e-7)
        found.append(slope)
        if solver == "clock":
            final = model.run().readout[1][0]
    assert found[0] == pytest.approx(found[1], rel=0.1)
    Network(objects).run(8 * ms)
    np.testing.assert_allclose(final, np.asarray(objects[3].u), rtol=1e-12)


@pytest.mark.parametrize(
    ("code", "quoted"),
    [
        (("du/dt = -u/ms : 1 (clock-driven)", "g_post = u*x4 : 1 (summed)"), "'x4'"),
        (("u : 1", "", "u += w*x4; x4 += 1"), "it changes 'x4', which is linked"),
        (
            ("du/dt = (x4 - u)/ms : 1 (clock-driven)", "", "u += w*x4"),
            "clock-driven equations read it",
        ),
    ],
)
def test_what_is_refused(code, quoted):
    objects, views, loss = with_equations(*code)
    with pytest.raises(UnsupportedError, match="Synapses 's'") as error:
        bep.EventPropModel(objects, train=views, loss=loss, duration=8 * ms)
    assert quoted in str(error.value)


def test_one_neuron_besides_the_target():
    objects, views, loss = with_equations("u : 1\ny : 1 (linked)\nm : integer", "", "u += x4*y")
    objects[3].y = linked_var(objects[1], "x", index="m")
    with pytest.raises(UnsupportedError, match="'x4' and 'y', states of two neurons"):
        bep.EventPropModel(objects, train=views, loss=loss, duration=8 * ms)


def test_links_that_are_not_there():
    objects, views, loss = with_equations("u : 1", "", "u += w*x4")
    four = objects.pop(1)
    with pytest.raises(UnsupportedError, match="linked to 'four', no NeuronGroup of the network"):
        bep.EventPropModel(objects, train=views[:1], loss=loss, duration=8 * ms)
    assert four.active
    loss_of_target = bep.Sum(bep.Final(objects[1], "v"))
    s = Synapses(objects[0], objects[1], "w : 1\nx : 1 (linked)", on_pre="w += x", name="s")
    s.connect()
    with pytest.raises(ValueError, match="'x' of 's' is not linked to anything"):
        bep.EventPropModel([*objects[:2], s], train=[s.w], loss=loss_of_target, duration=8 * ms)


def test_gpus_do_not_follow_links():
    objects, views = network("by an index", False)
    with pytest.raises(UnsupportedError, match="linked neuron"):
        model_of(objects, views, backend="cuda")
