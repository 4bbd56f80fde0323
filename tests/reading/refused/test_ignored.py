"""``ignore=[...]`` leaves objects out of what is read, and nothing that others depend on."""

import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    linked_var,
    ms,
    network_operation,
)

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network


def network():
    source = SpikeGeneratorGroup(1, [0], [1] * ms, name="source")
    G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0",
                    method="exact", name="G")  # fmt: skip
    S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    S.w = [1.5, 0.5]

    @network_operation(dt=1 * ms, name="bar")
    def bar():
        pass

    return source, G, S, bar


@pytest.mark.parametrize("by_name", [True, False])
def test_a_progress_bar_does_no_harm(by_name):
    source, G, S, bar = network()
    G.run_regularly("v = v", dt=2 * ms, name="nothing")
    noise = PoissonInput(G, "v", 1, 0 * Hz, weight="0")
    ignore = ["bar", "nothing", noise.name] if by_name else [bar, G.contained_objects[-1], noise]
    options = {"train": [S.w], "loss": bep.Sum(bep.Final(G, "v")), "duration": 5 * ms}
    options["backend"] = "interpreter"
    monitor = SpikeMonitor(G)
    net = Network(source, G, S, bar, noise, monitor)
    net.store()
    net.run(5 * ms)
    in_brian2 = list(monitor.i)
    net.restore()
    for objects in ([source, G, S, bar, noise], net, None):
        model = bep.EventPropModel(objects, **options, ignore=ignore)
        assert bar not in model.objects
        result = model.run()
        assert result.spikes["G"].i.tolist() == in_brian2 == [0]
        assert 0 < result.loss < 0.5


def test_the_refusal_says_so():
    with pytest.raises(UnsupportedError, match=r"'bar'.*name it in ignore=\[\.\.\.\]"):
        read_network(network(), [], {})


def test_what_is_not_there():
    source, G, S, bar = network()
    for wrong in (["baz"], [G[:1]], [network()[3]]):
        with pytest.raises(ValueError, match="names nothing in the network, which has: 'G'"):
            read_network([source, G, S], [], {}, ignore=wrong)
    with pytest.raises(TypeError, match="holds Brian2 objects or their names, not 3"):
        read_network([source, G, S], [], {}, ignore=[3])
    with pytest.raises(TypeError, match="must be a list"):
        read_network([source, G, S], [], {}, ignore=3)


def test_what_others_depend_on():
    source, G, S, bar = network()
    objects = [source, G, S]
    for name, part in (("G", G), ("source", source)):
        with pytest.raises(ValueError, match=f"'{name}'.* Synapses 'S' connects it. Ignore 'S'"):
            read_network(objects, [], {}, ignore=[part])
    with pytest.raises(ValueError, match="NeuronGroup 'G' is made of it"):
        read_network(objects, [], {}, ignore=["G_spike_resetter"])
    with pytest.raises(ValueError, match="'S_pre'.* 'S' is made of it"):
        read_network(objects, [], {}, ignore=["S_pre"])
    with pytest.raises(ValueError, match="'G'.*Final measures it"):
        read_network(objects, [bep.Final(G[:1], "v")], {}, ignore=["G", "S"])
    onto = Synapses(G, S, on_pre="w_post += 1", name="onto")
    onto.connect()
    with pytest.raises(ValueError, match="Synapses 'onto' connects it"):
        read_network([*objects, onto], [], {}, ignore=["S"])
    H = NeuronGroup(2, "y : 1 (linked)", name="H")
    H.y = linked_var(G, "v")
    with pytest.raises(ValueError, match="NeuronGroup 'H' links 'y' to it"):
        read_network([*objects, H], [], {}, ignore=["G", "S"])


def test_groups_and_synapses_that_nothing_depends_on():
    source, G, S, bar = network()
    H = NeuronGroup(2, "dv/dt = -v/(10*ms) + xi*(10*ms)**-0.5 : 1", method="euler", name="H")
    spec, _ = read_network([source, G, S, H], [], {}, ignore=["H", S])
    assert [g.name for g in spec.groups] == ["G"] and not spec.pathways
