"""Values changed in Brian2 after a model was made, and monitors, are mentioned."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
)
from brian2.utils.logger import catch_logs

import brian_eventprop as bep
from brian_eventprop.reading import ReadValues, read_network


def network():
    inp = SpikeGeneratorGroup(2, [0], [1] * ms, name="inp")
    G = NeuronGroup(
        3,
        "dv/dt = (b - v)/tau : 1\nb : 1\ntau : second (shared)",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="G",
        namespace={"gain": 2.0, "unused": 1.0},
    )
    G.tau = 10 * ms
    S = Synapses(inp, G, "w : 1\nx : 1", on_pre="v_post += w", name="S")
    S.connect(j="i")
    S.w, S.delay = 0.5, 2 * ms
    return inp, G, S


CHANGES = {
    "weights": (lambda G, S: setattr(S, "w", 6), "'w' of 'S'"),
    "one weight": (lambda G, S: S.w.__setitem__(1, 6), "'w' of 'S'"),
    "a weight that is no number": (lambda G, S: S.w.__setitem__(1, np.nan), "'w' of 'S'"),
    "delays": (lambda G, S: setattr(S, "delay", 1 * ms), "'delay' of 'S_pre'"),
    "states": (lambda G, S: setattr(G, "v", "0.1*i"), "'v' of 'G'"),
    "shared parameters": (lambda G, S: setattr(G, "tau", 5 * ms), "'tau' of 'G'"),
    "parameters": (lambda G, S: setattr(G, "b", 2), "'b' of 'G'"),
    "constants": (lambda G, S: G.namespace.__setitem__("gain", 3.0), "'gain' of 'G'"),
    "time step": (lambda G, S: setattr(defaultclock, "dt", 0.2 * ms), "dt of 'defaultclock'"),
    "synapses": (lambda G, S: S.connect(i=0, j=2), "the synapses of 'S'"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_found_once(change):
    inp, G, S = network()
    spec, values = read_network([inp, G, S], [bep.Final(G, "gain*v")], {})
    read = ReadValues(spec, values, [inp, G, S])
    assert read.changes() == []
    do, name = CHANGES[change]
    do(G, S)
    assert name in read.changes()
    assert read.changes() == []


def test_a_run_of_brian2_is_no_change():
    inp, G, S = network()
    objects = [inp, G, S]
    read = ReadValues(*read_network(objects, [], {}), objects)
    net = Network(objects)
    net.run(5 * ms)
    assert np.any(G.v != 0) and read.changes() == []
    G.b = 1
    assert read.changes() == ["'b' of 'G'"]
    net.run(5 * ms)
    assert read.changes() == []
    G.v = 0.3
    assert read.changes() == ["'v' of 'G'"]


def messages_of(action, suffix):
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as logs:
        action()
    return [text for _, name, text in logs if name.endswith(suffix)]


def model_of(objects):
    inp, G, S, *_ = objects
    loss = bep.Sum(bep.Final(G, "v"))
    return bep.EventPropModel(objects, train=[S.w, G.b], loss=loss, duration=5 * ms)


def test_models_mention_changes_and_nothing_that_they_wrote():
    objects = network()
    _, G, S = objects
    model = model_of(objects)
    model.parameters[S.w] = 0.7

    assert messages_of(model.run, "changed") == []
    assert messages_of(model.write_back, "changed") == []
    assert messages_of(model.run, "changed") == []
    S.w = 6
    (said,) = messages_of(model.run, "changed")
    assert "'w' of 'S'" in said and "model.parameters" in said
    assert messages_of(model.run, "changed") == []
    G.tau = 5 * ms
    (said,) = messages_of(model.write_back, "changed")
    assert "'tau' of 'G'" in said
    np.testing.assert_array_equal(S.w, 0.7)


def test_monitors_are_mentioned_once():
    objects = network()
    G = objects[1]
    monitors = SpikeMonitor(G, name="M"), StateMonitor(G, "v", True), PopulationRateMonitor(G)
    (said,) = messages_of(lambda: model_of([*objects, *monitors]), "monitors")
    assert "SpikeMonitor 'M'" in said and "result.spikes" in said and "model.record(" in said
    for monitor in monitors:
        assert monitor.name in said
    assert messages_of(lambda: model_of([*objects, *monitors]), "monitors") == []
    assert messages_of(lambda: model_of(objects), "monitors") == []


def test_objects_that_are_left_out_of_the_list():
    """Brian2's run() takes what is visible; a Network knows its own objects."""
    inp, G, S = network()
    other = NeuronGroup(1, "v : 1", name="other")
    more = Synapses(inp, G, on_pre="v_post += 1", name="more")
    noise = PoissonInput(G[:2], "v", 10, 5 * Hz, weight=0.1)
    elsewhere = Synapses(inp, other, on_pre="v_post += 1", name="elsewhere")
    options = {"train": [S.w], "loss": bep.Sum(bep.Final(G, "v")), "duration": 5 * ms}

    def made_of(objects):
        return messages_of(lambda: bep.EventPropModel(objects, level=3, **options), "left_out")

    (said,) = made_of([inp, G, S])
    assert f"PoissonInput '{noise.name}', Synapses 'more', which" in said
    assert made_of([inp, G, S]) == []
    noise.active = False
    assert made_of(Network(inp, G, S)) == []
    (said,) = made_of({"all": [inp, G, S]})
    assert "run Synapses 'more', which" in said
    more.active = False
    assert made_of([inp, G, S]) == [] and elsewhere.active
