"""The clock solver gives Brian2's own spikes, one by one, on many kinds of network."""

import brian2
import numpy as np
import pytest
from helpers.networks import random as random_networks

import brian_eventprop as bep

SLOW = pytest.mark.slow


def model_of(network, **options):
    """The model of a `RandomNetwork`."""
    return bep.EventPropModel(
        network.objects,
        train=network.train,
        loss=network.loss,
        duration=network.duration,
        namespace=network.namespace,
        **options,
    )


def check_same_spikes(network):
    """Compare all spikes of all groups and trials; return how many there were."""
    spikes = network.batch()
    result = model_of(network).run(spikes)
    total = 0
    dt = float(brian2.defaultclock.dt)
    for name, trains in network.run_brian2().items():
        found = result.spikes[name]
        for trial, (indices, times) in enumerate(trains):
            here = found.sample == trial
            steps = np.round(np.asarray(found.t)[here] / dt).astype(int)
            order = np.lexsort((found.i[here], steps))
            np.testing.assert_array_equal(steps[order], np.round(times / dt).astype(int))
            np.testing.assert_array_equal(found.i[here][order], indices)
            total += len(indices)
    return total


@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_spikes_are_those_of_brian2(kind):
    assert check_same_spikes(random_networks.build(kind, seed=0)) > 100


@pytest.mark.compiled
@pytest.mark.parametrize(
    "kind",
    ["lif", "coba"] + [pytest.param(k, marks=SLOW) for k in ("lif_refractory", "alif", "qif")],
)
def test_thousands_of_spikes_are_those_of_brian2(kind):
    assert check_same_spikes(random_networks.build(kind, seed=0, size=3.0, trials=4)) > 4000


def test_a_part_of_a_time_step_is_a_whole_one():
    network = random_networks.build("lif", seed=0)
    network.duration = 80.04 * brian2.ms
    network.spikes["inp"].times[:] += 0.02
    network.spikes["inp"] = network.spikes["inp"].until(80.1 * brian2.ms)  # of the last step
    assert check_same_spikes(network) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_spikes_are_those_of_brian2_for_other_seeds(kind, seed):
    assert check_same_spikes(random_networks.build(kind, seed=seed)) > 50


@pytest.mark.parametrize("kind", ["lif", "delta_refractory"])
def test_spikes_are_those_of_brian2_on_another_time_grid(kind):
    brian2.defaultclock.dt = 0.25 * brian2.ms
    assert check_same_spikes(random_networks.build(kind, seed=3)) > 100
