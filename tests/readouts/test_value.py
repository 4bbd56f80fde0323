"""A value at a given time: as a StateMonitor has it, with its derivatives, on every solver."""

import brian2
import numpy as np
import pytest
from brian2 import (
    DimensionMismatchError,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
    TimedArray,
    ms,
    mV,
)
from helpers.derivatives import assert_gradient

import brian_eventprop as bep

LINEAR = "(I - v)/tau"
QUADRATIC = "(I - v + 0.3*v**2)/tau"
T = 20 * ms


def network(flow=LINEAR, method="exact"):
    """A recurrent group with delays and a refractory period, driven by a few spikes."""
    rng = np.random.default_rng(11)
    channels, times = [0, 1, 2, 3, 0, 1, 2], [1, 2, 3, 4, 8, 9, 12] * ms
    inputs = SpikeGeneratorGroup(4, channels, times, name="inputs")
    cells = NeuronGroup(
        3,
        f"""dv/dt = {flow} : 1 (unless refractory)
            dI/dt = -I/(4*ms) : 1
            tau : second (constant)""",
        threshold="v > 1", reset="v = 0", refractory=1 * ms, method=method, name="cells",
    )  # fmt: skip
    cells.tau = [10, 9, 11] * ms
    s = Synapses(inputs, cells, "w : 1", on_pre="I_post += w", name="s")
    r = Synapses(cells, cells, "w : 1", on_pre="I_post += w", name="r")
    for synapses, scale, delay in ((s, 3, 0.55), (r, 0.6, 1.53)):
        synapses.connect()
        synapses.w = scale * rng.random(len(synapses))
        synapses.delay = (delay + rng.random(len(synapses))) * ms
    return inputs, cells, s, r


def readouts_of(cells):
    return [
        bep.Value(cells, "v + 0.3*I**2", at=10 * ms),
        bep.Value(cells[1:], "I*v*tau/ms + t/T", at=17.3 * ms),
        bep.Value(cells, "v", at=17.3 * ms),
        bep.Value(cells, "I - v", at=0 * ms),
        bep.Maximum(cells, "I"),
        bep.Integral(cells, "v**2/second"),
        bep.Value(cells, "v - I", at=T),
        bep.Final(cells, "v - I"),
    ]


def build(readouts, objects, train, **options):
    first, *rest = [(k + 1) * bep.Sum(r) for k, r in enumerate(readouts)]
    loss = sum(rest, first)
    return bep.EventPropModel(list(objects), train=train, loss=loss, duration=T, **options)


@pytest.mark.parametrize(
    ("flow", "method"),
    [
        (LINEAR, "exact"),
        (QUADRATIC, "rk4"),
        pytest.param(LINEAR, "exact", marks=pytest.mark.compiled),
    ],
)
def test_it_is_what_a_state_monitor_records(flow, method):
    inputs, cells, s, r = network(flow, method)
    readouts = readouts_of(cells)
    model = build(readouts, (inputs, cells, s, r), [s.w])
    found = model.run().readout
    monitor = StateMonitor(cells, ["v", "I"], record=True)
    Network(inputs, cells, s, r, monitor).run(T)
    v, current = monitor.v, monitor.I
    tau = np.array([10, 9, 11])
    np.testing.assert_allclose(found[0][0], v[:, 100] + 0.3 * current[:, 100] ** 2, rtol=1e-12)
    expected = (current * v * tau[:, None])[1:, 173] + 17.3 / 20
    np.testing.assert_allclose(found[1][0], expected, rtol=1e-12)
    np.testing.assert_allclose(found[2][0], v[:, 173], rtol=1e-12)
    np.testing.assert_array_equal(found[3][0], 0)
    np.testing.assert_array_equal(found[6], found[7])  # at the end it is the final value


@pytest.mark.parametrize("loop", [True, False], ids=["recurrent", "feedforward"])
@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
def test_derivatives_in_exact_time(flow, method, loop):
    inputs, cells, s, r = network(flow, method)
    objects = (inputs, cells, s, r) if loop else (inputs, cells, s)
    train = [s.w, s.delay, cells.v, cells.I, cells.tau] + [r.w, r.delay] * loop
    model = build(readouts_of(cells), objects, train, solver="event")
    assert_gradient(model)


def test_the_time_grid_comes_close_to_exact_time():
    found = []
    for solver, dt in (("event", 0.1 * ms), ("clock", 0.1 * ms), ("clock", 0.01 * ms)):
        brian2.start_scope()
        brian2.defaultclock.dt = dt
        inputs, cells, s, r = network()
        train = [s.w, s.delay, r.w, r.delay, cells.v, cells.tau]
        model = build(readouts_of(cells), (inputs, cells, s, r), train, solver=solver)
        model.run()
        gradients = model.gradient()
        found.append([np.ravel(gradients.raw(key)) for key in model.parameters.keys])
    exact, coarse, fine = found
    for k, right in enumerate(exact):
        wrong = [np.linalg.norm(x[k] - right) / np.linalg.norm(right) for x in (coarse, fine)]
        assert wrong[1] < 0.02  # first order in dt, like all derivatives of the time grid
        assert wrong[1] < wrong[0] / 3


def test_two_groups_timed_arrays_and_conditions():
    """A timed array takes its new value at that very time; a condition changes between the two."""
    stimulus = TimedArray([1.5, 3.0, 2.0, 2.5] * mV, dt=5 * ms)
    first = NeuronGroup(
        2,
        """dv/dt = (stimulus(t) + int(v > 0.8*mV)*mV - v)/tau : volt
           tau : second (constant)""",
        threshold="v > 1.6*mV", reset="v = 0*mV", method="rk4", name="first",
    )  # fmt: skip
    first.tau = [4, 6] * ms
    second = NeuronGroup(2, "dv/dt = -v/(7*ms) : volt", method="exact", name="second")
    s = Synapses(first, second, "w : volt", on_pre="v_post += w", name="s")
    s.connect()
    s.w, s.delay = "(1 + i + 2*j)*mV", "(1.25 + 0.5*i)*ms"
    readouts = [
        bep.Value(first, "v*stimulus(t)/mV**2", at=10 * ms),
        bep.Value(second, "v/mV", at=14.6 * ms),
        bep.Value(first, "v/mV", at=3.3 * ms),
    ]
    space = {"stimulus": stimulus, "tau": 0 * ms}
    train = [s.w, s.delay, first.tau, first.v]
    model = build(readouts, (first, second, s), train, solver="event", namespace=space)
    result = model.run()
    assert len(result.spikes["first"].t) > 2
    assert_gradient(model)
    clock = build(readouts, (first, second, s), train, namespace=space).run()
    for exact, grid in zip(result.readout, clock.readout, strict=True):
        np.testing.assert_allclose(grid, exact, rtol=0.03)


def test_what_is_no_time_of_the_trial_or_of_the_grid_is_refused():
    inputs, cells, s, _ = network()
    with pytest.raises(ValueError, match="lasts 20. ms"):
        build([bep.Value(cells, "v", at=21 * ms)], (inputs, cells, s), [s.w])
    with pytest.raises(ValueError, match="'cells'.*no time of the time grid.*7. ms"):
        build([bep.Value(cells, "v", at=7.04 * ms)], (inputs, cells, s), [s.w])
    with pytest.raises(ValueError, match="time of the trial"):
        bep.Value(cells, "v", at=-1 * ms)
    with pytest.raises((DimensionMismatchError, TypeError)):
        bep.Value(cells, "v", at=3)
    with pytest.raises(ValueError, match="expression"):
        bep.Value(cells, "", at=3 * ms)
