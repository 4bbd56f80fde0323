"""`(summed)` and linked variables in the emulator of a GPU: what the CPU gives."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, start_scope, us
from helpers.backends import arrays_of, check_equal, trained
from helpers.networks import reference
from helpers.networks.coupled import batch, model_below_threshold, pooled

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import solver as clock_cuda
from brian_eventprop.runtime.cuda import workspace

#: Few threads, so that they have several neurons.
THREADS = 2


@pytest.fixture
def both(emulator):
    """Compare what ``build(backend=...)`` gives on both; return the model on the device."""

    def compare(build, spikes=None, **options):
        emulator(**{"threads": THREADS, **options})
        found = []
        for backend in ("interpreter", "cuda"):
            start_scope()
            model = build(backend=backend)
            found.append(arrays_of(model.run(spikes), model.gradient(), model))
        check_equal(found[1], found[0])
        return model, found[1]

    return compare


def case(name):
    """A reference case on a coarse grid."""
    return lambda backend: reference.model_of(reference.build(name, 200 * us), backend=backend)


@pytest.mark.parametrize("name", reference.COUPLED)
def test_the_same_as_on_the_cpu(name, both):
    _, found = both(case(name), batch(2))
    assert len(found["hid", "i"]) > 10


@pytest.mark.parametrize("followers", ["followers", "z_followers"])  # before the rates, and after
def test_sums_and_links_in_many_ways(followers, both):
    both(lambda backend: model_below_threshold(followers, backend=backend))


@pytest.mark.parametrize("names", [("a", "b"), ("d", "c")])  # the latter is one of the step before
def test_sums_of_sums(names, both):
    model, found = both(lambda backend: pooled(names, 1, backend=backend)[1])
    assert len(found["cells", "i"]) == 3
    assert len(model.spec.couplings) == 2 + (names == ("d", "c"))


def test_trials_in_waves(both, monkeypatch):
    monkeypatch.setattr(workspace, "BLOCKS_MEMORY", 1)
    both(case("coupled/saturating"), batch(3))


@pytest.mark.parametrize("name", ["coupled/delta", "coupled/qif", "below"])
def test_blocks_that_run_a_trial_together(name, both, monkeypatch):
    monkeypatch.setattr(clock_cuda, "BARRIER_COST", 0)
    build = model_below_threshold if name == "below" else case(name)
    spikes = None if name == "below" else batch(2)
    model, _ = both(build, spikes, threads=1, cores=12)
    assert model.runtime.device.largest_cluster > 1


def test_no_bit_depends_on_the_order_of_the_threads(emulator):
    runs = []
    for seed in (None, 1):
        emulator(seed=seed, threads=THREADS)
        model = case("coupled/conductance")("cuda")
        runs.append(arrays_of(model.run(batch(2)), model.gradient(), model))
    for key, array in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], array, err_msg=str(key))


def one_weight(**options):
    """A weight that a sum and arrivals read, and a sum of synapses whose sources only spike."""
    defaultclock.dt = 0.2 * ms
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [1, 2, 4, 6] * ms, name="source")
    group = NeuronGroup(
        3, "dv/dt = (I + S + T - v)/(9*ms) : 1\ndI/dt = -I/(5*ms) : 1\nS : 1\nT : 1",
        threshold="v > 1", reset="v = 0", method="euler", name="group",
    )  # fmt: skip
    first = Synapses(
        source, group, "w : 1\nT_post = 0.1*w*(1 - v_post) : 1 (summed)", on_pre="I_post += w",
        name="first",
    )  # fmt: skip
    first.connect()
    s = Synapses(
        group, group, "w : 1\nS_post = w*(v_pre - v_post) : 1 (summed)", on_pre="I_post += w",
        name="s",
    )  # fmt: skip
    s.connect("i != j")
    first.w, first.delay, s.w, s.delay = "2 + 0.4*i + 0.3*j", 0.4 * ms, "0.3 + 0.1*j", 1 * ms
    loss = bep.Sum(bep.Integral(group, "v**2"), bep.SpikeTimes(group, "t/(5*ms)"))
    return bep.EventPropModel(
        [source, group, first, s], train=[first.w, s.w, s.delay], loss=loss, duration=15 * ms,
        **options,
    )  # fmt: skip


def test_a_weight_that_a_sum_and_arrivals_read(both):
    _, found = both(one_weight)
    assert len(found["group", "i"]) > 3


def test_training_of_such_a_weight(emulator):
    emulator(threads=THREADS)
    spikes = bep.SpikeData([1e-3, 2e-3, 6e-3, 2e-3], [0, 1, 1, 0], [0, 0, 0, 1], 2, 2)
    found = []
    for backend in ("interpreter", "cuda"):
        start_scope()
        found.append(trained(one_weight(backend=backend), spikes))
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-9)


def test_a_sum_that_the_loss_reads_at_the_end(both):
    def build(backend):
        group = NeuronGroup(
            3, "dv/dt = (v**2 + S - 0.5)/(10*ms) : 1\nS : 1", threshold="v > 10", reset="v = -10",
            method="euler", name="group",
        )  # fmt: skip
        group.v = [0.1, 0.2, -0.3]
        s = Synapses(group, group, "w : 1\nS_post = w*(v_pre - v_post) : 1 (summed)", name="s")
        s.connect("i != j")
        s.w = "0.1 + 0.1*i + 0.05*j"
        loss = bep.Sum(bep.Final(group, "S**2"))
        options = {"duration": 3 * ms, "backend": backend}
        return bep.EventPropModel([group, s], train=[s.w, group.v], loss=loss, **options)

    both(build)
