"""Spikes that arrive at their own neuron at once: a delay of 0 can only grow."""

import pytest
from brian2 import NeuronGroup, Synapses, ms

import brian_eventprop as bep

#: Arrivals that commute with each other and with the reset, but do not just add up.
SATURATING = "I_post += w*(1 - I_post/4)"


def autapses(on_pre=SATURATING, more=SATURATING, drive="I", readout=None, **options):
    """Two objects with autapses, of which the first has two for each neuron."""
    neurons = NeuronGroup(
        2,
        f"""dv/dt = (1.4 + 0.1*i + {drive} - v)/(10*ms) : 1
        dI/dt = -I/(5*ms) : 1""",
        threshold="v > 1", reset="v = 0", method="euler", name="neurons", **options,
    )  # fmt: skip
    neurons.v = "0.2 + 0.3*i"
    s = Synapses(neurons, neurons, "w : 1", on_pre=on_pre, name="s")
    s.connect(j="i", n=2)
    t = Synapses(neurons, neurons, "w : 1", on_pre=more, name="t")
    t.connect(j="i")
    s.w, t.w = [0.3, 0.2, 0.5, 0.1], [0.4, 0.25]
    make = readout or (lambda group: bep.SpikeTimes(group, "t/(10*ms)"))
    return bep.EventPropModel(
        [neurons, s, t], train=[s.w, s.delay, t.delay, neurons.v], loss=bep.Sum(make(neurons)),
        duration=16 * ms, solver="event",
    )  # fmt: skip


def slope_to_the_right(model, key, k, step=1e-6):
    """The derivative in a delay of 0, from above."""
    delays = model.parameters.raw(key).copy()
    losses = []
    for size in (0, step, 2 * step):
        longer = delays.copy()
        longer[k] = size
        model.parameters.set_raw(key, longer)
        losses.append(model.run().loss)
    model.parameters.set_raw(key, delays)
    return (4 * losses[1] - losses[2] - 3 * losses[0]) / (2 * step)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"more": "I_post = 0.9*I_post + 0.4; I_post -= w*(I_post/4 - 1)"},
        {"drive": "I*(3 - v)"},
        {"drive": "I + 0.5*int(v > 0.4)", "refractory": 0.7 * ms},
        {"drive": "I*int(0.5*v < 0.5)"},
        {"readout": lambda group: bep.Maximum(group, "I + 0.3*v")},
    ],
)
def test_the_derivative_in_a_delay_of_0_is_that_from_above(options):
    model = autapses(**options)
    spikes = model.run().spikes["neurons"]
    assert len(spikes) > 2
    gradients = model.gradient()
    for key, k in ((("s_pre", "delay"), 0), (("s_pre", "delay"), 3), (("t_pre", "delay"), 1)):
        # the differences are exact to the square of their step, and rounding counts 1e-9
        expected = slope_to_the_right(model, key, k)
        assert gradients.raw(key)[k] == pytest.approx(expected, rel=1e-5), (key, k)
