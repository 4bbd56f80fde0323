"""What is made of values is taken again while they are the same, and only then."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from helpers.watch import watched

import brian_eventprop as bep
from brian_eventprop.runtime.binding.remembered import MOST, Remembered

KEY = ("G", "x")


def counting(made):
    """Return what counts its calls, and gives the numbers it is called for and the array."""

    def function(values, *more):
        made.append(more)
        return values[KEY], more

    return function


def test_the_same_bits_give_the_same_object():
    calls, x = [], np.array([1.0, np.nan, 0.0])
    remembered = Remembered([KEY, ("G", "absent")])
    first = remembered(counting(calls), {KEY: x})
    assert remembered(counting(calls), {KEY: x.copy()}) is first
    x[0] = 2.0
    assert first[0][0] == 1.0  # nobody changes what was made
    np.testing.assert_array_equal(remembered(counting(calls), {KEY: x})[0], x)
    x[2] = -0.0  # equal numbers, but 1/x differs
    assert np.signbit(remembered(counting(calls), {KEY: x})[0][2])
    assert len(calls) == 3


def test_kinds_shapes_and_other_numbers_count():
    calls, x = [], np.zeros(4)
    remembered = Remembered([KEY])
    for array, more in ((x, 1), (x, 2), (x.reshape(2, 2), 2), (x.view(np.int64), 2)):
        found, given = remembered(counting(calls), {KEY: array}, more)
        assert (found.dtype, found.shape, given) == (array.dtype, array.shape, (more,))
    assert len(calls) == 4


def test_errors_come_at_every_call():
    def refuse(values):
        if values[KEY][0] < 0:
            raise ValueError("below 0")
        return values[KEY]

    remembered = Remembered([KEY])
    remembered(refuse, {KEY: np.ones(1)})
    for _ in range(3):
        with pytest.raises(ValueError, match="below 0"):
            remembered(refuse, {KEY: -np.ones(1)})
    assert remembered(refuse, {KEY: np.ones(1)})[0] == 1.0


def test_long_arrays_are_not_compared():
    calls, x = [], np.zeros(MOST // 8 + 1)
    remembered = Remembered([KEY])
    assert remembered(counting(calls), {KEY: x})[0] is x
    assert remembered(counting(calls), {KEY: x})[0] is x
    assert len(calls) == 2


NEURON = """dv/dt = (I - v)/tau_m : 1 (unless refractory)
dI/dt = -I/(5*ms) : 1
tau_m : second
theta : 1
rest : second (shared)"""

#: New values of what the model does not train, and of what it does.
CHANGES = {
    ("n", "tau_m"): [11e-3, 21e-3, 8e-3],
    ("n", "theta"): [0.4, 0.3, 0.6],
    ("n", "rest"): [4e-3],
    ("n", "v"): [0.1, 0.2, 0.0],
    ("loop_pre", "delay"): [1.3e-3, 0.4e-3, 2.1e-3],
    ("loop", "w"): [0.3, 0.1, 0.2],
    ("s_pre", "delay"): [0.7e-3, 2.3e-3, 1.1e-3],
    ("s", "w"): [3.1, 2.7, 2.2],
}


def made(solver, changes=(), constants=False):
    """A model, with values that are changed before it is made; it may train constants, too."""
    source = SpikeGeneratorGroup(1, [0, 0], [1, 9] * ms, name="source")
    n = NeuronGroup(
        3, NEURON, threshold="v > theta", reset="v = 0", refractory="rest", method="exact", name="n"
    )
    n.tau_m, n.theta, n.rest = [10, 20, 7] * ms, 0.5, 2 * ms
    s = Synapses(source, n, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w, s.delay = [3, 2.5, 2], [0.5, 2, 1] * ms
    loop = Synapses(n, n, "w : 1", on_pre="I_post += w", name="loop")
    loop.connect(i=[0, 1, 2], j=[1, 2, 0])
    loop.w, loop.delay = [0.2, 0.3, 0.1], [1, 0.5, 2] * ms
    for (owner, name), values in dict(changes).items():
        where = {"n": n, "s": s, "loop": loop, "s_pre": s.pre, "loop_pre": loop.pre}[owner]
        array = where.variables[name].get_value()
        array[...] = values if array.ndim else values[0]
    more = [n.tau_m, n.theta, n.rest] if constants else []
    return bep.EventPropModel(
        [source, n, s, loop], train=[s.w, s.delay, loop.w, *more], solver=solver, duration=20 * ms,
        loss=bep.Sum(bep.Integral(n, "v**2"), bep.SpikeCount(n)), threads=1,
    )  # fmt: skip


def numbers(model):
    """All that a run and its gradient give."""
    result, gradients = model.run(), model.gradient()
    spikes = result.spikes["n"]
    arrays = [gradients.raw(key) for key in model.parameters.keys]
    return [result.losses, *result.readout, np.asarray(spikes.t), spikes.i, *arrays]


def check_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_changed_values_are_seen(solver):
    model = made(solver)
    before = numbers(model)
    for count, (key, values) in enumerate(CHANGES.items(), 1):
        if count % 2:  # the array itself, or another one
            model.parameters.raw(key)[:] = values
        else:
            model.parameters.set_raw(key, values)
        found = numbers(model)
        check_equal(found, numbers(made(solver, dict(list(CHANGES.items())[:count]))))
        assert any(not np.array_equal(a, b) for a, b in zip(found, before, strict=True)), key
        check_equal(numbers(model), found)
        before = found


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_a_run_is_differentiated_with_its_own_values(solver):
    model = made(solver, constants=True)
    expected = numbers(model)
    model.run()
    for key in (("n", "tau_m"), ("n", "theta"), ("n", "rest"), ("n", "v")):
        model.parameters.raw(key)[:] = np.nan
    arrays = [model.gradient().raw(key) for key in model.parameters.keys]
    check_equal(arrays, expected[-len(arrays) :])


@pytest.mark.parametrize("solver", ["clock", "event"])
@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (("n", "v"), FloatingPointError, "'v' of neuron 1 is nan at the beginning"),
        (("n", "theta"), FloatingPointError, "theta.*nan"),
        (("n", "rest"), FloatingPointError, "refractory period"),
        (("loop_pre", "delay"), ValueError, "the delay of synapse 1.*must be a finite time"),
        (("s_pre", "delay"), ValueError, "the delay of synapse 1.*must be a finite time"),
    ],
)
def test_what_is_no_number_is_refused_at_every_run(solver, key, error, message):
    model = made(solver)
    expected = numbers(model)
    values = model.parameters.raw(key)
    at = min(1, len(values) - 1)
    right = values[at]
    for _ in range(2):
        values[at] = np.nan
        for _ in range(2):
            with pytest.raises(error, match=message):
                model.run()
        values[at] = right
        check_equal(numbers(model), expected)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_constants_of_values_that_stay_are_not_made_again(solver):
    model = made(solver)
    arrays = []
    for _ in range(2):
        with watched(model.runtime, "forward") as runs:
            model.run()
        arrays.append(runs[-1].returned.arrays)
        model.parameters.set_raw(("s", "w"), [2.9, 2.6, 1.9])
    for role in ("X0", "C", "P"):
        assert arrays[0]["n", role] is arrays[1]["n", role]
    assert arrays[0]["s_pre", "W"] is not arrays[1]["s_pre", "W"]
