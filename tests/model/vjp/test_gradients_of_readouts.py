"""Gradients from cotangents of the readouts, per trial, and the Jacobian."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope
from helpers.networks import random as random_networks

import brian_eventprop as bep


def small(solver="event", backend="interpreter", loss=None, readouts=None, train=None):
    """Two inputs, three recurrent neurons with refractoriness, one readout neuron; three trials."""
    start_scope()
    source = SpikeGeneratorGroup(2, [], [] * ms, name="source")
    hidden = NeuronGroup(
        3, """dv/dt = (I - v)/tau : 1 (unless refractory)
              dI/dt = -I/(5*ms) : 1""",
        threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name="hidden",
    )  # fmt: skip
    out = NeuronGroup(2, "dv/dt = -v/(20*ms) : 1", method="exact", name="out")
    s = Synapses(source, hidden, "w : 1", on_pre="I_post += w", name="s")
    r = Synapses(hidden, hidden, "w : 1", on_pre="I_post += w", name="r")
    o = Synapses(hidden, out, "w : 1", on_pre="v_post += w", name="o")
    for synapses, condition in ((s, True), (r, "i != j"), (o, True)):
        synapses.connect(condition)
    random = np.random.default_rng(3)
    s.w, s.delay = 2.5 + random.random(6), random.uniform(0.5, 4, 6) * ms
    r.w, r.delay = random.normal(0, 0.5, 6), random.uniform(1, 3, 6) * ms
    o.w, o.delay = random.normal(0, 1, 6), 1 * ms
    if readouts is None and loss is None:
        readouts = [
            bep.Integral(out, "v**2"),
            bep.SpikeTimes(hidden, which="each"),
            bep.Final(out, "v"),
        ]
    if callable(loss) and not isinstance(loss, bep.Sum):
        loss = loss(out, hidden)
    model = bep.EventPropModel(
        [source, hidden, out, s, r, o], train=train or [s.w, s.delay, r.w, o.w, o.delay, "tau"],
        loss=loss, readouts=readouts, duration=30 * ms, solver=solver, backend=backend,
        namespace={"tau": 10 * ms},
    )  # fmt: skip
    return model


def three_trials():
    random = np.random.default_rng(5)
    n = 24
    return bep.SpikeData(
        random.uniform(0, 0.02, n), random.integers(0, 2, n), random.integers(0, 3, n), 3, 2
    )


def cotangents(result, seed=0):
    random = np.random.default_rng(seed)
    return [random.standard_normal(values.shape) for values in result.readout]


def arrays(gradients):
    return {name: gradients.raw(name) for name in gradients}


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_cotangents_give_the_gradient_of_a_loss_with_these_derivatives(solver):
    model = small(solver)
    result = model.run(three_trials())
    assert result.loss is None and result.losses is None
    of = cotangents(result)
    found = model.gradient(of=of)

    weights = [np.where(np.isfinite(v), w, 0) for v, w in zip(result.readout, of, strict=True)]

    def loss(readouts, targets):
        parts = [np.where(np.isfinite(v), v, 0) * w for v, w in zip(readouts, weights, strict=True)]
        return sum(p.reshape(3, -1).sum(1) for p in parts), tuple(weights)

    other = small(solver, loss=lambda *groups: loss, readouts=model.readouts)
    other.loss = loss
    other.run(three_trials())
    expected = other.gradient()
    assert sum(len(t) for t in result.spikes.values()) > 10
    for name in found:
        np.testing.assert_allclose(found.raw(name), 3 * expected.raw(name), rtol=1e-12)
        assert np.any(found.raw(name) != 0)
    np.testing.assert_allclose(found.inputs, 3 * expected.inputs, rtol=1e-12)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_one_run_serves_any_number_of_backward_passes(solver):
    model = small(solver)
    result = model.run(three_trials())
    first, second = cotangents(result, 1), cotangents(result, 2)
    one, two = model.gradient(of=first), model.gradient(of=second)
    again = model.gradient(of=first)
    both = model.gradient(of=[a + b for a, b in zip(first, second, strict=True)])
    for name in one:
        np.testing.assert_array_equal(one.raw(name), again.raw(name))
        np.testing.assert_allclose(one.raw(name) + two.raw(name), both.raw(name), rtol=1e-9)
    np.testing.assert_array_equal(one.inputs, again.inputs)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_gradients_of_single_trials_are_those_of_the_trial_alone(solver):
    model = small(solver)
    data = three_trials()
    result = model.run(data)
    of = cotangents(result)
    whole, each = model.gradient(of=of), model.gradient(of=of, per_trial=True)
    for name in whole:
        assert each.raw(name).shape == (3, *whole.raw(name).shape)
        np.testing.assert_allclose(each.raw(name).sum(axis=0), whole.raw(name), rtol=1e-9)
        assert np.any(each.raw(name)[0] != each.raw(name)[1])
    np.testing.assert_allclose(each.inputs, whole.inputs, rtol=1e-9)
    for b in range(3):
        one = model.run(data[[b]])
        own = [w[b : b + 1] for w in of]
        own[1] = own[1][:, :, : one.readout[1].shape[2]]
        alone = model.gradient(of=own)
        for name in whole:
            np.testing.assert_array_equal(each.raw(name)[b], alone.raw(name))


def test_per_trial_gradients_of_a_loss_have_the_gradient_as_their_mean():
    model = small(loss=lambda out, hidden: bep.Sum(bep.Integral(out, "v**2")))
    model.run(three_trials())
    whole, each = model.gradient(), model.gradient(per_trial=True)
    for name in whole:
        np.testing.assert_allclose(each.raw(name).mean(axis=0), whole.raw(name), rtol=1e-9)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_the_jacobian_times_cotangents_is_the_gradient(solver):
    model = small(solver)
    result = model.run(three_trials())
    of = cotangents(result)
    found, jacobian = model.gradient(of=of), model.jacobian()
    assert len(jacobian) == 3
    for name in found:
        total = 0.0
        for w, values, j in zip(of, result.readout, jacobian, strict=True):
            assert j.raw(name).shape == values.shape + found.raw(name).shape
            total = total + np.tensordot(np.where(np.isfinite(values), w, 0), j.raw(name), w.ndim)
        np.testing.assert_allclose(total, found.raw(name), rtol=1e-9, atol=1e-12)


def test_the_jacobian_agrees_with_differences():
    model = small()
    data = three_trials()
    model.run(data)
    jacobian = model.jacobian()
    start, step = model.parameters.raw("s.delay").copy(), 1e-7
    for k in range(6):
        values = []
        for sign in (1, -1):
            moved = start.copy()
            moved[k] += sign * step
            model.parameters.set_raw("s.delay", moved)
            values.append(model.run(data).readout)
        model.parameters.set_raw("s.delay", start)
        for j, high, low in zip(jacobian, *values, strict=True):
            there = np.isfinite(high)
            difference = (high[there] - low[there]) / (2 * step)
            np.testing.assert_allclose(j.raw("s.delay")[there][:, k], difference, atol=2e-6)


def test_cotangents_of_spike_times_may_come_per_spike():
    model = small(readouts=None)
    result = model.run(three_trials())
    of = cotangents(result)
    trains = result.spikes["hidden"]
    order = np.lexsort((np.asarray(trains.t), trains.i, trains.sample))
    times = result.readout[1]
    np.testing.assert_allclose(times[np.isfinite(times)], np.asarray(trains.t)[order], rtol=1e-14)
    per_spike = of[1][np.isfinite(times)]
    one, other = model.gradient(of=of), model.gradient(of=[of[0], per_spike, of[2]])
    for name in one:
        np.testing.assert_array_equal(one.raw(name), other.raw(name))


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ([np.zeros((3, 2))], "one array for each readout, 3"),
        ([np.zeros((3, 1)), None, None], r"must have the readout's shape \(3, 2\)"),
        ([np.full((3, 2), np.nan), None, None], "is not finite"),
    ],
)
def test_cotangents_that_do_not_fit_are_refused(of, message):
    model = small()
    model.run(three_trials())
    with pytest.raises(ValueError, match=message):
        model.gradient(of=of)


def test_a_model_without_a_loss_says_what_it_needs():
    model = small()
    with pytest.raises(RuntimeError, match="call run"):
        model.gradient(of=[])
    model.run(three_trials())
    with pytest.raises(ValueError, match=r"model\.gradient\(of="):
        model.gradient()
    with pytest.raises(ValueError, match="loss"):
        bep.Trainer(model, bep.Adam(1e-3))
    with pytest.raises(ValueError, match="needs a loss"):
        bep.EventPropModel(model.objects, train=["tau"], duration=1 * ms, namespace={"tau": 1 * ms})


def test_parameters_changed_since_the_run_are_noticed():
    model = small()
    result = model.run(three_trials())
    model.parameters["tau"] = 11 * ms
    model.gradient(of=cotangents(result))
    with pytest.raises(RuntimeError, match="changed since run"):
        model.gradient(of=cotangents(result), per_trial=True)
    with pytest.raises(RuntimeError, match="changed since run"):
        model.jacobian()


def test_check_gradient_takes_a_model_without_a_loss():
    assert bep.check_gradient(small(), three_trials(), show=False).ok


@pytest.mark.parametrize("kind", sorted(random_networks.KINDS)[::3])
def test_random_networks(kind):
    """Gradients of trials, from random cotangents, sum to the gradient of the batch."""
    network = random_networks.build(kind, seed=1, size=0.1)
    model = bep.EventPropModel(
        network.objects, train=network.train, readouts=network.readouts,
        duration=network.duration / 3, namespace=network.namespace, backend="interpreter",
    )  # fmt: skip
    spikes = {name: data.until(network.duration / 3) for name, data in network.spikes.items()}
    of = cotangents(model.run(spikes))
    whole, each = model.gradient(of=of), model.gradient(of=of, per_trial=True)
    for name in whole:
        scale = np.max(np.abs(whole.raw(name))) + 1e-300
        np.testing.assert_allclose(
            each.raw(name).sum(axis=0) / scale, whole.raw(name) / scale, atol=1e-10
        )
