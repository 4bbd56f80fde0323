"""Ends of refractoriness that move with states, in exact time."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from helpers.derivatives import assert_gradient
from helpers.networks.refractory import KINDS, model

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

QUICK = ("linear", "cubic", "period of a state", "other equations until a condition ends")


@pytest.mark.parametrize("delay", [1.3, 0.0], ids=["delays", "at once"])
@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_gradients(kind, delay):
    made = model(KINDS[kind], "event", delay=delay)
    result = made.run()
    assert len(result.spikes["group"].i) > 2
    assert_gradient(made)


def lone(refractory, equations="", reset="v = 0; u = 1", solver="event"):
    """A neuron whose v climbs to 1 in tau, and then is held until u has decayed from 1 to k."""
    neuron = NeuronGroup(
        1,
        f"""dv/dt = 1/tau : 1 (unless refractory)
            du/dt = -u/tau : 1
            k : 1 (constant)
            tau : second (constant)
            {equations}""",
        threshold="v > 1", reset=reset, refractory=refractory, method="euler", name="neuron",
    )  # fmt: skip
    neuron.k, neuron.tau = 0.5, 5 * ms
    loss = bep.Sum(bep.SpikeTimes(neuron))
    return bep.EventPropModel(
        [neuron], train=[neuron.k, neuron.tau], loss=loss, duration=14 * ms, solver=solver
    )


def test_a_neuron_is_held_until_its_condition_ends():
    """The spikes are at tau and tau*(2 + log(1/k)), so a lower k delays the second by tau/k."""
    made = lone("u > k")
    assert made.run().spikes["neuron"].t / ms == pytest.approx([5, 10 + 5 * np.log(2)], rel=1e-12)
    gradients = made.gradient()
    assert gradients.raw(("neuron", "k"))[0] == pytest.approx(-0.005 / 0.5, rel=1e-9)
    assert gradients.raw(("neuron", "tau"))[0] == pytest.approx(3 + np.log(2), rel=1e-9)


def test_a_period_that_the_reset_writes():
    """The second spike is k*tau later than the period of 1 ms makes it."""
    made = lone("1*ms + rest", "rest : second", "v = 0; rest = k*tau")
    assert made.run().spikes["neuron"].t / ms == pytest.approx([5, 13.5], rel=1e-12)
    gradients = made.gradient()
    assert gradients.raw(("neuron", "k"))[0] == pytest.approx(0.005, rel=1e-9)
    assert gradients.raw(("neuron", "tau"))[0] == pytest.approx(3.5, rel=1e-9)


def test_a_spike_that_the_end_of_a_condition_sets_off_moves_with_it():
    """v stays above the threshold, so the spikes are where u falls to k."""
    neuron = NeuronGroup(
        1, "du/dt = -u/(5*ms) : 1\nv : 1\nk : 1 (constant)",
        threshold="v > 1", reset="u += 1", refractory="u > k", method="exact", name="neuron",
    )  # fmt: skip
    neuron.k, neuron.v = 0.5, 2
    made = bep.EventPropModel(
        [neuron], train=[neuron.k], loss=bep.Sum(bep.SpikeTimes(neuron)), duration=10 * ms,
        solver="event",
    )  # fmt: skip
    times = made.run().spikes["neuron"].t / ms
    assert times == pytest.approx([0, 5 * np.log(2), 5 * np.log(2) + 5 * np.log(3)], rel=1e-12)
    # at each end u is k, then 1 + k
    by_k = -0.005 / 0.5 + (-0.005 / 0.5 + 0.005 * (1 / 1.5 - 1 / 0.5))
    assert made.gradient().raw(("neuron", "k"))[0] == pytest.approx(by_k, rel=1e-9)


def test_an_arrival_that_ends_it_moves_what_follows():
    neuron = NeuronGroup(
        1, "dv/dt = 1/(5*ms) : 1 (unless refractory)\nu : 1",
        threshold="v > 1", reset="v = 0; u = 1", refractory="u > 0.5", method="euler", name="G",
    )  # fmt: skip
    source = SpikeGeneratorGroup(1, [0], [6] * ms, name="source")
    synapse = Synapses(source, neuron, on_pre="u_post = 0", delay=1 * ms, name="synapse")
    synapse.connect()
    made = bep.EventPropModel(
        [source, neuron, synapse], train=[synapse.delay], duration=13 * ms, solver="event",
        loss=bep.Sum(bep.SpikeTimes(neuron)),
    )  # fmt: skip
    assert made.run().spikes["G"].t / ms == pytest.approx([5, 12], rel=1e-12)
    assert made.gradient().raw(("synapse_pre", "delay"))[0] == pytest.approx(1, rel=1e-9)


def test_a_condition_that_jumps_is_refused():
    with pytest.raises(UnsupportedError, match="condition 'int.*exact time"):
        lone("int(u > k) > 0.5")


def test_a_condition_that_is_no_comparison_is_refused():
    with pytest.raises(UnsupportedError, match="refractory='u == k'.*equality"):
        lone("u == k", solver="clock")
