"""Which synapses count as additive, and what they add."""

import pytest

from brian_eventprop.adjoint.pathways import INCREMENT
from brian_eventprop.adjoint.system import derive
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading.spec import Group, NetworkSpec, Pathway, SpikeInput, Statement, Symbol

STATES = {n: Symbol(n, "state", n, ("G", n)) for n in ("v", "I", "g")}
TAU = Symbol("tau", "shared", "tau", ("", "tau"))


def pathway_into(on_pre, derivatives, threshold="v > 1"):
    """Derive a pathway that runs `on_pre` in a group with the given equations."""
    group = Group(
        name="G", size=2, symbols=STATES | {"tau": TAU, "t": Symbol("t", "t", "t")},
        states=("v", "I", "g"), frozen=(), derivatives=derivatives, method="euler", update=(),
        update_refractory=(), threshold=threshold, reset=(Statement("v", "0"),), refractory=None,
    )  # fmt: skip
    symbols = {f"{n}_post": Symbol(f"{n}_post", "state", n, ("G", n), "post") for n in STATES}
    symbols |= {n: Symbol(n, "synapse", n, ("S", n)) for n in ("w", "a")} | {"tau": TAU}
    statements = tuple(Statement(*line.split(" = ")) for line in on_pre.split("; "))
    pathway = Pathway("S_pre", "S", "P", "G", 3, symbols, statements, ("S_pre", "delay"))
    spec = NetworkSpec((group,), (SpikeInput("P", 2),), (pathway,), (), 1e-4)
    return derive(spec, [("S", "w"), ("S_pre", "delay")]).pathways[0]


LINEAR = {"v": "(I - v)/tau", "I": "-I/tau", "g": "-g/tau"}
CONDUCTANCE = {"v": "g*(2 - v)/tau", "I": "-I/tau", "g": "-g/tau"}
EXPONENTIAL = {"v": "(exp(v/0.1) - v + I)/tau", "I": "-I/tau", "g": "-g/tau"}
SQUARED = {"v": "(g*g - v)/tau", "I": "-I/tau", "g": "-g/tau"}


@pytest.mark.parametrize(
    "on_pre, added",
    [
        ("I_post = I_post + (w)", "w"),
        ("I_post = I_post - (w*a/tau)", "-_each_0"),
        ("I_post = I_post + (0.30000000000000004)", "0.30000000000000004"),
    ],
)
def test_additive_synapses_are_told(on_pre, added):
    derived = pathway_into(on_pre, LINEAR)
    assert derived.increment.state == "I"
    assert derived.invariants.per_element[-1] == Statement(INCREMENT, added)
    assert str(derived.increment.rate["free"]) == "lam.I/tau - lam.v/tau"


def test_the_adjoint_of_an_additive_synapse_may_depend_on_other_states():
    derived = pathway_into("g_post = g_post + (w)", CONDUCTANCE)
    assert derived.increment.read == {"v"}
    assert str(derived.increment.rate["free"]) == "lam.g/tau + lam.v*(v/tau - 2/tau)"
    derived = pathway_into("I_post = I_post + (w)", EXPONENTIAL)
    assert derived.increment.read == set()


@pytest.mark.parametrize(
    "on_pre, derivatives",
    [
        ("g_post = g_post + (w*(1 - g_post))", LINEAR),  # depends on the state
        ("g_post = g_post + (w)", SQUARED),  # what its time is worth depends on what it adds to
        ("v_post = v_post + (w)", LINEAR),  # may lift its target over the threshold
        ("I_post = I_post + (w); g_post = g_post + (a)", LINEAR),  # two states
        ("I_post = I_post*w", LINEAR),
    ],
)
def test_all_others_are_delivered_one_by_one(on_pre, derivatives):
    assert pathway_into(on_pre, derivatives).increment is None


def test_an_arrival_that_cannot_lift_is_told_from_one_that_can():
    assert pathway_into("I_post = I_post + (w)", LINEAR).lift is None
    assert pathway_into("v_post = v_post + (w)", LINEAR).lift is not None
    assert pathway_into("v_post = v_post + (w)", LINEAR, threshold=None).lift is None


@pytest.mark.parametrize(
    "threshold, reason", [("v == 2 + tau", "tests for equality"), ("v", "is not a comparison")]
)
def test_a_threshold_without_a_crossing_is_refused_by_its_group(threshold, reason):
    named = f"NeuronGroup 'G': the threshold '{threshold}' {reason}"
    with pytest.raises(UnsupportedError, match=named.replace("+", r"\+")):
        pathway_into("I_post = I_post + (w)", LINEAR, threshold=threshold)
