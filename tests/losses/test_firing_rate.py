"""The penalty on firing rates, and the surrogate gradient of a spike count behind it."""

import numpy as np
import pytest
from brian2 import (
    DimensionMismatchError,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    ms,
    mV,
    second,
    start_scope,
    us,
    volt,
)
from helpers.backends import gradient_arrays
from helpers.networks import random as random_networks
from helpers.watch import watched
from test_against_dense import check_gradients

import brian_eventprop as bep
from brian_eventprop.codegen.clock import upstrokes


def counted(network):
    """The random network with its loss and a penalty on every spiking group."""
    groups = [g for g in network.objects if isinstance(g, NeuronGroup) and g.thresholder]
    terms = [
        bep.FiringRate(g, lower=0.5, upper=1 + k, strength=0.3, scale=0.7 * unit_of(g))
        for k, g in enumerate(groups)
    ]
    return network.loss + sum(terms)


def unit_of(group):
    return volt if group.variables["v"].dim is volt.dim else 1


@pytest.mark.parametrize(
    "kind, size", [("lif_refractory", 0.3), ("delta_refractory", 0.3), ("adex", 0.15)]
)
def test_clock_gradients_equal_the_dense_implementation(kind, size, monkeypatch):
    monkeypatch.setattr(upstrokes, "STEP", 0.02)  # the error of a step is of order 5
    network = random_networks.build(kind, seed=4, size=size, trials=1)
    model = bep.EventPropModel(
        network.objects, train=network.train, loss=counted(network), duration=network.duration,
        namespace=network.namespace,
    )  # fmt: skip
    with watched(model.runtime, "backward") as passes:
        check_gradients(model, [network.trial_spikes(0)], next(iter(network.spikes.values())))
    _, derivatives, *_ = passes[-1].arguments
    assert all(np.any(derivatives[k] != 0) for k, r in enumerate(model.spec.readouts) if r.scale)


def chain(solver="event", unit=1):
    """Three inputs, two recurrent neurons that spike several times."""
    start_scope()
    namespace = {"tau": 10 * ms, "taus": 3 * ms, "one": unit}
    equations = """dv/dt = (I - v)/tau : dim
                   dI/dt = -I/taus : dim"""
    equations = equations.replace("dim", "volt" if unit is mV else "1")
    source = SpikeGeneratorGroup(3, [0, 1, 2, 0], [1, 3, 6, 9] * ms, name="src")
    group = NeuronGroup(
        2, equations, threshold="v > one", reset="v = 0*one", method="exact", name="pair"
    )
    forward = Synapses(source, group, "w : 1", on_pre="I_post += w*one", name="fwd")
    forward.connect()
    forward.w = [4.0, 3.5, 4.5, 3.0, 5.0, 4.0]
    forward.delay = [1, 1.4, 0.3, 2.1, 0.8, 1.7] * ms
    loop = Synapses(group, group, "w : 1", on_pre="I_post += w*one", name="loop")
    loop.connect(condition="i != j")
    loop.w, loop.delay = [0.8, 0.6], [1.1, 2.3] * ms
    objects = [source, group, forward, loop]
    train = [forward.w, forward.delay, loop.w, loop.delay, "tau"]

    def model(make_loss, duration=20 * ms):
        return bep.EventPropModel(
            objects, train=train, loss=make_loss(group), duration=duration, solver=solver,
            namespace=namespace,
        )  # fmt: skip

    return model


def test_a_spike_counts_as_the_potential_just_before_it():
    # The potential of the spiking neuron just before each spike, by runs that end there, has the
    # gradient that the surrogate says.  A run ends 1e-9 ms early, so 1e-6 is the agreement to ask.
    build = chain()
    model = build(lambda g: bep.Sum(bep.SpikeCount(g, scale=0.5)))
    result = model.run()
    trains = result.spikes["pair"]
    assert len(trains) >= 4 and len(set(trains.i)) == 2
    expected = dict.fromkeys(model.parameters.keys, 0.0)
    for i, t in zip(trains.i, trains.t, strict=True):
        before = build(
            lambda g, i=i: bep.Sum(bep.Final(g[int(i) : int(i) + 1], "v")), t - 1e-9 * ms
        )
        before.run()
        for key in expected:
            expected[key] = expected[key] + before.gradient().raw(key) / 0.5
    found = model.gradient()
    for key in expected:
        scale = np.abs(expected[key]).max()
        np.testing.assert_allclose(found.raw(key), expected[key], rtol=0, atol=1e-6 * scale)


def test_an_arrival_that_fires_its_target_gets_the_push():
    # One arrival of weight w lifts v from 0 to w: the count's surrogate has the derivative 1/scale.
    start_scope()
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    group = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", threshold="v>1", reset="v=0", method="exact")
    s = Synapses(source, group, "w : 1", on_pre="v_post += w")
    s.connect()
    s.w = 1.5
    for solver in ("clock", "event"):
        loss = bep.Sum(bep.SpikeCount(group, scale=0.25))
        model = bep.EventPropModel(
            [source, group, s], train=[s.w], loss=loss, duration=3 * ms, solver=solver
        )
        assert model.run().loss == 1
        # on the grid the threshold is tested one step after the arrival, after a decay
        decay = np.exp(-0.01) if solver == "clock" else 1.0
        np.testing.assert_allclose(model.gradient()[s.w], [decay / 0.25], rtol=1e-12)


def test_clock_and_event_solver_agree():
    def loss(g):
        return bep.FiringRate(g, upper=1, strength=0.1)

    found = {}
    for solver in ("clock", "event"):
        defaultclock.dt = 2 * us
        model = chain(solver)(loss)
        model.run()
        found[solver] = [model.gradient().raw(key) for key in model.parameters.keys]
    for clock, event in zip(found["clock"], found["event"], strict=True):
        # first order in dt: 2 us of some ms
        np.testing.assert_allclose(clock, event, rtol=0, atol=5e-3 * np.abs(event).max())


def test_potentials_with_units():
    plain = chain()(lambda g: bep.Sum(bep.SpikeCount(g, scale=0.5)))
    volts = chain(unit=mV)(lambda g: bep.Sum(bep.SpikeCount(g, scale=0.5 * mV)))
    assert plain.run().loss == volts.run().loss
    for key in plain.parameters.keys:
        a, b = plain.gradient().raw(key), volts.gradient().raw(key)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * np.abs(a).max())
    with pytest.raises(DimensionMismatchError, match=r"scale.*'pair'.*v > one.*volt"):
        chain(unit=mV)(lambda g: bep.FiringRate(g, upper=2))
    with pytest.raises(DimensionMismatchError, match="plain number"):
        chain()(lambda g: bep.FiringRate(g, upper=2, scale=1 * second))


def test_penalty_is_of_the_batch_mean_and_its_derivative_fits():
    start_scope()
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    loss = bep.FiringRate(group, lower=[1, 2, 0], upper=3, strength=0.5)
    counts = np.array([[5.0, 1.0, 2.0], [4.0, 0.0, 3.0], [0.0, 2.0, 9.0]])
    losses, (derivative,) = loss((counts,))
    mean = counts.mean(axis=0)
    penalty = 0.5 * ((mean[1] - 2) ** 2 + (mean[2] - 3) ** 2)
    np.testing.assert_allclose(losses, penalty)
    for at in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[at] = 1e-6
        up, down = loss((counts + step,))[0], loss((counts - step,))[0]
        difference = np.sum(up - down) / 2e-6
        np.testing.assert_allclose(derivative[at], difference, atol=1e-6)


def test_descent_brings_the_rates_into_the_range():
    model = chain("clock")(lambda g: bep.FiringRate(g, lower=2, upper=2, strength=0.02))
    before = model.run().readout[0]
    rates = [2e-2, 0 * ms, 2e-2, 0 * ms, 0 * ms]
    optimizer = bep.Adam(dict(zip(model.parameters.keys, rates, strict=True)))
    optimizer.bind(model)
    for _ in range(150):
        model.run()
        optimizer.step(gradient_arrays(model))
    after = model.run().readout[0]
    assert np.any(before != 2), before
    np.testing.assert_array_equal(after, [[2, 2]])


def test_check_gradient_leaves_the_surrogate_out_and_says_so():
    model = chain()(
        lambda g: bep.Sum(bep.Integral(g, "v")) * 100 + bep.FiringRate(g, upper=1, strength=0.1)
    )
    report = bep.check_gradient(model, show=False)
    assert report.ok, report
    assert "surrogate" in str(report)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "lower=, upper="),
        ({"lower": 3, "upper": 2}, "no range"),
        ({"upper": 2, "strength": -1}, "strength"),
        ({"upper": [1, 2]}, "one per neuron"),
        ({"upper": 2, "scale": 0}, "positive"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    start_scope()
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    with pytest.raises(ValueError, match=message):
        bep.FiringRate(group, **arguments)
