"""`check_gradient`: right gradients agree, and none of a set of wrong ones does."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep
from brian_eventprop._names import name_of


def network(solver="event", loss=None, n_inputs=4, train=None, threads=1):
    """Inputs onto a few spiking neurons."""
    source = SpikeGeneratorGroup(n_inputs, np.arange(n_inputs), (1 + np.arange(n_inputs)) * ms)
    cells = NeuronGroup(
        2, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 0.8",
        reset="v = 0", method="exact", name="cells",
    )  # fmt: skip
    s = Synapses(source, cells, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w, s.delay = "1.1 + 0.1*i + 0.05*j", "1*ms + 0.1*ms*i"
    model = bep.EventPropModel(
        [source, cells, s],
        train=[s.w, s.delay, cells.v] if train is None else train(s),
        loss=bep.Sum(bep.Integral(cells, "100*v"), bep.SpikeTimes(cells, "t/T"))
        if loss is None
        else loss(cells),
        duration=20 * ms,
        solver=solver,
        threads=threads,
    )
    return model, s, cells


@pytest.fixture(scope="module")
def right():
    model, s, cells = network()
    gradients = model.gradient_arrays
    yield model, s, cells
    model.gradient_arrays = gradients


def spoilt(model, key, change):
    """Let the model return a gradient of which one array was changed."""
    gradients = type(model).gradient_arrays

    def wrong():
        arrays = {k: np.array(array) for k, array in gradients(model).items()}
        change(arrays[key])
        return arrays

    model.gradient_arrays = wrong


def test_the_right_gradient_agrees(right):
    model, s, _ = right
    model.gradient_arrays = lambda: type(model).gradient_arrays(model)
    report = bep.check_gradient(model, show=False)
    assert report.ok, str(report)
    assert all(array.exact_to < 1e-5 for array in report.arrays)
    assert repr(report).startswith("GradientReport(s.w agrees, s.delay agrees, ")
    assert repr(report.arrays[0]).startswith("ArrayCheck(s.w: agrees, worst error ")
    assert len(model.run().spikes["cells"]) > 1


def multiply(entry, factor):
    def change(array):
        entries = np.argsort(-np.abs(array))
        array[entries[entry]] *= factor

    return change


WRONG = {
    "a thousandth too large": multiply(0, 1.001),
    "a thousandth too large in a small entry": multiply(-2, 1.001),
    "sign": multiply(0, -1),
    "a missing entry": multiply(1, 0),
    "a missing entry, not the largest": multiply(-2, 0),
    "shifted": lambda array: array.__setitem__(slice(None), np.roll(array, 1)),
    "all zero": lambda array: array.fill(0.0),
    "half": lambda array: np.multiply(array, 0.5, out=array),
}


@pytest.mark.parametrize("entries", [8, 2])
@pytest.mark.parametrize("key", [("s", "w"), ("s_pre", "delay")], ids=["weights", "delays"])
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_wrong_gradients_are_found(right, change, key, entries):
    model = right[0]
    spoilt(model, key, change)
    report = bep.check_gradient(model, show=False, entries=entries)
    found = {array.name: array for array in report.arrays}
    assert not report.ok
    assert found[name_of(key)].verdict == "DIFFERS", str(report)
    others = [array for name, array in found.items() if name != name_of(key)]
    assert all(array.ok for array in others), str(report)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_entry_that_is_not_finite_is_found_wherever_it_is(right, value):
    model = right[0]
    for entry in range(8):
        spoilt(model, ("s", "w"), lambda array, entry=entry: array.__setitem__(entry, value))
        report = bep.check_gradient(model, show=False, entries=1)
        assert not report.ok
        assert f"the adjoint is not finite in 1 of 8 entries, first in entry {entry}" in str(report)
        assert "DIFFERS" in str(report)


def test_a_loss_that_is_not_finite_is_told():
    value = [np.nan]

    def loss(readouts, targets):
        del targets
        (v,) = readouts
        return np.full(len(v), value[0]) + v.sum(axis=1), (np.ones_like(v),)

    source = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    source.v = 1
    model = bep.EventPropModel(
        [source], train=[source.v], loss=loss, readouts=[bep.Final(source, "v")],
        duration=5 * ms, solver="event",
    )  # fmt: skip
    report = bep.check_gradient(model, show=False)
    assert not report.ok
    assert "the loss is not finite: nan" in str(report)
    value[0] = 0.0
    report = bep.check_gradient(model, show=False)
    assert report.ok, str(report)


def test_a_perfect_fit_agrees_and_a_wrong_gradient_there_does_not():
    model, s, _ = network(loss=lambda g: bep.MeanSquaredError(bep.Final(g, "v")))
    fitted = model.run(targets=np.zeros((1, 2))).readout[0].copy()
    report = bep.check_gradient(model, targets=fitted, show=False)
    assert report.ok, str(report)
    assert model.run(targets=fitted).loss == 0
    spoilt(model, ("s", "w"), lambda array: np.add(array, 1e-6, out=array))
    report = bep.check_gradient(model, targets=fitted, show=False)
    assert report.arrays[0].verdict == "DIFFERS", str(report)


def test_a_derivative_below_the_noise_of_the_loss_is_undecided_and_a_small_one_is_not():
    def loss(readouts, targets):
        del targets
        (v,) = readouts
        return 1 + size * v.sum(axis=1), (np.full(v.shape, size),)

    cell = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact")
    cell.v = "1 + 0.1*i"
    model = bep.EventPropModel(
        [cell], train=[cell.v], loss=loss, readouts=[bep.Final(cell, "v")],
        duration=5 * ms, solver="event",
    )  # fmt: skip
    size = 1e-8
    report = bep.check_gradient(model, show=False)
    assert report.ok, str(report)
    size = 1e-14
    report = bep.check_gradient(model, show=False)
    assert not report.ok
    assert report.arrays[0].verdict == "UNDECIDED"
    assert "no difference can be trusted" in str(report)
    size = 1e-18  # less than the loss's own rounding, however much v changes: it is 0
    assert bep.check_gradient(model, show=False).ok


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"entries": 0}, ValueError, "entries must be 1 or more, not 0"),
        ({"entries": 1.5}, ValueError, "entries must be a whole number"),
        ({"entries": "all"}, TypeError, "entries must be a whole number"),
        ({"tolerance": 0}, ValueError, "tolerance must be a finite number above 0"),
        ({"tolerance": np.nan}, ValueError, "tolerance must be a finite number above 0"),
    ],
)
def test_arguments_are_checked(right, arguments, error, message):
    with pytest.raises(error, match=message):
        bep.check_gradient(right[0], show=False, **arguments)


def test_something_else_than_a_model_is_refused():
    with pytest.raises(TypeError, match="needs an EventPropModel, not NoneType"):
        bep.check_gradient(None)


def lone_cell(arrival, reset="v = 0", **options):
    """A neuron that its drive alone fires at 10 ln 2 = 6.9315 ms; an input arrives as asked for."""
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    flag = " (unless refractory)" if options else ""
    cell = NeuronGroup(
        1, f"dv/dt = (2 + I - v)/(10*ms) : 1{flag}\ndI/dt = -I/(5*ms) : 1\nvt : 1",
        threshold="v > vt", reset=reset, method="exact", name="cell", **options,
    )  # fmt: skip
    cell.vt = 1
    s = Synapses(source, cell, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w, s.delay = 1, (arrival - 1) * ms
    return source, cell, s


def check_lone_cell(objects, train, loss, solver="clock"):
    model = bep.EventPropModel(
        objects, train=[train], loss=bep.Sum(loss), duration=10 * ms, solver=solver, threads=1
    )
    return bep.check_gradient(model, show=False)


REORDERED = "come in another order on the time grid, or in one time step"


def check_spike_time(arrival):
    source, cell, s = lone_cell(arrival)
    return check_lone_cell([source, cell, s], cell.vt, bep.SpikeTimes(cell, "t/T"))


def test_an_arrival_that_the_grid_has_after_a_spike_is_named():
    report = check_spike_time(6.92)
    assert (
        "an arrival of s_pre at neuron 0 of cell (6.92 ms) and its spike (6.925739 ms) " + REORDERED
    ) in str(report)
    # the slope of the crossing is (1 + 1)/(10 ms) after the arrival, and 1/(10 ms) before it
    (array,) = report.arrays
    assert array.verdict == "UNDECIDED"
    np.testing.assert_allclose(array.adjoint / array.differences, 2, rtol=0.02)


@pytest.mark.parametrize("arrival", [6.94, 6.8, 7.05])
def test_an_arrival_on_the_same_side_of_the_spike_is_not(arrival):
    assert REORDERED not in str(check_spike_time(arrival))


def test_an_arrival_that_the_grid_has_after_the_end_of_a_refractory_period_is_named():
    source, cell, s = lone_cell(8.92, refractory=2 * ms)
    report = check_lone_cell([source, cell, s], s.delay, bep.Final(cell, "v"))
    assert report.verdict == "UNDECIDED"
    assert (
        "an arrival of s_pre at neuron 0 of cell (8.92 ms) and the end of its refractory period "
        "(8.931472 ms) " + REORDERED
    ) in str(report)


def test_a_run_that_stops_beside_the_values_is_no_difference():
    """A threshold that is lowered to the reset is crossed without end.

    The kink, 2 ns before the spike, lets the check try steps as wide as that.
    """
    source, cell, s = lone_cell(6.93147, reset="v = 0.7")
    loss = bep.SpikeTimes(cell, "t/T")
    report = check_lone_cell([source, cell, s], cell.vt, loss, solver="event")
    assert "the loss has a kink there" in str(report)


def test_a_condition_is_named_if_its_time_moves():
    """``int(t > 5*ms)`` is the same for all values of the parameters."""
    for condition, named in (("t > 5*ms", False), ("v > 0.5", True)):
        source, cell, s = lone_cell(6.92)
        loss = bep.Integral(cell, f"v*int({condition})/ms")
        report = check_lone_cell([source, cell, s], cell.vt, loss)
        assert report.arrays[0].verdict == "UNDECIDED"
        assert ("is not smooth" in str(report)) == named, str(report)


@pytest.mark.parametrize(
    "factor, verdict", [(1, "agrees"), (1.5, "UNDECIDED"), (0, "DIFFERS"), (-1, "DIFFERS")]
)
def test_the_clock_solver_has_three_verdicts(factor, verdict):
    """The time step may explain an error, though not any."""
    source, cell, s = lone_cell(9.5)
    model = bep.EventPropModel(
        [source, cell, s], train=[cell.vt], loss=bep.Sum(bep.SpikeTimes(cell, "t/T")),
        duration=10 * ms, threads=1,
    )  # fmt: skip
    spoilt(model, ("cell", "vt"), lambda array: np.multiply(array, factor, out=array))
    report = bep.check_gradient(model, show=False)
    assert report.verdict == report.arrays[0].verdict == verdict, str(report)
    assert report.ok == (verdict == "agrees")
    assert ("nothing but the time step may explain it" in str(report)) == (not report.ok)
    assert ("cannot tell" in str(report)) == (verdict == "UNDECIDED")
    assert ("EventPropModel(..., solver='event')" in str(report)) == (verdict == "UNDECIDED")


def test_the_worst_verdict_is_that_of_the_whole(right):
    model, s, _ = right
    spoilt(model, ("s", "w"), multiply(0, -1))
    assert bep.check_gradient(model, show=False).verdict == "DIFFERS"
    spoilt(model, ("s", "w"), multiply(0, 1))
    assert bep.check_gradient(model, show=False).verdict == "agrees"


def test_spikes_that_graze_on_the_time_grid_alone_are_told():
    """A time constant of a fifth of a step: the potential is level at the end of the step."""
    cell = NeuronGroup(
        1, "dv/dt = (drive - v)/(20*us) : 1\ndrive : 1", threshold="v > 1", reset="v = -1e9",
        method="exact", name="cell",
    )  # fmt: skip
    cell.drive = 2
    for solver, told in (("event", False), ("clock", True)):
        model = bep.EventPropModel(
            [cell], train=[cell.drive], loss=bep.Sum(bep.SpikeTimes(cell, "t/ms", which="first")),
            duration=0.3 * ms, solver=solver, threads=1,
        )  # fmt: skip
        assert ("graze the threshold" in str(bep.check_gradient(model, show=False))) == told


def hidden_kink(late):
    """A weak arrival so much later than a spike of its neuron; the other neuron's spike bends."""
    source = SpikeGeneratorGroup(1, [0], [1] * ms, name="source")
    group = NeuronGroup(
        2, "dv/dt = (1.5 + I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1",
        reset="v = 0", method="exact", name="group",
    )  # fmt: skip
    s = Synapses(source, group, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w, s.delay = [1e-5, 0.8], [10 * np.log(3) - 1 + late, 2] * ms
    return bep.EventPropModel(
        [source, group, s], train=[s.delay], duration=14 * ms, solver="event",
        loss=bep.Sum(bep.SpikeTimes(group, "(t/ms)**2")),
    ), s  # fmt: skip


@pytest.mark.parametrize("late", [1e-6, -1e-6])
def test_a_kink_that_the_steps_hide_is_found_in_the_order_of_events(late):
    """Central differences are between the slopes of both sides, of which the adjoint is one."""
    model, s = hidden_kink(late)
    (array,) = bep.check_gradient(model, entries=1, show=False).arrays
    assert array.verdict == "UNDECIDED" and "two events at the same time" in array.explanation
    assert 5e-5 < array.error < 2e-4  # half of the kink
    gradient = model.gradient()[s.delay]
    for k, direction in enumerate(np.eye(2) * ms):  # forward mode is on the adjoint's side
        assert model.jvp({s.delay: direction}).loss == pytest.approx(
            float(gradient[k] * ms), rel=1e-11, abs=1e-14
        )
    spoilt(model, ("s_pre", "delay"), multiply(slice(None), 1.1))  # far more than the kink
    assert bep.check_gradient(model, entries=1, show=False).verdict == "DIFFERS"


def test_steps_that_reach_over_a_kink_are_left_out():
    model, _ = hidden_kink(3e-4)
    report = bep.check_gradient(model, entries=1, show=False)
    assert report.ok, str(report)
