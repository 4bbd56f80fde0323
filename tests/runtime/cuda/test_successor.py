"""The CUDA kernels compile with numba-cuda-mlir, too, where it is installed."""

import importlib
import importlib.util

import pytest
from helpers.cuda.compile import BETWEEN, UPDATES, SuccessorDevice, compiled
from helpers.networks import small as small_networks

from brian_eventprop.codegen.cuda import package as cuda_package
from brian_eventprop.runtime.cuda import solver as clock_cuda

if importlib.util.find_spec("numba_cuda_mlir") is None:
    pytest.skip("numba-cuda-mlir is not installed", allow_module_level=True)


@pytest.fixture
def device(monkeypatch):
    """A device that compiles instead of running."""
    device = SuccessorDevice()
    monkeypatch.setattr(clock_cuda, "CudaDevice", lambda: device)
    for name in ("cuda", "types"):
        module = importlib.import_module(f"numba_cuda_mlir.{name}")
        monkeypatch.setitem(vars(cuda_package), name, module)
    return device


def test_precomputed_inputs(device):
    sizes = {"n_inputs": 130, "n_hidden": 256}
    compiled(*small_networks.all_to_all(backend="cuda", precision="float32", **sizes))
    assert {"drive_dense", "d_time_dense", "collect_dense"} < set(device.ptx)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_all_kernels(precision, device):
    for build in (small_networks.all_to_all, small_networks.of_functions):
        device.ptx.clear()
        model, spikes = build(backend="cuda", precision=precision)
        compiled(model, spikes)
        assert {"forward", "backward", *UPDATES} < set(device.ptx)
        if precision == "float32" and build is small_networks.all_to_all:
            texts = (text for name, text in device.ptx.items() if not BETWEEN.match(name))
            lines = "\n".join(texts).splitlines()
            assert not [x for x in lines if ".f64" in x and not x.lstrip().startswith(".")]
