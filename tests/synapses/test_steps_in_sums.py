"""Conditions and steps in `(summed)` variables: the gradient of the same neurons in one group."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

#: What a synapse adds, and the same within one neuron.
TERMS = {
    "sign": "w*sign(x_pre - c + 0.2*y_post)",
    "condition": "w*(1 + x_pre)*int(x_pre > c)",
    "floor": "w*floor(3*x_pre + c)",
    "and a kink": "-w*(1 + tanh(3*abs(x_pre - c)))*sign(x_pre - c)",
    "time": "w*sign(x_pre - c - t/(20*ms))",
}
X = "dx/dt = (u - x)/(3*ms) : 1\ndu/dt = -u/(4*ms) : 1"
START = {"x": [0.0, 0.3], "u": [1.6, 0.1], "y": [0.1, 0.2]}
W, C = [0.7, 0.9], [0.21, 0.17]


def coupled(term, dt, **options):
    """Two neurons with x, each coupled to one with y."""
    defaultclock.dt = dt * ms
    a = NeuronGroup(2, X, name="a", method="rk4")
    b = NeuronGroup(2, "dy/dt = (g - y)/(5*ms) : 1\ng : 1", name="b", method="rk4")
    a.x, a.u, b.y = START["x"], START["u"], START["y"]
    s = Synapses(a, b, f"w : 1\nc : 1\ng_post = {term} : 1 (summed)", name="s")
    s.connect(j="i")
    s.w, s.c = W, C
    model = bep.EventPropModel(
        [a, b, s], train=[s.w, s.c, a.x, a.u, b.y], loss=bep.Sum(bep.Integral(b, "y**2*(1 + i)")),
        duration=12 * ms, **options,
    )  # fmt: skip
    return model, [s.w, s.c, a.x, a.u, b.y], [a, b, s]


def merged(term):
    """The same as two neurons with both, in exact time."""
    defaultclock.dt = 0.1 * ms
    term = term.replace("_pre", "").replace("_post", "")
    equations = f"{X}\ndy/dt = ({term} - y)/(5*ms) : 1\nw : 1\nc : 1"
    g = NeuronGroup(2, equations, name="g", method="rk4")
    g.x, g.u, g.y, g.w, g.c = START["x"], START["u"], START["y"], W, C
    loss = bep.Sum(bep.Integral(g, "y**2*(1 + i)"))
    views = [g.w, g.c, g.x, g.u, g.y]
    model = bep.EventPropModel([g], train=views, loss=loss, duration=12 * ms, solver="event")
    return model, views


def gradients(model, views):
    model.run()
    found = model.gradient()
    return np.concatenate([found.raw(view) for view in views])


@pytest.mark.parametrize("name", TERMS)
def test_gradient_converges_to_that_of_one_group_in_exact_time(name):
    exact = gradients(*merged(TERMS[name]))
    coarse, fine = (gradients(*coupled(TERMS[name], dt)[:2]) for dt in (0.1, 0.02))
    scale = np.abs(exact).max()
    assert np.abs(coarse - exact).max() < 0.1 * scale
    assert np.abs(fine - exact).max() < 0.02 * scale
    # what comes by the time of the jump alone
    assert np.abs(exact[2:4]).max() > 0.05 * scale


@pytest.mark.compiled
def test_compiled_kernels_do_what_the_interpreter_does():
    found, expected = (
        gradients(*coupled(TERMS["and a kink"], 0.1, **backend)[:2])
        for backend in ({"threads": 1}, {"backend": "interpreter"})
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("name", TERMS)
def test_states_are_those_of_brian(name):
    model, _, objects = coupled(TERMS[name], 0.1)
    loss = bep.Sum(bep.Final(objects[1], "y"))
    model = bep.EventPropModel(objects, train=[objects[2].w], loss=loss, duration=12 * ms)
    found = model.run().readout[0][0]
    Network(objects).run(12 * ms)
    np.testing.assert_allclose(found, np.asarray(objects[1].y), rtol=1e-12)


def sliding(dt):
    """Two neurons that a force of constant size drives to each other, until they are equal."""
    defaultclock.dt = dt * ms
    a = NeuronGroup(2, "dx/dt = (b + f - x)/(9*ms) : 1\nb : 1\nf : 1", name="a", method="euler")
    a.x, a.b = [0.1, 0.6], [0.2, 0.5]
    s = Synapses(a, a, "w : 1\nf_post = w*sign(x_pre - x_post) : 1 (summed)", name="s")
    s.connect(condition="i != j")
    s.w = 0.6
    loss = bep.Sum(bep.Integral(a, "x**2*(1 + i)"))
    return bep.EventPropModel([a, s], train=[a.b, a.x], loss=loss, duration=15 * ms), a


def test_states_that_slide_along_a_jump():
    """Both follow the mean from then on: so b of either one moves both."""
    for dt in (0.05, 0.02):
        model, a = sliding(dt)
        found = gradients(model, [a.b, a.x])
        start, expected = [np.array([0.2, 0.5]), np.array([0.1, 0.6])], []
        for k, view in enumerate((a.b, a.x)):
            for j in range(2):
                losses = []
                for step in (0.02, -0.02):  # wide: the loss on the grid is a staircase
                    moved = start[k].copy()
                    moved[j] += step
                    model.parameters.set_raw(view, moved)
                    losses.append(model.run().loss)
                expected.append((losses[0] - losses[1]) / 0.04)
                model.parameters.set_raw(view, start[k])
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.05 * np.abs(expected).max())


def jumping():
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="source")
    _, _, objects = coupled(TERMS["sign"], 0.1)
    kick = Synapses(source, objects[0], "k : 1", on_pre="x += k", name="kick")
    kick.connect(j="i")
    return [*objects, source, kick], {}


def in_exact_time():
    return coupled(TERMS["sign"], 0.1)[2], {"solver": "event"}


def on_a_gpu():
    return coupled(TERMS["sign"], 0.1)[2], {"backend": "cuda"}


def within():
    term = "w*floor(2*x_pre + c*int(u_pre > 0.5))"
    defaultclock.dt = 0.1 * ms
    a = NeuronGroup(2, X, name="a", method="rk4")
    b = NeuronGroup(2, "dy/dt = (g - y)/(5*ms) : 1\ng : 1", name="b", method="rk4")
    s = Synapses(a, b, f"w : 1\nc : 1\ng_post = {term} : 1 (summed)", name="s")
    s.connect(j="i")
    return [a, b, s], {}


def squared():
    defaultclock.dt = 0.1 * ms
    a = NeuronGroup(2, X, name="a", method="rk4")
    b = NeuronGroup(2, "dy/dt = (g**2 - y)/(5*ms) : 1\ng : 1", name="b", method="rk4")
    s = Synapses(a, b, "w : 1\ng_post = w*sign(x_pre) : 1 (summed)", name="s")
    s.connect(j="i")
    return [a, b, s], {}


@pytest.mark.parametrize(
    ("build", "quoted"),
    [
        (jumping, "a condition in it reads 'x', which jumps at events"),
        (in_exact_time, "a step or a kink"),
        (on_a_gpu, "a condition or a step. Use backend='cpu'"),
        (within, "another one within it"),
        (squared, "not linear in 'g'"),
    ],
)
def test_what_is_refused(build, quoted):
    objects, options = build()
    loss = bep.Sum(bep.Integral(objects[1], "y"))
    with pytest.raises(UnsupportedError, match="'s'") as error:
        bep.EventPropModel(objects, train=[objects[2].w], loss=loss, duration=2 * ms, **options)
    assert quoted in str(error.value)
