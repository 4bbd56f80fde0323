"""Settings for all tests: Brian2 without compilation, and a clean start for every test."""

import logging

import brian2
import pytest

brian2.prefs.codegen.target = "numpy"
logging.getLogger("brian2").setLevel(logging.WARNING)  # pytest would collect every debug message
logging.getLogger("brian2.core.base.unused_brian_object").setLevel(logging.CRITICAL)


@pytest.fixture(autouse=True)
def fresh_brian2():
    """Start every test with Brian2's default time step and no magic objects of the last test."""
    brian2.start_scope()
    brian2.defaultclock.dt = 0.1 * brian2.ms
