"""What is read of refractoriness: periods, conditions, `lastspike` and `not_refractory`."""

import pytest
from brian2 import NeuronGroup, ms

from brian_eventprop.reading import read_network
from brian_eventprop.reading.spec import Statement
from brian_eventprop.reading.unsupported import event_of

LIF = "dv/dt = -v/tau : 1"


def read(model=LIF, **options):
    """The specification of a group."""
    given = {"threshold": "v > 1", "reset": "v = 0", "refractory": 1 * ms} | options
    group = NeuronGroup(2, model, method="euler", name="G", **given)
    spec, values = read_network([group], [], {"tau": 10 * ms})
    return spec.groups[0], values


def test_a_condition_has_its_subexpressions_substituted():
    group, _ = read(LIF + "\nlarge = 2*v : 1", refractory="large > 0.5")
    assert (group.refractory, group.refractory_condition) == (None, "2 * v > 0.5")
    assert group.may_be_refractory


def test_a_period_is_no_condition():
    group, _ = read(refractory="2*tau")
    assert (group.refractory, group.refractory_condition) == ("2 * tau", None)
    assert not read(refractory=False)[0].may_be_refractory


def test_lastspike_is_a_state_that_a_spike_sets():
    model = "dv/dt = -v*exp(-(t - lastspike)/tau)/tau : 1"
    group, values = read(model, reset="v = (t - lastspike)/tau")
    assert group.states == ("v", "lastspike")
    assert group.reset[0] == Statement("lastspike", "t")
    assert group.reset[-1].target == "v" and "lastspike" in group.reset[-1].expression
    assert values.values["G", "lastspike"].tolist() == [-1e4, -1e4]
    assert read()[0].states == ("v",)


@pytest.mark.parametrize(
    "equation, free, held",
    [
        ("-v/tau*int(not_refractory)", "-v / tau", "0"),
        ("-v/tau*(1 + int(not not_refractory))", "-v / tau", "-v / tau * (1 + 1)"),
    ],
)
def test_equations_that_read_not_refractory_are_two(equation, free, held):
    group, _ = read(f"dv/dt = {equation} : 1")
    assert (group.derivatives, group.derivatives_refractory) == ({"v": free}, {"v": held})


def test_a_reset_finds_the_neuron_refractory():
    (statement,) = read(reset="v = 0.5*int(not_refractory)")[0].reset
    assert (statement.target, float(statement.expression)) == ("v", 0)


def test_custom_events_make_no_neuron_refractory():
    group = NeuronGroup(
        1, LIF + " (unless refractory)", events={"up": "v > 1"}, refractory=5 * ms, method="euler"
    )
    group.run_on_event("up", "v = 0")
    spec, _ = read_network([group], [], {"tau": 10 * ms})
    assert (spec.groups[0].refractory, spec.groups[0].frozen) == (None, ())
    assert spec.groups[0].threshold == "v > 1"


def test_the_event_that_counts():
    assert event_of(NeuronGroup(1, LIF, threshold="v > 1", events={"up": "v > 2"})) == "spike"
    several = NeuronGroup(1, LIF, events={"up": "v > 2", "down": "v < 0"})
    assert event_of(several) == "spike"
    several.run_on_event("down", "v = 0")
    assert event_of(several) == "down"
