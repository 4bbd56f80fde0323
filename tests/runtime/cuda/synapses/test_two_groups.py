"""Arrivals that touch two groups at once, in the emulator of a GPU: what the CPU gives."""

import pytest
from brian2 import ms, start_scope
from helpers.backends import arrays_of, check_equal
from helpers.networks.touching import KINDS, touching, trials, upstroke

from brian_eventprop.runtime.cuda import solver as clock_cuda
from brian_eventprop.runtime.cuda import workspace

#: Kinds whose arrivals one thread delivers for all neurons, and those that each one delivers.
IN_TURN = {"writes the source", "writes both", "reads what it writes elsewhere", "all at once"}
ALONE = {"lifts its target", "state of the target, too", "clock-driven"}


def run(backend, *arguments, **options):
    start_scope()
    model = touching(*arguments, backend=backend, **options)
    return arrays_of(model.run(trials()), model.gradient(), model), model


@pytest.fixture
def both(emulator):
    """Compare the backends; return the model on the device."""

    def compare(*arguments, **options):
        expected, _ = run("interpreter", *arguments)
        emulator(**{"threads": 2, **options})
        found, model = run("cuda", *arguments)
        check_equal(found, expected)
        assert len(found["group", "i"]) > 8
        return model

    return compare


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_as_on_the_cpu(kind, both):
    model = both(kind, True)
    in_turn = {p.in_turn for p in model.runtime.module.pathways if p.apart}
    assert True not in in_turn if kind in ALONE else True in in_turn or kind not in IN_TURN


@pytest.mark.parametrize("kind", ["writes both", "lifts its target", "clock-driven"])
def test_maxima_that_arrivals_make(kind, both):
    both(kind, True, "maximum")


@pytest.mark.parametrize("kind", ["all at once", "lifts its target"])
def test_trials_in_waves(kind, both, monkeypatch):
    monkeypatch.setattr(workspace, "BLOCKS_MEMORY", 1)
    both(kind)


@pytest.mark.parametrize("kind", ["all at once", "lifts its target", "a spike of the target"])
def test_blocks_that_run_a_trial_together(kind, both, monkeypatch):
    monkeypatch.setattr(clock_cuda, "BARRIER_COST", 0)
    model = both(kind, threads=1, cores=12)
    assert model.runtime.device.largest_cluster > 1


#: The arrivals read the state of the target.
CODE = "g_post += w*(1.2 - g_post)*z_pre"


@pytest.mark.parametrize("more", ["", "\nz_pre *= 0.95"])
@pytest.mark.parametrize("refractory", [False, 1 * ms])
def test_explosive_upstrokes(more, refractory, emulator):
    """States on the true flow are found again, whoever delivers the arrivals."""
    found = []
    for backend in ("interpreter", "cuda"):
        emulator(threads=2)
        start_scope()
        model = upstroke(CODE + more, refractory, backend=backend)
        found.append(arrays_of(model.run(), model.gradient(), model))
    check_equal(found[1], found[0])
    assert len(found[0]["group", "i"]) > 2
    assert [p.in_turn for p in model.runtime.module.pathways if p.apart] == [bool(more)]
