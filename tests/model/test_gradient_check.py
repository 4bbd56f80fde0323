"""`check_gradient`: right gradients agree, and none of a set of wrong ones does."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep


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
    gradients = model._gradient_arrays
    yield model, s, cells
    model._gradient_arrays = gradients


def spoilt(model, key, change):
    """Let the model return a gradient of which one array was changed."""
    gradients = type(model)._gradient_arrays

    def wrong():
        arrays = {k: np.array(array) for k, array in gradients(model).items()}
        change(arrays[key])
        return arrays

    model._gradient_arrays = wrong


def test_the_right_gradient_agrees(right):
    model, s, _ = right
    model._gradient_arrays = lambda: type(model)._gradient_arrays(model)
    report = bep.check_gradient(model, show=False)
    assert report.ok, str(report)
    assert all(array.exact_to < 1e-5 for array in report.arrays)
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
    assert found[".".join(key)].verdict == "DIFFERS", str(report)
    others = [array for name, array in found.items() if name != ".".join(key)]
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
