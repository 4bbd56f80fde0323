"""Conditions within the equations, in exact time: `int`, `clip`, `abs` and `sign`."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

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


def test_short_pulses_are_not_stepped_over():
    """There is one after 15 ms in which nothing at all moves."""
    model = lone(height=5, tau=10 * ms, k=2)
    assert model.run().loss == pytest.approx(0.01500, abs=2e-4)


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
    report = bep.check_gradient(model, entries=4, tolerance=1e-7, show=False)
    assert report.ok, str(report)


@pytest.mark.parametrize(
    "rate, integrand, jumping",
    [
        ("jump*int(v > k)", "v", "dv/dt"),
        ("floor(3*v)", "v", "dv/dt"),
        ("int(t > t_on)", "v", "dv/dt"),
        ("-v", "v*int(v**2 > 0.5 and v < 2)", "Integral of 'v"),
        ("clip(v, 0, k)*int(t > 5*ms)", "abs(v - k) + int(v > k)*(v - k) + sign(i - 1)", None),
    ],
)
def test_the_clock_solver_says_what_its_gradient_lacks(rate, integrand, jumping, caplog):
    """It compiles nothing until it runs."""
    neuron = NeuronGroup(
        2,
        f"dv/dt = ({rate})/(10*ms) : 1\njump : 1\nk : 1\nt_on : second",
        threshold="v > 1", reset="v = 0", method="euler", name="neuron",
    )  # fmt: skip
    with caplog.at_level("WARNING"):
        bep.EventPropModel(
            [neuron], train=[neuron.k, neuron.t_on], loss=bep.Sum(bep.Integral(neuron, integrand)),
            duration=20 * ms,
        )  # fmt: skip
    assert ("jumps where a condition changes" in caplog.text) == (jumping is not None)
    assert jumping is None or f"'neuron': {jumping}" in caplog.text


@pytest.mark.parametrize(
    "equations, threshold, named",
    [
        ("dv/dt = floor(3*v)/(10*ms) : 1\nk : 1", "v > 1", "floor"),
        ("dv/dt = (t/ms % k)/(10*ms) : 1\nk : 1", "v > 1", "floor"),
        ("dv/dt = k/(10*ms) : 1\nk : 1", "v > 1 + int(t > 5*ms)", "int"),
    ],
)
def test_what_jumps_without_end_is_refused(equations, threshold, named):
    with pytest.raises(UnsupportedError, match=f"neuron.*{named}"):
        lone(equations, threshold, k=1)
