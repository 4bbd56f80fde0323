"""A least slope of crossings: without effect below all slopes, the rule that it says above one."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, get_dimensions, ms, mV, second
from helpers.networks import coupled, upstroke

import brian_eventprop as bep
from brian_eventprop.runtime.event import batched

SOLVERS = ["event", "clock"]
#: When the inputs of `layers` spike, in seconds.
SENT = np.array([2, 4, 7, 11]) * 1e-3
#: The backward pass is linear in one over the slope of one spike; the rest is rounding.
ROUNDING = 1e-9


def constant_current(solver, *, unit=1, drive=1.05):
    """Two neurons that nothing connects; the first one reaches its threshold with little slope."""
    kind = "volt" if get_dimensions(unit) == mV.dim else "1"
    equations = f"dv/dt = (I - v)/tau : {kind}\nI : {kind} (constant)"
    group = NeuronGroup(
        2, equations, threshold="v > theta", reset="v = 0*theta", method="exact", name="cell"
    )
    group.I = [drive * unit, 3 * unit]
    loss = bep.Sum(bep.SpikeTimes(group, "t/ms", which="first"))
    inputs = SpikeGeneratorGroup(1, [], [] * ms, name="nothing")  # without synapses
    return group, bep.EventPropModel(
        [inputs, group], train=[group.I], loss=loss, duration=45 * ms, solver=solver,
        backend="interpreter", namespace={"tau": 10 * ms, "theta": unit},
    )  # fmt: skip


def layers(solver, nonlinear=False):
    """Two layers of neurons with some 20 spikes, one of which moves others."""
    rng = np.random.default_rng(3)
    drift = "0.1*v**2" if nonlinear else "0"
    lif = f"dv/dt = (I - v + {drift})/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1"
    kind = dict(threshold="v > 1", reset="v = 0", method="rk4" if nonlinear else "exact")
    inputs = SpikeGeneratorGroup(2, [0, 1, 0, 1], SENT * second, name="inputs")
    hidden, out = (NeuronGroup(n, lif, name=name, **kind) for n, name in ((4, "hid"), (2, "out")))
    parts = [inputs, hidden, out]
    for source, target, name in ((inputs, hidden, "a"), (hidden, hidden, "r"), (hidden, out, "b")):
        s = Synapses(source, target, "w : 1", on_pre="I_post += w", name=name)
        s.connect()
        s.w = rng.uniform(0.1, 0.3, len(s)) if name == "r" else rng.uniform(1, 3, len(s))
        s.delay = rng.uniform(1, 3, len(s)) * ms
        parts.append(s)
    train = [view for s in parts[3:] for view in (s.w, s.delay)]
    loss = bep.Sum(bep.SpikeTimes(out, "t/ms"))
    return bep.EventPropModel(
        parts, train=train, loss=loss, duration=(18 if nonlinear else 30) * ms, solver=solver,
        backend="interpreter",
    )  # fmt: skip


def pooled(solver):
    objects, model = coupled.pooled(("there", "back"), 0.9, solver=solver, backend="interpreter")
    return model, objects  # what nobody holds is no part of the network


MODELS = {
    "event, closed solutions": lambda: layers("event"),
    "event, Runge-Kutta": lambda: layers("event", nonlinear=True),
    "event, coupled": lambda: pooled("event"),
    "clock": lambda: layers("clock"),
    "clock, coupled": lambda: pooled("clock"),
    "clock, upstroke": lambda: upstroke.neurons("izhikevich", "euler"),
}


def check_every_crossing(model):
    """Compare the gradient with a floor for one spike with the rule, for some spikes of each group.

    Return how many crossings there are.
    """
    solver, four = model.runtime, bep.SpikeData(SENT, [0, 1, 0, 1], [0] * 4, 1, 2)
    given = {i.name: solver.prepare(i.name, four) for i in model.spec.inputs}
    forward = solver.forward(model.values(), given, 1)
    weights = tuple(np.where(np.isfinite(values), 1.0, 0.0) for values in forward.readouts)
    exact = solver.backward(forward, weights)
    n_crossings = 0
    for name, slopes in exact.slopes.items():
        crossed = np.flatnonzero(~np.isnan(slopes))
        n_crossings += len(crossed)
        for place in crossed[:2]:
            floors = np.zeros(len(slopes))
            floors[place] = np.inf
            held = solver.backward(forward, weights, floors={name: floors})
            floors[place] = 4 * slopes[place]
            floored = solver.backward(forward, weights, floors={name: floors})
            np.testing.assert_array_equal(floored.slopes[name][place], slopes[place])
            for key in model.parameters.keys:
                g, h = exact.gradients[key], held.gradients[key]
                tolerance = ROUNDING * max(np.abs(g).max(), np.abs(h).max())
                rule = h + (g - h) / 4
                np.testing.assert_allclose(floored.gradients[key], rule, rtol=0, atol=tolerance)
    assert n_crossings > 3
    return n_crossings


@pytest.mark.parametrize("kind", MODELS)
def test_what_hangs_on_a_spike_is_divided_by_the_floor(kind):
    made = MODELS[kind]()
    check_every_crossing(made[0] if isinstance(made, tuple) else made)


def test_batched_arrivals(monkeypatch):
    monkeypatch.setattr(batched, "DENSE_ENOUGH", 0)
    model = layers("event")
    assert check_every_crossing(model) > 5
    assert model.runtime.batched


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_first_spike_of_a_neuron(solver):
    """Its time tau*log(I/(I - 1)) has the derivative -tau/(I*(I - 1)), the slope is (I - 1)/tau."""
    group, model = constant_current(solver)
    model.run()
    exact = np.asarray(model.gradient()[group.I])
    if solver == "event":
        np.testing.assert_allclose(exact, [-10 / (1.05 * 0.05), -10 / (3 * 2)], rtol=1e-12)
    slope = float(model.gradient().report(1).spikes[0].slope)
    floored = np.asarray(model.gradient(slope_floor=20 / second)[group.I])
    np.testing.assert_allclose(floored, [exact[0] * slope / 20, exact[1]], rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_floor_below_all_slopes_changes_no_bit(solver):
    model = layers(solver)
    model.run()
    exact, report = model.gradient(), model.gradient().report(1)
    floor = 0.999 * report.spikes[0].slope
    assert {s.group for s in report.spikes} <= {"hid", "out"}
    least = {"hid": floor, "out": floor} if report.spikes[0].group == "hid" else {"out": floor}
    least = {name: slope for name, slope in least.items() if name == report.spikes[0].group}
    floored = model.gradient(slope_floor=least)
    for name in exact:
        np.testing.assert_array_equal(exact.raw(name), floored.raw(name))
    assert any(
        np.any(exact.raw(name) != model.gradient(slope_floor=1e3 / ms).raw(name)) for name in exact
    )


def test_trials_on_their_own_have_the_floor_too():
    group, model = constant_current("event")
    model.run()
    whole = model.gradient(slope_floor=20 / second)[group.I]
    single = model.gradient(per_trial=True, slope_floor=20 / second)[group.I]
    np.testing.assert_allclose(np.asarray(single)[0], np.asarray(whole), rtol=1e-12)


def test_the_floor_has_the_unit_of_the_threshold_by_time():
    group, model = constant_current("event", unit=mV)
    model.run()
    exact = model.gradient()[group.I]
    floored = model.gradient(slope_floor={group: 20 * mV / second})[group.I]
    np.testing.assert_allclose(np.asarray(floored / exact), [0.25, 1], rtol=1e-9)
    with pytest.raises(Exception, match="least slope of 'cell' has the wrong unit"):
        model.gradient(slope_floor=20 / second)


def test_what_is_no_floor():
    group, model = constant_current("event")
    model.run()
    with pytest.raises(ValueError, match="'other' is no group that spikes; these are cell"):
        model.gradient(slope_floor={"other": 1 / ms})
    for wrong in (-1 / ms, np.inf / ms, [1, 2] / ms):
        with pytest.raises(ValueError, match="must be one, not negative"):
            model.gradient(slope_floor=wrong)
    del group
    model.backend = "cuda"
    with pytest.raises(bep.UnsupportedError, match="make the model with backend='cpu'"):
        model.gradient(slope_floor=1 / ms)
