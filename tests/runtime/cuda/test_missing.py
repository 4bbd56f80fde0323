"""What backend='cuda' says without a GPU, or without the package that compiles for it."""

import importlib

import pytest
from helpers.networks import small as small_networks

from brian_eventprop.codegen.cuda import package as cuda_package
from brian_eventprop.errors import UnsupportedError


def test_without_the_package(monkeypatch):
    def not_found(name, *arguments):
        if name in ("_numba_cuda_redirector", "numba_cuda_mlir"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return importlib.__import__(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", not_found)
    with pytest.raises(ImportError, match=r"pip install 'brian-eventprop\[cuda\]'"):
        small_networks.all_to_all(backend="cuda")


def test_without_a_device(monkeypatch):
    class Package:
        @staticmethod
        def is_available():
            return False

    monkeypatch.setitem(vars(cuda_package), "cuda", Package)
    with pytest.raises(RuntimeError, match="NVIDIA GPU.*none was found"):
        small_networks.all_to_all(backend="cuda")


def test_the_event_solver_has_no_cuda_backend():
    with pytest.raises(UnsupportedError, match="only the clock solver has kernels for GPUs"):
        small_networks.all_to_all(solver="event", backend="cuda")
