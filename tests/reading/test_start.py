"""A network that was run before is refused, unless Brian2 would go on as a trial begins."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms, run
from brian2.utils.logger import catch_logs

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

NAMES = {"tau_m": 10 * ms, "tau_s": 4 * ms, "drive": TimedArray([0.1, 0.2], dt=5 * ms)}


def network(times, delay=3, model="dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1"):
    inp = SpikeGeneratorGroup(2, [0] * len(times), times * ms, name="inp")
    G = NeuronGroup(2, model, threshold="v > 1", reset="v = 0", method="euler", name="G")
    S = Synapses(inp, G, "w : 1", on_pre="I_post += w", name="S")
    S.connect()
    S.w, S.delay = 4, delay * ms
    return inp, G, S


def read(objects):
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as messages:
        _, values = read_network(objects, [], NAMES)
    return values, [text for _, name, text in messages if "run_before" in name]


def test_spikes_in_flight():
    objects = network([1, 9.8])
    net = Network(*objects)
    net.run(10 * ms, namespace=NAMES)
    objects[0].set_spikes([], [] * ms)
    for given in (net, objects):
        with pytest.raises(UnsupportedError, match="until 10 ms.*on their way.*'S_pre'.*restore"):
            read_network(given, [], NAMES)


@pytest.mark.parametrize("magic", [False, True])
def test_spikes_that_count_from_time_0(magic):
    inp, G, S = network([1], delay=0)
    if magic:
        run(5 * ms, namespace=NAMES)
    else:
        Network(inp, G, S).run(5 * ms, namespace=NAMES)
    with pytest.raises(UnsupportedError, match="until 5 ms.*'inp' count from time 0"):
        read_network([inp, G, S], [], NAMES)


@pytest.mark.parametrize("term", ["sin(t/tau_m)", "drive(t)"])
def test_equations_that_depend_on_time(term):
    inp, G, S = network([], model=f"dv/dt = (I + {term} - v)/tau_m : 1\ndI/dt = -I/tau_s : 1")
    run(5 * ms, namespace=NAMES)
    with pytest.raises(UnsupportedError, match="code of 'G' depends on the time"):
        read_network([inp, G, S], [], NAMES)


def test_a_network_that_goes_on_as_a_trial_begins():
    """Nothing depends on the time: Brian2 goes on from the states, and so does a trial."""
    inp, G, S = network([1], delay=0)
    net = Network(inp, G, S)
    net.run(5 * ms, namespace=NAMES)
    inp.set_spikes([], [] * ms)
    values, said = read(net)
    assert len(said) == 1
    assert "until 5 ms" in said[0] and "(v of 'G', I of 'G')" in said[0]
    assert values.values["G", "v"][0] == G.v[0] > 0.5


def test_restored_networks_begin_at_0():
    inp, G, S = network([1, 9.8])
    net = Network(inp, G, S)
    net.store()
    net.run(10 * ms, namespace=NAMES)
    net.restore()
    values, said = read(net)
    assert not said and np.all(values.values["G", "v"] == 0)
    del net  # its clock is all that is left
    assert not read([inp, G, S])[1]


def test_another_network_may_have_been_run():
    other = NeuronGroup(1, "dv/dt = -v/tau_m : 1", method="exact")
    Network(other).run(10 * ms, namespace=NAMES)
    assert not read(network([1]))[1]


def test_a_model_made_after_run():
    """All objects that are visible, as in a script."""
    G = NeuronGroup(1, "dv/dt = -v*t/(10*ms)**2 : 1", method="euler", name="G")
    run(2 * ms)
    with pytest.raises(UnsupportedError, match="until 2 ms"):
        bep.EventPropModel(train=[G.v], loss=bep.Sum(bep.Final(G, "v")), duration=5 * ms)
