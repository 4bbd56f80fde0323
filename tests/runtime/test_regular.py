"""`run_regularly`: jumps at fixed times, as in Brian2, with exact gradients."""

import numpy as np
import pytest
from brian2 import (
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    defaultclock,
    ms,
    prefs,
)
from helpers.backends import check_same_on_a_gpu
from helpers.brian_spikes import spikes_in_brian2, spikes_of
from helpers.derivatives import assert_gradient

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

NAMES = {
    "a": 0.7,
    "drive": TimedArray(np.array([[0.1, 0.5], [0.4, 0.2], [0.3, 0.6]]), dt=8 * ms),
}
LINEAR = "dv/dt = (k*x + 1 - v - z)/(10*ms) : 1"
NONLINEAR = "dv/dt = (k*x + 1 - v - z + 0.1*tanh(x*z)*z)/(10*ms) : 1"
FLAGGED = "dv/dt = (k*x + 1 - v - z - 0.3*int(x > 0.4))/(10*ms) : 1"

#: Equations, what runs regularly and how often, and whether there are spikes within the group.
CASES = {
    "linear": (
        LINEAR,
        [("x = a*x + 0.3*tanh(v)**2\nn += 1\nz = z*0.5 + 0.05*n*v", 1.5 * ms)],
        False,
    ),
    "nonlinear": (NONLINEAR, [("x = a*x + 0.1*n*v; n += 1", 3 * ms), ("z *= a", 4 * ms)], False),
    "lifted": (LINEAR, [("v += a + 0.1*x", 5 * ms)], False),
    "recurrent": (LINEAR, [("x = a*x + 0.2*v; v += 0.6*a", 4 * ms)], True),
    "recurrent, nonlinear": (NONLINEAR, [("x = a*x + 0.3*v", 3 * ms)], True),
    "timed": (LINEAR, [("x = a*drive(t, i) + 0.1*v", 4 * ms)], False),
    "every step": (LINEAR, [("x += 0.01*a*(v - x)", None)], False),
    "flags": (FLAGGED, [("x = a*x + 0.3*v", 3 * ms)], False),
}


def network(case, threshold="v > 1"):
    equations, regular, recurrent = CASES[case]
    source = SpikeGeneratorGroup(2, np.arange(10) % 2, np.arange(10) * 2 * ms + 1.05 * ms)
    G = NeuronGroup(
        2,
        f"{equations}\ndz/dt = -z/(5*ms) : 1\nx : 1\nn : integer\nk : 1",
        threshold=threshold,
        reset="v = 0.1*z\nz += 0.2",
        method="exact" if equations is LINEAR else "euler",
        refractory=2 * ms,
        namespace=NAMES,
        name="G",
    )
    for code, dt in regular:
        G.run_regularly(code, dt=dt)
    S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    objects = [source, G, S]
    if recurrent:
        R = Synapses(G, G, "w : 1", on_pre="z_post += w", name="R", delay=1.3 * ms)
        R.connect("i != j")
        R.w = [0.2, -0.3]
        objects.append(R)
    G.k, S.w, G.x = [1.7, 2.1], [0.1, 0.3, 0.2, 0.25], [0.1, 0.3]
    return objects


def model(objects, **options):
    G, S = objects[1:3]
    loss = bep.Sum(bep.Integral(G, "v*v + z"), bep.Value(G, "x + v", 12 * ms), bep.Final(G, "x"))
    options = {"duration": 20 * ms, "backend": "interpreter"} | options
    return bep.EventPropModel(objects, train=[S.w, G.k, G.x, ("G", "a")], loss=loss, **options)


@pytest.mark.parametrize("case", list(CASES))
def test_spikes_are_brian2s(case, monkeypatch):
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    objects = network(case)
    expected = spikes_in_brian2(objects, objects[1], 20 * ms)
    assert spikes_of(model(objects).run(), objects[1]) == expected
    assert len(expected) > 3


@pytest.mark.parametrize("case", [case for case in CASES if case != "every step"])
def test_gradients_in_exact_time(case):
    exact = model(network(case), solver="event")
    assert len(exact.run().spikes["G"]) > 3
    assert_gradient(exact)


@pytest.mark.parametrize("case", ["linear", "nonlinear", "timed", "every step"])
def test_gradients_on_the_grid(case):
    """Without spikes they are those of the steps themselves, to rounding."""
    m = model(network(case, threshold="v > 100"))
    m.run()
    found = m.gradient()
    for item in m.parameters:
        item = tuple(item.split(".")) if isinstance(item, str) else item
        before, h = np.array(m.parameters[item]), 1e-5
        for k in range(before.size):
            losses = []
            for sign in (1, -1):
                changed = before.copy()
                changed.flat[k] += sign * h
                m.parameters[item] = changed
                losses.append(m.run().loss)
            m.parameters[item] = before
            difference = (losses[0] - losses[1]) / (2 * h)
            assert np.ravel(found[item])[k] == pytest.approx(difference, rel=1e-6, abs=1e-8)


def test_what_lifts_a_neuron_at_a_fixed_time_has_no_gradient_in_time(monkeypatch):
    """The spike is at the jump whatever the weight, on the grid as in exact time."""
    found = {}
    for solver in ("clock", "event"):
        source = SpikeGeneratorGroup(1, [0], [3.95] * ms)
        G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0", name="G")
        G.run_regularly("v += 0.7", dt=4 * ms)
        S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
        S.connect()
        S.w, S.delay = 0.1, 0.01 * ms
        G.v = -0.5
        m = bep.EventPropModel(
            [source, G, S],
            train=[S.w, S.delay],
            loss=bep.Sum(bep.SpikeTimes(G, "t/ms")),
            duration=10 * ms,
            solver=solver,
            backend="interpreter",
        )
        assert len(m.run().spikes[G]) == 1
        gradients = m.gradient()
        found[solver] = [float(gradients[item][0]) for item in (S.w, S.delay)]
    assert found == {"clock": [0, 0], "event": [0, 0]}


def sampled(method):
    """A group whose equations, threshold, reset and arrivals read what is constant over dt."""
    source = SpikeGeneratorGroup(2, np.arange(10) % 2, np.arange(10) * 2 * ms + 1.05 * ms)
    G = NeuronGroup(
        2,
        """dv/dt = (k*c + 1 - v - z)/(3*ms) : 1
        dz/dt = -z/(5*ms) : 1
        c = tanh(v*z) + d + 0.1*drive(t, i) : 1 (constant over dt)
        d = z**2 : 1
        q = c*v : 1 (constant over dt)
        k : 1""",
        threshold="v > 1 + 0.1*c",
        reset="v = 0.1*z + 0.1*q\nz += 0.2 + 0.1*c",
        method=method,
        refractory=2 * ms,
        namespace=NAMES,
        name="G",
    )
    S = Synapses(source, G, "w : 1", on_pre="v_post += w*(1 + c_post)", name="S")
    S.connect()
    G.k, S.w = [1.7, 2.1], [0.1, 0.3, 0.2, 0.25]
    return source, G, S


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_constant_over_dt(method, monkeypatch):
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    source, G, S = objects = sampled(method)
    expected = spikes_in_brian2(objects, G, 15 * ms)
    options = {"train": [S.w, G.k], "duration": 15 * ms, "backend": "interpreter"}
    options["loss"] = bep.Sum(bep.Integral(G, "v*v + z + c"))
    assert spikes_of(bep.EventPropModel(objects, **options).run(), G) == expected
    assert len(expected) > 3
    if method == "rk4":
        exact = bep.EventPropModel(objects, **options, solver="event")
        exact.run()
        assert_gradient(exact)


def refused(reason, code="x = 1", equations=LINEAR, **options):
    G = NeuronGroup(
        2,
        f"{equations}\ndz/dt = -z/(5*ms) : 1 (unless refractory)\nx : 1\nk : 1\ns : 1 (shared)",
        threshold="v > 1",
        reset="v = 0",
        refractory=1 * ms,
        method="euler",
        name="G",
    )
    G.run_regularly(code, **options)
    with pytest.raises(UnsupportedError, match=reason):
        read_network([G], [], {})


def test_what_is_refused():
    refused("'x = randn.*' is not supported: 'randn': random numbers", "x = randn()")
    refused("in the slot 'end'", when="end")
    refused(r"between the time steps of 'G'.*multiple of 100\. us", dt=0.25 * ms)
    refused(r"between the time steps", dt=defaultclock.dt / 2)
    refused("changes 'z', but in Brian2 not while", "z = 0")
    refused("shared variable", "s = 1")


@pytest.mark.parametrize("case", ["linear", "nonlinear", "lifted", "recurrent", "timed", "flags"])
def test_the_same_on_a_gpu(case, emulator):
    check_same_on_a_gpu(model, network(case), emulator)


def test_what_the_solvers_refuse():
    objects = network("linear")
    G = objects[1]
    with pytest.raises(UnsupportedError, match="Maximum .* solver='clock'"):
        bep.EventPropModel(objects, train=[G.k], loss=bep.Sum(bep.Maximum(G, "v")),
                           duration=5 * ms, solver="event")  # fmt: skip
    steep = NeuronGroup(1, "dv/dt = (v*v - v)/(10*ms) : 1", threshold="v > 9", reset="v = 0",
                        method="euler", name="steep")  # fmt: skip
    steep.run_regularly("v += 0.1", dt=1 * ms, name="step")
    options = {"train": [steep.v], "loss": bep.Sum(bep.Final(steep, "v")), "duration": 5 * ms}
    with pytest.raises(UnsupportedError, match="'step'.*follows the true flow.*ignore="):
        bep.EventPropModel([steep], **options)
    assert bep.EventPropModel([steep], **options, ignore=["step"]).spec.groups[0].regular == ()


def test_what_other_parts_of_a_step_would_see():
    """Sums, links and refractory conditions read what runs regularly in the middle of a step."""
    model_of = "dv/dt = (k + y - v)/(6*ms) : 1\ndu/dt = -u/(4*ms) : 1\nk : 1\ny : 1"
    options = {"threshold": "v > 1", "reset": "v = 0; u += 1", "method": "euler"}

    def coupled(code, **more):
        G = NeuronGroup(2, model_of, name="G", **{**options, **more})
        S = Synapses(G, G, "w : 1\ny_post = w*(v_pre - v_post) : 1 (summed)", name="S")
        S.connect("i != j")
        G.run_regularly(code, dt=2 * ms)
        return G, S

    def build(objects, solver):
        G = objects[0]
        bep.EventPropModel(objects, train=[G.k], loss=bep.Sum(bep.Integral(G, "v")),
                           duration=5 * ms, solver=solver, backend="interpreter")  # fmt: skip

    for solver in ("clock", "event"):
        with pytest.raises(UnsupportedError, match="changes at fixed times what it reads of 'G'"):
            build(coupled("v += 0.1"), solver)
        with pytest.raises(UnsupportedError, match="reads 'y' of the step before"):
            build(coupled("k = y"), solver)
        build(coupled("k += 0.1"), solver)
    G = NeuronGroup(2, model_of, name="G", refractory="u > 0.5", **options)
    G.run_regularly("u *= 0.5", dt=2 * ms)
    with pytest.raises(UnsupportedError, match="'u' jumps at fixed times"):
        build([G], "clock")
