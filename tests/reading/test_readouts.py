"""Readouts become expressions with symbols of their own."""

import numpy as np
import pytest
from brian2 import DimensionMismatchError, NeuronGroup, ms, mV

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network
from brian_eventprop.readouts import Final, Integral, SpikeCount, SpikeTimes

NAMES = {"tau": 10 * ms, "c": 3.0, "u0": 2 * mV}


def group(**options):
    model = """dv/dt = -v/tau : 1
               square = v**2 : 1"""
    return NeuronGroup(5, model, method="euler", name="G", **options)


def read(objects, *readouts, duration=0.05):
    return read_network(objects, readouts, NAMES, duration)


def test_expression_and_symbols():
    G = group()
    spec, values = read([G], Integral(G, "c*square*exp(-t/T)"))
    (readout,) = spec.readouts
    assert (readout.kind, readout.group, readout.start, readout.stop) == ("integral", "G", 0, 5)
    assert "square" not in readout.expression
    assert readout.symbols["T"].value == 0.05
    assert readout.symbols["v"].kind == "state"
    assert readout.symbols["c"].key == ("", "c")
    assert values.values["", "c"] == 3
    assert "c" not in spec.group("G").symbols


def test_subgroup():
    G = group()
    part = G[1:4]
    spec, values = read([G], Final(part, "v*i/N"))
    (readout,) = spec.readouts
    assert (readout.group, readout.start, readout.stop) == ("G", 1, 4)
    assert readout.expression == "v * i_of_1_4 / N_of_1_4"
    assert readout.symbols["N_of_1_4"].value == 3
    index = values.values[readout.symbols["i_of_1_4"].key]
    np.testing.assert_array_equal(index[1:4], [0, 1, 2])


def test_spikes():
    G = group(threshold="v > 1", reset="v = 0")
    spec, _ = read([G], SpikeTimes(G, "c*t", which="first"), SpikeCount(G))
    assert [r.kind for r in spec.readouts] == ["spike_times", "spike_count"]
    assert spec.readouts[0].which == "first"
    with pytest.raises(UnsupportedError, match="'v' jumps"):
        read([G], SpikeTimes(G, "v*t"))


def test_errors():
    G = group()
    other = NeuronGroup(1, "v : 1", name="H")
    with pytest.raises(ValueError, match="no threshold"):
        read([G], SpikeCount(G))
    with pytest.raises(ValueError, match="'H' needs a NeuronGroup of the network, which has: G"):
        read([G], Final(other, "v"))
    with pytest.raises(ValueError, match="duration"):
        read([G], Final(G, "v/T"), duration=None)
    with pytest.raises(DimensionMismatchError):
        read([G], Final(G, "v + u0"))
    with pytest.raises(UnsupportedError, match="rand"):
        read([G], Final(G, "v*rand()"))
    with pytest.raises(KeyError, match="nowhere"):
        read([G], Final(G, "v*nowhere"))


def test_the_index_of_a_part_does_not_replace_the_groups_own():
    group = NeuronGroup(4, "dv/dt = (i - v)/(5*ms) : 1", method="euler")
    losses = [bep.Sum(bep.Final(part, "v + 10*i/N")) for part in (group, group[2:4])]
    models = [
        bep.EventPropModel([group], train=[group.v], loss=loss, duration=5 * ms) for loss in losses
    ]
    (whole,), (part,) = (model.run().readout for model in models)
    v = whole[0] - 10 * np.arange(4) / 4
    np.testing.assert_allclose(part[0], v[2:] + 10 * np.arange(2) / 2)


def test_a_state_of_the_groups_own_called_as_the_duration():
    G = NeuronGroup(2, "dT/dt = -T/tau : 1", method="euler", name="G")
    spec, _ = read([G], Integral(G, "2*T"))
    assert spec.readouts[0].symbols["T"].kind == "state"
