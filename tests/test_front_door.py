"""What is called with the wrong type, shape, unit or order of arguments says so in one sentence.

Nothing here compiles: every error comes before.
"""

import re

import numpy as np
import pytest
from brian2 import NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, ms, mV
from brian2.units.fundamentalunits import DimensionMismatchError

import brian_eventprop as bep
from brian_eventprop import UnsupportedError


def parts():
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="inp")
    cells = NeuronGroup(
        3, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    s = Synapses(source, cells, "w : 1", on_pre="I_post += w", name="s_in")
    s.connect()
    s.w, s.delay = 2, 1 * ms
    return source, cells, s


def build(change=None, objects=None):
    source, cells, s = objects or parts()
    arguments = {
        "network": [source, cells, s], "train": [s.w, s.delay], "duration": 20 * ms,
        "loss": bep.CrossEntropy(bep.Integral(cells, "v")), "solver": "event",
        "namespace": {"tau": 10 * ms},
    }  # fmt: skip
    arguments.update(change(cells, s) if callable(change) else change or {})
    return bep.EventPropModel(arguments.pop("network"), **arguments)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture
def no_run(monkeypatch):
    """No kernel may be called."""

    def forward(*arguments):
        raise AssertionError("the network was run")

    monkeypatch.setattr("brian_eventprop.runtime.event.solver.EventCPU.forward", forward)


@pytest.fixture
def cells():
    return NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")


DATA = bep.SpikeData([0.001, 0.002], [0, 1], [0, 1], 2, 2, targets=[0, 1])
X = np.zeros((2, 3))


# ---- the model -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"threads": 0}, ValueError, "threads must be 1 or more, not 0"),
        ({"threads": -2}, ValueError, "threads must be 1 or more, not -2"),
        ({"threads": "2"}, TypeError, "threads must be a whole number, 1 or more, not '2'"),
        ({"tolerance": -1}, ValueError, "tolerance must be a finite number above 0, not -1"),
        ({"tolerance": 0}, ValueError, "tolerance must be a finite number above 0, not 0"),
        ({"tolerance": np.nan}, ValueError, "tolerance must be a finite number above 0, not nan"),
        ({"tolerance": 1e-6, "solver": "clock"}, ValueError, "tolerance is for solver='event'"),
        ({"solver": None}, ValueError, "solver must be one of clock, event, not None"),
        ({"duration": 20}, DimensionMismatchError, "duration has the wrong unit: give it in sec"),
        ({"duration": "20*ms"}, TypeError, "duration must be given in second, not '20*ms'"),
        ({"duration": [1, 2] * ms}, ValueError, "duration must be one time, not 2 of them"),
        ({"train": None}, TypeError, "train must be a list such as [s.w], not None"),
        ({"train": []}, ValueError, "train=[...] is empty"),
        ({"train": ["s_in.W"]}, ValueError, "'s_in.W' names no variable of the network"),
        ({"train": ["s_in.W"]}, ValueError, "Did you mean 's_in.w'"),
        ({"loss": None}, ValueError, "a model needs a loss=..., or readouts=[...]"),
        ({"loss": 3}, TypeError, "the loss must be a Loss such as Sum(Final(group, 'v'))"),
        ({"loss": bep.Sum}, TypeError, "not the class Sum"),
        ({"loss": min}, ValueError, "a callable loss needs readouts"),
        ({"loss": min, "readouts": [3]}, TypeError, "readouts must be such as Final(group, 'v')"),
        ({"network": "x"}, TypeError, "A Network or a list of Brian2 objects is needed, not 'x'"),
    ],
)
def test_arguments_of_the_model(change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        build(change)


def test_one_item_may_stand_for_a_list_of_one():
    source, cells, s = parts()
    final = bep.Final(cells, "v")
    change = {"train": s.w, "loss": lambda values, targets: None, "readouts": final}
    assert list(build(change, (source, cells, s)).parameters) == ["s_in.w"]
    assert list(build({"train": "s_in.delay"}).parameters) == ["s_in.delay"]
    assert list(build({"train": "tau"}).parameters) == ["tau"]


@pytest.mark.parametrize(
    "expression, message",
    [
        ("v > 0.5", "'v > 0.5' is a condition, true or false, and no number. Write int(v > 0.5)"),
        ("not v", "is a condition"),
        ("v +* 2", "'v +* 2' is no expression in Brian2's syntax (invalid syntax)"),
        ("v; I", "no expression"),
        ("v = 2", "no expression"),
        ("v[0]", "'v[0]' is not part of it"),
        ("v.x", "'v.x' is not part of it"),
        ("v if v > 1 else 0", "is not part of it"),
        ("'v'", "is not part of it"),
        ("exp(v, 2)", "Function 'exp' was called with 2 parameters, needs 1"),
        ("v^2", "Unsupported operation BitXor"),
        ("v + t", "the units do not fit together"),
    ],
)
@pytest.mark.parametrize("kind", [bep.Integral, bep.Final, bep.Maximum])
def test_expressions_of_readouts(expression, message, kind):
    with pytest.raises((ValueError, DimensionMismatchError), match=re.escape(message)) as error:
        build(lambda cells, s: {"loss": bep.Sum(kind(cells, expression))})
    assert f"{kind.__name__}(cells, " in str(error.value)


def test_groups_that_brian2_does_not_run():
    source, cells, s = parts()
    cells.active = False
    other = NeuronGroup(1, "dv/dt = -v/tau : 1", method="exact", name="other")
    with pytest.raises(UnsupportedError, match="'cells'.*Brian2 does not run the group, but Synap"):
        build(
            {"network": [source, cells, s, other], "train": [other.v],
             "loss": bep.Sum(bep.Final(other, "v"))}, (source, cells, s),
        )  # fmt: skip
    with pytest.raises(UnsupportedError, match="but Final measures it"):
        build(
            {"network": [cells, other], "train": [other.v],
             "loss": bep.Sum(bep.Final(cells, "v"))}, (source, cells, s),
        )  # fmt: skip
    # nothing depends on it, so that leaving it out is what Brian2 does
    change = {"network": [cells, other], "train": [other.v]}
    change["loss"] = bep.Sum(bep.Final(other, "v"))
    assert len(build(change, (source, cells, s)).spec.groups) == 1
    source, cells, s = parts()
    source.active = False
    with pytest.raises(UnsupportedError, match="'inp'.*Set inp.active = True"):
        build(None, (source, cells, s))


# ---- runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((), ValueError, "this loss needs targets: give them to run(spikes, targets)"),
        ((DATA, [0]), ValueError, "one whole-numbered label per trial (2)"),
        ((DATA, ["a", "b"]), ValueError, "names such as 'a', which must be numbered first"),
        ((DATA, [0.5, 1]), ValueError, "one whole-numbered label per trial"),
        ((DATA, [np.nan, 1]), ValueError, "one whole-numbered label per trial"),
        ((DATA, [0, 3]), ValueError, "labels must lie in 0..2"),
        ((X,), TypeError, "spikes must be SpikeData, or a dict with one for each input group, not"),
        (({"inp": X},), TypeError, "not ndarray"),
        (({3: DATA},), ValueError, "spikes are needed for inp, not for 3"),
        ((DATA, None, X), TypeError, "traces must be a dict such as"),
    ],
)
def test_arguments_of_a_run(model, no_run, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        model.run(*arguments)


def test_targets_that_are_all_nan(no_run):
    model = build(lambda cells, s: {"loss": bep.MeanSquaredError(bep.Final(cells, "v"))})
    with pytest.raises(ValueError, match="all targets are NaN"):
        model.run(targets=[[np.nan] * 3])
    with pytest.raises(ValueError, match=r"one number per trial and neuron, \(1, 3\)"):
        model.run(targets=[1, 2, 3])
    with pytest.raises(AssertionError, match="the network was run"):
        model.run(targets=[[np.nan, 0, np.nan]])


def test_a_target_of_another_shape(no_run):
    model = build(lambda cells, s: {"loss": bep.MeanSquaredError(bep.Final(cells, "v"), [1, 2])})
    with pytest.raises(ValueError, match="one for each of the 3 neurons"):
        model.run()


def test_losses_on_trains_and_sums_check_their_targets(no_run):
    trains = build(lambda cells, s: {"loss": bep.VanRossum(cells, 5 * ms)})
    with pytest.raises(ValueError, match="needed for 1 trials of 3 neurons"):
        trains.run(targets=[[[0.001]]])
    both = build(
        lambda cells, s: {"loss": 0.5 * bep.Sum(bep.Final(cells, "v"))
                          + bep.TimeToFirstSpike(cells, 5 * ms)}
    )  # fmt: skip
    with pytest.raises(ValueError, match="this loss needs targets"):
        both.run()


@pytest.mark.parametrize("period", [np.nan, np.inf])
@pytest.mark.parametrize("solver", ["event", "clock"])
def test_a_refractory_period_that_is_no_time(period, solver):
    cells = NeuronGroup(
        2, "dv/dt = (1.5 - v)/(10*ms) : 1 (unless refractory)\nt_ref : second",
        threshold="v > 1", reset="v = 0", refractory="t_ref", method="exact", name="cells",
    )  # fmt: skip
    cells.t_ref = [0.001, period] * Quantity(1, dim=ms.dim)
    model = bep.EventPropModel(
        [cells], train=[cells.v], loss=bep.Sum(bep.SpikeTimes(cells)), duration=5 * ms,
        solver=solver,
    )  # fmt: skip
    message = "NeuronGroup 'cells': the refractory period of neuron 1 is (nan|inf) s, but it must"
    with pytest.raises(FloatingPointError, match=message):
        model.run()


# ---- parameters and gradients --------------------------------------------------------------------


def test_names_of_parameters(model):
    parameters = model.parameters
    weights = parameters.raw(("s_in", "w"))
    assert parameters.raw("s_in.w") is weights
    assert parameters.raw("w") is weights
    assert parameters.keys == [("s_in", "w"), ("s_in_pre", "delay")]
    for name in ("s_in.delay", "s_in.pre.delay", "s_in.delay"):
        np.testing.assert_array_equal(np.asarray(parameters[name]), np.full(6, 1e-3))
    assert list(parameters) == ["s_in.w", "s_in.delay"] == list(dict(parameters))
    np.testing.assert_array_equal(dict(parameters)["s_in.w"], weights)
    assert "s_in.delay" in parameters
    assert "tau" not in parameters
    assert "nothing" not in parameters
    assert len(parameters.values()) == 2


def test_the_delays_of_the_usual_pathway_have_the_short_name():
    source, cells, _ = parts()
    s = Synapses(
        source, cells, "w : 1", on_pre={"pre": "I_post += w", "late": "I_post -= w"}, name="s_in"
    )
    s.connect()
    change = {"network": [source, cells, s], "train": [s.w, "s_in.late.delay"]}
    model = build(change, (source, cells, s))
    assert model.parameters.keys[1] == ("s_in_late", "delay")
    with pytest.raises(KeyError, match=r"'s_in\.delay' is not in train"):
        model.parameters["s_in.pre.delay"]


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("s_in.w", [1, 2, 3], ValueError, "has 6 values: give one number for all, or an array of"),
        ("s_in.w", X, ValueError, "not (2, 3)"),
        ("s_in.w", "rand()", TypeError, "takes numbers, not the string 'rand()', which only Brian"),
        ("s_in.w", None, TypeError, "s_in.w must be given as a plain number, not None"),
        ("s_in.w", 1 * ms, DimensionMismatchError, "s_in.w has the wrong unit"),
        ("s_in.delay", 1, DimensionMismatchError, "give it in second"),
        ("s_in.delay", -1 * ms, ValueError, "negative delays"),
        ("tau", 1 * ms, KeyError, "is not in train"),
        (0, 1, TypeError, "0 names no variable"),
    ],
)
def test_values_of_parameters(model, name, value, error, message):
    before = [values.copy() for values in model.parameters.values()]
    with pytest.raises(error, match=re.escape(message)):
        model.parameters[name] = value
    for old, new in zip(before, model.parameters.values(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_gradients_by_view_name_and_key():
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : volt", method="exact", name="cells")
    loss = bep.Sum(bep.Final(cells, "v/volt"))
    model = bep.EventPropModel([cells], train=[cells.v], loss=loss, duration=1 * ms, solver="event")
    model.run()
    gradients = model.gradient()
    for item in (cells.v, "cells.v", ("cells", "v")):
        np.testing.assert_allclose(gradients.raw(item), np.exp(-0.1))
        assert gradients[item].dim == (1 / mV).dim
    with pytest.raises(TypeError, match="3 names no variable"):
        gradients.raw(3)
    assert list(dict(gradients)) == ["cells.v"]
    with pytest.raises(KeyError, match="3 is no neuron group of the model"):
        model.run().spikes[3]


# ---- optimisers and the trainer ------------------------------------------------------------------


def test_one_rate_for_all_variables():
    source, cells, s = objects = parts()
    of_weights = build({"train": [s.w]}, objects)
    bep.Trainer(of_weights, rate := bep.Adam(1e-3))
    assert rate.rates == {("s_in", "w"): 1e-3}
    bep.Trainer(of_weights, rate := bep.SGD(bep.schedules.exponential(1.0, 0.5)))
    rate.start_epoch(2)
    assert rate.rates == {("s_in", "w"): 0.25}
    bep.Trainer(build({"train": [s.delay]}, objects), rate := bep.Adam(2 * ms))
    assert rate.rates == {("s_in_pre", "delay"): 2e-3}
    message = "Adam(0.001) gives all variables the same learning rate, but s_in.delay needs"
    with pytest.raises(DimensionMismatchError, match=re.escape(message)):
        bep.Trainer(build(None, objects), bep.Adam(1e-3))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: bep.Adam([1e-3]), TypeError, "a dict with a learning rate for every trained var"),
        (lambda: bep.Adam("1e-3"), TypeError, "or one number for all, not '1e-3'"),
        (lambda: bep.SGD(None), TypeError, "SGD takes a dict"),
        (lambda: bep.Adam({}), ValueError, "give a learning rate for every trained variable"),
        (lambda: bep.Adam(1.0, beta1="x"), TypeError, "beta1 must be a number"),
        (lambda: bep.Adam(1.0, 2), ValueError, "beta1 and beta2 must lie in [0, 1)"),
        (lambda: bep.SGD(1.0, momentum="x"), TypeError, "momentum must be a number"),
        (lambda: bep.Adam(1.0, bounds=(0, 1)), TypeError, "bounds must be a dict such as {s.w:"),
        (lambda: bep.Adam(1.0, bounds={"w": 0}), ValueError, "a lowest and a highest value"),
    ],
)
def test_optimisers(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "rates, error, message",
    [
        ({"s_in.w": "a", "s_in.delay": 1 * ms}, TypeError, "the learning rate of s_in.w must be"),
        ({"s_in.w": [1, 2], "s_in.delay": 1 * ms}, ValueError, "one for each of its values (6,)"),
        ({"s_in.w": 1}, ValueError, "no learning rate for s_in.delay"),
    ],
)
def test_rates(model, rates, error, message):
    with pytest.raises(error, match=re.escape(message)):
        bep.Trainer(model, bep.Adam(rates))


def test_what_a_trainer_is_made_of(model):
    good = bep.Adam({"s_in.w": 1e-3, "s_in.delay": 1 * ms})
    with pytest.raises(TypeError, match="such as Adam.* or SGD.*, not 'adam'"):
        bep.Trainer(model, "adam")
    with pytest.raises(TypeError, match="not the class Adam"):
        bep.Trainer(model, bep.Adam)
    with pytest.raises(TypeError, match=r"Trainer\(model, Adam\("):
        bep.Trainer(good, model)
    for callbacks in (3, [bep.EarlyStopping], ["early stopping"]):
        with pytest.raises(TypeError, match="callbacks must be objects such as EarlyStopping"):
            bep.Trainer(model, good, callbacks)
    assert len(bep.Trainer(model, good, bep.EarlyStopping(3)).callbacks) == 1


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"data": X}, TypeError, "data must be one SpikeData that holds its targets"),
        ({"data": (x for x in [DATA])}, ValueError, "comes in batches"),
        ({"data": [DATA]}, ValueError, "leave batch_size= out"),
        ({"data": [3], "batch_size": None}, TypeError, "batch 0 of data: a batch is SpikeData"),
        ({"batch_size": None}, ValueError, "batch_size=... is missing"),
        ({"progress": "line"}, ValueError, "progress must be True, False or 'lines'"),
        ({"data": None}, TypeError, "not NoneType"),
        ({"data": {}}, TypeError, "not an empty dict"),
        ({"validation": (X, [0, 1])}, TypeError, "validation must be one SpikeData that holds"),
        ({"batch_size": 1.5}, ValueError, "batch_size must be a whole number, 1 or more, not 1.5"),
        ({"batch_size": "2"}, TypeError, "batch_size must be a whole number"),
        ({"epochs": -1}, ValueError, "epochs must be 0 or more"),
        ({"epochs": None}, TypeError, "epochs must be a whole number"),
        ({"early_stopping": "a"}, TypeError, "patience must be a whole number"),
        ({"augment": 3}, TypeError, "an augmentation is a function"),
        ({"data": bep.SpikeData([], [], [], 1, 2)}, ValueError, "this loss needs targets"),
        ({"data": bep.SpikeData([], [], [], 1, 2, [7])}, ValueError, "labels must lie in 0..2"),
        ({"data": bep.SpikeData([], [], [], 1, 2, ["a"])}, ValueError, "numbered first"),
        ({"data": {"x": DATA}}, ValueError, "spikes are needed for inp, not for x"),
    ],
)
def test_what_is_fitted(model, no_run, change, error, message):
    trainer = bep.Trainer(model, bep.Adam({"s_in.w": 1e-3, "s_in.delay": 1 * ms}))
    arguments = {"data": DATA, "epochs": 1, "batch_size": 1, "progress": False, **change}
    with pytest.raises(error, match=re.escape(message)):
        trainer.fit(**arguments)


def test_what_is_evaluated(model, no_run):
    trainer = bep.Trainer(model, bep.Adam({"s_in.w": 1e-3, "s_in.delay": 1 * ms}))
    for method in (trainer.evaluate, trainer.predict):
        with pytest.raises(TypeError, match="data must be one SpikeData"):
            method(X)
        with pytest.raises(ValueError, match="batch_size must be a whole number"):
            method(DATA, 1.5)


# ---- data, readouts, losses, callbacks -----------------------------------------------------------

SD = bep.SpikeData


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: SD(["a"], [0], [0], 1, 1), TypeError, "times must be a number or an array"),
        (lambda: SD([1] * mV, [0], [0], 1, 1), DimensionMismatchError, "times has the wrong unit"),
        (lambda: SD([0.1], ["a"], [0], 1, 1), TypeError, "channels must be a number or an array"),
        (
            lambda: SD([0], [0.1], [0], 1, 1),
            TypeError,
            "channels must be whole numbers: Spik",
        ),
        (lambda: SD([0], [0], [0], 1.5, 1), ValueError, "n_trials must be a whole number"),
        (lambda: SD([0], [0], [0], 1, None), TypeError, "n_channels must be a whole number"),
        (lambda: SD([], [], [], -1, 1), ValueError, "n_trials must be 0 or more"),
        (lambda: SD([], [], [], 1, 1, extra=[1]), TypeError, "extra must be a dict such as"),
        (lambda: SD([], [], [], 1, 1, traces=[1]), TypeError, "traces must be a dict such as"),
        (lambda: SD.from_lists([0.1]), TypeError, "from_lists takes the spike times of each"),
        (lambda: SD.from_lists(3), TypeError, "from_lists takes the spike times of each"),
        (lambda: SD.from_traces([1]), TypeError, "traces must be a dict such as"),
        (lambda: SD.from_traces({}), ValueError, "there are none"),
        (lambda: DATA.pooled(1.5), ValueError, "factor must be a whole number"),
        (lambda: bep.ChannelShift("a"), TypeError, "most must be a whole number"),
        (lambda: bep.Blend("a"), TypeError, "probability must be a number"),
        (lambda: bep.EarlyStopping(1.5), ValueError, "patience must be a whole number"),
        (lambda: bep.ReduceOnPlateau("a"), TypeError, "factor must be a number"),
        (lambda: bep.LiftSilent(0.1), TypeError, "amounts must be a dict such as"),
        (lambda: bep.DeepR("w", "d", range=5 * ms), ValueError, "range must be two times"),
        (lambda: bep.schedules.cosine(1e-3, "a"), TypeError, "epochs must be a number"),
        (lambda: bep.schedules.exponential("a", 2), TypeError, "the rate must be a number"),
        (lambda: bep.WeightedSum([(1, 3)]), TypeError, "takes pairs (weight, loss)"),
        (lambda: bep.WeightedSum([3]), TypeError, "takes pairs (weight, loss)"),
        (lambda: bep.FiringRate(3, upper=2), TypeError, "measures a NeuronGroup"),
    ],
)
def test_data_and_callbacks(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda g: bep.SpikeCount(g, "a"), ValueError, "scale must be one positive number"),
        (lambda g: bep.CrossEntropy(bep.Final(g, "v"), "a"), TypeError, "scale must be a number"),
        (lambda g: bep.CrossEntropy(bep.Final(g, "v"), 0), ValueError, "scale must be one number"),
        (lambda g: bep.MeanSquaredError(bep.Final(g, "v"), "x"), TypeError, "target must be a num"),
        (lambda g: bep.MeanSquaredError(bep.Final(g, "v"), np.nan), ValueError, "all targets are"),
        (lambda g: bep.TimeToFirstSpike(g, 5), DimensionMismatchError, "tau has the wrong unit"),
        (lambda g: bep.TimeToFirstSpike(g, [5, 6] * ms), ValueError, "tau must be one time"),
        (lambda g: bep.TimeToFirstSpike(g, 5 * ms, alpha="a"), TypeError, "alpha must be a number"),
        (lambda g: bep.VanRossum(g, "a"), TypeError, "tau must be given in second, not 'a'"),
        (lambda g: bep.VanRossum(g, 5 * ms, target="a"), TypeError, "target spike trains are"),
        (lambda g: bep.SpikeTrainError(g, 1 * ms, penalty="a"), TypeError, "penalty must be a num"),
        (lambda g: bep.FiringRate(g, upper="a"), TypeError, "upper must be a number"),
        (lambda g: bep.FiringRate(g, upper=np.nan), ValueError, "not NaN"),
        (lambda g: bep.Sum(bep.Final(g, "v")) * np.nan, ValueError, "a weight must be one number"),
    ],
)
def test_readouts_and_losses(cells, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(cells)
