"""Several blocks that run a trial of a large network together give what the CPU gives."""

import numpy as np
import pytest
from brian2 import ms
from helpers.backends import arrays_of, check_equal, results, run_small
from helpers.networks import random as random_networks
from helpers.networks import small as small_networks

from brian_eventprop.runtime.cuda import solver as clock_cuda
from brian_eventprop.runtime.cuda import workspace as cuda_workspace

SIZES = {"n_hidden": 100, "n_steps": 50, "trials": 3}


@pytest.fixture(scope="module")
def large():
    """On the CPU."""
    found, _ = run_small("cpu", **SIZES)
    assert len(found["hidden", "i"]) > 200
    return found


@pytest.mark.parametrize(
    "cores, cluster, waves",
    [(15, 5, 1), (14, 5, 2), (5, 1, 1)],  # more than two trials after the other are not worth it
)
def test_blocks_as_the_device_has_room(cores, cluster, waves, large, emulator):
    made = emulator(threads=32, cores=cores)
    found, model = run_small("cuda", **SIZES)
    check_equal(found, large)
    assert made[-1].largest_cluster == cluster
    assert made[-1].launches.count("backward") == waves
    assert model.runtime.module.threads == 32
    if cluster > 1:  # a block has its own neurons on the chip
        kernel = model.runtime.compiled(False, cluster)[0].kernels["backward"]
        shapes = {a.name: a.shape for a in kernel.on_chip}
        assert shapes["hidden_lam"] == (2, 32) and "part" not in shapes


def test_more_neurons_than_threads_of_all_blocks(emulator):
    sizes = {"n_hidden": 200, "n_steps": 30, "trials": 1}
    expected, _ = run_small("cpu", **sizes)
    made = emulator(threads=32, cores=3)
    check_equal(run_small("cuda", **sizes)[0], expected)
    assert made[-1].largest_cluster == 3


def test_a_network_that_is_not_crowded_has_one_block(emulator):
    made = emulator(threads=64, cores=100)
    run_small("cuda", n_hidden=50, n_steps=20)
    assert made[-1].largest_cluster == 1


def test_no_bit_depends_on_the_order_of_threads_or_blocks(large, emulator):
    runs = []
    for seed in (None, 1):
        emulator(seed=seed, threads=32, cores=15)
        runs.append(run_small("cuda", **SIZES)[0])
    for key, array in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], array, err_msg=str(key))


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(k, marks=() if k in ("adex", "alif") else pytest.mark.slow)
        for k in random_networks.KINDS
    ],
)
def test_every_kind_of_network(kind, emulator, monkeypatch):
    monkeypatch.setattr(clock_cuda, "BARRIER_COST", 0)
    options = {"duration": 30 * ms, "size": 1.0}
    expected = results(kind, "cpu", **options)
    made = emulator(threads=32, cores=20)
    check_equal(results(kind, "cuda", **options), expected)
    assert made[-1].largest_cluster > 1


def test_sums_over_warps(emulator):
    sizes = {"n_hidden": 100, "n_steps": 25, "trials": 2}
    expected, _ = run_small("cpu", **sizes)
    made = emulator(threads=32, warps=True, cores=10)
    check_equal(run_small("cuda", **sizes)[0], expected)
    assert made[-1].largest_cluster == 5


def test_waves_and_lists_that_grow(large, emulator, monkeypatch):
    monkeypatch.setattr(cuda_workspace, "BLOCKS_MEMORY", 200_000)
    monkeypatch.setattr(clock_cuda, "FIRST_CAPACITY", 0)
    made = emulator(threads=32, cores=15)
    check_equal(run_small("cuda", **SIZES)[0], large)
    assert made[-1].largest_cluster == 5
    assert made[-1].launches.count("forward") > made[-1].launches.count("backward") > 1


def test_batches_of_other_sizes(emulator):
    """The last batch of an epoch has fewer trials, so several blocks for each."""
    made = emulator(threads=32, cores=5)
    (device, spikes), (host, _) = (
        small_networks.all_to_all(backend=backend, **SIZES) for backend in ("cuda", "cpu")
    )
    for trials in ([0, 1, 2], [1], [0, 2]):
        some = spikes[np.array(trials)]
        found = [arrays_of(m.run(some), m.gradient(), m) for m in (device, host)]
        check_equal(*found)
        assert made[-1].largest_cluster == (1 if trials == [0, 1, 2] else 5)


@pytest.mark.slow
def test_blocks_of_many_threads(emulator):
    sizes = {"n_inputs": 12, "n_hidden": 3000, "n_steps": 24, "max_delay": 6, "trials": 2}
    sizes["synapses"] = 6000
    expected, _ = run_small("cpu", **sizes)
    made = emulator(threads=512, cores=132)
    check_equal(run_small("cuda", **sizes)[0], expected)
    assert made[-1].largest_cluster == 12
