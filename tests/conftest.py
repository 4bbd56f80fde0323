"""Settings for all tests: Brian2 without compilation, and a clean start for every test.

``backend='cpu'`` runs in the interpreter, but in modules and tests with the mark `compiled`, and
nowhere if pytest is given ``--compiled``.
"""

import gc
import logging
from contextlib import nullcontext

import brian2
import pytest
from helpers.interpreted import install, kernels

brian2.prefs.codegen.target = "numpy"
logging.getLogger("brian2").setLevel(logging.WARNING)  # pytest would collect every debug message
logging.getLogger("brian2.core.base.unused_brian_object").setLevel(logging.CRITICAL)


@pytest.fixture(autouse=True)
def fresh_brian2():
    """Start every test with Brian2's default time step and no magic objects of the last test."""
    brian2.start_scope()
    brian2.defaultclock.dt = 0.1 * brian2.ms


def pytest_addoption(parser):
    parser.addoption("--compiled", action="store_true", help="compile the kernels of all tests")


def pytest_configure(config):
    """Choose what runs the kernels; the examples in docstrings have no fixtures."""
    install(interpreted=not config.getoption("--compiled"))
    gc.set_threshold(50_000, 20, 20)  # as `kernels.cache` does while it compiles


@pytest.fixture(autouse=True, scope="module")
def few_objects_to_search():
    """Leave what is there by now out of Python's searches for cycles of garbage.

    Brian2 makes one in each of its runs, through the caches of SymPy and Numba as well.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def kernels_of_module(request):
    """Compile the kernels of the tests of a module with the mark `compiled`."""
    marks = {mark.name for mark in request.node.iter_markers()}
    with kernels(interpreted=False) if "compiled" in marks else nullcontext():
        yield


@pytest.fixture(autouse=True)
def kernels_of_test(request):
    """Compile the kernels of a test with the mark `compiled`, whatever its module has."""
    marks = {mark.name for mark in request.node.own_markers}
    with kernels(interpreted=False) if "compiled" in marks else nullcontext():
        yield
