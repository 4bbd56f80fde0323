"""`(summed)` and linked variables in the specification."""

import numpy as np
import pytest
from brian2 import NeuronGroup, Synapses, linked_var, ms

from brian_eventprop.reading import read_network
from brian_eventprop.reading.spec import TERM

TAU = {"tau": 10 * ms}


def group(name="G", model="dv/dt = (S - v)/tau : 1\nS : 1\nk : 1", n=4, **options):
    return NeuronGroup(n, model, method="euler", name=name, **options)


def summed(source, target, equation, name="A", **ends):
    synapses = Synapses(source, target, f"w : 1\n{equation} : 1 (summed)", name=name)
    synapses.connect(**(ends or {"condition": "True"}))
    return synapses


def test_a_summed_variable_is_a_state_that_a_coupling_computes():
    G = group()
    gap = summed(G[1:], G[:2], "S_post = w*(v_pre - v_post)*k_pre", i=[0, 2], j=[1, 0])
    spec, values = read_network([G, gap], [], TAU)
    (coupling,) = spec.couplings
    assert spec.group("G").states == ("v", "S")
    assert (coupling.source, coupling.target, coupling.receiver) == ("G", "G", "G")
    assert (coupling.side, coupling.state, coupling.span) == ("post", "S", (0, 2))
    kinds = {name: (s.kind, s.side, s.key) for name, s in coupling.symbols.items()}
    assert kinds["v_pre"] == ("state", "pre", ("G", "v"))
    assert kinds["k_pre"] == ("neuron", "pre", ("G", "k"))
    assert kinds["w"] == ("synapse", "", ("A", "w"))
    assert coupling.statements[-1].target == TERM
    np.testing.assert_array_equal(values.pre[coupling.name], [1, 3])
    np.testing.assert_array_equal(values.post[coupling.name], [1, 0])


def test_a_sum_may_be_of_the_source():
    G, H = group(), group("H", n=2)
    spec, _ = read_network([G, H, summed(G[2:], H, "S_pre = w*v_post")], [], TAU)
    (coupling,) = spec.couplings
    assert (coupling.side, coupling.receiver, coupling.span) == ("pre", "G", (2, 4))
    assert spec.group("H").states == ("v",)


def test_sums_into_a_subgroup_are_in_the_order_of_names():
    for name, late in (("A", False), ("Z", True)):
        G = group()
        spec, _ = read_network([G, summed(G, G[:2], "S_post = w*v_pre", name)], [], TAU)
        assert spec.couplings[0].late == late


def test_sums_of_sums_are_in_the_order_of_their_names():
    pool = group("pool", "S : 1", n=1)
    for names, computed in ((("a", "b"), ["S", "S"]), (("b", "a"), ["_before_S", "S", "S"])):
        G = group()
        there = summed(G, pool, "S_post = w*v_pre", names[0])
        back = summed(pool, G, "S_post = w*S_pre", names[1])
        spec, _ = read_network([G, pool, there, back], [], TAU)
        assert [c.state for c in spec.couplings] == computed
        read = next(s for s in spec.couplings[-2 + (names[0] == "a")].symbols.values() if s.side)
        assert read.variable == ("S" if names[0] == "a" else "_before_S")


@pytest.mark.parametrize("name", ["A", "Z"])
def test_a_linked_variable_is_a_state_or_a_parameter_of_another_group(name):
    G = group()
    H = group(name, "dv/dt = (x*y - v)/tau : 1\nx : 1 (linked)\ny : 1 (linked)", n=2)
    H.x, H.y = linked_var(G, "v", index=[3, 1]), linked_var(G[2:], "k")
    spec, values = read_network([H, G], [], TAU)
    (coupling,) = spec.couplings
    assert spec.group(name).states == ("v", "x")
    assert (coupling.source, coupling.receiver, coupling.late) == ("G", name, name == "Z")
    np.testing.assert_array_equal(values.pre[coupling.name], [3, 1])
    linked = spec.group(name).symbols["y"]
    assert (linked.kind, linked.key) == ("neuron", ("G", "k"))
    np.testing.assert_array_equal(values.links[name][linked.side], [2, 3])
    assert [g.name for g in spec.groups] == sorted(["G", name])


def test_a_linked_variable_needs_a_link():
    with pytest.raises(ValueError, match=r"set H.y = linked_var"):
        read_network([group("H", "v : 1\ny : 1 (linked)")], [], TAU)
