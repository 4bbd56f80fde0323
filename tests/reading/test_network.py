"""What is read, executed as it stands, is what Brian2 does: step by step, spike for spike."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, StateMonitor, defaultclock, ms, prefs, seed
from helpers.brian_interpreter import Interpreter
from helpers.networks.readable import NETWORKS

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian, key_of, read_network

STEPS = 300


@pytest.fixture(autouse=True)
def numpy_target():
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    defaultclock.dt = 0.1 * ms
    yield
    prefs.codegen.target = before


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_execution(name):
    seed(0)
    objects, namespace = NETWORKS[name]()
    spec, values = read_network(objects, [], namespace, float(STEPS * defaultclock.dt))
    groups = [o for o in objects if isinstance(o, NeuronGroup)]
    states = {g: StateMonitor(g, spec.group(g.name).states, record=True) for g in groups}
    spikes = {g: SpikeMonitor(g) for g in groups if spec.group(g.name).threshold}
    given = {o: SpikeMonitor(o) for o in objects if isinstance(o, brian.PoissonGroup)}
    net = Network(*objects, *states.values(), *spikes.values(), *given.values())
    net.run(STEPS * defaultclock.dt, namespace=namespace)

    replayed = {o.name: (m.i[:], m.t_[:]) for o, m in given.items()}
    copy = Interpreter(spec, values, replayed)
    copy.run(STEPS)
    for g, monitor in spikes.items():
        expected = list(
            zip(np.round(monitor.t_[:] / spec.dt).astype(int), monitor.i[:], strict=True)
        )
        assert len(expected) > 10
        assert copy.spikes[g.name] == expected
    for g, monitor in states.items():
        for state in spec.group(g.name).states:
            expected = getattr(monitor, f"{state}_").T
            np.testing.assert_allclose(copy.trace[g.name][state], expected, rtol=1e-12, atol=1e-13)


def test_numbers_of_synapses_are_constants_of_the_connections():
    objects, namespace = NETWORKS["counts"]()
    *_, feed, part = objects
    spec, values = read_network(objects, [], namespace)
    for synapses, name, ends in ((feed, "N_incoming", feed.j), (part, "N_outgoing", part.i)):
        expected = getattr(synapses, name)[:]
        np.testing.assert_array_equal(expected, np.bincount(ends)[ends])
        np.testing.assert_array_equal(values.values[synapses.name, name], expected)
    with pytest.raises(ValueError, match="number of synapses and cannot be trained"):
        key_of(("part", "N_incoming"), spec, values)
    loss = bep.Sum(bep.Final(objects[1], "v"))
    model = bep.EventPropModel(
        objects, train=[part.w], loss=loss, duration=5 * ms, namespace=namespace
    )
    with pytest.raises(UnsupportedError, match="'feed' cannot be rewired.*number of synapses"):
        model.reconnect(feed, feed.i[:], feed.j[:])
