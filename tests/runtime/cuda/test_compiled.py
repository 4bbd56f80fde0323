"""The CUDA kernels compile and link without a GPU, and keep to their registers."""

import importlib.util
import re
from types import SimpleNamespace

import pytest
from brian2 import ms, start_scope
from helpers.cuda.compile import BETWEEN, UPDATES, CompilingDevice, compiled
from helpers.networks import coupled, reference, refractory
from helpers.networks import random as random_networks
from helpers.networks import small as small_networks
from helpers.networks.synapses import plastic
from helpers.networks.synapses import trials as plastic_trials
from helpers.networks.touching import touching, upstroke
from helpers.networks.touching import trials as touching_trials

import brian_eventprop as bep
from brian_eventprop.plan.layouts import limits
from brian_eventprop.runtime.cuda import solver as clock_cuda
from brian_eventprop.runtime.cuda.device import FEW_BLOCKS

if importlib.util.find_spec("_numba_cuda_redirector") is None:
    pytest.skip("numba-cuda is not installed", allow_module_level=True)


@pytest.fixture
def device(monkeypatch):
    """A device that compiles instead of running."""
    device = CompilingDevice()
    monkeypatch.setattr(clock_cuda, "CudaDevice", lambda: device)
    return device


#: How the library reduces large arguments of sin and cos in single precision, on a stack.
LARGE_ARGUMENT = re.compile(r"cvt\.rn\.f64\.s64|0d3BF921FB54442D19|cvt\.rn\.f32\.f64")


#: The kernels that depend on the network.
OF_THE_NETWORK = "forward|record|backward|pack_|vjp_"


def check(device, kernels, single, trigonometric=False):
    """No spills, no stack, and no double precision where single was asked for."""
    assert {r.name for r in device.reports} >= kernels
    assert {r.arch for r in device.reports} == {"80", "90"}
    for report in device.reports:
        assert report.spilled == 0, report
        assert report.stack == 0 or trigonometric, report
        assert report.registers * report.threads <= 65536, report
        assert report.shared <= 48 * 1024, report
        known = LARGE_ARGUMENT.search if trigonometric else lambda line: False
        # the true flow of an explosive upstroke is followed in double precision
        explosive = report.name == "backward" and "upstroke" in device.source
        double = BETWEEN.match(report.name) or explosive
        assert not single or double or all(known(line) for line in report.doubles), report
        numbers = report.name not in ("clear", "sort_spikes")
        assert (single and not double) or not numbers or report.doubles, report


def random_model(kind, precision, size=0.3):
    """The model of a random network and its spikes."""
    start_scope()
    network = random_networks.build(kind, seed=4, size=size)
    model = bep.EventPropModel(
        network.objects,
        train=network.train,
        loss=network.loss,
        duration=30 * ms,
        namespace=network.namespace,
        backend="cuda",
        precision=precision,
    )
    spikes = network.batch(30 * ms)
    return model, spikes


def test_lif_in_single_precision(device):
    sizes = {"n_inputs": 130, "n_hidden": 256}  # many enough to be precomputed
    compiled(*small_networks.all_to_all(backend="cuda", precision="float32", **sizes))
    kernels = {
        "forward",
        "backward",
        "sort_spikes",
        "collect_dense",
        "accumulate",
        "clear",
        *UPDATES,
    }
    kernels |= {"drive_dense", "d_time_dense"}
    check(device, kernels, single=True)
    # two blocks of 288 threads on a multiprocessor
    registers = [r.registers for r in device.reports if r.name in ("forward", "backward")]
    assert max(registers) <= 112, device.reports


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_precomputed_inputs(precision, device, monkeypatch):
    """Of few synapses; sums need no product, so they are the CPU's in double precision, too."""
    monkeypatch.setattr(limits, "PRECOMPUTED_SYNAPSES", 0)
    monkeypatch.setattr(limits, "FAN_IN", 0)
    device.only = "forward|record|drive_|d_time_|collect_"
    compiled(*random_model("adex", precision))
    kernels = {"forward", "record", "drive_sparse", "d_time_sparse", "collect_sparse"}
    check(device, kernels, single=precision == "float32")


@pytest.mark.parametrize(
    "kind", ["ended by arrivals", pytest.param("period of a state", marks=pytest.mark.slow)]
)
def test_refractoriness_that_ends_with_states(kind, device):
    device.only = "forward|record|backward"
    model = refractory.model(refractory.KINDS[kind], "clock", backend="cuda", precision="float32")
    compiled(model, None)
    check(device, {"forward", "record", "backward"}, single=True)


@pytest.mark.parametrize("precision", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_blocks_that_run_a_trial_together(precision, device):
    device.cores, device.only = 132, "forward|backward"
    sizes = {"n_hidden": 1400, "synapses": 2800, "n_steps": 60}
    compiled(*small_networks.all_to_all(backend="cuda", precision=precision, **sizes))
    check(device, {"forward", "backward"}, single=precision == "float32")
    assert {report.threads for report in device.reports} == {256}
    for ptx in device.ptx.values():
        # a launch of blocks that wait for each other, which the driver refuses if they do not fit
        assert "cudaCGSynchronize" in ptx


#: Of several blocks for a trial, the code for maxima that arrivals make takes more than the 255
#: registers that a thread can have before compute capability 9.0; 32 and 56 bytes go to memory.
CROWDED = pytest.mark.xfail(strict=True, reason="some bytes of registers are spilled")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(k, marks=CROWDED if k in ("alif", "coba") else ())
        for k in random_networks.KINDS
    ],
)
def test_every_kind_of_network_with_several_blocks(kind, monkeypatch):
    device = CompilingDevice(threads=32)
    device.cores, device.only = 132, OF_THE_NETWORK
    monkeypatch.setattr(clock_cuda, "CudaDevice", lambda: device)
    monkeypatch.setattr(clock_cuda, "BARRIER_COST", 0)
    compiled(*random_model(kind, "float32", size=1.0))
    check(device, {"forward", "backward"}, single=True, trigonometric=kind == "saturating")
    assert "cudaCGSynchronize" in device.ptx["backward"]


def test_products_in_double_precision_are_not_fused_with_sums(device):
    device.only = "forward|backward|sum_rows|adam|sgd"
    model, spikes = small_networks.all_to_all(n_hidden=40, readout="v", axonal=True, backend="cuda")
    compiled(model, spikes)
    check(device, {"forward", "backward", "sum_rows"}, single=False)
    assert device.ptx["forward"].count("mul.rn.f64") >= 6
    # `mul` without `rn` could still be fused by the assembler
    assert not re.search(r"fma\.rn\.f64|mul\.f64", device.ptx["forward"])
    assert re.search(r"fma\.rn\.f64", device.ptx["backward"])  # there, only speed matters
    for name in ("adam", "sgd"):  # a step has the bits of the CPU's
        assert re.search(r"mul\.rn\.f64", device.ptx[name])
        assert not re.search(r"fma\.rn\.f64|mul\.f64", device.ptx[name])


@pytest.mark.parametrize(
    "kernels", [("forward", "record"), pytest.param(("backward",), marks=pytest.mark.slow)]
)
def test_every_function_in_single_precision(kernels, device):
    device.only = "|".join(kernels)
    # its arrivals are delivered one by one
    compiled(*small_networks.of_functions(backend="cuda", precision="float32"))
    check(device, set(kernels), single=True, trigonometric=True)


@pytest.mark.filterwarnings("error")
def test_a_launch_of_few_blocks_is_not_warned_of():
    from brian_eventprop.codegen.cuda.package import cuda

    with pytest.warns(match=FEW_BLOCKS):
        cuda.jit(lambda array: None)[1, 32]


@pytest.mark.filterwarnings(f"ignore:{FEW_BLOCKS}")
def test_a_launch_is_allowed_more_than_48_kib(monkeypatch):
    """By numba-cuda's own hook before a launch, and the driver's attribute for it."""
    from cuda.bindings.driver import CUfunction_attribute
    from numba.cuda.cudadrv import driver

    from brian_eventprop.codegen.cuda.package import allow_on_chip, cuda

    told = []
    fake = SimpleNamespace(cuKernelSetAttribute=lambda *given: told.append(given))
    monkeypatch.setattr(driver, "driver", fake)
    launch = cuda.jit(lambda array: None)[1, 32, 0, 100_000]
    for _ in range(2):
        allow_on_chip(launch, 100_000)
    (hook,) = launch.pre_launch_callbacks
    function = SimpleNamespace(handle="handle", device=SimpleNamespace(id=0))
    hook(SimpleNamespace(_codelibrary=SimpleNamespace(get_cufunc=lambda: function)), launch)
    attribute = CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    assert told == [(attribute, 100_000, "handle", 0)]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_every_kind_of_network(kind, precision, device):
    device.only = OF_THE_NETWORK
    compiled(*random_model(kind, precision))
    single, sines = precision == "float32", kind == "saturating"
    check(device, {"forward", "backward"}, single=single, trigonometric=sines)


def test_synapses_with_states(device):
    start_scope()
    device.only = OF_THE_NETWORK
    model, _, _ = plastic("voltage", True, backend="cuda", precision="float32")
    compiled(model, plastic_trials())
    check(device, {"forward", "record", "backward"}, single=True)


@pytest.mark.parametrize(
    "kind", ["all at once", pytest.param("state of the target, too", marks=pytest.mark.slow)]
)
def test_arrivals_that_touch_two_groups(kind, device):
    start_scope()
    device.only = "forward|record|backward"
    compiled(touching(kind, True, backend="cuda", precision="float32"), touching_trials())
    check(device, {"forward", "record", "backward"}, single=True)


@pytest.mark.parametrize(
    "name", ["coupled/conductance", pytest.param("coupled/qif", marks=pytest.mark.slow)]
)
def test_coupled_neurons(name, device):
    device.only = "forward|record|backward"
    case = reference.build(name)
    compiled(reference.model_of(case, backend="cuda", precision="float32"), None)
    check(device, {"forward", "record", "backward"}, single=True)


@pytest.mark.slow
def test_coupled_neurons_of_several_blocks(monkeypatch):
    device = CompilingDevice(threads=32)
    device.cores, device.only = 132, "forward|record|backward"
    monkeypatch.setattr(clock_cuda, "CudaDevice", lambda: device)
    monkeypatch.setattr(clock_cuda, "BARRIER_COST", 0)
    compiled(coupled.model_below_threshold(backend="cuda", precision="float32"), None)
    check(device, {"forward", "record", "backward"}, single=True, trigonometric=True)
    assert "cudaCGSynchronize" in device.ptx["backward"]


@pytest.mark.slow
def test_arrivals_on_explosive_upstrokes_one_after_the_other(device):
    start_scope()
    device.only = "forward|record|backward"
    code = "g_post += w*(1.2 - g_post)*z_pre\nz_pre *= 0.95"
    compiled(upstroke(code, 1 * ms, backend="cuda", precision="float32"), None)
    check(device, {"forward", "record", "backward"}, single=True)
