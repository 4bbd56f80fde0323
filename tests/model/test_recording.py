"""Traces of a trial are those of a StateMonitor, and the adjoint is the derivative of the loss."""

from copy import deepcopy

import brian2
import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
    TimedArray,
    ms,
    mV,
    nA,
    second,
    uS,
)

import brian_eventprop as bep
from tests.readouts.test_value import LINEAR, QUADRATIC, T, network

SOLVERS = pytest.mark.parametrize("solver", ["clock", "event"])


def model_of(objects, train, solver="clock", duration=T, loss=None, **options):
    cells = next(obj for obj in objects if isinstance(obj, NeuronGroup))
    loss = loss or bep.Sum(
        bep.Integral(cells, "v**2/ms"),
        bep.SpikeTimes(cells, "t/ms"),
        bep.Value(cells, "v + I", at=[2.2, 7] * ms),
        bep.Final(cells, "v*I"),
    )
    return bep.EventPropModel(
        list(objects), train=train, loss=loss, duration=duration, solver=solver, **options
    )


# ---- traces ----
@pytest.mark.parametrize("options", [{}, pytest.param({}, marks=pytest.mark.compiled)])
@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
def test_it_is_what_a_state_monitor_records(flow, method, options):
    inputs, cells, s, r = network(flow, method)
    model = model_of([inputs, cells, s, r], [s.w], **options)
    model.run()
    record = model.record(cells, ["v", "I", "tau", "v*I"])
    part = model.record(cells[1:], "I", times=[3, 2, 2] * ms)
    monitor = StateMonitor(cells, ["v", "I"], record=True)
    Network(inputs, cells, s, r, monitor).run(T)
    np.testing.assert_array_equal(record.t / second, monitor.t / second)
    for name in ("v", "I"):
        expected = getattr(monitor, name)
        np.testing.assert_allclose(record[name], expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(record.tau[:, 7], [10, 9, 11] * ms)
    np.testing.assert_allclose(record["v*I"], record.v * record.I, rtol=1e-12)
    np.testing.assert_allclose(part.I, monitor.I[1:, [30, 20, 20]], rtol=1e-12)
    assert record.tau.dim == second.dim and list(record) == ["v", "I", "tau", "v*I"]


def test_units_subexpressions_and_timed_arrays():
    """What no other part of the model reads is read then, with the namespace of the model."""

    def build():
        drive, unseen = TimedArray([2, 5, 1] * mV, dt=2 * ms), TimedArray([1, 3] * nA, dt=4 * ms)
        gain = 3.0
        cells = NeuronGroup(
            2,
            """dv/dt = (drive(t) - v)/tau : volt
               above = gain*(v - theta) : volt
               current = unseen(t) : amp
               theta : volt
               tau : second""",
            method="euler", name="cells",
        )  # fmt: skip
        cells.tau, cells.theta, cells.v = [3, 5] * ms, 1 * mV, [1, 2] * mV
        model = bep.EventPropModel(
            [cells], train=[cells.tau], loss=bep.Sum(bep.Final(cells, "v/mV")), duration=6 * ms
        )
        space = {"drive": drive, "unseen": unseen, "gain": gain}
        return model, cells, space

    model, cells, space = build()
    record = model.record(cells, ["v", "above", "current", "theta"])
    monitor = StateMonitor(cells, ["v", "above", "current"], record=True)
    Network(cells, monitor).run(6 * ms, namespace=space)
    for name in ("v", "above", "current"):
        np.testing.assert_allclose(record[name] / 1, getattr(monitor, name) / 1, rtol=1e-12)
    given = np.array([[[1.0], [2.0]], [[3.0], [4.0]]]) * mV
    model.run(traces={"drive": given})
    second_trial = model.record(cells, ["v"], trial=1)
    np.testing.assert_allclose(second_trial.v[:, 1] / mV, [1 + 0.2 / 3, 2 + 0.1 / 5])
    assert record.theta.dim == mV.dim


@SOLVERS
def test_of_a_trial_of_the_last_run_with_the_parameters_of_now(solver):
    inputs, cells, s, r = network()
    data = bep.SpikeData([1, 2, 9, 1.5, 4] * ms, [0, 2, 1, 3, 0], [0, 0, 0, 1, 1], 2, 4)
    model = model_of([inputs, cells, s, r], [s.w, cells.tau], solver)
    model.run(data)
    before = model.record(cells, "v", trial=1, times=[5, 12] * ms)
    np.testing.assert_array_equal(
        before.v, model.record(cells, "v", times=[5, 12] * ms, spikes=data[1]).v
    )
    alone = bep.Sum(bep.Value(cells, "v", at=[5, 12] * ms))
    other = model_of([inputs, cells, s, r], [s.w, cells.tau], solver, loss=alone)
    for weight in (1.0, 1.3):
        for each in (model, other):
            each.parameters[s.w] = weight * each.parameters[s.w]
            each.parameters[cells.tau] = weight * each.parameters[cells.tau]
        expected = other.run(data).readout[0][1]
        found = model.record("cells", "v", trial=1, times=[5, 12] * ms)
        np.testing.assert_array_equal(found.v, expected)
    assert np.all(found.v != before.v)


@SOLVERS
def test_of_weights_that_are_an_expression(solver):
    inputs, cells, s, _ = network()
    weights = bep.Expression(s.w, "k*(1 + i + j)", k=0.2)
    loss = bep.Sum(bep.Value(cells, "v", at=[5, 12] * ms))
    model = model_of([inputs, cells, s], [weights], solver, loss=loss)
    model.run()
    gradient = model.gradient()["k"]
    model.parameters["k"] = 0.4
    found = model.record(cells, "v", times=[5, 12] * ms)
    np.testing.assert_array_equal(model.gradient()["k"], gradient)  # that of the last run
    np.testing.assert_array_equal(found.v, model.run().readout[0][0])


def test_after_a_rewiring():
    inputs, cells, s, _ = network()
    model = model_of([inputs, cells, s], [s.w])
    model.run()
    before = model.record(cells, "v").v
    model.reconnect(s, s.i[:], np.roll(s.j[:], 1))
    model.run()
    found = model.record(cells, "v").v
    assert np.any(found != before)
    found_of_readout = model_of([inputs, cells, s], [s.w], loss=bep.Sum(bep.Final(cells, "v")))
    found_of_readout.reconnect(s, s.i[:], np.roll(s.j[:], 1))
    found_of_readout.run()
    np.testing.assert_array_equal(found_of_readout.record(cells, "v").v, found)
    np.testing.assert_array_equal(deepcopy(model).record(cells, "v").v, found)


def test_exact_time_has_the_closed_form():
    source = SpikeGeneratorGroup(1, [0, 0], [2.25, 6] * ms)
    cells = NeuronGroup(1, "dv/dt = -v/(7*ms) : volt", method="exact", name="cells")
    s = Synapses(source, cells, "w : volt", on_pre="v_post += w")
    s.connect()
    s.w = 3 * mV
    loss = bep.Sum(bep.Final(cells, "v/mV"))
    model = model_of([source, cells, s], [s.w], "event", 10.04 * ms, loss)
    model.run()
    record = model.record(cells, ["v"], adjoint=True)
    assert len(record.t) == 101  # 10.04 ms have a step that has begun
    t = np.asarray(record.t / ms)
    expected = sum(3 * np.where(t > at, np.exp((at - t) / 7), 0) for at in (2.25, 6))
    np.testing.assert_allclose(record.v[0] / mV, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(record.adjoint.v[0] * mV, np.exp((t - 10.04) / 7), rtol=1e-12)


# ---- the adjoint ----
@SOLVERS
@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
def test_at_the_beginning_it_is_the_gradient_by_initial_values(flow, method, solver):
    inputs, cells, s, r = network(flow, method)
    data = bep.SpikeData([1, 2, 9, 1.5, 4] * ms, [0, 2, 1, 3, 0], [0, 0, 0, 1, 1], 2, 4)
    model = model_of([inputs, cells, s, r], [cells.v, cells.I], solver)
    result = model.run(data)
    gradients = model.gradient()
    found = [model.record(cells, "v", k, [0, 4] * ms, adjoint=True) for k in range(2)]
    np.testing.assert_allclose([one.loss for one in found], result.losses, rtol=1e-12)
    for name in ("v", "I"):
        mean = np.mean([one.adjoint[name][:, 0] for one in found], axis=0)
        expected = gradients[getattr(cells, name)]
        np.testing.assert_allclose(mean, expected, rtol=1e-10, atol=1e-13)


def jumping(solver, flow, method, at=6.3):
    """The network, whose v and I are moved at one time of the grid by parameters."""
    inputs, cells, s, r = network(flow, method)
    moved = NeuronGroup(
        3,
        f"""dv/dt = {flow} : 1
            dI/dt = -I/(4*ms) : 1
            dv_moves : 1
            dI_moves : 1
            tau : second (constant)""",
        threshold="v > 1", reset="v = 0", method=method, name="moved",
    )  # fmt: skip
    moved.tau = [10, 9, 11] * ms
    here = f"int(abs(t - {at}*ms) < 0.01*ms)"
    moved.run_regularly(f"v += dv_moves*{here}\nI += dI_moves*{here}", dt=0.7 * ms)
    a = Synapses(inputs, moved, "w : 1", on_pre="I_post += w", name="a")
    a.connect()
    a.w, a.delay = s.w[:], s.delay[:]
    back = Synapses(moved, moved, "w : 1", on_pre="I_post += w", name="back")
    back.connect()
    back.w, back.delay = r.w[:], r.delay[:]
    train = [moved.dv_moves, moved.dI_moves]
    loss = bep.Sum(
        bep.SpikeTimes(moved, "t/ms"), bep.Value(moved, "v*I", at=[3, 9, 15.2] * ms)
    ) + bep.Sum(bep.Final(moved, "v**2"))  # no Integral: it takes v before the jump on the grid
    return model_of([inputs, moved, a, back], train, solver, loss=loss), moved


@pytest.mark.parametrize(
    ("flow", "method", "solver"),
    [(LINEAR, "exact", "clock"), (LINEAR, "exact", "event"), (QUADRATIC, "rk4", "event")],
)
def test_it_is_the_derivative_by_a_jump_at_that_time(flow, method, solver):
    model, moved = jumping(solver, flow, method)
    assert len(model.run().spikes[moved].t) > 3
    gradients = model.gradient()
    adjoint = model.record(moved, "v", times=[6.3] * ms, adjoint=True).adjoint
    for state in ("v", "I"):
        by_jump = gradients[getattr(moved, f"d{state}_moves")]
        np.testing.assert_allclose(adjoint[state][:, 0], by_jump, rtol=1e-9)
    if solver == "event":  # a jump of another size
        view = moved.dv_moves
        for neuron in range(3):
            losses = []
            for h in (1e-6, -1e-6):
                size = np.zeros(3)
                size[neuron] = h
                model.parameters[view] = size
                losses.append(model.run().loss)
            difference = (losses[0] - losses[1]) / 2e-6
            np.testing.assert_allclose(adjoint.v[neuron, 0], difference, rtol=1e-5)


@SOLVERS
def test_of_neurons_that_the_trained_ones_do_not_reach(solver):
    """The last synapses are trained; the adjoint of the first group is what they pass on."""
    inputs, cells, s, _ = network()
    out = NeuronGroup(2, "dx/dt = -x/(5*ms) : 1", method="exact", name="out")
    o = Synapses(cells, out, "w : 1", on_pre="x_post += w", name="o")
    o.connect()
    o.w, o.delay = "0.5 + 0.1*i + 0.2*j", "(0.3 + 0.2*j)*ms"
    loss = bep.Sum(bep.Integral(out, "x**2/ms"))
    found = []
    for train in ([o.w], [o.w, cells.v, cells.I, s.w, s.delay]):
        model = model_of([inputs, cells, s, out, o], train, solver, loss=loss)
        model.run()
        found.append(model.record(cells, "v", times=[0, 1.2, 5] * ms, adjoint=True).adjoint)
    gradients = model.gradient()
    for state in ("v", "I"):
        np.testing.assert_array_equal(found[0][state], found[1][state])
        view = getattr(cells, state)
        np.testing.assert_allclose(found[0][state][:, 0], gradients[view], rtol=1e-10)
        assert np.any(found[0][state][:, 1] != 0)


@SOLVERS
def test_coupled_neurons(solver):
    """What others read of a state at that time is part of its adjoint."""
    cells = NeuronGroup(
        2,
        """dv/dt = (8*mV - v + I/uS)/(5*ms) : volt
           I : amp
           push : volt""",
        threshold="v > 5*mV", reset="v = 0*mV", method="euler", name="cells",
    )  # fmt: skip
    follow = NeuronGroup(2, "dx/dt = (y - x)/(3*ms) : 1\ny : 1", method="euler", name="follow")
    cells.v = [0, 2] * mV
    gaps = Synapses(
        cells, cells, "g : siemens\nI_post = g*(v_pre - v_post) : amp (summed)", name="gaps"
    )
    gaps.connect(condition="i != j")
    gaps.g = [0.2, 0.3] * uS
    link = Synapses(cells, follow, "k : 1\ny_post = k*v_pre/mV : 1 (summed)", name="link")
    link.connect()
    link.k = [0.1, 0.2, 0.3, 0.4]
    loss = bep.Sum(
        bep.Integral(cells, "I/nA/ms"), bep.Value(follow, "x*y", at=[1, 2] * ms),
        bep.Value(cells, "v*I/(mV*nA)", at=[0, 1] * ms), bep.Final(follow, "x + y"),
    )  # fmt: skip
    model = model_of([cells, follow, gaps, link], [cells.v, follow.x], solver, 4 * ms, loss)
    model.run()
    gradients, times = model.gradient(), [0, 1, 4] * ms
    record = model.record(cells, ["v", "I"], times=times, adjoint=True)
    other = model.record(follow, "x", times=times, adjoint=True)
    np.testing.assert_allclose(record.adjoint.v[:, 0], gradients[cells.v], rtol=1e-10)
    np.testing.assert_allclose(other.adjoint.x[:, 0], gradients[follow.x], rtol=1e-10)
    np.testing.assert_allclose(other.adjoint.x[:, 2], 1)
    if solver == "clock":
        whole = model.record(cells, ["v", "I"])
        monitor = StateMonitor(cells, ["v", "I"], record=True)
        Network(cells, follow, gaps, link, monitor).run(4 * ms)
        np.testing.assert_allclose(whole.v, monitor.v, rtol=1e-12)
        np.testing.assert_allclose(whole.I / nA, monitor.I / nA, rtol=1e-12)
    np.testing.assert_array_equal(record.adjoint.I, 0)


@SOLVERS
def test_the_adjoint_of_coupled_neurons_by_differences(solver):
    """The rest of a trial from another state at a time in the middle of it."""
    losses, h = {}, 1e-4

    def model_from(v, duration):
        brian2.start_scope()
        cells = NeuronGroup(2, "dv/dt = (S - v)/(4*ms) : 1\nS : 1", method="rk4", name="cells")
        s = Synapses(cells, cells, "S_post = tanh(v_pre) : 1 (summed)", name="s")
        s.connect(condition="i != j")
        cells.v = v
        loss = bep.Sum(bep.Integral(cells, "v**2/ms"), bep.Final(cells, "v*S"))
        return model_of([cells, s], [cells.v], solver, duration, loss)

    model = model_from([0.4, 0.9], 6 * ms)
    model.run()
    record = model.record("cells", "v", times=[2.5] * ms, adjoint=True)
    for neuron in range(2):
        for sign in (1, -1):
            v = np.array(record.v[:, 0])
            v[neuron] += sign * h
            losses[sign] = model_from(v, 3.5 * ms).run().loss
        difference = (losses[1] - losses[-1]) / (2 * h)
        np.testing.assert_allclose(record.adjoint.v[neuron, 0], difference, rtol=1e-7)


@SOLVERS
def test_the_end_of_a_trial_units_and_a_loss_with_targets(solver):
    cells = NeuronGroup(2, "dv/dt = -v/(5*ms) : volt", method="exact", name="cells")
    cells.v = [1, 2] * mV
    loss = bep.MeanSquaredError(bep.Final(cells, "v/mV"))
    model = model_of([cells], [cells.v], solver, 5 * ms, loss)
    targets = np.array([[0.0, 0.0]])
    model.run(targets=targets)
    record = model.record(cells, "v", times=[5, 0] * ms, adjoint=True)
    expected = np.exp(-1) * np.array([1, 2])
    np.testing.assert_allclose(record.adjoint.v[:, 0] * mV, expected, rtol=1e-10)
    np.testing.assert_allclose(record.adjoint.v[:, 1] * mV, expected / np.e, rtol=1e-10)
    other = model.record(cells, "v", times=[5] * ms, adjoint=True, targets=targets + 1)
    np.testing.assert_allclose(other.adjoint.v[:, 0] * mV, expected - 1, rtol=1e-10)

    def error(values, wanted):
        return np.sum(values[0] - wanted, axis=1), (np.ones_like(values[0]),)

    own = bep.EventPropModel(
        [cells], train=[cells.v], loss=error, readouts=[bep.Final(cells, "v/mV")],
        duration=5 * ms, solver=solver,
    )  # fmt: skip
    own.run(targets=targets)
    found = own.record(cells, "v", adjoint=True)
    np.testing.assert_allclose(found.adjoint.v[0, 0] * mV, np.exp(-1), rtol=1e-10)
    assert found.loss == pytest.approx(3 / np.e)


def explosive(solver="clock", **options):
    """Exponential neurons, whose spikes Euler's method sees some steps too late."""
    brian2.start_scope()
    cells = NeuronGroup(
        2, "dv/dt = (-v + 2*mV*exp(v/(2*mV)) + E)/(10*ms) : volt\nE : volt",
        threshold="v > 25*mV", reset="v = -5*mV", method="euler", name="cells",
    )  # fmt: skip
    cells.E = [4, 6] * mV
    loss = bep.Sum(bep.SpikeTimes(cells, "t/ms", which="first"))
    return model_of([cells], [cells.v], solver, 8 * ms, loss, **options)


def test_there_is_none_between_the_true_spike_and_that_of_the_grid():
    exact, grid = explosive("event"), explosive()
    times = np.arange(0, 80, 4) * 0.1 * ms
    spikes = [model.run().spikes["cells"] for model in (exact, grid)]
    right = exact.record("cells", "v", times=times, adjoint=True).adjoint.v
    found = grid.record("cells", "v", adjoint=True).adjoint.v
    known = ~np.isnan(found[:, ::4])
    for neuron in range(2):
        first = [s.t[s.i == neuron][0] / ms for s in spikes]
        lost = np.flatnonzero(np.isnan(found[neuron])) / 10
        assert len(lost) and first[0] - 0.5 < lost.min() and lost.max() <= first[1] + 1e-9
        assert np.all(known[neuron, times / ms < first[0] - 0.5])
        before = times / ms < first[0] - 0.5
        np.testing.assert_allclose(
            found[neuron, ::4][before] * mV, right[neuron][before] * mV, rtol=0.3
        )
        np.testing.assert_allclose(found[neuron, 0], right[neuron, 0], rtol=0.002)


# ---- what is refused ----
def test_what_cannot_be_recorded():
    inputs, cells, s, _ = network()
    lossless = bep.EventPropModel(
        [inputs, cells, s], train=[s.w], readouts=[bep.Final(cells, "v")], duration=T
    )
    assert lossless.record(cells, "v").v.shape == (3, 200)
    with pytest.raises(ValueError, match="no loss, so there is no adjoint"):
        lossless.record(cells, "v", adjoint=True)
    model = model_of([inputs, cells, s], [s.w])
    with pytest.raises(ValueError, match="no trial 1: the batch has 1"):
        model.record(cells, "v", trial=1)
    with pytest.raises(ValueError, match="'nobody' is no NeuronGroup of the model; it has: cells"):
        model.record("nobody", "v")
    with pytest.raises(ValueError, match="at least one variable"):
        model.record(cells, [])
    with pytest.raises(KeyError, match="nothing_here"):
        model.record(cells, ["nothing_here"])
    with pytest.raises(TypeError, match="NeuronGroup"):
        model.record(s, ["w"])
    with pytest.raises(ValueError, match="no time of the time grid"):
        model.record(cells, "v", times=[1.03] * ms)
    with pytest.raises(ValueError, match="lasts 20. ms"):
        model.record(cells, "v", times=[30] * ms)
    record = model.record(cells, "v", times=2 * ms)
    assert record.v.shape == (3, 1)
    with pytest.raises(ValueError, match="adjoint=True"):
        _ = record.adjoint
    with pytest.raises(KeyError, match="'I' was not recorded of 'cells'; there is: v"):
        record["I"]
    with pytest.raises(AttributeError, match="'I' was not recorded"):
        _ = record.I
