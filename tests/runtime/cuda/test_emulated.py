"""The CUDA kernels, in an emulator of a GPU, give what the CPU gives."""

import re
from dataclasses import replace

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, mV, start_scope
from helpers.backends import arrays_of, check_equal, model_of, results, run_small
from helpers.cuda.emulator import Emulator, There
from helpers.networks import random as random_networks
from helpers.networks import refractory
from helpers.networks import small as small_networks

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import solver as clock_cuda
from brian_eventprop.runtime.cuda import workspace as cuda_workspace


@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_the_same_as_on_the_cpu(kind, emulator):
    expected = results(kind, "cpu")
    emulator()
    check_equal(results(kind, "cuda"), expected)
    assert sum(len(array) for key, array in expected.items() if key[1] == "i") > 8


@pytest.mark.parametrize("kind", refractory.KINDS)
def test_refractoriness_that_ends_with_states(kind, emulator):
    found = {}
    for backend in ("cpu", "cuda"):
        emulator()
        model = refractory.model(refractory.KINDS[kind], "clock", backend=backend)
        found[backend] = arrays_of(model.run(), model.gradient(), model)
    check_equal(found["cuda"], found["cpu"])


class Fusing(Emulator):
    """A GPU fuses products with sums, so a jump of 0 is what the other product was rounded by."""

    jumps = 0

    def load(self, source, tag):
        """Import a generated module after adding such a remainder."""
        changed, jumps = re.subn(r"( jump = .*hidden.*)", r"\1 + 1e-17", source)
        self.jumps += jumps
        return super().load(changed, tag)


@pytest.mark.parametrize("kind", ["alif", "coba"])
def test_maxima_with_fused_products(kind, monkeypatch):
    expected = results(kind, "cpu")
    device = Fusing()
    monkeypatch.setattr(clock_cuda, "CudaDevice", lambda: device)
    check_equal(results(kind, "cuda"), expected)
    assert device.jumps > 2


@pytest.fixture(scope="module")
def small():
    """The same on the CPU."""
    found, _ = run_small("cpu")
    assert len(found["hidden", "i"]) > 50
    return found


@pytest.mark.parametrize("kind", ["lif", "delta"])
def test_no_bit_depends_on_the_order_of_the_threads(kind, emulator):
    runs = []
    for seed in (None, 1):
        emulator(seed=seed)
        runs.append(results(kind, "cuda", duration=20 * ms))
    for key, array in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], array, err_msg=str(key))


def test_all_to_all_connections_on_one_warp_and_on_several(small, emulator):
    for threads in (32, 64):  # with 32, threads have several neurons
        made = emulator(threads=threads)
        found, model = run_small("cuda")
        check_equal(found, small)
        assert model.runtime.module.threads == threads
        assert {"sort_spikes", "collect_dense", "vjp_s_rec_pre"} < set(made[-1].launches)


def test_sums_over_warps(emulator):
    sizes = {"n_hidden": 40, "n_steps": 50, "trials": 2}
    expected, _ = run_small("cpu", **sizes)
    emulator(threads=96, warps=True)
    found, model = run_small("cuda", **sizes)
    check_equal(found, expected)
    assert model.runtime.module.threads == 96


def test_more_neurons_than_threads(emulator):
    expected, _ = run_small("cpu", n_hidden=70, trials=2)
    emulator(threads=32)
    check_equal(run_small("cuda", n_hidden=70, trials=2)[0], expected)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "neurons, chip",
    [(1400, 48), pytest.param(3000, 48, marks=SLOW), pytest.param(3000, 227, marks=SLOW)],
)
def test_a_network_that_does_not_fit_on_a_chip(neurons, chip, emulator):
    """Threads have several neurons; states and, on most chips, rings lie in memory."""
    sizes = {"n_inputs": 12, "n_hidden": neurons, "n_steps": 24, "max_delay": 6, "trials": 1}
    sizes["synapses"] = 2 * neurons
    expected, _ = run_small("cpu", **sizes)
    made = emulator(threads=512, chip=chip * 1024)
    found, model = run_small("cuda", **sizes)
    check_equal(found, expected)
    assert len(found["hidden", "i"]) > 50
    solver = model.runtime
    assert solver.module.threads == 512
    names = {k: {a.name for a in kernel.in_memory} for k, kernel in solver.module.kernels.items()}
    assert "hidden_y" in names["forward"] and "hidden_lam" in names["backward"]
    assert (made[-1].most_ring > 0) == (chip == 227)


def test_waves_of_few_trials_and_lists_that_grow(small, emulator, monkeypatch):
    made = emulator()
    monkeypatch.setattr(cuda_workspace, "BLOCKS_MEMORY", 50_000)
    monkeypatch.setattr(clock_cuda, "FIRST_CAPACITY", 0)
    found, model = run_small("cuda")
    check_equal(found, small)
    assert made[-1].launches.count("backward") == 3
    assert made[-1].launches.count("forward") > 1
    assert model.runtime.memory > 0


def test_the_ring_in_memory_and_on_the_chip(small, emulator, monkeypatch):
    rings = []
    launch = Emulator.launch

    def noting(self, kernel, grid, threads, arguments, chip=(), ring=None, cluster=1):
        rings.extend([ring] * (kernel.__name__ == "forward"))
        launch(self, kernel, grid, threads, arguments, chip, ring, cluster)

    monkeypatch.setattr(Emulator, "launch", noting)
    emulator()
    check_equal(run_small("cuda")[0], small)
    emulator(chip=3000)
    check_equal(run_small("cuda")[0], small)
    assert rings[0] is not None and rings[-1] is None


def test_two_runs_give_the_same_bits(emulator):
    emulator()
    model, spikes = small_networks.all_to_all(backend="cuda")
    runs = [arrays_of(model.run(spikes), model.gradient(), model) for _ in range(2)]
    for key, array in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], array, err_msg=str(key))


def test_single_precision_is_close(small, emulator):
    emulator()
    found, model = run_small("cuda", precision="float32")
    assert model.runtime.dtype == np.float32
    # 6e-8 for a number; hundreds of spikes of a recurrent network amplify it
    check_equal(found, small, readouts=1e-5, gradients=1e-4)


def test_delays_change_between_batches(emulator):
    """The ring and the order of arrivals follow the delays."""
    emulator()
    (device, spikes), (host, _) = (
        small_networks.all_to_all(backend=backend) for backend in ("cuda", "cpu")
    )
    for longest in (0.0, 0.03, 0.2):
        for model in (device, host):
            key = next(k for k in model.parameters.keys if k == ("s_rec_pre", "delay"))
            model.parameters.set_raw(key, np.linspace(0, longest, 144))
        found = [arrays_of(m.run(spikes), m.gradient(), m) for m in (device, host)]
        check_equal(*found)


def test_the_emulator_sees_a_barrier_that_some_threads_miss():
    def kernel(tid, block, array):
        if tid < 3:
            yield 0
        array[tid] = 1

    with pytest.raises(AssertionError, match="did not come to a barrier"):
        Emulator().launch(kernel, 1, 32, [There(np.zeros(32))])


def test_the_emulator_sees_arrays_of_the_host():
    def kernel(tid, block, array):
        yield 0

    with pytest.raises(AssertionError, match="array of the host"):
        Emulator().launch(kernel, 1, 32, [np.zeros(32)])
    with pytest.raises(TypeError):
        Emulator().put(np.zeros(3)) + 1


def test_the_emulator_sees_a_race():
    def kernel(tid, block, array):
        array[0] = array[0] / 2 + tid
        yield 0

    found = set()
    for seed in range(3):
        array = np.zeros(32)
        Emulator(seed=seed).launch(kernel, 1, 32, [There(array)])
        found.add(array[0])
    assert len(found) == 3


@pytest.mark.slow
def test_a_trial_of_the_size_of_spoken_words(emulator):
    sizes = {"n_inputs": 700, "n_hidden": 256, "n_steps": 1000, "max_delay": 62, "trials": 1}
    expected, _ = run_small("cpu", **sizes)
    emulator(threads=512, compiled=True)
    check_equal(run_small("cuda", **sizes)[0], expected)


def test_every_function(emulator):
    expected = small_networks.of_functions(backend="cpu")
    emulator()
    found = small_networks.of_functions(backend="cuda")
    gave = [arrays_of(m.run(s), m.gradient(), m) for m, s in (found, expected)]
    check_equal(*gave)
    assert len(gave[0]["cells", "i"]) > 5


def test_conditions_within_the_equations(emulator):
    """Jumps that move with states and parameters, one within another, several in one step."""

    def build(backend):
        defaultclock.dt = 0.5 * ms
        source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 3.5, 8] * ms, name="source")
        cells = NeuronGroup(
            3,
            """dv/dt = (1.3 + 0.5*int(v > k or u > 0.06)*int(t % T < 2*ms) - 0.3*floor(3*v)
                        - 0.2*sign(u - 0.1) - v)/tau : 1 (unless refractory)
               du/dt = (v - u)/(9*ms) : 1
               k : 1 (constant)
               T : second (constant, shared)
               tau : second (constant)""",
            threshold="v > 0.8", reset="v = 0; u += 0.05", refractory=1.5 * ms, method="rk2",
            name="cells",
        )  # fmt: skip
        cells.v, cells.k, cells.T, cells.tau = "0.05*i", "0.3 + 0.1*i", 3.3 * ms, "(5 + i)*ms"
        s = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="s")
        s.connect()
        s.w, s.delay = "0.2 + 0.03*i", "(1 + i)*0.5*ms"
        return bep.EventPropModel(
            [source, cells, s], train=[s.w, s.delay, cells.k, cells.T, cells.tau, cells.v],
            loss=bep.Sum(
                bep.SpikeTimes(cells, "t/T"), bep.Integral(cells, "100*Hz*int(u > k - 0.2)"),
                bep.Maximum(cells, "u"),
            ),
            duration=15 * ms, backend=backend,
        )  # fmt: skip

    expected = build("cpu")
    emulator()
    found = build("cuda")
    gave = [arrays_of(m.run(), m.gradient(), m) for m in (found, expected)]
    check_equal(*gave)
    gradients = expected.gradient()
    assert all(np.all(gradients.raw(("cells", name)) != 0) for name in ("k", "T", "tau"))


def test_rewired_synapses(emulator):
    emulator()
    (device, spikes), (host, _) = (
        small_networks.all_to_all(backend=backend, trials=2) for backend in ("cuda", "cpu")
    )
    rng = np.random.default_rng(1)
    for _ in range(2):
        ends = rng.integers(0, 12, (2, 144))  # some pairs several times, some not at all
        found = []
        for model in (device, host):
            model.run(spikes)
            model.reconnect("s_rec", *ends)
            found.append(arrays_of(model.run(spikes), model.gradient(), model))
        check_equal(*found)
    assert device.runtime.connections["s_rec_pre"].planes > 1


def test_readouts_during_explosive_upstrokes(emulator):
    """A maximum, a value and a count with a surrogate gradient, of AdEx neurons."""

    def run(backend):
        start_scope()
        network = random_networks.build("adex", seed=4, size=0.3, trials=2)
        hidden = network.groups[0]
        readouts = (
            bep.Maximum(hidden, "v/mV"),
            bep.SpikeCount(hidden, scale=2 * mV),
            *(bep.Value(hidden, "v/mV", at=time * ms) for time in np.arange(10, 30, 2.5)),
        )
        model = model_of(replace(network, readouts=readouts), backend, 40 * ms)
        result = model.run(network.batch(40 * ms))
        return arrays_of(result, model.gradient(), model)

    expected = run("cpu")
    emulator()
    check_equal(run("cuda"), expected)
    assert len(expected["hidden", "i"]) > 8


def test_three_kinds_of_events(emulator):
    found = []
    emulator()
    for backend in ("cuda", "cpu"):
        start_scope()
        objects, views, loss = small_networks.three_events()
        model = bep.EventPropModel(
            objects, train=views, loss=loss, duration=20 * ms, backend=backend
        )
        found.append(arrays_of(model.run(), model.gradient(), model))
    check_equal(*found)
    assert len(found[0]["G__up", "i"]) > 3
