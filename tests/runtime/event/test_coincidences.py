"""Conditions that change at the very time of an event, by rounding before or after it.

Where a condition is written in the variable that the threshold compares, both change at each spike,
whatever the parameters are: the loss is smooth, and differences of it tell the gradient.
"""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep

#: Steps of the differences, relative to the parameters.
STEPS = (4e-4, 2e-4)


def network(
    condition="v > 1", equations=True, threshold="v > 1", reset="v = 0", on_pre="I_post += w",
    refractory=False, flag="", drive="1.6", loop=False, echo_on_pre="I_post += w",
    integrand="v + 2*int({})",
):  # fmt: skip
    """Two neurons with a condition in the integrand, and in the equations as well if wanted."""
    jump = f"+ 0.4*int({condition})" * equations
    neurons = NeuronGroup(
        2,
        f"""dv/dt = ({drive} + I {jump} - v)/tau : 1 {flag}
        dI/dt = -I/(5*ms) : 1
        tau : second (constant)
        c : 1 (constant)""",
        threshold=threshold, reset=reset, refractory=refractory, method="euler", name="neurons",
    )  # fmt: skip
    neurons.tau, neurons.v, neurons.c = "(8 + i)*ms", "0.13 + 0.2*i", 1
    source = SpikeGeneratorGroup(1, [0, 0], [2.1, 7.3] * ms, name="source")
    s = Synapses(source, neurons, "w : 1", on_pre=on_pre, name="s")
    s.connect()
    s.w, s.delay = "0.3 + 0.05*j", "(1.1 + 0.7*j)*ms"
    echo = Synapses(neurons, neurons, "w : 1", on_pre=echo_on_pre, name="echo")
    echo.connect(j="i" if "v_post" in echo_on_pre else "1 - i")
    echo.w, echo.delay = "0.2 + 0.1*i", 0 * ms if loop else "(0.9 + 0.2*i)*ms"
    train = [neurons.v, neurons.tau, s.delay, echo.w]
    train += [] if loop else [echo.delay]
    train += [s.w] if "w" in on_pre else []
    train += [neurons.c] if "*c" in f"{condition} {threshold} {reset}" else []
    return bep.EventPropModel(
        [source, neurons, s, echo],
        train=train,
        loss=bep.Sum(
            bep.SpikeTimes(neurons, "t/(10*ms)"),
            bep.Integral(neurons, f"({integrand.format(condition)})/(10*ms)"),
        ),
        duration=14 * ms,
        solver="event",
    )


def directional_derivatives(model):
    """The derivative along a random direction, and the differences of two sizes of step."""
    rng = np.random.default_rng(1)
    base = {key: model.parameters.raw(key).copy() for key in model.parameters.keys}
    along = {key: rng.uniform(0.5, 1.5, x.shape) * x for key, x in base.items()}
    model.run()
    gradients = model.gradient()
    adjoint = sum(np.sum(gradients.raw(key) * along[key]) for key in base)

    def loss(step):
        for key, x in base.items():
            model.parameters.set_raw(key, x + step * along[key])
        return model.run().loss

    coarse, fine = ((loss(h) - loss(-h)) / (2 * h) for h in STEPS)
    return adjoint, (4 * fine - coarse) / 3


CASES = {
    "that of the threshold": {},
    "in the integrand only": {"equations": False, "condition": "0.1 + 0.3*v > 0.4"},
    "another way to write it": {"condition": "0.7*v > 0.7"},
    "which ends to hold": {"condition": "0.3*v <= 0.3"},
    "refractory": {"refractory": 1.17 * ms, "condition": "0.3*v < 0.3"},
    "frozen": {"refractory": 1.17 * ms, "flag": "(unless refractory)"},
    "trained": {"threshold": "v > 1*c", "condition": "0.7*v > 0.7*c", "reset": "v -= 0.8*c"},
    "several at once": {"condition": "v > 1 and 3*v > 3 or 0.3*v >= 0.3 and I > 0.1"},
    "event by event": {"condition": "0.7*v > 0.7", "loop": True},
    "refractory, event by event": {
        "condition": "0.3*v < 0.3", "refractory": 1.17 * ms, "flag": "(unless refractory)",
        "loop": True,
    },
    "arrivals before the reset": {
        "condition": "0.7*v > 0.7", "loop": True, "reset": "v = 0.3*v - 0.1; I *= 0.8",
        "echo_on_pre": "v_post -= 0.2*w; I_post += w*(1 - I_post/4)",
    },
    "arrivals before the reset, refractory": {
        "condition": "0.7*v < 0.7", "loop": True, "reset": "v = 0.3*v - 0.1; I *= 0.8",
        "echo_on_pre": "I_post += w*(1 - I_post/4 + 0*v_post)", "refractory": 1.17 * ms,
        "flag": "(unless refractory)",
    },
    "reset to it": {"condition": "0.3*v > 0.03*c", "reset": "v = 0.1*c"},
    "an arrival leads to it": {"condition": "0.3*v > 0.3*0.4", "on_pre": "v_post = 0.4"},
    "from which an arrival decays": {"condition": "0.3*I > 0.15", "on_pre": "I_post = 0.5"},
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_conditions(name):
    adjoint, difference = directional_derivatives(network(**CASES[name]))
    assert adjoint == pytest.approx(difference, rel=1e-7)


#: Conditions that are true where the threshold is exceeded, in closed flow and Runge-Kutta.
EXCEEDED = ["v > 1", "v >= 1", "0.1*v > 0.1", "v + 10 > 11"]


@pytest.mark.parametrize("drive", ["1.6", "1.6 + 0.3*v**2"])
@pytest.mark.parametrize("loop", [False, True])
def test_resets_find_the_threshold_exceeded(drive, loop):
    """As in Brian2, however the condition is written and whatever rounding makes of it."""
    plain = {"equations": False, "integrand": "v", "drive": drive, "loop": loop}

    def loss(jump):
        model = network(reset=f"I += 0.1*({jump}); v = 0", **plain)
        assert len(model.run().spikes["neurons"]) > 2
        return model.run().loss

    expected = loss("1")
    for condition in EXCEEDED:
        # a crossing is sought 1e-14 above the threshold
        assert loss(f"int({condition})") == pytest.approx(expected, rel=1e-12), condition


def test_arrivals_before_the_reset_find_the_threshold_exceeded():
    """An autapse that counts only over the threshold."""
    options = {"equations": False, "integrand": "v", "loop": True, "reset": "v = 0.2*I; I *= 0.7"}
    expected = network(echo_on_pre="I_post += w + 0*v_post", **options).run().loss
    found = network(echo_on_pre="I_post += w*int(0.7*v_post > 0.7)", **options).run().loss
    assert found == pytest.approx(expected, rel=1e-12)
