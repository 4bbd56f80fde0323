"""Forward against reverse mode on the time grid: the jumps of docs/gradient.md, step by step."""

import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from helpers.agreement import ROUNDING, agreement, by_part, redraw
from helpers.derivatives import Weighted
from helpers.networks import coupled, reference, synapses
from helpers.networks.combined import DURATION, combine, every_pair

import brian_eventprop as bep
from brian_eventprop.codegen.clock import upstrokes
from brian_eventprop.errors import UnsupportedError

#: These run by default; `-m slow` runs all.
FAST = {("refractory", "delta")}

RULES = list(synapses.RULES)

#: Their potentials explode, which has rules of its own on the grid: the true flow there has an
#: error that falls with the fourth power of its steps (see below), and is this with `fine` ones.
EXPLOSIVE, OF_STEPS = ("quadratic", "adex", "izhikevich"), 1e-6

#: So often each network is drawn anew in the thorough proof.
DRAWS = 18

CASES = [case for case in every_pair() if case[0] not in EXPLOSIVE]


@pytest.fixture
def fine(monkeypatch):
    """Short steps along the true flow of an upstroke."""
    monkeypatch.setattr(upstrokes, "STEP", 0.02)


def combined(case):
    """A model of a random network; the derivatives of its readouts are random, too."""
    net = combine(*case, seed=1)
    explosive = case[0] in EXPLOSIVE
    readouts = [r for r in net.readouts if not (explosive and isinstance(r, bep.Maximum))]
    return bep.EventPropModel(
        net.objects, train=net.train, loss=Weighted(1), readouts=readouts, duration=DURATION,
        solver="clock",
    )  # fmt: skip


def assert_agreement(model, *batch, seed=0, tolerance=ROUNDING):
    found = agreement(model, *batch, seed=seed)
    assert sum(len(model.result.spikes[g]) for g in model.result.spikes) >= 1
    assert found.forward != 0
    assert found.error < tolerance, by_part(model, seed)


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
@pytest.mark.usefixtures("fine")
@pytest.mark.parametrize("case", [c for c in every_pair() if c[0] in EXPLOSIVE], ids="-".join)
def test_explosive_network(case):
    model = combined(case)
    model.run()
    if model.gradient().grazing:
        pytest.skip("steps of this network go wrong, as its gradient says")
    assert_agreement(model, seed=1, tolerance=OF_STEPS)


def exploding(kind=bep.Integral):
    """A quadratic neuron with a high threshold: two spikes, arrivals during the upstrokes."""
    source = SpikeGeneratorGroup(2, [0, 1], [1, 3.9] * ms, name="source")
    cell = NeuronGroup(
        2, "dv/dt = (v*(v - 1) + I)/tau : 1\ndI/dt = -I/(5*ms) : 1\ntau : second\ntheta : 1",
        threshold="v > theta", reset="v = -0.4", method="euler", name="cell",
    )  # fmt: skip
    cell.v, cell.I, cell.tau, cell.theta = [0.6, 0.9], [1.0, 1.2], [3, 4] * ms, [20, 12]
    s = Synapses(source, cell, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w, s.delay = [1.0, 0.7, 0.5, 0.8], [0.3, 0.6, 0.2, 0.9] * ms
    readouts = bep.SpikeTimes(cell, "t/ms"), bep.Integral(cell, "I*exp(-v**2)/ms")
    readouts = readouts if kind is bep.Integral else (bep.Maximum(cell, "v"),)
    return bep.EventPropModel(
        [source, cell, s], train=[s.w, s.delay, cell.tau, cell.theta, cell.v],
        loss=bep.Sum(*readouts), duration=6 * ms,
    )  # fmt: skip


def test_upstrokes_follow_the_true_flow(monkeypatch):
    """What the modes are apart by is the error of the adjoint's Runge-Kutta steps, of order 4."""
    errors = []
    for step in (0.08, 0.02):
        monkeypatch.setattr(upstrokes, "STEP", step)
        model = exploding()
        found = agreement(model, seed=1)
        assert len(model.result.spikes["cell"]) > 1 and found.grazing == 0
        errors.append(found.error)
    assert errors[1] < 1e-8 and errors[1] < errors[0] / 4**3


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_other_numbers(case):
    model = combined(case)
    for seed in range(DRAWS):
        assert_agreement(model, redraw(model, seed, channels=4), seed=seed)


@pytest.mark.parametrize(
    "rule",
    [pytest.param(r, marks=[pytest.mark.slow] * (r != "depression")) for r in RULES],
)
def test_synapses_with_states(rule):
    model, *_ = synapses.plastic(rule, True, solver="clock")
    assert_agreement(model)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(k, marks=[pytest.mark.slow] * (k != "soft reset"))
        for k in coupled.KINDS
        if k != "QIF"  # explosive
    ],
)
def test_coupled_neurons(kind):
    """A jump moves the sums that read it: by the part of a step that it comes later."""
    case = reference.build_case(
        coupled.case(kind, 1) | {"expected": {"grads": {}, "loss": 0.0, "spikes": {}}}, kind,
        coupled.KINDS[kind].get("method", "rk4"),
    )  # fmt: skip
    assert_agreement(reference.model_of(case, solver="clock"))


def test_linked_states_of_this_step_are_refused():
    model = coupled.model_below_threshold("z_followers", solver="clock")
    with pytest.raises(UnsupportedError, match="'z_followers': .* not computed at the beginning"):
        model.jvp({})


def test_coupled_upstrokes_are_refused():
    kind = "QIF"
    case = reference.build_case(
        coupled.case(kind, 1) | {"expected": {"grads": {}, "loss": 0.0, "spikes": {}}}, kind, "rk4"
    )
    model = reference.model_of(case, solver="clock")
    model.run()
    with pytest.raises(UnsupportedError, match="'hid': .* explosive upstrokes of coupled neurons"):
        model.jvp({})


def test_what_is_not_covered_is_refused():
    group = NeuronGroup(1, "dv/dt = clip(1 - v, 0, 1)/(9*ms) : 1", method="euler", name="cut")
    model = bep.EventPropModel(
        [group], train=[group.v], loss=bep.Sum(bep.Final(group, "v")), duration=5 * ms
    )
    with pytest.raises(UnsupportedError, match=r"'cut': forward mode does not have 'clip\("):
        model.jvp({group.v: 1.0})


def test_the_maximum_of_an_upstroke_is_refused():
    model = exploding(bep.Maximum)
    model.run()
    with pytest.raises(UnsupportedError, match="'cell': .* the Maximum of .v. of neurons with exp"):
        model.jvp({})
