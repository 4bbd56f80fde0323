"""Autapses without delay on the time grid: right against differences, or a warning."""

import numpy as np
import pytest
from brian2 import NeuronGroup, Synapses, defaultclock, ms

import brian_eventprop as bep


def autapses(reset, on_pre, delay=0.0, senders=(0, 1), drive="I"):
    defaultclock.dt = 0.01 * ms
    neurons = NeuronGroup(
        2,
        f"dv/dt = (1.4 + 0.1*i + {drive} - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1",
        threshold="v > 1", reset=reset, method="euler", name="neurons",
    )  # fmt: skip
    s = Synapses(neurons, neurons, "w : 1", on_pre=on_pre, name="s")
    s.connect(i=list(senders), j=[0, 1])
    s.w, s.delay = 0.5, delay * ms
    return neurons, s


@pytest.mark.parametrize(
    "reset, on_pre, delay, senders, warns",
    [
        ("v = 0", "I_post += w", 0, (0, 1), False),
        ("v = 0", "v_post += 0.1*w", 0, (0, 1), False),
        ("v = 0; I *= 0.8", "I_post += w", 0, (0, 1), True),
        ("v = 0", "I_post += w*(1 - I_post/4)", 0, (0, 1), True),
        ("v = 0", "I_post += w*(1 - I_post/4)", 0.1, (0, 1), False),
        ("v = 0", "I_post += w*(1 - I_post/4)", 0, (1, 0), False),
    ],
)
def test_a_warning_where_arrival_and_reset_do_not_commute(
    reset, on_pre, delay, senders, warns, caplog
):
    """It compiles nothing until it runs."""
    neurons, s = autapses(reset, on_pre, delay, senders)
    with caplog.at_level("WARNING"):
        bep.EventPropModel(
            [neurons, s], train=[s.w], loss=bep.Sum(bep.SpikeTimes(neurons)), duration=30 * ms
        )
    assert ("themselves without delay" in caplog.text) == warns


@pytest.mark.parametrize("drive", ["0.2*sqrt(clip(I, 0, inf))", "exprel(-I)"])
def test_equations_that_sympy_has_no_number_for(drive, caplog):
    """Powers that are cut off, functions of our own: then rather a warning than none."""
    neurons, s = autapses("v = 0", "I_post += w*(1 - I_post/4)", drive=drive)
    with caplog.at_level("WARNING"):
        bep.EventPropModel(
            [neurons, s], train=[s.w], loss=bep.Sum(bep.SpikeTimes(neurons)), duration=30 * ms
        )
    assert "themselves without delay" in caplog.text


def test_delays_of_axons_are_looked_up_by_the_sender(caplog):
    neurons, _ = autapses("v = 0", "I_post += w")
    s = Synapses(neurons, neurons, "w : 1", on_pre="I_post += w*(1 - I_post/4)", name="axons")
    s.connect(i=[0, 0, 1], j=[0, 1, 1])
    s.w, s.delay = 0.5, [1, 1, 0] * ms
    with caplog.at_level("WARNING"):
        bep.EventPropModel(
            [neurons, s], train=[bep.Axonal(s.delay)],
            loss=bep.Sum(bep.SpikeTimes(neurons)), duration=30 * ms,
        )  # fmt: skip
    assert "'axons': neurons of 'neurons' send spikes to themselves without delay" in caplog.text


def test_autapses_that_only_add_have_the_exact_gradient():
    """All spikes of a neuron move alike: after the first, its trials differ in the time alone.

    The first comes at 10 ms * log((d - v0)/(d - 1)) with the drive d.
    """
    neurons, s = autapses("v = 0", "I_post += w")
    model = bep.EventPropModel(
        [neurons, s], train=[neurons.v], loss=bep.Sum(bep.SpikeTimes(neurons, "t/(10*ms)")),
        duration=30 * ms,
    )  # fmt: skip
    spikes = model.run().spikes[neurons]
    counts = np.bincount(spikes.i)
    assert list(counts) == [2, 3]
    expected = -counts / np.array([1.4, 1.5])
    np.testing.assert_allclose(np.asarray(model.gradient()[neurons.v]), expected, rtol=0.005)
