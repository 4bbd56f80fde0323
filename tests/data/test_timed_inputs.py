"""Continuous input: timed arrays in the equations, with values of their own in every trial."""

import numpy as np
import pytest
from brian2 import (
    DimensionMismatchError,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    ms,
    mV,
    nA,
    second,
    start_scope,
)
from helpers.backends import arrays_of, check_equal
from helpers.cuda.emulator import Emulator
from helpers.derivatives import assert_gradient

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import solver as clock_cuda

RANDOM = np.random.default_rng(5)
TRIALS = RANDOM.uniform(0, 3, (3, 6, 2))  # trials, cells, columns
OFFSETS = RANDOM.uniform(0, 1, (3, 9))


def network(method="euler", nonlinear=False):
    """Two neurons driven by two timed arrays on different grids, by spikes and by each other."""
    start_scope()
    square = " + 0.3*v**2" if nonlinear else ""
    namespace = {
        "I_ext": TimedArray(TRIALS[0], dt=2 * ms),
        "base": TimedArray(OFFSETS[0], dt=1.5 * ms),
        "tau": 5 * ms,
        "taus": 3 * ms,
        "gain": 1.1,
    }
    source = SpikeGeneratorGroup(1, [0, 0], [1, 4] * ms, name="src")
    group = NeuronGroup(
        2,
        f"""dv/dt = (gain*I_ext(t, i) + base(t) - v{square} + x)/tau : 1 (unless refractory)
            dx/dt = -x/taus : 1""",
        threshold="v > 1.3", reset="v = 0", refractory=0.75 * ms, method=method, name="driven",
    )  # fmt: skip
    s = Synapses(source, group, "w : 1", on_pre="x_post += w", name="s")
    s.connect()
    s.w, s.delay = [0.5, -0.4], [0.5, 0.2] * ms
    loop = Synapses(group, group, "w : 1", on_pre="v_post += w", name="loop")
    loop.connect(condition="i != j")
    loop.w, loop.delay = [0.2, -0.1], [1.3, 0.9] * ms
    return [source, group, s, loop], namespace, group


def model_of(objects, namespace, loss, train, **more):
    return bep.EventPropModel(
        objects, train=train, loss=loss, duration=12 * ms, namespace=namespace, **more
    )


@pytest.mark.parametrize("method", ["exact", "rk4"])
def test_every_trial_is_that_of_brian2(method):
    objects, namespace, group = network(method)
    loss = bep.Sum(bep.Integral(group, "v"))
    model = model_of(objects, namespace, loss, [objects[2].w])
    given = bep.SpikeData.from_lists([[[0.001, 0.004]]] * 3)
    result = model.run(given, traces={"I_ext": TRIALS, "base": OFFSETS})
    trains = result.spikes[group]
    monitors = [SpikeMonitor(group), StateMonitor(group, "v", record=True)]
    net = Network(objects, monitors)
    net.store()
    for trial in range(3):
        net.restore()
        here = dict(namespace, I_ext=TimedArray(TRIALS[trial], dt=2 * ms))
        here["base"] = TimedArray(OFFSETS[trial], dt=1.5 * ms)
        net.run(12 * ms, namespace=here)
        mine = trains.sample == trial
        found = sorted(zip(trains.i[mine], np.asarray(trains.t[mine]).round(9), strict=True))
        times = np.asarray(monitors[0].t).round(9)
        assert found == sorted(zip(np.array(monitors[0].i), times, strict=True))
        assert len(found) > 2
        expected = np.sum(monitors[1].v, axis=1) * 1e-4
        np.testing.assert_allclose(result.readout[0][trial], expected, rtol=1e-12)


def test_own_values_are_the_default():
    objects, namespace, group = network()
    model = model_of(objects, namespace, bep.Sum(bep.Integral(group, "v")), ["gain"])
    own = model.run()
    given = model.run(traces={"I_ext": TRIALS[:1], "base": OFFSETS[:1]})
    assert own.loss == given.loss
    assert model.run(traces={"I_ext": 2 * TRIALS[:1]}).loss != own.loss


def test_columns_by_parameter_and_in_a_part_of_the_group():
    start_scope()
    traces = TimedArray(np.arange(12.0).reshape(4, 3), dt=1 * ms)
    group = NeuronGroup(
        5, "dv/dt = 0.001*I_ext(t, (channel + 1) % 3)/ms : 1\nchannel : integer (constant)",
        method="euler", name="columns",
    )  # fmt: skip
    group.channel = [0, 1, 2, 0, 2]
    loss = bep.Sum(bep.Final(group, "v"), bep.Integral(group[2:5], "I_ext(t, i)/second"))
    model = bep.EventPropModel(
        [group], train=[group.v], loss=loss, duration=4 * ms, namespace={"I_ext": traces}
    )
    final, part = model.run().readout
    sums = traces.values.sum(axis=0)
    np.testing.assert_allclose(final, [0.001 * sums[[1, 2, 0, 1, 0]]])
    np.testing.assert_allclose(part, [1e-3 * sums])
    exact = bep.EventPropModel(
        [group], train=[group.v], loss=loss, duration=4 * ms, namespace={"I_ext": traces},
        solver="event",
    )  # fmt: skip
    for found, expected in zip(exact.run().readout, (final, part), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"columns 0 to 4, but the array has 3"):
        bep.EventPropModel(
            [group], train=[group.v], loss=bep.Sum(bep.Integral(group, "v + I_ext(t, i)")),
            duration=4 * ms, namespace={"I_ext": traces},
        ).run()  # fmt: skip


def test_breaks_are_met_exactly():
    # a leaky integrator, in closed form from break to break; 0.7 ms is no multiple of the step
    start_scope()
    traces = TimedArray(TRIALS[1, :, 0], dt=0.7 * ms)
    group = NeuronGroup(1, "dv/dt = (I_ext(t) - v)/(3*ms) : 1", method="euler", name="leaky")
    model = bep.EventPropModel(
        [group], train=[group.v], loss=bep.Sum(bep.Final(group, "v")), duration=5 * ms,
        solver="event", namespace={"I_ext": traces},
    )  # fmt: skip
    v, begins = 0.0, np.append(np.arange(6) * 0.7, 5.0)
    for cell in range(6):
        decay = np.exp(-(begins[cell + 1] - begins[cell]) / 3)
        v = traces.values[cell] + (v - traces.values[cell]) * decay
    np.testing.assert_allclose(model.run().loss, v, rtol=1e-13)


def everything(objects, group):
    """A loss of the states, the traces and the spikes, and all that can be trained."""
    loss = bep.Sum(
        bep.Integral(group, "100*(v - I_ext(t, i))**2 + base(t)*v"),
        bep.SpikeTimes(group, "t/ms"),
        bep.Final(group[:1], "v + x"),
    )
    s, loop = objects[2:]
    return loss, ["tau", "gain", s.w, s.delay, loop.w, loop.delay, group.v]


@pytest.mark.parametrize("nonlinear", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_gradients_equal_central_differences(nonlinear):
    objects, namespace, group = network("rk4", nonlinear)
    model = model_of(objects, namespace, *everything(objects, group), solver="event")
    given = bep.SpikeData(
        [0.001, 0.004] * 3, [0] * 6, [0, 0, 1, 1, 2, 2], 3, 1,
        traces={"I_ext": TRIALS, "base": OFFSETS},
    )  # fmt: skip
    assert len(model.run(given).spikes[group]) > 8
    assert_gradient(model, given)


@pytest.mark.slow
def test_clock_solver_converges_to_the_event_solver():
    found = {}
    for solver, dt in (("event", 0.1), ("clock", 0.02), ("clock", 0.002)):
        defaultclock.dt = dt * ms
        objects, namespace, group = network("rk4")
        model = model_of(objects, namespace, *everything(objects, group), solver=solver)
        model.run()
        gradients = model.gradient()
        found[solver, dt] = [gradients.raw(key) for key in model.parameters.keys]
    exact, *others = found.values()
    coarse, fine = (
        max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(other, exact, strict=True))
        for other in others
    )
    assert fine < 0.01 and fine < coarse / 3  # first order in dt


def test_clock_gradient_without_spikes_equals_central_differences():
    start_scope()
    traces = TimedArray(TRIALS[0] * nA, dt=2 * ms)
    group = NeuronGroup(
        2,
        "dv/dt = (R*I_ext(t, i) - v)/tau : volt\nR : ohm (constant)",
        method="rk2",
        name="passive",
    )
    group.R = [2, 3] * mV / nA
    model = bep.EventPropModel(
        [group], train=[group.R, "tau"], loss=bep.Sum(bep.Integral(group, "v**2/mV**2")),
        duration=12 * ms, namespace={"I_ext": traces, "tau": 5 * ms},
    )  # fmt: skip
    given = {"I_ext": TRIALS * nA}
    model.run(traces=given)
    gradients = model.gradient()
    for key in model.parameters.keys:
        value, slope = model.parameters.raw(key), []
        for k in range(len(value)):
            kept, losses = value[k], []
            for factor in (1 + 1e-5, 1 - 1e-5):
                value[k] = kept * factor
                losses.append(model.run(traces=given).loss)
            value[k] = kept
            slope.append((losses[0] - losses[1]) / (2e-5 * kept))
        np.testing.assert_allclose(gradients.raw(key), slope, rtol=1e-7)


def test_a_gain_is_learned_from_traces_alone(tmp_path):
    start_scope()
    inputs = RANDOM.normal(size=(60, 10, 4))
    wanted = np.array([1.0, -2.0, 0.5, 3.0])
    targets = np.zeros((60, 1))
    group = NeuronGroup(
        1,
        """dv/dt = (w0*f(t, 0) + w1*f(t, 1) + w2*f(t, 2) + w3*f(t, 3) - v)/tau : 1
           w0 : 1 (constant)
           w1 : 1 (constant)
           w2 : 1 (constant)
           w3 : 1 (constant)""",
        method="exact", name="readout",
    )  # fmt: skip
    weights = [group.w0, group.w1, group.w2, group.w3]
    namespace = {"f": TimedArray(inputs[0], dt=2 * ms), "tau": 5 * ms}
    model = bep.EventPropModel(
        [group], train=weights, loss=bep.MeanSquaredError(bep.Final(group, "v")),
        duration=20 * ms, namespace=namespace,
    )  # fmt: skip
    data = bep.SpikeData.from_traces({"f": inputs}, targets=targets)
    for key, w in zip(model.parameters.keys, wanted, strict=True):
        model.parameters.set_raw(key, np.array([w]))
    data.targets[:] = model.run(data).readout[0]
    for key in model.parameters.keys:
        model.parameters.set_raw(key, np.zeros(1))
    checkpoint = bep.Checkpoint(tmp_path / "run.h5")
    optimizer = bep.Adam(dict.fromkeys(model.parameters.keys, 0.2))
    trainer = bep.Trainer(model, optimizer, [checkpoint])
    history = trainer.fit(data, 30, 20, validation=data, progress=False)
    assert history["val_loss"][-1] < 1e-2 * history["val_loss"][0]
    found = [model.parameters.raw(key)[0] for key in model.parameters.keys]
    np.testing.assert_allclose(found, wanted, atol=0.2)


def test_data_with_traces_is_cut_saved_and_loaded(tmp_path):
    data = bep.SpikeData(
        [0.001], [0], [1], 3, 2, targets=[2, 1, 0], traces={"a": TRIALS * nA, "b": OFFSETS}
    )
    part = data[[2, 0]]
    np.testing.assert_array_equal(np.asarray(part.traces["a"]), TRIALS[[2, 0]] * 1e-9)
    part.save(tmp_path / "data.h5")
    loaded = bep.SpikeData.load(tmp_path / "data.h5")
    assert loaded.traces["a"].dim is nA.dim and loaded.traces["b"].is_dimensionless
    np.testing.assert_array_equal(loaded.traces["b"], OFFSETS[[2, 0]])
    moved = bep.ChannelShift(1)(data, np.random.default_rng(0), data)
    assert set(moved.traces) == {"a", "b"}
    with pytest.raises(ValueError, match="no rule for blending traces"):
        bep.Blend(1)(data, np.random.default_rng(0), data)
    with pytest.raises(ValueError, match=r"traces\['a'\]"):
        bep.SpikeData([], [], [], 3, 2, traces={"a": np.zeros((2, 4))})


@pytest.mark.parametrize(
    "traces, error, message",
    [
        ({"I_ext": TRIALS * mV}, DimensionMismatchError, "the trace 'I_ext' has the wrong unit"),
        ({"other": TRIALS}, ValueError, "no TimedArray.*'other'; it has: I_ext, base"),
        ({"I_ext": TRIALS[:, :, :1]}, ValueError, r"shape \(trials, cells, 2\)"),
        ({"base": TRIALS}, ValueError, r"shape \(trials, cells\)"),
        ({"base": OFFSETS * np.inf}, ValueError, "not finite"),
        ({"base": OFFSETS}, ValueError, "different numbers of trials"),
    ],
)
def test_wrong_traces(traces, error, message):
    objects, namespace, group = network()
    model = model_of(objects, namespace, bep.Sum(bep.Integral(group, "v")), ["gain"])
    with pytest.raises(error, match=message):
        model.run(traces=traces)


@pytest.mark.parametrize("nonlinear", [False, True])
def test_the_same_on_graphics_cards(nonlinear, monkeypatch):
    found = []
    monkeypatch.setattr(clock_cuda, "CudaDevice", Emulator)
    for backend in ("cpu", "cuda"):
        objects, namespace, group = network("rk2", nonlinear)
        loss = bep.Sum(bep.Integral(group, "v**2*base(t)"), bep.Final(group, "x"))
        train = [objects[2].w, objects[2].delay, objects[3].w, "gain"]
        model = model_of(objects, namespace, loss, train, backend=backend)
        given = bep.SpikeData.from_lists([[[0.001, 0.004]]] * 3)
        result = model.run(given, traces={"I_ext": TRIALS, "base": OFFSETS})
        found.append(arrays_of(result, model.gradient(), model))
    check_equal(found[1], found[0])
    assert len(found[0]["driven", "i"]) > 5


@pytest.mark.parametrize(
    "equation, message",
    [
        ("dv/dt = I_ext(t - d, i)/ms : 1", "called at another time than t"),
        ("dv/dt = I_ext(t, int(v))/ms : 1", "must depend on constants"),
    ],
)
def test_what_is_refused(equation, message):
    start_scope()
    namespace = {
        "I_ext": TimedArray(TRIALS[0], dt=2 * ms), "base": TimedArray(OFFSETS[0], dt=2 * ms),
        "d": 1 * ms,
    }  # fmt: skip
    group = NeuronGroup(2, equation, method="euler", name="refused")
    with pytest.raises(bep.UnsupportedError, match=message):
        bep.EventPropModel(
            [group], train=[group.v], loss=bep.Sum(bep.Final(group, "v")), duration=1 * second,
            namespace=namespace,
        )  # fmt: skip
