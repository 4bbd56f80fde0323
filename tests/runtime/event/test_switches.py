"""Conditions within the equations, in exact time: `int`, `clip`, `abs` and `sign`."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, second
from helpers.derivatives import assert_gradient

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

#: A speed that jumps at v = k, and a pulse of 0.3 ms.
JUMP = """dv/dt = (drive + jump*int(v > k))/tau + height*exp(-((t - 15*ms)/(0.15*ms))**2)/ms : 1
          drive : 1 (constant)
          jump : 1 (constant)
          height : 1 (constant)
          k : 1 (constant)
          tau : second (constant)"""


def lone(equations=JUMP, threshold="v > 1", **parameters):
    """A neuron without input; train the parameters, the loss is the sum of its spike times."""
    neuron = NeuronGroup(
        1, equations, threshold=threshold, reset="v = 0", method="euler", name="neuron"
    )
    for name, value in parameters.items():
        setattr(neuron, name, value)
    return bep.EventPropModel(
        [neuron],
        train=[getattr(neuron, name) for name in neuron.equations.parameter_names],
        loss=bep.Sum(bep.SpikeTimes(neuron, which="first")),
        duration=20 * ms,
        solver="event",
    )


def test_the_time_of_a_change_moves_with_the_parameters():
    """The speed is 1/tau below k and 2/tau above it: the spike is at tau*(1 + k)/2."""
    model = lone(drive=1, jump=1, k=0.4, tau=10 * ms)
    assert model.run().loss == pytest.approx(0.007, rel=1e-12)
    gradients = model.gradient()
    assert gradients.raw(("neuron", "k"))[0] == pytest.approx(0.005, rel=1e-9)
    assert gradients.raw(("neuron", "tau"))[0] == pytest.approx(0.7, rel=1e-9)


def test_a_condition_that_both_sides_lead_to_is_an_error():
    model = lone(drive=0.5, jump=-1, k=0.5, tau=10 * ms)
    with pytest.raises(FloatingPointError, match="neuron.*without end"):
        model.run()


SLOW = pytest.mark.slow

#: Speeds that are steps of the time; T and s are trained, a neuron has its own T.
STAIRS = """dv/dt = {steps}/tau : 1
            T : second (constant)
            s : second (constant)
            tau : second (constant)"""


@pytest.mark.parametrize(
    "steps, tau, time, by_period, by_phase",
    [
        # the speed is k within the step k: v = (1 + 2 + 3)*T/tau at t = 4*T, then 4*(t - 4*T)/tau
        pytest.param("floor(t/T)", 15e-3, "4*T + (tau - 6*T)/4", 2.5, 0.0, marks=SLOW),
        pytest.param(
            "(ceil(t/T) - 1)", 15e-3, "4*T + (tau - 6*T)/4", 2.5, 0.0, marks=pytest.mark.slow
        ),
        pytest.param(
            "int((t + s)/T)", 15e-3, "4*T - s + (tau - 6*T)/4", 2.5, -1.0, marks=pytest.mark.slow
        ),
        # 1 for a time s in every T, of which three pulses are too short for the threshold
        ("int(t % T < s)", 5e-3, "3*T + tau - 3*s", 3.0, -3.0),
        # 2 in every other of the times T
        pytest.param("2*(int(t/T) % 2)", 6e-3, "T*3 + tau/2 - T", 2.0, 0.0, marks=SLOW),
    ],
)
def test_steps_of_the_time_are_met_exactly(steps, tau, time, by_period, by_phase):
    values = {"T": 1.9e-3, "s": 1.3e-3, "tau": tau}
    equations = STAIRS.format(steps=steps)
    model = lone(equations, **{name: value * second for name, value in values.items()})
    assert model.run().loss == pytest.approx(eval(time, {}, values), rel=1e-11)
    gradients = model.gradient()
    assert gradients.raw(("neuron", "T"))[0] == pytest.approx(by_period, rel=1e-9)
    assert gradients.raw(("neuron", "s"))[0] == pytest.approx(by_phase, rel=1e-9, abs=1e-9)


@pytest.mark.slow
def test_a_condition_holds_at_equality_as_written():
    """At rest at the border, before anything moves."""
    speeds = "int(u >= 0) + 2*int(u > 0) + 4*int(u <= 0) + 8*int(u < 0)"
    model = lone(f"dv/dt = ({speeds})/tau : 1\nu : 1\ntau : second (constant)", tau=10 * ms)
    assert model.run().loss == pytest.approx(10e-3 / 5, rel=1e-12)


def test_short_pulses_are_not_stepped_over():
    """There is one after 15 ms in which nothing at all moves."""
    model = lone(height=5, tau=10 * ms, k=2)
    assert model.run().loss == pytest.approx(0.01500, abs=2e-4)


@pytest.mark.compiled
def test_everything_that_changes_its_form():
    """Jumps at trained thresholds and times, kinks, and an integrand that jumps."""
    rng = np.random.default_rng(2)
    source = SpikeGeneratorGroup(
        3, rng.integers(0, 3, 12), np.sort(rng.uniform(0.5, 25, 12)) * ms, name="source"
    )
    neurons = NeuronGroup(
        3,
        """dv/dt = (clip(I, 0, most) - abs(v - 0.2) + 0.7*int(v > k) + on)/(12*ms) : 1
           dI/dt = -I/(4*ms) : 1
           on = 0.8*int(t > t_on)*int(t < 20*ms) + 0.1*sign(I - 1) : 1
           k : 1 (constant)
           most : 1 (constant, shared)
           t_on : second (constant)""",
        threshold="v > 1", reset="v = 0", method="euler", name="neurons",
    )  # fmt: skip
    neurons.k, neurons.most, neurons.t_on = "0.25 + 0.1*i", 1.8, "(9 + i)*ms"
    s = Synapses(source, neurons, "w : 1", on_pre="I_post += w", name="s")
    echo = Synapses(neurons, neurons, "w : 1", on_pre="I_post += w", name="echo")
    for synapses, low, high in ((s, 1, 4), (echo, -1, 1)):
        synapses.connect()
        synapses.w = rng.uniform(low, high, 9)
        synapses.delay = rng.uniform(1, 6, 9) * ms
    model = bep.EventPropModel(
        [source, neurons, s, echo],
        train=[s.w, s.delay, echo.w, echo.delay, neurons.k, neurons.most, neurons.t_on],
        loss=bep.Sum(
            bep.Integral(neurons, "100*int(v > 0.5)"), bep.Integral(neurons, "10*v"),
            bep.SpikeTimes(neurons, "t/T"),
        ),
        duration=40 * ms,
        solver="event",
    )  # fmt: skip
    assert len(model.run().spikes[neurons]) > 8
    # largest error found: 4e-10
    assert_gradient(model, tolerance=1e-7, entries=2)


@pytest.mark.parametrize(
    "threshold, warns",
    [
        ("v > 1 + int(u > 0.5)", True),
        ("v > 1 + 0.1*floor(3*u)", True),
        ("v > 1 or u > 0.5 and v > 0.5", False),
        ("v > clip(1 + u, 0, 2)", False),
        ("v > 1 + 0.1*int(t > 5*ms)", False),
    ],
)
def test_the_clock_solver_says_what_its_gradient_lacks(threshold, warns, caplog):
    """It compiles nothing until it runs."""
    neuron = NeuronGroup(
        2,
        "dv/dt = (2*int(v > u or v > 0.3) - v)/(10*ms) : 1\ndu/dt = -u/(5*ms) : 1",
        threshold=threshold, reset="v = 0", method="euler", name="neuron",
    )  # fmt: skip
    with caplog.at_level("WARNING"):
        bep.EventPropModel(
            [neuron], train=[neuron.v], loss=bep.Sum(bep.Integral(neuron, "v*int(v > 0.5)")),
            duration=20 * ms,
        )  # fmt: skip
    assert ("'neuron': the threshold" in caplog.text) == warns


@pytest.mark.parametrize(
    "equations, threshold, named",
    [
        ("dv/dt = k/(10*ms) : 1\nk : 1", "v > 1 + int(t > 5*ms)", "int"),
        ("dv/dt = k/(10*ms) : 1\nk : 1", "v > 1 + t % (5*ms)/ms", "%"),
    ],
)
def test_a_threshold_that_jumps_is_refused(equations, threshold, named):
    with pytest.raises(UnsupportedError, match=f"neuron.*{named}"):
        lone(equations, threshold, k=1)
