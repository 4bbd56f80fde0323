"""The cases of tests/reference in the emulator of a GPU."""

import pytest
from brian2 import start_scope, us
from helpers.backends import arrays_of, check_equal
from helpers.networks import reference

#: With the reference's own time step, plain Python needs about 8 s for a case: two of the quick
#: ones for every run of the tests, the others are marked slow.
FINE_CASES = [
    name
    if name in ("lif_recurrent_delay", "lif_spike_time_loss")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in reference.NAMES
]
#: Few threads, so that they have several neurons, and not many of them are idle.
THREADS = 4


@pytest.mark.parametrize("name", reference.NAMES)
def test_the_same_as_on_the_cpu_on_a_coarser_grid(name, emulator):
    emulator(threads=THREADS)
    gave = []
    for backend in ("cuda", "cpu"):
        start_scope()
        model = reference.model_of(reference.build(name, 10 * us), backend=backend)
        gave.append(arrays_of(model.run(), model.gradient(), model))
    check_equal(*gave)


@pytest.mark.parametrize("name", FINE_CASES)
def test_gradients_and_spikes_are_those_of_the_reference(name, emulator):
    emulator(threads=THREADS)
    reference.check(*reference.run(name, 1 * us, backend="cuda"))
