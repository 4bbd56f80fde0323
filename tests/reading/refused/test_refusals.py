"""All that is refused is listed at once; a single refusal reads as it always did."""

import pickle

import pytest
from brian2 import NetworkOperation, NeuronGroup, SpatialNeuron, Synapses, linked_var, ms, um
from brian2.spatialneuron.morphology import Soma

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

NOISE = "dv/dt = (x - v)/(10*ms) + xi*(10*ms)**-0.5 : 1\nx : 1 (linked)"


def refusals(objects, readouts=()):
    with pytest.raises(UnsupportedError) as error:
        read_network(objects, readouts, {})
    return error.value


def network():
    """Two groups and Synapses with several things in every one of them."""
    G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1\nx : 1", threshold="v > 1", name="G")
    H = NeuronGroup(
        2,
        NOISE,
        threshold="v > 1 + rand()",
        reset="v = 0; v -= randn()",
        refractory="rand()*ms",
        method="euler",
        name="H",
    )
    H.x = linked_var(G, "x")
    S = Synapses(
        G,
        H,
        "w : 1",
        on_pre="v_post += w*rand()",
        on_post="w += randn()",
        name="S",
    )
    S.connect()
    return G, H, S


def test_every_refusal_of_every_object():
    G, H, S = network()
    operation = NetworkOperation(lambda: None, dt=1 * ms, name="op")
    G.run_regularly("x = randn()", dt=1 * ms)
    neuron = SpatialNeuron(Soma(diameter=30 * um), "Im = 0*amp/meter**2 : amp/meter**2", name="C")
    onto = Synapses(G, neuron, on_pre="v_post += 1*mV", name="onto")
    onto.connect()
    error = refusals([G, H, S, operation, neuron, onto])
    starts = [sentence.split(" is not supported")[0] for sentence in error.refusals]
    assert sorted(starts) == [
        "NetworkOperation 'op': 'network_operation'",
        "NeuronGroup 'G': 'x = randn()'",
        "NeuronGroup 'H': 'dv/dt = (x - v)/(10*ms) + xi*(10*ms)**-0.5 : 1'",
        "NeuronGroup 'H': 'rand()*ms'",
        "NeuronGroup 'H': 'v -= randn()'",
        "NeuronGroup 'H': 'v > 1 + rand()'",
        "SpatialNeuron 'C': 'SpatialNeuron'",
        "Synapses 'S': 'v_post += w*rand()'",
        "Synapses 'S': 'w += randn()'",
    ]
    assert str(error).startswith("9 things in the network are not supported:\n- ")
    assert all(f"\n- {sentence}" in str(error) for sentence in error.refusals)


def test_one_refusal_is_the_sentence_itself():
    G = NeuronGroup(2, "dv/dt = (r - v)/(10*ms) : 1\nr = rand() : 1", threshold="v + r > 1",
                    reset="v = -r", method="euler", name="G")  # fmt: skip
    error = refusals([G])
    assert str(error) == (
        "NeuronGroup 'G': 'r = rand() : 1' is not supported: 'rand': random numbers differ from "
        "run to run, so their gradient is not defined. Remove the noise, or let a "
        "SpikeGeneratorGroup or PoissonGroup with given spikes carry it."
    )
    assert error.refusals == (str(error),)


def test_refusals_come_before_other_errors():
    G, H, S = network()
    unknown = NeuronGroup(1, "dv/dt = -v/nowhere : 1", method="euler", name="U")
    assert len(refusals([G, H, S, unknown]).refusals) == 6
    with pytest.raises(KeyError, match="nowhere"):
        read_network([G, unknown], [], {})


def test_those_of_what_comes_later():
    """Readouts and what events write are read once the objects are."""
    model = "dv/dt = -v/(10*ms) : 1\nk : 1 (shared)\nm : 1 (shared)"
    G = NeuronGroup(1, model, threshold="v > 1", reset="k += 1; m += 1", method="exact", name="G")
    error = refusals([G], [bep.Final(G, "v*rand()")])
    assert [s.split("'")[3] for s in error.refusals] == ["k", "m"]


def test_the_error_can_be_pickled():
    error = refusals(network())
    copy = pickle.loads(pickle.dumps(error))
    assert copy.refusals == error.refusals and str(copy) == str(error)
