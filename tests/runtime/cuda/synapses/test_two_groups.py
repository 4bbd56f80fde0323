"""Arrivals that touch two groups at once, in the emulator of a GPU: what the CPU gives."""

import pytest
from brian2 import NeuronGroup, Synapses, defaultclock, ms, start_scope
from helpers.backends import arrays_of, check_equal
from helpers.networks.touching import KINDS, touching, trials

import brian_eventprop as bep
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
    in_turn = {p.in_turn for p in model._solver.module.pathways if p.apart}
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
    assert model._solver.device.largest_cluster > 1


def upstroke(on_pre, refractory, **options):
    """AdEx neurons whose synapses have a source with a state; spikes arrive in every time step."""
    start_scope()
    defaultclock.dt = 0.1 * ms
    source = NeuronGroup(
        12, "dv/dt = 1/(1.15*ms) : 1\ndz/dt = -z/(20*ms) : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="source",
    )  # fmt: skip
    source.v, source.z = "i/12.0", 1
    group = NeuronGroup(
        2,
        "dv/dt = (0.1*exp((v - 1)/0.1) - v + g*(3 - v))/(8*ms) : 1\ndg/dt = -g/(5*ms) : 1",
        threshold="v > 2", reset="v = 0", method="euler", name="group",
        refractory=refractory,
    )  # fmt: skip
    s = Synapses(source, group, "w : 1", on_pre=on_pre, name="s")
    s.connect()
    s.w, s.delay = "0.1 + 0.02*j + 0.005*i", 0.3 * ms
    other = Synapses(source, group, "w : 1", on_pre="g_post += w*(1.5 - g_post)", name="other")
    other.connect()
    other.w, other.delay = 0.02, 0.3 * ms
    loss = bep.Sum(bep.SpikeTimes(group, "t/(10*ms)"))
    return bep.EventPropModel(
        [source, group, s, other],
        train=[s.w, source.z, s.delay, other.w, other.delay],
        loss=loss,
        duration=14 * ms,
        **options,
    )


#: The arrivals read the state of the target.
CODE = "g_post += w*(1.2 - g_post)*z_pre"


@pytest.mark.parametrize("more", ["", "\nz_pre *= 0.95"])
@pytest.mark.parametrize("refractory", [False, 1 * ms])
def test_explosive_upstrokes(more, refractory, emulator):
    """States on the true flow are found again, whoever delivers the arrivals."""
    found = []
    for backend in ("interpreter", "cuda"):
        emulator(threads=2)
        model = upstroke(CODE + more, refractory, backend=backend)
        found.append(arrays_of(model.run(), model.gradient(), model))
    check_equal(found[1], found[0])
    assert len(found[0]["group", "i"]) > 2
    assert [p.in_turn for p in model._solver.module.pathways if p.apart] == [bool(more)]
