"""The interpreter gives what machine code gives: the same text, run by Python."""

import subprocess
import sys

import numpy as np
import pytest
from brian2 import ms, start_scope
from helpers import backends
from helpers.networks import random as random_networks
from helpers.networks import small as small_networks

from brian_eventprop.kernels.cache import CACHE_VARIABLE
from brian_eventprop.plan.layouts import limits
from brian_eventprop.runtime.event import batched

pytestmark = pytest.mark.compiled
SLOW = pytest.mark.slow

#: Sums in another order, and functions of the C library that round otherwise.
DIGITS = 1e-12
#: The same in single precision; machine code keeps some numbers in double precision in between.
SINGLE_DIGITS = 3e-5

#: The layouts of synapses: options of `small_networks.all_to_all`, and constants of `layouts`.
LAYOUTS = {
    "per spike": ({}, {}),
    # from the inputs; the other projections have rings, and tiles of gradients
    "precomputed": ({}, {"PER_SPIKE_SYNAPSES": 0, "PRECOMPUTED_SYNAPSES": 0, "FAN_IN": 0}),
    "rows": ({"axonal": True}, {}),
}


def both(make, **options):
    """What two trials of a network give in the interpreter and compiled, with any threads."""
    found, all_trials = [], []
    for backend, threads in (("interpreter", None), ("cpu", 1), ("cpu", 3)):
        start_scope()
        # chunks of two or three trials, the last of which go from thread to thread
        model, data = make(backend=backend, threads=threads, trials=19, **options)
        assert model.backend == backend
        if threads != 3:
            found.append(given(model, first_two(data)))
        if threads:
            all_trials.append(given(model, data))
    backends.check_equal(*all_trials, readouts=0, gradients=0)
    assert sum(len(array) for key, array in found[0].items() if key[1] == "t") > 5
    return found


def first_two(data):
    """The first two trials of all inputs."""
    return {n: d[[0, 1]] for n, d in data.items()} if isinstance(data, dict) else data[[0, 1]]


def given(model, data):
    """Everything that a model gives."""
    return backends.arrays_of(model.run(data), model.gradient(), model)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_the_clock_solver(layout, precision, monkeypatch):
    options, constants = LAYOUTS[layout]
    for name, value in constants.items():
        monkeypatch.setattr(limits, name, value)
    made = both(small_networks.all_to_all, precision=precision, n_steps=40, **options)
    digits = DIGITS if precision == "float64" else SINGLE_DIGITS
    backends.check_equal(*made, readouts=digits, gradients=digits)


def of_kind(kind):
    """A random network of a kind."""

    def make(backend, n_steps=40, trials=2, **options):
        network = random_networks.build(kind, seed=4, size=0.3, trials=trials)
        duration = n_steps * ms
        model = backends.model_of(network, backend, duration, **options)
        return model, network.batch(duration)

    return make


@pytest.mark.parametrize(
    "kind, precision",
    [
        ("saturating", "float64"),
        pytest.param("saturating", "float32", marks=SLOW),
        ("adex", "float64"),
    ],
)
def test_queues_upstrokes_and_recorded_states_of_the_clock_solver(kind, precision):
    digits = DIGITS if precision == "float64" else SINGLE_DIGITS
    backends.check_equal(*both(of_kind(kind), precision=precision), digits, digits)


@SLOW  # the adjoint of this network alone takes most of a minute to compile
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_every_function_of_equations(precision):
    digits = DIGITS if precision == "float64" else SINGLE_DIGITS
    backends.check_equal(*both(small_networks.of_functions, precision=precision), digits, digits)


def test_values_of_every_function_of_equations():
    found = []
    for backend in ("interpreter", "cpu"):
        start_scope()
        model, data = small_networks.of_functions(backend=backend)
        result = model.run(data)
        found.append((np.asarray(result.spikes["cells"].t), *result.readout))
    assert len(found[0][0]) > 5
    for plain, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=DIGITS)


@pytest.mark.parametrize(
    "make",
    [
        small_networks.all_to_all,
        *(pytest.param(of_kind(kind), marks=SLOW) for kind in ("qif", "adex")),
    ],
    ids=["lif", "qif", "adex"],
)
def test_the_event_solver(make):
    """Closed flows, and Runge-Kutta (slow); where spikes amplify differences, digits are lost."""
    found, expected = both(make, solver="event", n_steps=40)
    check_close(found, expected, times=1e-13, digits=1e-10)


def test_batched_arrivals_of_the_event_solver(monkeypatch):
    monkeypatch.setattr(batched, "DENSE_ENOUGH", 0)
    found, expected = both(small_networks.all_to_all, solver="event", n_steps=40)
    check_close(found, expected, times=1e-13, digits=1e-9)


def check_close(found, expected, times, digits):
    """The same spikes within seconds, all else within a part of the largest number."""
    assert set(found) == set(expected)
    for key, array in expected.items():
        if key[1] in ("sample", "i"):
            np.testing.assert_array_equal(found[key], array)
        else:
            atol = times if key[1] == "t" else digits * np.abs(array).max(initial=0.0)
            np.testing.assert_allclose(found[key], array, rtol=0, atol=atol, err_msg=str(key))


PROGRAM = """
import types
import numpy as np
from brian2 import prefs, start_scope
from helpers.networks import small as small_networks

prefs.codegen.target = "numpy"
settings = np.geterr()
for solver in ("clock", "event"):
    start_scope()
    options = {"solver": solver, "threads": 3, "n_steps": 30, "trials": 2}
    model, data = small_networks.all_to_all(backend="interpreter", **options)
    model.run(data)
    model.gradient()
    assert len(model.functions) > 10
    assert all(isinstance(f, types.FunctionType) for f in model.functions.values())
assert np.geterr() == settings
"""


def test_nothing_is_compiled_or_changed(tmp_path):
    """Functions are plain Python, and NumPy warns elsewhere as before."""
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "", CACHE_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=200)
    assert list(tmp_path.glob("*.py")) and not list(tmp_path.glob("**/*.nbc"))


def test_functions_of_the_event_solver_have_the_names_of_objects():
    model, data = small_networks.all_to_all(
        backend="interpreter", solver="event", n_steps=30, trials=2
    )
    model.run(data)
    assert {"hidden.forward", "hidden.reset", "output.backward"} <= set(model.functions)


def test_functions_of_the_clock_solver_have_the_names_of_objects():
    model, data = small_networks.all_to_all(backend="interpreter", n_steps=30, trials=2)
    model.run(data)
    model.gradient()
    assert {"hidden.step", "hidden.step_back", "output.step", "s_rec_pre.send"} <= set(
        model.functions
    )
