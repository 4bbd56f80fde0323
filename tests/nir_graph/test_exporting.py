"""Models as graphs of NIR: what is recognised, and what is refused and why."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms
from nir_graph.networks import currents, delta, model

import brian_eventprop as bep

nir = pytest.importorskip("nir")


def small(
    equations="dv/dt = -v/(10*ms) : 1", on_pre="v_post += w", variables="w : 1", delay=None,
    solver="clock", readout="v", synapses=None, **options,
):  # fmt: skip
    """Return a model of three inputs and two neurons called cells."""
    options = {"threshold": "v > 1", "reset": "v = 0", "method": "exact"} | options
    source = SpikeGeneratorGroup(3, [0], [1] * ms, name="source")
    cells = NeuronGroup(2, equations, name="cells", **options)
    s = Synapses(source, cells, variables, on_pre=on_pre, name="s", **(synapses or {}))
    s.connect()
    s.w = 0.5
    if delay is not None:
        s.delay = delay
    return model([source, cells, s], [s.w], [bep.Integral(cells, readout)], solver=solver)


def kinds(graph):
    return {name: type(node).__name__ for name, node in graph.nodes.items()}


def test_neurons_are_recognised_by_their_equations_whatever_they_are_called():
    made, _ = delta()
    node = bep.nir.export(made).nodes["cells"]
    assert type(node).__name__ == "LIF"
    cells = next(g for g in made.objects if g.name == "cells")
    np.testing.assert_allclose(node.tau, np.asarray(cells.tau))
    np.testing.assert_allclose(node.v_leak, -0.07)
    np.testing.assert_allclose(node.v_threshold, -0.054 + 0.001 * np.arange(5))
    np.testing.assert_allclose(node.v_reset, -0.067)
    np.testing.assert_allclose(node.r * 1e-4, node.tau)


def test_a_resistance_is_part_of_the_weights():
    made, _ = currents()
    graph = bep.nir.export(made)
    assert kinds(graph)["cells"] == "NIRGraph" and kinds(graph)["out"] == "CubaLI"
    node = graph.nodes["cells"].nodes["cells"]
    assert type(node).__name__ == "CubaLIF"
    np.testing.assert_allclose([node.tau_mem, node.tau_syn], [[0.012] * 4, [0.004] * 4])
    # a spike moves dv/dt by R*w/tau_m, in NIR by r/tau_mem * w_in*dt/tau_syn * W
    weights = sum(
        n.weight for k, n in graph.nodes.items() if k.startswith("a") and "delay" not in k
    )
    jump = weights[2, 1] * (node.r / node.tau_mem * node.w_in * 1e-4 / node.tau_syn)[0]
    w = next(s for s in made.objects if s.name == "a").w[1, 2]
    assert jump == pytest.approx(0.01 * w / 0.012)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        ("0*ms", {"s": "Linear"}),
        ("2*ms", {"s": "Linear", "s_delay": "Delay"}),
        ("i*ms", {"s": "Linear", "s_delay": "Delay"}),
        ("j*ms", {"s": "Linear", "s_later": "Delay"}),
    ],
)
def test_delays_of_one_end_are_one_node(delay, expected):
    graph = bep.nir.export(small(delay=delay), delays="refuse")
    found = {name: kind for name, kind in kinds(graph).items() if kind in ("Linear", "Delay")}
    assert found == expected
    if delay == "i*ms":
        np.testing.assert_allclose(graph.nodes["s_delay"].delay, [0, 0.001, 0.002])
        assert ("source", "s_delay") in graph.edges and ("s_delay", "s") in graph.edges
    if delay == "j*ms":
        np.testing.assert_allclose(graph.nodes["s_later"].delay, [0, 0.001])
        assert ("s", "s_later") in graph.edges and ("s_later", "cells") in graph.edges


def test_delays_of_synapses_are_one_node_for_each_step():
    made = small(delay="((i + 2*j) % 3)*1.04*ms")
    graph = bep.nir.export(made)
    delays = [n.delay[0] for n in graph.nodes.values() if type(n).__name__ == "Delay"]
    assert sorted(np.round(delays, 7)) == [0.001, 0.0021]  # rounded to steps, as in Brian2
    weights = [n.weight for n in graph.nodes.values() if type(n).__name__ == "Linear"]
    assert len(weights) == 3
    np.testing.assert_array_equal(sum(weights), np.full((2, 3), 0.5))
    with pytest.raises(bep.UnsupportedError, match="Synapses 's': 's.delay .3 values.'.*refuse"):
        bep.nir.export(made, delays="refuse")


def test_exact_delays_must_be_on_the_grid():
    made = small(delay="((i + 2*j) % 3)*1.04*ms", solver="event")
    with pytest.raises(bep.UnsupportedError, match="no whole numbers of dt=0.001 s.*quantize"):
        bep.nir.export(made, dt=1 * ms)
    made = small(delay="((i + 2*j) % 3)*2*ms", solver="event")
    assert len(bep.nir.export(made, dt=1 * ms).nodes) == 8


def test_several_synapses_between_two_neurons_add_up():
    made = small()
    source, cells, s = (
        next(o for o in made.objects if o.name == n) for n in ("source", "cells", "s")
    )
    twice = Synapses(source, cells[1:], "w : 1", on_pre="v_post += 2*w", name="twice")
    twice.connect(i=[0, 0, 2], j=[0, 0, 0])
    twice.w = [1, 10, 100]
    made = model([source, cells, s, twice], [s.w], [bep.Integral(cells, "v")])
    expected = [[0, 0, 0], [22, 0, 200]]
    np.testing.assert_array_equal(bep.nir.export(made).nodes["twice"].weight, expected)


def test_notes_say_what_nir_cannot():
    made, _ = delta()
    notes = bep.nir.export(made).metadata["notes"]
    assert "dt = 0.0001 s" in notes and "potentials of 'cells' are in volt" in notes
    assert "NIR does not say where neurons start: those of 'cells'" in notes
    made = small(delay="i*1.3*ms")
    assert "Delays of 's' are no whole numbers" in bep.nir.export(made, dt=1 * ms).metadata["notes"]
    assert "Delays" not in bep.nir.export(made).metadata["notes"]


def test_inputs_without_synapses_are_left_out():
    made = small()
    cells = next(o for o in made.objects if o.name == "cells")
    lonely = SpikeGeneratorGroup(1, [], [] * ms, name="lonely")
    made = model([*made.objects, lonely], [("s", "w")], [bep.Integral(cells, "v")])
    assert "'lonely' is left out" in bep.nir.export(made).metadata["notes"]


REFUSED = {
    "subtractive reset": ({"reset": "v -= 1"}, "'v -= 1'.*reset by subtraction"),
    "refractory": ({"refractory": 2 * ms}, "refractory=.*never refractory"),
    "no leak": ({"equations": "dv/dt = 0.1*(1 - v)*v/ms : 1", "method": "euler"}, "not linear"),
    "growing": ({"equations": "dv/dt = v/(10*ms) : 1"}, "does not decay"),
    "time": ({"equations": "dv/dt = (sin(t/ms) - v)/(9*ms) : 1", "method": "euler"}, "the time"),
    "three": (
        {"equations": "dv/dt = (a + b - v)/ms : 1\nda/dt = -a/ms : 1\ndb/dt = -b/ms : 1"},
        "3 state variables, v, a, b",
    ),
    "adaptation": (
        {"equations": "dv/dt = (a - v)/ms : 1\nda/dt = (v - a)/ms : 1", "method": "euler"},
        "each reads the other",
    ),
    "a counter": ({"equations": "dv/dt = -v/ms : 1\nn : 1", "reset": "v = 0; n += 1"}, "'n'.*no d"),
    "two resets": (
        {"equations": "dv/dt = (a - v)/ms : 1\nda/dt = -a/ms : 1", "reset": "v = 0; a = 0"},
        "it changes 'a', too",
    ),
    "threshold from above": ({"threshold": "v < 1", "reset": "v = 2"}, "no.* lower limit"),
    "not strict": ({"threshold": "v >= 1"}, "not one comparison by '>'"),
    "conductance": ({"on_pre": "v_post += w*(1 - v_post)"}, "no constant.*state variable 'v'"),
    "wrong target": (
        {"equations": "dv/dt = (a - v)/ms : 1\nda/dt = -a/ms : 1"},
        "must add to 'a', the synaptic current of 'cells'",
    ),
    "plasticity": ({"on_pre": "v_post += w; w += 0.1"}, "weights that stay as they are"),
    "on_post": ({"synapses": {"on_post": "v_post += w"}}, "post-synaptic neuron spikes"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_all_else_is_refused_by_name(options, message):
    made = small(**options)
    with pytest.raises(
        bep.UnsupportedError, match=rf"(NeuronGroup 'cells'|Synapses 's'): .*{message}"
    ):
        bep.nir.export(made)


def test_everything_that_is_refused_is_said_at_once():
    made = small(reset="v -= 1", refractory=1 * ms)
    with pytest.raises(bep.UnsupportedError) as refused:
        bep.nir.export(made)
    assert len(refused.value.refusals) == 2


def test_timed_arrays_and_lonely_groups_are_refused():
    stimulus = TimedArray([1.0, 2.0], dt=5 * ms)
    made = small(
        "dv/dt = (stimulus(t) - v)/ms : 1", namespace={"stimulus": stimulus}, method="euler"
    )
    with pytest.raises(bep.UnsupportedError, match="'cells'.*TimedArray"):
        bep.nir.export(made)
    made = small()
    group = NeuronGroup(1, "dv/dt = -v/ms : 1", method="exact", name="group")
    cells = next(o for o in made.objects if o.name == "cells")
    made = model(
        [*made.objects, group], [("s", "w")], [bep.Integral(cells, "v"), bep.Final(group, "v")]
    )
    with pytest.raises(bep.UnsupportedError, match="'group'.*no input and no other group"):
        bep.nir.export(made)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="'per_step' or 'refuse'"):
        bep.nir.export(small(), delays="merge")
    with pytest.raises(ValueError, match="dt must be a time above 0"):
        bep.nir.export(small(), dt=0 * ms)


def test_the_values_are_those_of_now():
    """Trained ones that were changed, and weights that are expressions of others."""
    made = small()
    made.parameters["s.w"] = [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(bep.nir.export(made).nodes["s"].weight, [[1, 3, 5], [2, 4, 6]])
    cells, s = (next(o for o in made.objects if o.name == n) for n in ("cells", "s"))
    shared = bep.Expression(s.w, "k[i]*k[i]", k=[1.0, 2.0, 3.0])
    made = model(made.objects, [shared], [bep.Integral(cells, "v")])
    made.parameters["k"] = [2, 3, 4]
    np.testing.assert_array_equal(bep.nir.export(made).nodes["s"].weight, [[4, 9, 16]] * 2)
