"""A `TimedArray` in `on_pre`, `on_post` and the weight of a `PoissonInput`: its value then."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    ms,
)
from helpers.backends import check_same_on_a_gpu
from helpers.brian_spikes import spikes_in_brian2, spikes_of

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

RANDOM = np.random.default_rng(2)
GAINS = RANDOM.uniform(0.5, 2, (2, 5))
NAMES = {
    "a": 0.5,
    "gain": TimedArray(GAINS[0], dt=2.5 * ms),
    "each": TimedArray(RANDOM.uniform(0.5, 2, (9, 3)), dt=1.4 * ms),
}


def network(states=True):
    """Neurons with a part of them driven by spikes, and synapses with states among them."""
    source = SpikeGeneratorGroup(2, np.arange(6) % 2, np.arange(6) * 1.85 * ms + 0.53 * ms)
    G = NeuronGroup(
        4,
        """dv/dt = (I - v)/(8*ms) : 1 (unless refractory)
        dI/dt = -I/(5*ms) : 1
        kind : integer (constant)""",
        threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name="G",
    )  # fmt: skip
    G.kind = [0, 1, 2, 1]
    S = Synapses(source, G[1:], "w : 1", on_pre="c = 2*gain(t)\nI_post += w*each(t, j)*c", name="S",
                 delay=0.3 * ms)  # fmt: skip
    S.connect()
    rule = {"on_pre": "v_post += w*each(t, kind_post)*a"}
    if states:
        rule["on_pre"] += "\nx += gain(t)"
        rule["on_post"] = "I_post += 0.1*gain(t)*x"
    R = Synapses(G, G, "w : 1\nx : 1", name="R", delay=0.7 * ms, **rule)
    R.connect("i != j")
    S.w, R.w = 0.8, 0.1
    if states:
        R.post.delay = 0.2 * ms
    return [source, G, S, R]


def model(objects, **options):
    G, S, R = objects[1:4]
    loss = bep.Sum(bep.Integral(G, "100*(v*v + I)"), bep.SpikeTimes(G, "t/ms"))
    options = {"train": ["a", S.w, R.w, S.delay], "backend": "interpreter"} | options
    return bep.EventPropModel(objects, loss=loss, duration=12 * ms, namespace=NAMES, **options)


@pytest.mark.parametrize("states", [True, False])
def test_spikes_are_brian2s(states):
    objects = network(states)
    expected = spikes_in_brian2(objects, objects[1], 12 * ms, NAMES)
    assert spikes_of(model(objects).run(), objects[1]) == expected
    assert len(expected) > 8


def test_gradients_in_exact_time():
    exact = model(network(), solver="event")
    assert len(exact.run().spikes["G"]) > 8
    check = bep.check_gradient(exact, entries=2)
    assert check, str(check)


def test_the_gradient_on_the_grid_is_close():
    found = []
    for solver in ("clock", "event"):
        objects = network(states=False)
        m = model(objects, solver=solver)
        m.run()
        found.append(np.concatenate([m.gradient().raw(key) for key in m.parameters.keys]))
    np.testing.assert_allclose(found[0], found[1], atol=0.1 * np.abs(found[1]).max())


def test_trials_have_values_of_their_own():
    objects = network()
    m = model(objects)
    times, neurons = np.arange(6) * 1.85e-3 + 0.53e-3, np.arange(6) % 2
    spikes = bep.SpikeData(np.tile(times, 2), np.tile(neurons, 2), [0] * 6 + [1] * 6, 2, 2)
    both = m.run(spikes, traces={"gain": GAINS})
    for trial in range(2):
        alone = m.run(traces={"gain": GAINS[[trial]]})
        assert both.losses[trial] == alone.loss
    assert both.losses[0] != both.losses[1]


@pytest.mark.parametrize("states", [True, False])
def test_the_same_on_a_gpu(states, emulator):
    check_same_on_a_gpu(model, network(states), emulator)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_the_weight_of_a_poisson_input(solver):
    """Of a part of a group: each arrival has the value of its neuron and its time."""
    G = NeuronGroup(4, "I : 1", name="G")
    noise = PoissonInput(G[1:], "I", 3, 9 * Hz, weight="a*gain(t)*each(t, i)")
    m = bep.EventPropModel([G, noise], train=["a"], loss=bep.Sum(bep.Final(G, "I")), solver=solver,
                           duration=8 * ms, namespace=NAMES, backend="interpreter")  # fmt: skip
    counts = np.random.default_rng(0).binomial(3, 0.3, (1, 80, 3))
    t = np.arange(80) * 0.1 * ms
    weight = NAMES["gain"](t)[:, np.newaxis] * [NAMES["each"](s, np.arange(3)) for s in t]
    expected = np.sum(counts[0] * weight)
    assert m.run(traces={noise: counts}).loss == pytest.approx(0.5 * expected, rel=1e-12)
    assert m.gradient()["a"] == pytest.approx(expected, rel=1e-12)


def refused(message, on_pre, model="w : 1", **options):
    G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0",
                    method="exact", name="G")  # fmt: skip
    S = Synapses(G, G, model, on_pre=on_pre, name="S", **options)
    S.connect()
    with pytest.raises(UnsupportedError, match=message):
        read_network([G, S], [], NAMES)


def test_what_is_refused():
    columns = r"Synapses 'S': 'each\(t, {}\)'.*'{}' is none.*'j'"
    refused(columns.format("i", "i"), "v_post += each(t, i)")
    refused(columns.format("int\\(w\\)", "w"), "v_post += each(t, int(w))")
    refused(columns.format("N", "N"), "v_post += each(t, N)")
    refused("called at another time than t", "v_post += gain(t + 2*ms)")
    own = "dy/dt = -y/(5*ms) : 1 (clock-driven)"
    refused("'gain' is a TimedArray, and the code acts on no variable of neurons",
            "y += gain(t)", own, method="euler")  # fmt: skip
    refused("'gain' is a TimedArray, whose jumps", "v_post += w",
            "w : 1\nds/dt = gain(t)/ms - s/(5*ms) : 1 (clock-driven)", method="euler")  # fmt: skip


def test_gradients_in_its_values():
    """In exact time against differences; on the grid without spikes, to rounding."""
    exact = model(network(), solver="event", train=["gain", "each", "a"])
    assert len(exact.run().spikes["G"]) > 8
    check = bep.check_gradient(exact, entries=2)
    assert check, str(check)
    objects = network()
    objects[1].v = [-40, -30, -35, -32]
    m = model(objects, train=["gain", "each"])
    assert len(m.run().spikes["G"]) == 0
    found = m.gradient()
    for name in ("gain", "each"):
        values, slope = m.parameters.raw(("", name)), []
        for k in range(len(values)):
            kept, losses = values[k], []
            for sign in (1, -1):
                values[k] = kept + sign * 1e-5
                losses.append(m.run().loss)
            values[k] = kept
            slope.append((losses[0] - losses[1]) / 2e-5)
        np.testing.assert_allclose(found.raw(("", name)), slope, rtol=1e-6, atol=1e-6)
        assert np.any(slope)


def test_gradients_in_its_values_on_a_gpu(emulator):
    def trained(objects, **options):
        return model(objects, train=["gain", "each"], **options)

    check_same_on_a_gpu(trained, network(), emulator)
