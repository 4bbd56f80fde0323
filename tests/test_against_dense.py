"""Gradients on the clock grid equal those of a second, dense implementation of the same rules."""

import numpy as np
import pytest
from brian2 import defaultclock, ms, start_scope, us
from helpers.dense.adjoint import dense_gradient
from helpers.networks import random as random_networks
from helpers.networks import reference

import brian_eventprop as bep
from brian_eventprop.codegen.clock import upstrokes


def check_gradients(model, spikes_of_trials, run_spikes):
    """Compare spikes, readouts and all gradients of a batch with the dense oracle."""
    result = model.run(run_spikes)
    gradients = model.gradient()
    keys = model.parameters.keys
    explosive = any(g.upstroke for g in model.runtime.module.groups)
    tolerance = 1e-6 if explosive else 1e-10  # with `fine` steps
    trials = [
        dense_gradient(
            model.spec, model.network, keys, float(model.duration), spikes, loss=model.loss
        )
        for spikes in spikes_of_trials
    ]
    assert sum(len(trial.spikes[g.name][0]) for trial in trials for g in model.spec.groups) > 5
    np.testing.assert_allclose(result.losses, [trial.loss for trial in trials], rtol=1e-9)
    for key in keys:
        expected = np.mean([trial.gradients[key] for trial in trials], axis=0)
        assert_close(gradients.raw(key), expected, ".".join(key), tolerance)
    for name in {i.name for i in model.spec.inputs}:
        inputs = gradients.inputs if len(model.spec.inputs) == 1 else gradients.inputs[name]
        expected = np.concatenate([trial.inputs[name] for trial in trials]) / len(trials)
        assert_close(np.asarray(inputs), expected, name, tolerance)
    assert gradients.grazing == sum(trial.grazing for trial in trials)
    return trials


def assert_close(found, expected, name, tolerance=1e-10):
    """Equal to rounding (found: 1e-14), relative to the largest entry."""
    scale = np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.fixture
def fine(monkeypatch):
    """Short steps along the true flow of an upstroke: the error of a step is of order 5."""
    monkeypatch.setattr(upstrokes, "STEP", 0.02)


def check_random_network(network, train=None):
    """Build the model of a random network and compare it; return the trials of the oracle."""
    model = bep.EventPropModel(
        network.objects,
        train=network.train if train is None else train,
        loss=network.loss,
        duration=network.duration,
        namespace=network.namespace,
    )
    spikes = network.batch()
    each = [network.trial_spikes(trial) for trial in range(network.trials)]
    return check_gradients(model, each, spikes)


#: `test_firing_rate` has a smaller network of this kind.
LONG = {"adex"}


@pytest.mark.usefixtures("fine")
@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=pytest.mark.slow if k in LONG else ()) for k in random_networks.KINDS],
)
def test_gradients_of_random_networks(kind):
    check_random_network(random_networks.build(kind, seed=4, size=0.3))


def test_refractory_periods_of_one_step_stop_nothing():
    # Of this network some periods are below two steps: the neuron is free at its next step.
    network = random_networks.build("lif_refractory", seed=6, size=0.3, trials=1)
    periods = np.asarray(network.groups[0].t_ref) / 1e-4
    assert 0 < np.sum(periods < 2) < len(periods)
    check_random_network(network)


def test_maxima_where_the_reset_changes_the_state_that_arrivals_add_to():
    # then the arrivals of a step are before its reset, and what they made is not to be seen
    network = random_networks.build("alif", seed=5, size=0.3, trials=1)
    network.groups[0].event_codes["spike"] += "; I *= 0.5"
    (trial,) = check_random_network(network)
    assert all(len(array) > 0 for array in trial.spikes["hidden"])


def test_gradients_from_the_spikes_alone():
    # linear neurons, additive synapses, weights and delays: nothing but the spikes is kept
    network = random_networks.build("lif", seed=11, size=0.3)
    check_random_network(network, weights_and_delays(network))


def weights_and_delays(network):
    """The trained weights and delays of a random network."""
    return [v for v in network.train if getattr(v, "name", "") in ("w", "delay")]


@pytest.mark.parametrize("kind", ["lif", pytest.param("coba", marks=pytest.mark.slow)])
def test_single_precision_is_close(kind):
    found = []
    for precision in ("float64", "float32"):
        start_scope()
        network = random_networks.build(kind, seed=11, size=0.2, trials=1)
        model = bep.EventPropModel(
            network.objects,
            train=weights_and_delays(network),
            loss=network.loss,
            duration=network.duration,
            namespace=network.namespace,
            precision=precision,
        )
        spikes = network.batch()
        result = model.run(spikes)
        gradient = model.gradient()
        found.append((result, [gradient.raw(key) for key in model.parameters.keys]))
    (double, exact), (single, rounded) = found
    for group in double.spikes:
        np.testing.assert_array_equal(single.spikes[group].i, double.spikes[group].i)
        np.testing.assert_array_equal(single.spikes[group].t, double.spikes[group].t)
    for a, b in zip(exact, rounded, strict=True):
        # single precision carries 6e-8; hundreds of spikes of a recurrent network amplify it
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-3 * np.abs(a).max())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5, 10))
@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_gradients_of_random_networks_for_other_seeds(kind, seed):
    check_random_network(random_networks.build(kind, seed=seed, size=0.3))


def test_grazing_spikes_of_a_coarse_time_grid():
    defaultclock.dt = 1.5 * ms
    network = random_networks.build("two_populations", seed=6, size=0.3, trials=4)
    trials = check_random_network(network)
    assert sum(trial.grazing for trial in trials) > 0


#: Cases that run by default: what the random networks above have least of.
FAST = ("adex", "delta_soft_reset", "two_populations")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in reference.NAMES],
)
@pytest.mark.usefixtures("fine")
def test_gradients_of_reference_cases(name):
    case = reference.build(name, 50 * us)
    model = bep.EventPropModel(
        case.objects, train=list(case.train.values()), loss=case.loss, duration=case.duration
    )
    check_gradients(model, [None], None)
