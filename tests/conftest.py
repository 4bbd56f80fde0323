"""Settings for all tests: Brian2 without compilation, and a clean start for every test.

In modules with the mark `interpreted`, and in all others but those with the mark `compiled` if
pytest is given ``--interpreted``, ``backend='cpu'`` runs in the interpreter, too.
"""

import logging
from contextlib import nullcontext

import brian2
import pytest
from helpers.interpreted import kernels

brian2.prefs.codegen.target = "numpy"
logging.getLogger("brian2").setLevel(logging.WARNING)  # pytest would collect every debug message
logging.getLogger("brian2.core.base.unused_brian_object").setLevel(logging.CRITICAL)


@pytest.fixture(autouse=True)
def fresh_brian2():
    """Start every test with Brian2's default time step and no magic objects of the last test."""
    brian2.start_scope()
    brian2.defaultclock.dt = 0.1 * brian2.ms


def pytest_addoption(parser):
    parser.addoption("--interpreted", action="store_true", help="compile no kernels for the CPU")


@pytest.fixture(autouse=True, scope="module")
def kernels_of_module(request):
    """Run the kernels of a module's tests in the interpreter, or compile them."""
    marks = {mark.name for mark in request.node.iter_markers()}
    every = request.config.getoption("--interpreted") and "compiled" not in marks
    with kernels(interpreted=every or "interpreted" in marks):
        yield


@pytest.fixture(autouse=True)
def kernels_of_test(request):
    """Compile the kernels of a test with the mark `compiled`, whatever its module has."""
    with kernels(interpreted=False) if "compiled" in own_marks(request.node) else nullcontext():
        yield


def own_marks(item) -> set[str]:
    """Return the names of the marks that a test has itself."""
    return {mark.name for mark in item.own_markers}
