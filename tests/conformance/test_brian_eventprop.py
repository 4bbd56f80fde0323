"""Our event solver finds the numbers of the suite's files."""

import pytest

from conformance import reader
from conformance.adapters.brian_eventprop_adapter import run

NAMES = sorted(path.stem for path in reader.FOLDER.glob("*.json"))
#: One neuron, spikes that the end of a refractory period sets off, two layers.
FAST = ["lif_one_neuron", "lif_release_spikes", "lif_two_layers"]
#: One of every kind of kernels: closed solutions, Runge-Kutta, coupled neurons, plastic synapses.
COMPILED = ["lif_recurrent_delay", "conductances_with_units", "gap_junctions", "stdp"]
#: Equations without a closed solution are integrated with this relative error of a step.  Where
#: a potential explodes, gradients lose up to three digits of it; those of 9 are asked for.
TOLERANCE, FEWEST_DIGITS = 1e-13, 9


def agrees(name, backend):
    (network,) = reader.load_all([name])
    found = run(network, solver="event", backend=backend, tolerance=TOLERANCE)
    digits = reader.compare(network, **found)
    allowed = network["expected"]["digits_in_double_precision"]["gradients"]
    for path, found in digits.items():
        assert found >= min(FEWEST_DIGITS, allowed.get(path, 16) - 2), (path, digits)


@pytest.mark.parametrize("name", FAST)
def test_the_event_solver_agrees(name):
    agrees(name, "interpreter")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_event_solver_agrees_on_every_file(name):
    agrees(name, "interpreter")


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", COMPILED)
def test_the_compiled_event_solver_agrees(name):
    agrees(name, "cpu")
