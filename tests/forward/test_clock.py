"""Forward against reverse mode on the time grid: the jumps of docs/gradient.md, step by step."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms
from helpers.agreement import ROUNDING, agreement, by_part, redraw
from helpers.derivatives import Weighted
from helpers.networks import synapses
from helpers.networks.combined import DURATION, combine, every_pair

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

#: These run by default; `-m slow` runs all.
FAST = {("lif", "delta"), ("refractory", "conductance"), ("adaptive", "saturating")}

#: Their potentials explode, which has rules of its own on the grid.
EXPLOSIVE = ("quadratic", "adex", "izhikevich")

#: So often each network is drawn anew in the thorough proof.
DRAWS = 18

CASES = [case for case in every_pair() if case[0] not in EXPLOSIVE]


def combined(case):
    """A model of a random network; the derivatives of its readouts are random, too."""
    net = combine(*case, seed=1)
    readouts = [r for r in net.readouts if not isinstance(r, bep.Maximum)]
    return bep.EventPropModel(
        net.objects, train=net.train, loss=Weighted(1), readouts=readouts, duration=DURATION,
        solver="clock",
    )  # fmt: skip


def assert_agreement(model, *batch, seed=0):
    found = agreement(model, *batch, seed=seed)
    assert sum(len(model.result.spikes[g]) for g in model.result.spikes) >= 1
    assert found.forward != 0
    assert found.error < ROUNDING, by_part(model, seed)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, id="-".join(c), marks=[] if c[:2] in FAST else pytest.mark.slow)
        for c in CASES
    ],
)
def test_random_network(case):
    assert_agreement(combined(case), seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_other_numbers(case):
    model = combined(case)
    for seed in range(DRAWS):
        assert_agreement(model, redraw(model, seed, channels=4), seed=seed)


@pytest.mark.parametrize(
    "rule", [pytest.param(r, marks=[pytest.mark.slow] * (r != "triplet")) for r in synapses.RULES]
)
def test_synapses_with_states(rule):
    model, *_ = synapses.plastic(rule, True, solver="clock")
    assert_agreement(model)


def driven(equations="dv/dt = (drive(t) + I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1", **options):
    """Neurons with a TimedArray, a trained time constant, several trials and shared delays."""
    rng = np.random.default_rng(4)
    drive = TimedArray(rng.uniform(0.5, 1.5, 10), dt=3 * ms)
    source = SpikeGeneratorGroup(3, [], [] * ms, name="source")
    group = NeuronGroup(
        3, equations + "\ntau : second (shared)\nk : 1", threshold="v > 1 and k < 2",
        reset="v = 0; k += 0.3", method="euler", name="driven", **options,
    )  # fmt: skip
    group.tau, group.v = 8 * ms, [0.1, 0.5, 0.3]
    s = Synapses(source, group, "w : 1", on_pre="I_post += w", delay=1.5 * ms, name="s_driven")
    s.connect()
    s.w = rng.uniform(0.2, 0.7, 9)
    model = bep.EventPropModel(
        [source, group, s], train=[s.w, s.delay, group.tau, group.v, group.k, drive],
        loss=bep.Sum(bep.Integral(group, "v*k"), bep.Value(group, "v*I", at=[7, 13] * ms)),
        duration=25 * ms, namespace={"drive": drive},
    )  # fmt: skip
    n = 30
    data = bep.SpikeData(rng.uniform(0, 0.02, n), rng.integers(0, 3, n), np.arange(n) // 10, 3, 3)
    return model, data


def test_timed_arrays_and_batches():
    assert_agreement(*driven())


def test_what_is_not_covered_is_refused():
    model, data = driven("dv/dt = (drive(t) + clip(I, 0, 1) - v)/tau : 1\ndI/dt = -I/(5*ms) : 1")
    model.run(data)
    with pytest.raises(UnsupportedError, match=r"'driven': forward mode does not have 'clip\("):
        model.jvp({"s_driven.w": 1.0})
    net = combine("quadratic", "exponential", "recurrent", "integrals", seed=1)
    model = bep.EventPropModel(
        net.objects, train=net.train, loss=Weighted(1), readouts=net.readouts, duration=DURATION
    )
    model.run()
    with pytest.raises(UnsupportedError, match="explosive upstrokes on the time grid"):
        model.jvp({"a.v": 1.0})
    net = combine("lif", "delta", "recurrent", "values", seed=1)
    model = bep.EventPropModel(
        net.objects, train=net.train, loss=Weighted(1), readouts=net.readouts, duration=DURATION
    )
    with pytest.raises(UnsupportedError, match="the Maximum of 'v' with solver='clock'"):
        model.jvp({"a.v": 1.0})
