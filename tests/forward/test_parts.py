"""Forward against reverse mode for what random networks lack, on both solvers."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    ms,
)
from helpers.agreement import ROUNDING, agreement, by_part
from helpers.networks import coupled, small

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError


def three_events(solver):
    """Events of three kinds, whose code changes the states of the others."""
    objects, views, loss = small.three_events()
    return bep.EventPropModel(objects, train=views, loss=loss, duration=40 * ms, solver=solver), ()


def axonal(solver):
    """Delays of sending neurons, and several trials."""
    sizes = {"n_hidden": 5, "n_inputs": 4, "n_steps": 40, "max_delay": 6, "trials": 2}
    model, data = small.all_to_all(axonal=True, solver=solver, **sizes)
    return model, (data,)


def driven(solver):
    """A TimedArray with columns, whose values are trained; code that runs regularly."""
    rng = np.random.default_rng(4)
    drive = TimedArray(rng.uniform(0.5, 1.5, (10, 2)), dt=3 * ms)
    source = SpikeGeneratorGroup(3, [], [] * ms, name="source")
    group = NeuronGroup(
        4, "dv/dt = (drive(t, i%2) + I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1\ntau : second\nk : 1",
        threshold="v > 1 and k < 2", reset="v = 0; k += 0.3", method="euler", name="driven",
    )  # fmt: skip
    group.tau, group.v = 8 * ms, [0.1, 0.5, 0.3, 0.2]
    if solver == "event":
        group.run_regularly("v = 0.9*v + 0.05*I; k *= 0.9", dt=7 * ms)
    s = Synapses(source, group, "w : 1", on_pre="I_post += w", delay=1.5 * ms, name="s")
    s.connect()
    s.w = rng.uniform(0.2, 0.7, 12)
    model = bep.EventPropModel(
        [source, group, s], train=[s.w, s.delay, group.tau, group.v, group.k, drive],
        loss=bep.Sum(bep.Integral(group, "v*k"), bep.Value(group, "v*I", at=[7, 13] * ms)),
        duration=25 * ms, namespace={"drive": drive}, solver=solver,
    )  # fmt: skip
    n = 20
    times, trials = rng.uniform(0, 0.02, n), np.arange(n) // 10
    return model, (bep.SpikeData(times, rng.integers(0, 3, n), trials, 2, 3),)


def noisy(solver):
    """A PoissonInput, whose numbers are given, lifts neurons over the threshold."""
    group = NeuronGroup(
        3, "dv/dt = -v/tau : 1\ntau : second", threshold="v > 1", reset="v = 0.1*v",
        method="exact", name="group",
    )  # fmt: skip
    group.tau = [8, 9, 10] * ms
    noise = PoissonInput(group, "v", 5, 100 * Hz, weight="w")
    loss = bep.Sum(bep.Integral(group, "v**2"), bep.SpikeTimes(group, "t/ms"))
    model = bep.EventPropModel(
        [group, noise], train=["w", group.tau], loss=loss, duration=20 * ms, solver=solver,
        namespace={"w": 0.31},
    )  # fmt: skip
    numbers = np.random.default_rng(1).poisson(0.1, (1, 200, 3))
    return model, (None, None, {noise: numbers})


def linked(solver):
    """Linked variables, sums of sums, parameters of other groups."""
    return coupled.model_below_threshold(solver=solver), ()


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "build, solver",
    [
        slow(three_events, "clock"), slow(three_events, "event"), slow(axonal, "event"),
        slow(axonal, "clock"), (driven, "event"), slow(driven, "clock"), (noisy, "event"),
        slow(noisy, "clock"), slow(linked, "event"), slow(linked, "clock"),
    ],
)  # fmt: skip
def test_both_modes_agree(build, solver):
    model, batch = build(solver)
    found = agreement(model, *batch)
    assert found.forward != 0 and found.grazing == 0
    assert found.error < ROUNDING, by_part(model)


def test_a_delay_of_0_at_its_own_neuron_stays_where_it_is():
    group = NeuronGroup(
        1, "dv/dt = (2 - v)/(10*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact"
    )
    s = Synapses(group, group, "w : 1", on_pre="v_post += w", name="own")
    s.connect()
    s.w = -0.1
    model = bep.EventPropModel(
        [group, s], train=[s.w], loss=bep.Sum(bep.Final(group, "v")), duration=20 * ms,
        solver="event",
    )  # fmt: skip
    found = agreement(model)
    assert found.forward != 0 and found.error < ROUNDING
    with pytest.raises(UnsupportedError, match="'own': forward mode has no tangent of a delay"):
        model.jvp({s.delay: 1 * ms})


def test_a_neuron_that_its_reset_leaves_above_the_threshold_spikes_again_at_once():
    source = SpikeGeneratorGroup(1, [0], [1] * ms, name="source")
    group = NeuronGroup(
        1, "dv/dt = -v/tau : 1\ntau : second", threshold="v > 1", reset="v -= 1.1",
        method="exact", name="twice",
    )  # fmt: skip
    group.tau, group.v = 10 * ms, 0.4
    s = Synapses(source, group, "w : 1", on_pre="v_post += w", delay=2 * ms, name="s")
    s.connect()
    s.w = 2.5
    model = bep.EventPropModel(
        [source, group, s], train=[s.w, s.delay, group.tau, group.v], duration=9 * ms,
        loss=bep.Sum(bep.Final(group, "v**2"), bep.SpikeTimes(group, "(t/ms)**2")),
        solver="event",
    )  # fmt: skip
    found = agreement(model)
    assert len(model.result.spikes[group]) == 2
    assert found.forward != 0 and found.error < ROUNDING, by_part(model)


def test_precision_and_graphics_cards_are_refused():
    group = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    model = bep.EventPropModel(
        [group], train=[group.v], loss=bep.Sum(bep.Final(group, "v")), duration=5 * ms,
        precision="float32",
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="precision='float64'"):
        model.jvp({group.v: 1.0})
