"""Thresholds in exact time: those that change with time, several conditions, no end of spikes."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep

PERIOD = 0.7e-3


def alone(equations, threshold, reset, start, duration=1 * ms, **options):
    """A model of one neuron that nothing drives."""
    neuron = NeuronGroup(
        1, equations, threshold=threshold, reset=reset, method=options.pop("method", "exact"),
        name="neuron",
    )  # fmt: skip
    for name, value in start.items():
        setattr(neuron, name, value)
    loss = bep.Sum(bep.SpikeTimes(neuron, "t/T"))
    train = [getattr(neuron, name) for name in options.pop("train", ("v",))]
    return neuron, bep.EventPropModel(
        [neuron], train=train, loss=loss, duration=duration, solver="event", **options
    )


def times(model, neuron):
    return np.asarray(model.run().spikes[neuron].t)


@pytest.mark.parametrize(
    "equations, method",
    [("dv/dt = (0.8 - v)/(20*ms) : 1", "exact"), ("dv/dt = (0.64 - v*v)/(20*ms) : 1", "rk4")],
)
def test_a_threshold_that_swings_faster_than_the_neuron(equations, method):
    threshold = "abs(v) > 1 + 0.5*sin(2*pi*t/period)"
    neuron, model = alone(
        equations, threshold, "v -= 0.8", {"v": 0.8}, method=method,
        namespace={"period": 0.7 * ms},
    )  # fmt: skip
    expected = PERIOD * (np.pi + np.arcsin(0.4)) / (2 * np.pi)
    np.testing.assert_allclose(times(model, neuron), [expected], rtol=1e-12)
    bep.check_gradient(model, tolerance=1e-7, show=False, raises=True)


@pytest.mark.parametrize("slack", [1e-3, 1e-6, -1e-6])
@pytest.mark.parametrize("method", ["exact", "rk4"])
def test_conditions_that_hold_together_for_a_moment(method, slack):
    """v falls as u rises; both are above their thresholds for `slack` of a time constant."""
    bent = "" if method == "exact" else " + 0*u*v/ms"
    equations = f"dv/dt = -v/(8*ms) : 1\ndu/dt = (2 - u)/(8*ms){bent} : 1"
    meet = np.log(2.0)
    namespace = {"low": np.exp(-meet - slack / 2), "high": 2 * (1 - np.exp(-meet + slack / 2))}
    neuron, model = alone(
        equations, "v > low and u > high", "v = 0; u = 0", {"v": 1.0}, 8 * ms, method=method,
        namespace=namespace,
    )  # fmt: skip
    found = times(model, neuron)
    expected = [8e-3 * (meet - slack / 2)] if slack > 0 else []
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_of_two_conditions_holds_for_a_moment():
    """The smaller of the two at both ends is the one that never holds."""
    peak = 4 ** (-1 / 3) / 3 - 4 ** (-4 / 3) / 3  # of v, for u = 1 at first
    equations = "dv/dt = (u - v)/(20*ms) : 1\ndu/dt = -u/(5*ms) : 1"
    neuron, model = alone(
        equations, "v > high or u > 2", "v = -2", {"u": 1.0}, 40 * ms,
        namespace={"high": peak * (1 - 1e-7)},
    )  # fmt: skip
    assert len(times(model, neuron)) == 1


@pytest.mark.parametrize("low", [1, 2])
def test_a_reset_to_the_threshold_or_above_is_an_error(low):
    _, model = alone(
        "dv/dt = (3 - v)/(10*ms) : 1\nlow : 1", "v > 1", "v = low", {"v": 0.0, "low": low}, 20 * ms
    )
    with pytest.raises(FloatingPointError, match="neuron.*without end.*reset"):
        model.run()


def test_equations_that_need_steps_without_end_are_an_error():
    _, model = alone(
        "dv/dt = (u - v*v)*10**10/second : 1\ndu/dt = (v - u)/ms : 1", "v > 2", "v = 0",
        {"v": 1.0, "u": 1.5}, 10 * ms, method="rk4",
    )  # fmt: skip
    with pytest.raises(FloatingPointError, match="neuron.*10000 steps.*stiff"):
        model.run()


def test_a_maximum_that_a_reset_ends_at_once():
    """Brian2 sees the state between arrival and reset for a time step."""
    source = SpikeGeneratorGroup(1, [0], [1] * ms, name="source")
    neuron = NeuronGroup(
        1, "dv/dt = -v/(20*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact",
        name="neuron",
    )  # fmt: skip
    s = Synapses(source, neuron, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    neuron.v, s.w = 0.5, 0.9
    model = bep.EventPropModel(
        [source, neuron, s], train=[s.w, s.delay, neuron.v], duration=5 * ms, solver="event",
        loss=bep.Sum(bep.Maximum(neuron, "v")),
    )  # fmt: skip
    assert model.run().loss == pytest.approx(0.9 + 0.5 * np.exp(-1 / 20), rel=1e-12)
    bep.check_gradient(model, tolerance=1e-7, show=False, raises=True)


def test_a_peak_that_meets_the_threshold_to_the_last_bit_comes_to_an_end():
    """The weight at which bisection did not end: between 11.90 and 11.95 ms v is 1 at the top."""
    source = SpikeGeneratorGroup(2, [], [] * ms, name="source")
    neuron = NeuronGroup(
        1,
        """dv/dt = (I - v + 0.02*v*v)/(10*ms) : 1
           dI/dt = (x - I)/(4*ms) : 1
           dx/dt = -x/(4*ms) : 1""",
        threshold="v > 1", reset="v = -50", method="rk4", name="neuron",
    )  # fmt: skip
    s = Synapses(source, neuron, "w : 1", on_pre="x_post += w", name="s")
    s.connect()
    s.w = [5.460657374115851, 0]
    silent = np.arange(0.05e-3, 19e-3, 0.05e-3)  # without a weight, but pieces end there
    data = bep.SpikeData(
        np.r_[1e-3, silent],
        np.r_[0, np.ones(len(silent), int)],
        np.zeros(len(silent) + 1, int),
        1,
        2,
    )
    model = bep.EventPropModel(
        [source, neuron, s], train=[s.w], loss=bep.Sum(bep.Final(neuron, "v")), duration=20 * ms,
        solver="event",
    )  # fmt: skip
    assert np.isfinite(model.run(data).loss)


@pytest.mark.parametrize("method", ["exact", "rk4"])
def test_a_reset_of_all_variables_of_a_threshold_with_two_conditions(method):
    """The first spike waits for I, the second for v."""
    bent = "" if method == "exact" else " + 0*I*v/ms"
    neuron, model = alone(
        f"dv/dt = (2 - v)/(10*ms) : 1\ndI/dt = -I/(5*ms){bent} : 1", "v > 1 and I < 1.039",
        "v = -0.2 + 0.1588*(v + 0.2); I *= 0.6172", {"v": 0.0, "I": 8.0}, 20 * ms, method=method,
        train=("I",),
    )  # fmt: skip
    first = 5e-3 * np.log(8 / 1.039)
    reset = -0.2 + 0.1588 * (2 * (1 - np.exp(-first / 10e-3)) + 0.2)
    second = first + 10e-3 * np.log(2 - reset)
    np.testing.assert_allclose(times(model, neuron), [first, second], rtol=1e-11)
    moved = 1 - 0.1588 * 2 * np.exp(-first / 10e-3) / (2 - reset)
    found = model.gradient().raw(model.key_of(neuron.I))
    np.testing.assert_allclose(found, 5e-3 / 8 * (1 + moved) / 20e-3, rtol=1e-9)
