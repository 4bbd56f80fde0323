"""The same spikes in another simulator that reads NIR: snnTorch, through its own import."""

import copy

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from nir_graph.networks import model, raster, spikes, steps_of

import brian_eventprop as bep

nir = pytest.importorskip("nir")
torch = pytest.importorskip("torch")
pytest.importorskip("nirtorch")


def in_snntorch(graph, given):
    """Return the spikes of the output in snnTorch, (steps, neurons)."""
    return run(pytest.importorskip("snntorch.import_nir").import_from_nir(graph), given)


def in_norse(graph, given):
    """Return the spikes of the output in Norse, (steps, neurons)."""
    return run(pytest.importorskip("norse.torch").from_nir(graph, dt=1e-4), given)


def run(network, given):
    state, found = None, []
    with torch.no_grad():
        for row in torch.tensor(given, dtype=torch.float32):
            more = () if state is None else (state,)
            out, state = network(row[None], *more)
            found.append(out[0].numpy())
    return np.array(found)


def layers(equations, receives, recurrent=False, threshold=1.0, factor=1.0):
    """Return a model of two layers by Euler's method, which snnTorch uses, and its input."""
    source = SpikeGeneratorGroup(6, [], [] * ms, name="source")
    options = {
        "threshold": f"v > {threshold!r}", "reset": "v = 0", "method": "euler",
        "namespace": {"tau_m": 20 * ms, "tau_s": 5 * ms},
    }  # fmt: skip
    hidden = NeuronGroup(8, equations, name="hidden", **options)
    out = NeuronGroup(3, equations, name="out", **options)
    pairs = [(source, hidden), (hidden, out)] + ([(hidden, hidden)] if recurrent else [])
    random, objects = np.random.default_rng(4), [source, hidden, out]
    for k, (a, b) in enumerate(pairs):
        s = Synapses(a, b, "w : 1", on_pre=f"{receives}_post += w", name=f"s{k}")
        s.connect()
        s.w = factor * random.normal((1.2, 1, 0)[k], (1, 1.5, 1)[k], len(s))
        objects.append(s)
    made = model(objects, [objects[3].w], [bep.SpikeCount(out)])
    return made, hidden, out


CURRENT = "dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1"


@pytest.mark.parametrize("simulator", [in_snntorch, in_norse])
@pytest.mark.parametrize("recurrent", [False, True])
def test_synaptic_currents(recurrent, simulator):
    """Spike for spike: these step one layer after the other, Brian2 hands on after a step."""
    made, _, out = layers(CURRENT, "I", recurrent, factor=2.0)
    data = spikes(6, 4)
    expected = steps_of(made.run(data), out)
    assert expected.sum() > 10
    found = simulator(bep.nir.export(made), raster(data))
    np.testing.assert_array_equal(found[:-2], expected[2:])


@pytest.mark.parametrize(("simulator", "r"), [(in_snntorch, None), (in_norse, 1)])
def test_delta_synapses(simulator, r):
    """These compare the potential before it has decayed for a step, Brian2 after it has."""
    made, _, out = layers("dv/dt = -v/tau_m : 1", "v", factor=0.6)
    data = spikes(6, 4)
    expected = steps_of(made.run(data), out)
    assert expected.sum() > 10
    graph = bep.nir.export(made, r=r)
    for name in ("hidden", "out"):
        graph.nodes[name].v_threshold /= 1 - 0.1 / 20
    found = simulator(graph, raster(data))
    np.testing.assert_array_equal(found[:-2], expected[2:])


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_network_from_snntorch_spikes_here(recurrent):
    """The other way: what snnTorch has written, for its time step of 0.1 ms.

    When it reads recurrent layers of its own, it sends their input through the recurrent weights;
    Norse does not.
    """
    snntorch = pytest.importorskip("snntorch")
    export = pytest.importorskip("snntorch.export_nir")
    torch.manual_seed(1)
    options = {
        "alpha": torch.full((5,), 0.98), "beta": torch.full((5,), 0.995), "init_hidden": True,
        "threshold": torch.full((5,), 20.0), "reset_mechanism": "zero",
    }  # fmt: skip
    cells = snntorch.RSynaptic if recurrent else snntorch.Synaptic
    options |= {"linear_features": 5} if recurrent else {"reset_delay": False}
    net = torch.nn.Sequential(torch.nn.Linear(6, 5, bias=False), cells(**options))
    net[0].weight.data = torch.rand(5, 6)
    if recurrent:
        net[1].recurrent.bias, net[1].recurrent.weight.data = None, torch.randn(5, 5)
    graph = export.export_to_nir(net, torch.zeros(6))
    data = spikes(6, 4)
    simulator = in_norse if recurrent else in_snntorch
    expected = simulator(copy.deepcopy(graph), raster(data))
    assert expected.sum() > 10
    network = bep.nir.read(graph, dt=0.1 * ms, method="euler")
    (group,) = network.outputs
    assert len(network.synapses) == 1 + recurrent
    first = next(s for s in network.synapses.values() if s.source is not group)
    made = model(network.objects, [first.w], [bep.SpikeCount(group)])
    np.testing.assert_array_equal(steps_of(made.run(data), group)[1:], expected[:-1])
