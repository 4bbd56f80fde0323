"""Values at many times: one readout, in the order in which the times are given."""

import brian2
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, TimedArray, ms, mV, uS

import brian_eventprop as bep
from tests.readouts.test_value import LINEAR, QUADRATIC, T, build, network

#: In no order, one of them twice, the beginning and the end among them.
TIMES = [17.3, 0, 20, 10, 3.1, 10]


def traces_of(cells):
    return [
        bep.Value(cells, "v + 0.3*I**2", at=TIMES * ms),
        bep.Value(cells[1:], "I*v*tau/ms + t/T", at=[t * ms for t in TIMES[:3]]),
        bep.Integral(cells, "v"),
        bep.Value(cells, "v", at=7.4 * ms),
        bep.Value(cells, "I", at=[20] * ms),
    ]


@pytest.mark.parametrize("solver", ["clock", "event"])
@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
def test_each_is_the_value_at_its_time(flow, method, solver):
    inputs, cells, s, r = network(flow, method)
    singles = [bep.Value(cells, "v + 0.3*I**2", at=t * ms) for t in TIMES]
    readouts = [*traces_of(cells), *singles]
    found = build(readouts, (inputs, cells, s, r), [s.w], solver=solver).run().readout
    assert [x.shape for x in found[:5]] == [(1, 3, 6), (1, 2, 3), (1, 3), (1, 3), (1, 3, 1)]
    for k in range(len(TIMES)):
        np.testing.assert_array_equal(found[0][:, :, k], found[5 + k])
    np.testing.assert_array_equal(found[0][:, :, 3], found[0][:, :, 5])


@pytest.mark.parametrize(
    "options", [{}, {"precision": "float32"}, pytest.param({}, marks=pytest.mark.compiled)]
)
def test_a_whole_trace_is_what_a_state_monitor_records(options):
    inputs, cells, s, r = network(QUADRATIC, "rk4")
    every = np.arange(200) * 0.1 * ms
    readouts = [bep.Value(cells, "v", at=every), bep.Value(cells[1:], "I", at=every)]
    v, current = build(readouts, (inputs, cells, s, r), [s.w], **options).run().readout
    monitor = StateMonitor(cells, ["v", "I"], record=True)
    Network(inputs, cells, s, r, monitor).run(T)
    close = {"rtol": 1e-4, "atol": 1e-5} if options else {"rtol": 1e-12}
    np.testing.assert_allclose(v[0], monitor.v, **close)
    np.testing.assert_allclose(current[0], monitor.I[1:], **close)


@pytest.mark.parametrize(
    ("flow", "method", "loop"),
    [(LINEAR, "exact", True), (LINEAR, "exact", False), (QUADRATIC, "rk4", False)],
)
def test_derivatives_in_exact_time(flow, method, loop):
    inputs, cells, s, r = network(flow, method)
    objects = (inputs, cells, s, r) if loop else (inputs, cells, s)
    train = [cells.v, cells.tau] + [s.w, s.delay, cells.I, r.w, r.delay] * loop
    model = build(traces_of(cells), objects, train, solver="event")
    report = bep.check_gradient(model, show=False)
    assert report.ok, report


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_the_gradient_is_that_of_single_values(solver):
    """Each time with a weight of its own, in two trials."""
    found, rng = [], np.random.default_rng(3)
    weights = rng.normal(size=(2, 3, len(TIMES)))
    data = bep.SpikeData([1, 2, 9, 1.5, 4] * ms, [0, 2, 1, 3, 0], [0, 0, 0, 1, 1], 2, 4)

    def many(values, targets):
        return np.sum(weights * values[0], axis=(1, 2)), (weights,)

    def single(values, targets):
        each = tuple(np.moveaxis(weights, 2, 0))
        return sum(np.sum(w * v, axis=1) for w, v in zip(each, values, strict=True)), each

    for loss in (many, single):
        brian2.start_scope()
        inputs, cells, s, r = network(QUADRATIC, "rk4")
        times = [TIMES * ms] if loss is many else [t * ms for t in TIMES]
        readouts = [bep.Value(cells, "v*I", at=at) for at in times]
        train = [s.w, s.delay, r.w, cells.tau, cells.v]
        model = bep.EventPropModel(
            [inputs, cells, s, r], train=train, loss=loss, readouts=readouts, duration=T,
            solver=solver,
        )  # fmt: skip
        result, gradients = model.run(data), model.gradient()
        found.append([result.losses, *(gradients.raw(key) for key in model.parameters.keys)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_the_kernels_do_not_grow_with_the_number_of_times():
    sources = []
    for n in (2, 150):
        brian2.start_scope()
        inputs, cells, s, _ = network()
        for solver in ("clock", "event"):
            readouts = [bep.Value(cells, "v", at=np.arange(n) * 0.1 * ms)]
            model = build(readouts, (inputs, cells, s), [s.w], solver=solver)
            model.run()
            sources.append(model.source)
    assert sources[:2] == sources[2:]


def coupled(solver, at, dt=0.1 * ms):
    """Neurons that are one system of equations."""
    brian2.start_scope()
    brian2.defaultclock.dt = dt
    cells = NeuronGroup(
        2,
        """dv/dt = (8*mV - v + R*I)/(5*ms) : volt
           R : ohm
           I : amp""",
        threshold="v > 5*mV", reset="v = 0*mV", method="rk2", name="cells",
    )  # fmt: skip
    cells.v, cells.R = [0, 2] * mV, 1 / uS
    gaps = Synapses(
        cells, cells, "g : siemens\nI_post = g*(v_pre - v_post) : amp (summed)", name="gaps"
    )
    gaps.connect(condition="i != j")
    gaps.g = [0.2, 0.3] * uS
    readouts = [bep.Value(cells, "v/mV", at=at), bep.Value(cells, "v*I/(mV*nA)", at=at[1:])]
    return bep.EventPropModel(
        [cells, gaps], train=[gaps.g, cells.v], loss=bep.Sum(*readouts), duration=5 * ms,
        solver=solver,
    )  # fmt: skip


def test_coupled_neurons():
    at = [4, 0, 2.5, 5] * ms
    exact = coupled("event", at)
    shapes = [x.shape for x in exact.run().readout]
    assert shapes == [(1, 2, 4), (1, 2, 3)]
    report = bep.check_gradient(exact, show=False)
    assert report.ok, report
    for dt, close in ((0.1 * ms, 0.1), (0.02 * ms, 0.02)):
        grid = coupled("clock", at, dt)
        grid.run()
        for key in exact.parameters.keys:
            right = exact.gradient().raw(key)
            wrong = np.linalg.norm(grid.gradient().raw(key) - right) / np.linalg.norm(right)
            assert wrong < close


def test_what_is_no_list_of_times_is_refused():
    inputs, cells, s, _ = network()
    with pytest.raises(ValueError, match="list of them"):
        bep.Value(cells, "v", at=[] * ms)
    with pytest.raises(ValueError, match="list of them"):
        bep.Value(cells, "v", at=[[1, 2]] * ms)
    with pytest.raises(ValueError, match="list of them"):
        bep.Value(cells, "v", at=[1, -1] * ms)
    with pytest.raises(ValueError, match="lasts 20. ms.*at 25. ms"):
        build([bep.Value(cells, "v", at=[1, 21, 25] * ms)], (inputs, cells, s), [s.w])
    with pytest.raises(ValueError, match="at 7.04 ms.*no time of the time grid.*7. ms"):
        build([bep.Value(cells, "v", at=[7, 7.04, 8] * ms)], (inputs, cells, s), [s.w])


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_a_trace_is_compared_with_a_target_trace(solver):
    inputs, cells, s, r = network()
    at = np.arange(0, 20, 0.5) * ms
    target = 0.5 * np.sin(np.arange(40) / 5)
    target[7] = np.nan  # not compared
    readout, single = bep.Value(cells, "v", at=at), bep.Value(cells[:1], "v", at=at)
    loss = bep.MeanSquaredError(readout, target=target, scale=0.5)
    options = dict(train=[s.w, s.delay, cells.tau], duration=T, solver=solver)
    model = bep.EventPropModel([inputs, cells, s, r], loss=loss, **options)
    result = model.run()
    errors = (result.readout[0][0] - target) / 0.5
    assert result.loss == pytest.approx(np.nansum(errors**2) / errors.size)
    if solver == "event":
        report = bep.check_gradient(model, show=False)
        assert report.ok, report
    model = bep.EventPropModel([inputs, cells, s], loss=bep.MeanSquaredError(single), **options)
    found = [model.run(targets=given).loss for given in (target[None], target[None, None])]
    assert found[0] == found[1] > 0
    with pytest.raises(ValueError, match=r"trial, neuron and time, \(1, 1, 40\)"):
        model.run(targets=target)
    loss = bep.MeanSquaredError(readout, target=np.ones(3))
    with pytest.raises(ValueError, match="for each of the 40 times, or for each neuron and time"):
        bep.EventPropModel([inputs, cells, s], loss=loss, **options).run()
    with pytest.raises(ValueError, match="not one for each of many times"):
        bep.CrossEntropy(readout)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_derivatives_in_the_values_of_a_timed_array(solver):
    """Of the drive of the neurons, which the readout reads, too."""
    drive = TimedArray([2.0, 3.0, 1.0, 2.5], dt=2 * ms)
    cells = NeuronGroup(
        2, "dv/dt = (drive(t) - v)/(3*ms) : 1", threshold="v > 2", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    readouts = [bep.Value(cells, "v*drive(t)", at=[0, 2, 3.1, 6] * ms), bep.Final(cells, "v")]
    model = bep.EventPropModel(
        [cells], train=[drive, cells.v], loss=bep.Sum(*readouts), duration=8 * ms, solver=solver,
        namespace={"drive": drive},
    )  # fmt: skip
    model.run()
    if solver == "event":
        report = bep.check_gradient(model, show=False)
        assert report.ok, report
    record = model.record(cells, ["v", "drive(t)"], adjoint=True)
    np.testing.assert_allclose(record.adjoint.v[:, 0], model.gradient()[cells.v], rtol=1e-10)
    model.parameters[drive] = 2 * np.asarray(model.parameters[drive])
    with pytest.raises(bep.UnsupportedError, match="drive"):
        model.record(cells, "drive(t)", times=[0, 8] * ms)
    again = model.record(cells, ["v", "drive(t)"])
    np.testing.assert_array_equal(again["drive(t)"], 2 * record["drive(t)"])


def test_other_losses_take_all_of_it():
    cells = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", method="exact", name="cells")
    cells.v = [1, 2, 3]
    loss = bep.Sum(bep.Value(cells, "v", at=[0, 5, 10] * ms)) + 0.5 * bep.Sum(bep.Final(cells, "v"))
    model = bep.EventPropModel([cells], train=[cells.v], loss=loss, duration=T, solver="event")
    assert model.run().loss == pytest.approx(6 * (np.exp([0, -0.25, -0.5]).sum() + 0.5 / np.e))
    slope = np.exp([0, -0.25, -0.5]).sum() + 0.5 / np.e
    np.testing.assert_allclose(model.gradient()[cells.v], slope, rtol=1e-10)
