"""Graphs of others as Brian2 objects."""

import doctest
import sys

import numpy as np
import pytest
from brian2 import SpikeGeneratorGroup, ms, mV, volt
from nir_graph.networks import model

import brian_eventprop as bep
from brian_eventprop.nir import exporting, importing

nir = pytest.importorskip("nir")

DT = 1e-4
WEIGHT = np.array([[1.0, 0.0, 3.0], [4.0, 5.0, 0.0]])


def lif(n=2, r=None, **options):
    one = np.ones(n)
    values = {"tau": 0.02, "r": 200 if r is None else r, "v_leak": 0, "v_threshold": 5} | options
    return nir.LIF(**{name: value * one for name, value in values.items()})


def graph(*middle, neurons=None, sizes=(3, 2), **options):
    """Return a graph with some nodes in a row between its input and its neurons."""
    ends = [nir.Input({"input": np.array([n])}) for n in sizes[:1]]
    last = nir.Output({"output": np.array([sizes[1]])})
    nodes = [*ends, *middle, lif() if neurons is None else neurons, last]
    names = ["input", *(f"m{k}" for k in range(len(middle))), "neurons", "output"]
    edges = list(zip(names[:-1], names[1:], strict=True))
    return nir.NIRGraph(dict(zip(names, nodes, strict=True)), edges, **options)


def dense(synapses, name="w"):
    found = np.zeros((len(synapses.target), len(synapses.source)))
    found[synapses.j[:], synapses.i[:]] = np.asarray(getattr(synapses, name))
    return found


def test_weights_delays_and_scales_in_a_row():
    row = (
        nir.Delay(np.array([0, 1e-3, 2e-3])), nir.Scale(np.array([1.0, 2.0, 3.0])),
        nir.Linear(WEIGHT), nir.Scale(np.array([1.0, 10.0])), nir.Delay(np.array([0, 5e-3])),
    )  # fmt: skip
    network = bep.nir.read(graph(*row), dt=0.1 * ms)
    (synapses,) = network.synapses.values()
    np.testing.assert_allclose(dense(synapses), [[1, 0, 9], [40, 100, 0]])
    np.testing.assert_allclose(dense(synapses, "delay"), [[0, 0, 2e-3], [5e-3, 6e-3, 0]])
    assert network.outputs == [network["neurons"]]


def test_weights_of_zero_can_be_synapses():
    found = bep.nir.read(graph(nir.Linear(WEIGHT)), dt=0.1 * ms, zeros=True)
    assert (
        len(found["m0"]) == 6
        and len(bep.nir.read(graph(nir.Linear(WEIGHT)), dt=0.1 * ms)["m0"]) == 4
    )


def test_the_duration_of_a_spike_scales_weights():
    made = graph(nir.Linear(WEIGHT), neurons=lif(r=[20.0, 40.0]))
    for dt in (0.1 * ms, 1 * ms):
        expected = WEIGHT * np.array([[20.0], [40.0]]) / 0.02 * float(dt)
        np.testing.assert_allclose(dense(bep.nir.read(made, dt=dt)["m0"]), expected)
    with pytest.raises(ValueError, match="for how long a spike is an input of 1"):
        bep.nir.read(made)
    noted = graph(nir.Linear(WEIGHT), metadata={"dt": 2e-3})
    np.testing.assert_allclose(dense(bep.nir.read(noted)["m0"]), WEIGHT * 20)


def test_potentials_have_the_unit_that_is_given():
    network = bep.nir.read(graph(nir.Linear(WEIGHT)), dt=0.1 * ms, unit=mV)
    assert network["neurons"].v_threshold == 5 * mV
    np.testing.assert_allclose(dense(network["m0"]), 1e-3 * WEIGHT)
    assert network["m0"].w.dim == volt.dim


def test_synapses_of_one_neuron_each_without_weights():
    network = bep.nir.read(graph(nir.Scale(np.array([3.0, 4.0])), sizes=(2, 2)), dt=0.1 * ms)
    np.testing.assert_allclose(dense(network["input_to_neurons"]), [[3, 0], [0, 4]])


def test_numbers_for_all_neurons_take_the_size_of_the_weights():
    """snnTorch writes one time constant for a layer."""
    scalar = {"tau": 0.02, "r": 200.0, "v_leak": 0.0, "v_threshold": 5.0}
    node = nir.LIF(**{name: np.array(value) for name, value in scalar.items()})
    nodes = {"input": nir.Input({"input": np.array([3])}), "w": nir.Linear(WEIGHT), "n": node}
    edges = [("input", "w"), ("w", "n")]
    made = nir.NIRGraph({**nodes}, edges, type_check=False)
    assert len(bep.nir.read(made, dt=0.1 * ms)["n"]) == 2


def test_inputs_with_an_axis_for_trials():
    """Norse and Rockpool write the shape of a whole batch."""
    nodes = {
        "input": nir.Input({"input": np.array([1, 10, 3])}),
        "w": nir.Linear(WEIGHT),
        "n": lif(),
    }
    made = nir.NIRGraph(nodes, [("input", "w"), ("w", "n")], type_check=False)
    assert len(bep.nir.read(made, dt=0.1 * ms)["input"]) == 3
    nodes["w"] = nir.Scale(np.ones(2))
    made = nir.NIRGraph(nodes, [("input", "w"), ("w", "n")], type_check=False)
    with pytest.raises(bep.UnsupportedError, match="'input': 'Input'.*no known number of neurons"):
        bep.nir.read(made, dt=0.1 * ms)


def test_subgraphs_and_numbers_as_names():
    inner = nir.NIRGraph(
        {
            "in": nir.Input({"input": np.array([2])}), "lif": lif(),
            "w_rec": nir.Linear(np.array([[0.0, 1.0], [2.0, 0.0]])),
            "out": nir.Output({"output": np.array([2])}),
        },
        [("in", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "out")],
    )  # fmt: skip
    nodes = {
        "input": nir.Input({"input": np.array([3])}), "0": nir.Linear(WEIGHT), "1": inner,
        "2": nir.Linear(np.ones((1, 2))), "3": nir.LI(*np.array([[0.03], [3.0], [0.5]])),
        "output": nir.Output({"output": np.array([1])}),
    }  # fmt: skip
    names = list(nodes)
    network = bep.nir.read(
        nir.NIRGraph(nodes, list(zip(names[:-1], names[1:], strict=True))), dt=0.1 * ms
    )
    assert set(network.groups) == {"lif", "3"} and set(network.synapses) == {"0", "w_rec", "2"}
    np.testing.assert_allclose(dense(network["w_rec"]), [[0, 1], [2, 0]])
    assert network["w_rec"].source is network["w_rec"].target is network["lif"]
    assert network.outputs == [network["3"]]
    made = model(network.objects, [network["0"].w], [bep.Integral(network["3"], "v")])
    made.run(bep.SpikeData([0.001, 0.002], [0, 2], [0, 0], 1, 3))
    assert np.all(np.isfinite(made.gradient(of=[np.ones((1, 1))])[network["0"].w]))


REFUSED = {
    "bias": (graph, [lambda: nir.Affine(WEIGHT, np.ones(2))], "'m0': 'Affine'.*a bias"),
    "twice": (
        graph,
        [lambda: nir.Linear(WEIGHT), lambda: nir.Linear(np.eye(2))],
        "'m1': 'Linear'.*two weights",
    ),
    "threshold": (graph, [lambda: nir.Linear(WEIGHT), lambda: nir.Threshold(np.ones(2))], "'m1'"),
    "analog": (
        graph,
        [lambda: nir.Linear(WEIGHT), lambda: nir.LI(*np.ones((3, 2)))],
        "'m1': 'LI'.*its potential goes on to 'neurons'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "nodes", "message"), REFUSED.values(), ids=REFUSED)
def test_nodes_that_are_not_read_are_refused_by_name(make, nodes, message):
    with pytest.raises(bep.UnsupportedError, match=f"NIR node {message}"):
        bep.nir.read(make(*(node() for node in nodes)), dt=0.1 * ms)


def test_imported_objects_are_found_by_name():
    network = bep.nir.read(graph(nir.Linear(WEIGHT)), dt=0.1 * ms)
    assert isinstance(network["input"], SpikeGeneratorGroup)
    with pytest.raises(KeyError, match="'w' is none of input, neurons, m0"):
        network["w"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ImportError, match="pip install nir"):
        bep.nir.read("graph.nir")


@pytest.mark.parametrize("module", [exporting, importing], ids=["export", "read"])
def test_the_examples_in_the_documentation(module):
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testmod(module, optionflags=options)
    assert found.attempted and not found.failed
