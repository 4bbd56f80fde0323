"""The clock solver: exact where no spike moves, and the same bits for any number of threads."""

import numpy as np
import pytest
from brian2 import (
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    ms,
    start_scope,
    us,
)
from helpers.backends import gradient_arrays
from helpers.networks import random as random_networks

import brian_eventprop as bep

SEED = 12


def build(threads=None, train=None, kind="lif", trials=5, duration=None):
    """A random recurrent network and its model."""
    network = random_networks.build(kind, seed=SEED, size=0.3, trials=trials)
    model = bep.EventPropModel(
        network.objects,
        train=network.train if train is None else [v for v in network.train if train(v)],
        loss=network.loss,
        duration=network.duration if duration is None else duration,
        namespace=network.namespace,
        threads=threads,
    )
    spikes = network.batch(model.duration)
    return network, model, spikes


def test_what_moves_no_spike_equals_central_differences():
    network, model, spikes = build(trials=2, duration=40 * ms)
    found = model.run(spikes)
    gradients = model.gradient()
    trains = [len(found.spikes[g]) for g in found.spikes]
    for key in (("s_out", "w"), ("output", "tau_o")):
        value, gradient = model.parameters.raw(key).copy(), gradients.raw(key)
        scale = np.abs(gradient).max()
        assert scale > 0
        for k in np.linspace(0, len(value) - 1, min(len(value), 8)).astype(int):
            h = 1e-4 * np.abs(value).max()
            losses = []
            for sign in (1, -1, 2, -2):
                moved = value.copy()
                moved[k] += sign * h
                model.parameters.set_raw(key, moved)
                result = model.run(spikes)
                assert [len(result.spikes[g]) for g in result.spikes] == trains
                losses.append(result.loss)
            model.parameters.set_raw(key, value)
            # five points: the error is of fourth order in h
            difference = (8 * (losses[0] - losses[1]) - (losses[2] - losses[3])) / (12 * h)
            assert gradient[k] == pytest.approx(difference, rel=1e-6, abs=1e-6 * scale)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("kind", ["lif", "adex"])
@pytest.mark.parametrize("train", [None, lambda v: getattr(v, "name", "") in ("w", "delay")])
def test_threads_change_no_bit(train, kind):
    runs = []
    for threads in (1, 2, 3):
        # chunks of two or three trials, the last of which go from thread to thread
        _, model, spikes = build(threads, train, kind, trials=19)
        result = model.run(spikes)
        gradients = model.gradient()
        runs.append([result.losses, *(gradients.raw(key) for key in model.parameters.keys)])
    for one, *others in zip(*runs, strict=True):
        for several in others:
            np.testing.assert_array_equal(one, several)


@pytest.mark.parametrize("kind", ["coba", "saturating", "adex"])
def test_the_length_of_a_segment_changes_no_bit(kind, monkeypatch):
    # states are run again from checkpoints; arrivals are summed, or taken one by one
    _, model, spikes = build(1, None, kind, trials=2, duration=30 * ms)
    solver, runs = model.runtime, []
    recorded = [g for g in solver.module.groups if g.recorded]
    assert recorded
    plain = solver.segment_length
    explosive = any(g.upstroke for g in recorded)  # a segment is longer than any upstroke then
    for steps in (130, 150, None, model.n_steps) if explosive else (1, 7, None, model.n_steps):
        monkeypatch.setattr(solver, "segment_length", (lambda _, n=steps: n) if steps else plain)
        result = model.run(spikes)
        assert sum(len(train) for train in result.spikes.values()) > 0
        gradients = model.gradient()
        runs.append([result.losses, *(gradients.raw(key) for key in model.parameters.keys)])
    for other in runs[1:]:
        for one, several in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(one, several)


def test_a_batch_is_the_mean_of_its_trials():
    _, model, spikes = build()
    model.run(spikes)
    together = model.gradient()
    alone = []
    for trial in range(5):
        part = (
            {n: d[[trial]] for n, d in spikes.items()}
            if isinstance(spikes, dict)
            else spikes[[trial]]
        )
        model.run(part)
        alone.append(model.gradient())
    for key in model.parameters.keys:
        mean = np.mean([g.raw(key) for g in alone], axis=0)
        np.testing.assert_allclose(together.raw(key), mean, rtol=0, atol=1e-12 * np.abs(mean).max())


def test_input_spikes_after_the_end_are_refused_and_cut_change_nothing():
    runs = []
    for late in (False, True):
        start_scope()
        network = random_networks.build("lif", seed=SEED, size=0.3)
        data = network.spikes["inp"]
        early = data.times < 0.03
        kept = early | late
        times, trials = data.times[kept], np.repeat([0, 1], np.diff(data.trial_ptr))[kept]
        model = bep.EventPropModel(
            network.objects,
            train=network.train,
            loss=network.loss,
            duration=30 * ms,
            namespace=network.namespace,
        )
        spikes = bep.SpikeData(times, data.channels[kept], trials, 2, data.n_channels)
        if late:
            with pytest.raises(ValueError, match="at or after the end of the trial"):
                model.run(spikes)
        result, gradients = model.run(spikes.until(30 * ms)), model.gradient()
        inputs = np.asarray(gradients.inputs)
        runs.append([inputs, *(gradients.raw(key) for key in model.parameters.keys)])
        assert np.any(np.asarray(result.spikes["hidden"].t) > 0.025)
    for without, with_late in zip(*runs, strict=True):
        np.testing.assert_array_equal(with_late, without)


def recurrent_model(solver):
    """Twenty recurrent LIF neurons on a grid of 2 ms, which is coarse for synapses of 5 ms."""
    start_scope()
    random = np.random.default_rng(0)
    defaultclock.dt = 2 * ms
    lif = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1"
    inputs = SpikeGeneratorGroup(10, [], [] * ms)
    hidden = NeuronGroup(20, lif, threshold="v > 1", reset="v = 0", method="exact")
    output = NeuronGroup(3, lif, method="exact")
    synapses = []
    for source, target, mean, spread in (
        (inputs, hidden, 0.8, 1.2), (hidden, hidden, 0, 0.3), (hidden, output, 0, 0.3),
    ):  # fmt: skip
        s = Synapses(source, target, "w : 1", on_pre="I_post += w")
        s.connect()
        s.w = random.normal(mean, spread, len(s))
        s.delay = random.integers(2, 15, len(s)) * 2 * ms
        synapses.append(s)
    return bep.EventPropModel(
        [inputs, hidden, output, *synapses],
        train=[synapses[0].w],
        loss=bep.CrossEntropy(bep.Integral(output, "v"), scale=30),
        duration=300 * ms,
        solver=solver,
    )


@pytest.mark.slow
@pytest.mark.compiled
def test_a_coarse_grid_does_not_inflate_the_gradient_of_a_recurrent_network():
    random = np.random.default_rng(1)
    shape = (16, 60)
    trials = np.repeat(np.arange(shape[0]), shape[1])
    data = bep.SpikeData(
        random.uniform(0, 0.28, shape).ravel(),
        random.integers(0, 10, shape).ravel(),
        trials,
        shape[0],
        10,
        targets=random.integers(0, 3, shape[0]),
    ).on_grid(2 * ms)
    norms = []
    for solver in ("event", "clock"):
        model = recurrent_model(solver)
        norms.append([])
        for trial in range(len(data)):
            model.run(data[trial])
            (gradient,) = gradient_arrays(model).values()
            norms[-1].append(np.linalg.norm(gradient))
    # The slope after the crossing alone gives 11, for spikes of a chain multiply it; this one 3.4.
    assert np.median(np.divide(norms[1], norms[0])) < 6


def dense_input_gradients(solver):
    """Gradients of weights and delays of neurons that get several spikes in every step."""
    start_scope()
    defaultclock.dt = 1.25 * ms
    random = np.random.default_rng(0)
    lif = """dv/dt = (I - v)/(50*ms) : 1
             dI/dt = -I/(10*ms) : 1"""
    inputs = SpikeGeneratorGroup(30, [], [] * ms)
    hidden = NeuronGroup(20, lif, threshold="v > 1", reset="v = 0", method="exact")
    output = NeuronGroup(1, lif, method="exact")
    s_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w")
    s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w")
    s_in.connect()
    s_out.connect()
    s_in.w = random.normal(0.05, 0.2, 600)
    s_in.delay = random.integers(0, 20, 600) * 2.5 * ms
    s_out.w = random.normal(0, 1, 20)
    trials, channels, steps = np.nonzero(random.random((8, 30, 120)) < 0.3)
    model = bep.EventPropModel(
        [inputs, hidden, output, s_in, s_out],
        train=[s_in.w, s_in.delay],
        loss=bep.Sum(bep.Integral(output, "v*exp(-t/T)")),
        duration=400 * ms,
        solver=solver,
        namespace={},
    )
    result = model.run(bep.SpikeData(2.5e-3 * steps, channels, trials, 8, 30))
    gradients = model.gradient()
    assert len(result.spikes[hidden].t) > 6 * 8 * 20
    return np.asarray(gradients[s_in.w]), np.asarray(gradients[s_in.delay])


@pytest.mark.compiled
def test_the_gradient_of_dense_input_does_not_grow_on_a_coarse_grid():
    # every spike coincides with arrivals; the grid itself, dt = tau/8, costs what is left:
    # 1.27 and 0.75 of the norm, cosines of 0.96 and 0.78
    for found, exact, cosine in zip(
        dense_input_gradients("clock"), dense_input_gradients("event"), (0.9, 0.7), strict=True
    ):
        norms = np.linalg.norm(found), np.linalg.norm(exact)
        assert 0.6 < norms[0] / norms[1] < 1.5
        assert np.sum(found * exact) > cosine * norms[0] * norms[1]


def test_thresholds_that_swing_and_maxima_that_spikes_end_have_the_gradient_of_exact_time():
    """A time step of 2 us leaves a part of about 2 % along a chain of some spikes."""
    found = {}
    for solver, dt in (("event", 100), ("clock", 2)):
        start_scope()
        defaultclock.dt = dt * us
        source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 4, 6] * ms, name="source")
        neurons = NeuronGroup(
            2, "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1", method="exact", name="neurons",
            threshold="v > 1 + 0.3*sin(2*pi*t/(0.7*ms))", reset="v = 0",
        )  # fmt: skip
        s = Synapses(source, neurons, "w : 1", on_pre="I_post += w", name="s")
        s.connect()
        s.w, s.delay = "6 + 0.7*i + 0.3*j", "(1 + 0.3*i + 0.2*j)*ms"
        loss = bep.Sum(bep.Maximum(neurons, "v"), bep.SpikeTimes(neurons, "t/T"))
        model = bep.EventPropModel(
            [source, neurons, s], train=[s.w, s.delay], loss=loss, duration=20 * ms, solver=solver
        )
        assert len(model.run().spikes[neurons]) > 4
        found[solver] = [np.asarray(array) for _, array in model.gradient().items()]
    for exact, stepped in zip(found["event"], found["clock"], strict=True):
        np.testing.assert_allclose(stepped, exact, rtol=0, atol=0.05 * np.abs(exact).max())


def test_a_maximum_that_a_reset_makes_moves_with_the_spike():
    """After the reset, a - v is 0.7 whenever the spike comes; before it, it is at most 0.5."""
    neuron = NeuronGroup(
        1, "dv/dt = (b - v)/(10*ms) : 1\na : 1\nb : 1", threshold="v > 1", reset="v = 0; a = 0.7",
        method="exact", name="neuron",
    )  # fmt: skip
    neuron.v, neuron.a, neuron.b = 0.2, 0.7, 1.5
    model = bep.EventPropModel(
        [neuron], train=[neuron.v, neuron.b], loss=bep.Sum(bep.Maximum(neuron, "a - v")),
        duration=12 * ms,
    )  # fmt: skip
    result = model.run()
    assert len(result.spikes[neuron]) == 1 and result.loss == 0.7
    for array in dict(model.gradient().items()).values():
        np.testing.assert_allclose(np.asarray(array), 0, atol=1e-12)


def test_a_maximum_at_the_end_of_a_refractory_period_moves_with_it():
    """It is t_ref/tau, whenever the spike comes: a rises with 1/tau, v with more once it may."""
    neuron = NeuronGroup(
        1,
        """dv/dt = b/tau : 1 (unless refractory)
           da/dt = 1/tau : 1
           b : 1
           t_ref : second""",
        threshold="v > 1", reset="v = 0; a = 0", refractory="t_ref", method="euler", name="neuron",
        namespace={"tau": 10 * ms},
    )  # fmt: skip
    neuron.v, neuron.a, neuron.b, neuron.t_ref = 0.6, -1, 3, 5 * ms
    model = bep.EventPropModel(
        [neuron], train=[neuron.v, neuron.b, neuron.t_ref],
        loss=bep.Sum(bep.Maximum(neuron, "a - v")), duration=9 * ms,
    )  # fmt: skip
    assert len(model.run().spikes[neuron]) == 1
    found = [float(np.asarray(array)[0]) for _, array in model.gradient().items()]
    np.testing.assert_allclose(found, [0, 0, 100], atol=1e-9)
