"""Input drive precomputed before the trials, in kernels of their own, give the bits of the CPU."""

import numpy as np
import pytest
from helpers.backends import arrays_of, check_equal, results, run_small
from helpers.networks import random as random_networks
from helpers.networks import small as small_networks

from brian_eventprop.codegen.cuda import inputs as cuda_inputs
from brian_eventprop.plan.layouts import limits
from brian_eventprop.runtime.cuda import workspace as cuda_workspace
from brian_eventprop.runtime.cuda.inputs import InputKernels

#: Kinds that are always tested: neurons that rest, and states that are read in the backward pass.
USUAL = {"lif_refractory", "adex"}
#: Kinds whose arrivals are delivered one by one: they depend on states, or a spike may come back to
#: its own neuron at once, before a reset that does not commute with that.
ONE_BY_ONE = {"delta", "delta_refractory", "saturating", "lif_refractory"}


SLOW = pytest.mark.slow
SIZES = {"n_inputs": 40, "n_hidden": 37, "n_steps": 60, "trials": 3}


@pytest.fixture(autouse=True)
def all_precomputed(monkeypatch):
    """Add the spikes of every input up ahead, however small it is."""
    monkeypatch.setattr(limits, "PRECOMPUTED_SYNAPSES", 0)
    monkeypatch.setattr(limits, "FAN_IN", 0)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in USUAL else SLOW) for k in random_networks.KINDS]
)
def test_the_bits_of_the_cpu(kind, emulator):
    expected = results(kind, "cpu")
    made = emulator()
    check_equal(results(kind, "cuda"), expected)
    ahead = {"drive_dense", "drive_sparse"} & set(made[-1].launches)
    assert bool(ahead) == (kind not in ONE_BY_ONE)


@pytest.fixture(scope="module")
def small():
    """A network with all connections, on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PRECOMPUTED_SYNAPSES", 0)
        patch.setattr(limits, "FAN_IN", 0)
        return run_small("cpu", **SIZES)[0]


def test_all_to_all_connections(small, emulator):
    found = []
    for seed in (0, None):
        made = emulator(seed=seed)
        arrays, model = run_small("cuda", **SIZES)
        check_equal(arrays, small)
        found.append(arrays)
        assert {"drive_dense", "d_time_dense", "collect_dense"} < set(made[-1].launches)
        kernel = model.runtime.module.kernels["forward"]
        assert "hidden_input_drive_I" in {a.name for a in kernel.in_memory}
        assert not {("inp", "spike_rows"), ("s_in_pre", "W")} & set(kernel.arguments)
    for key, array in found[0].items():
        np.testing.assert_array_equal(found[1][key], array, err_msg=str(key))


def test_blocks_with_few_steps_and_waves_of_few_trials(small, emulator, monkeypatch):
    grids = []
    launch = InputKernels.drive

    def noting(self, *arguments):
        grids.append(arguments[-2:])
        launch(self, *arguments)

    monkeypatch.setattr(InputKernels, "drive", noting)
    monkeypatch.setattr(cuda_inputs, "ON_CHIP", 6 * 1024)  # room for few steps
    monkeypatch.setattr(cuda_workspace, "BLOCKS_MEMORY", 150_000)
    emulator()
    check_equal(run_small("cuda", **SIZES)[0], small)
    assert len(grids) > 1


def test_trials_of_several_blocks(small, emulator):
    made = emulator(threads=32, cores=9)
    check_equal(run_small("cuda", **SIZES)[0], small)
    assert made[-1].largest_cluster == 3


@pytest.mark.parametrize("longest", [0, 7, 200])
def test_delays_of_any_length(longest, emulator):
    sizes = SIZES | {"max_delay": longest + 1, "n_hidden": 10}
    expected, _ = run_small("cpu", **sizes)
    emulator()
    check_equal(run_small("cuda", **sizes)[0], expected)


def test_single_precision_is_close(small, emulator):
    emulator()
    found, _ = run_small("cuda", precision="float32", **SIZES)
    # 6e-8 for a number; hundreds of spikes of a recurrent network amplify it
    check_equal(found, small, readouts=1e-5, gradients=1e-4)


def test_rewired_inputs(emulator):
    """All connections, then some pairs several times and others not at all."""
    emulator()
    made = [small_networks.all_to_all(backend=b, max_delay=1, **SIZES) for b in ("cuda", "cpu")]
    spikes, rng = made[0][1], np.random.default_rng(1)
    ends = np.stack([rng.integers(0, 40, 40 * 37), rng.integers(0, 37, 40 * 37)])
    found = []
    for model, _ in made:
        model.run(spikes)
        model.look_ahead(spikes)
        model.reconnect("s_in", *ends)
        found.append(arrays_of(model.run(spikes), model.gradient(), model))
    # where a pair has two synapses, the CPU adds what they bring spike by spike
    check_equal(*found, readouts=1e-12)
    pathways = made[0][0].runtime.module.pathways
    assert [p.name for p in pathways if p.precomputed] == ["s_in_pre"]
