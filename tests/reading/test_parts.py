"""Whatever Brian2 runs with an object, at any depth below it, is read or refused by its name."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeMonitor,
    Synapses,
    magic_network,
    ms,
    run,
)
from brian2.utils.logger import catch_logs

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network


def network():
    """A group of driven neurons and Synapses between them."""
    G = NeuronGroup(
        4,
        "dv/dt = (I - v)/(10*ms) : 1\nI : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="G",
    )
    S = Synapses(G, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    return G, S


def of_pathway(G, S):
    S.pre.run_regularly("w = 2")


def operation(G, S):
    G.contained_objects.append(NetworkOperation(lambda: None, name="op"))


def operation_deep_below(G, S):
    S.pre.contained_objects.append(NetworkOperation(lambda: None, name="op"))


def poisson_below(G, S):
    G.contained_objects.append(PoissonInput(G, "v", 10, 5 * Hz, weight="0.1"))


def own_code_runner(G, S):
    class Runner(type(G.resetter["spike"])):
        pass

    G.events["spike"] = "v > 1"
    runner = Runner(G, when="end")
    G.contained_objects.append(runner)


def resetter_removed(G, S):
    G.contained_objects.remove(G.resetter["spike"])


def pathway_removed(G, S):
    S.contained_objects.remove(S.pre)


CASES = {
    of_pathway: ("'w = 2'", "run_regularly of 'S_pre'"),
    operation: ("NetworkOperation 'op'", "Python code"),
    operation_deep_below: ("NetworkOperation 'op'", "Python code"),
    poisson_below: ("'poissoninput", "it is a part of 'G'"),
    own_code_runner: ("NeuronGroup 'G': 'Runner'", "Remove it from G"),
    resetter_removed: ("'G_spike_resetter'", "Brian2 does not run it"),
    pathway_removed: ("'S_pre'", "Brian2 does not run it"),
}


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_what_hangs_below_an_object_is_refused(change):
    G, S = network()
    change(G, S)
    for objects in ([G, S], Network(G, S)):
        with pytest.raises(UnsupportedError) as error:
            read_network(objects, [], {})
        for part in CASES[change]:
            assert part in str(error.value)


def test_operations_of_subgroups_and_synapses_are_read():
    G, S = network()
    G[:2].run_regularly("I = 2", dt=1 * ms, name="first")
    G[:1].run_regularly("I = 3").active = False
    G[1:].run_regularly("I = 4", name="second")
    S.run_regularly("w = 2", name="third")
    for objects in ([G, S], Network(G), [G, G[1:], S]):
        spec, _ = read_network(objects, [], {})
        assert [r.name for r in spec.group("G").regular] == ["first", "second"]
        assert [r.name for r in spec.group("S").regular] == ["third"]
    spec, _ = read_network([G, S], [], {}, ignore=["second", "third"])
    assert [r.name for r in spec.group("G").regular] == ["first"]
    assert [g.name for g in spec.groups] == ["G"]


def test_synapses_below_a_group_are_run_with_it():
    """Brian2 adds Synapses to their source when an operation is given to them."""
    G, S = network()
    S.run_regularly("w = 2").active = False
    spec, _ = read_network([G], [], {})
    assert [pathway.name for pathway in spec.pathways] == ["S_pre"]


def test_what_does_nothing_is_ignored():
    G, S = network()
    G[:2].run_regularly("I = 2").active = False
    G.contained_objects.append(SpikeMonitor(G))
    assert [g.name for g in read_network([G, G[1:], S], [], {})[0].groups] == ["G"]


def test_inactive_objects_with_active_parts():
    G, S = network()
    H = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact", name="H")
    S.active = H.active = False
    H.run_regularly("v = 1")
    with pytest.raises(UnsupportedError, match="'H_run_regularly'.*'H' is not"):
        read_network([G, S, H], [], {})
    H.active = False  # of all that it contains, too
    assert len(read_network([G, S, H], [], {})[0].groups) == 1


def test_operations_of_a_poisson_group_do_not_matter():
    """They set rates, and the spikes are given."""
    P = PoissonGroup(3, 10 * Hz, name="P")
    P[:2].run_regularly("rates = 20*Hz")
    P.run_regularly("rates = rand()*Hz", dt=1 * ms)
    for objects in ([P, *network()], Network(P, *network())):
        spec, _ = read_network(objects, [], {})
        assert [i.name for i in spec.inputs] == ["P"]


def test_brian2_runs_the_operation_of_a_subgroup_with_its_group():
    G, S = network()
    G[:2].run_regularly("I = 2", dt=1 * ms)
    S.active = False
    monitor = SpikeMonitor(G)
    run(20 * ms)
    assert np.unique(monitor.i).tolist() == [0, 1]


def test_the_schedule_of_every_network_is_checked():
    G, S = network()
    other = ["start", "groups", "thresholds", "resets", "synapses", "end"]
    options = {"train": [G.v], "loss": bep.Sum(bep.Final(G, "v")), "duration": 5 * ms}
    net = Network(G, S)
    net.schedule = other
    for objects in (net, [net], {"net": net}, iter([net])):
        with pytest.raises(UnsupportedError, match="schedule"):
            bep.EventPropModel(objects, **options)
    magic_network.schedule = other
    try:
        with pytest.raises(UnsupportedError, match="schedule"):
            bep.EventPropModel(**options)
    finally:
        magic_network.schedule = None


def with_class(obj, **methods):
    obj.__class__ = type("Mine", (type(obj),), methods)


@pytest.mark.parametrize("method", ["run", "before_run"])
def test_classes_that_do_something_else(method):
    own = {method: lambda self, *namespace: None}
    for part in (lambda G, S: G, lambda G, S: G.resetter["spike"], lambda G, S: S.pre):
        G, S = network()
        with_class(part(G, S), **own)
        with pytest.raises(UnsupportedError, match=f"'Mine' has its own {method}"):
            read_network([G, S], [], {})
    G, S = network()
    with_class(G, more=lambda self: None)
    assert read_network([G, S], [], {})[0].groups


def test_names_of_pathways_tell_them_apart():
    G, S = network()
    H = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact", name="S_pre")
    with pytest.raises(ValueError, match="Two objects.*'S_pre'"):
        read_network([G, S, H], [], {})


def test_groups_without_states_are_no_targets():
    G, S = network()
    P = PoissonGroup(3, 10 * Hz, name="P")
    onto = Synapses(G, P, on_pre="rates_post += 1*Hz", name="onto")
    onto.connect()
    with pytest.raises(UnsupportedError, match="Synapses 'onto'.*'P', whose spikes are given"):
        read_network([G, S, P, onto], [], {})
    P.thresholder["spike"].when = "end"
    with pytest.raises(UnsupportedError, match="'P'.*slot 'end'"):
        read_network([G, S, P], [], {})


def test_single_precision_is_mentioned():
    G = NeuronGroup(
        1,
        "dv/dt = -v/(10*ms) : 1\nb : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="single",
        dtype={"v": np.float32},
    )
    S = Synapses(G, G, "w : 1", on_pre="v_post += w", name="S", dtype=np.float32)
    S.connect()
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as logs:
        read_network([G, S], [], {})
    (said,) = (text for _, name, text in logs if name.endswith("precision"))
    assert "Brian2 holds 'v' of 'single', 'w' of 'S' in single precision" in said
