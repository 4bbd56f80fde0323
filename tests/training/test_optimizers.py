"""Optimisers: the published update rules, units, bounds, memory."""

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, second
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.runtime.optimizer_steps import LONG, HostGradients
from brian_eventprop.runtime.trial_pool import TrialPool
from brian_eventprop.training.optimizers import SGD, Adam

RATES = {WEIGHT: 0.01, DELAY: 0.1 * ms}


@pytest.fixture
def model():
    return FakeModel()


def gradients(seed=0):
    random = np.random.default_rng(seed)
    return {WEIGHT: random.normal(size=15), DELAY: 100 * random.normal(size=5)}


def test_adam_follows_its_paper(model):
    x = model.parameters.raw(WEIGHT).copy()
    optimizer = Adam(RATES)
    optimizer.bind(model)
    m = v = 0
    for t in range(1, 6):
        g = gradients(t)
        optimizer.step(g)
        m, v = 0.9 * m + 0.1 * g[WEIGHT], 0.999 * v + 0.001 * g[WEIGHT] ** 2
        x = x - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(model.parameters.raw(WEIGHT), x, rtol=1e-12)


def test_sgd_with_momentum(model):
    x = model.parameters.raw(WEIGHT).copy()
    optimizer = SGD(RATES, momentum=0.9)
    optimizer.bind(model)
    velocity = 0
    for t in range(4):
        optimizer.step(gradients(t))
        velocity = 0.9 * velocity + gradients(t)[WEIGHT]
        x = x - 0.01 * velocity
        np.testing.assert_allclose(model.parameters.raw(WEIGHT), x, rtol=1e-12)


def test_the_first_adam_step_is_the_rate(model):
    before = model.parameters.raw(DELAY).copy()
    optimizer = Adam(RATES)
    optimizer.bind(model)
    optimizer.step({WEIGHT: np.zeros(15), DELAY: np.full(5, -3.0)})
    np.testing.assert_allclose(model.parameters.raw(DELAY) - before, 1e-4, rtol=1e-6)
    assert np.all(model.parameters.raw(WEIGHT) == FakeModel().parameters.raw(WEIGHT))


def test_delays_never_get_negative(model):
    for bounds in (None, {DELAY: (-5 * ms, 1 * ms)}):
        optimizer = Adam({WEIGHT: 0.0, DELAY: 2 * ms}, bounds=bounds)
        optimizer.bind(model)
        for _ in range(10):
            optimizer.step({WEIGHT: np.zeros(15), DELAY: np.ones(5)})
        assert np.all(model.parameters.raw(DELAY) == 0)


def test_bounds(model):
    optimizer = SGD(RATES, bounds={WEIGHT: (-0.1, 0.1), DELAY: (None, 2 * ms)})
    optimizer.bind(model)
    optimizer.step(gradients())
    assert np.max(np.abs(model.parameters.raw(WEIGHT))) <= 0.1
    assert np.max(model.parameters.raw(DELAY)) <= 2e-3


def test_schedules(model):
    optimizer = SGD({WEIGHT: lambda epoch: 0.5**epoch, DELAY: lambda epoch: epoch * ms})
    optimizer.bind(model)
    assert optimizer.rates[WEIGHT] == 1 and optimizer.rates[DELAY] == 0
    optimizer.start_epoch(3)
    assert optimizer.rates[WEIGHT] == 0.125 and optimizer.rates[DELAY] == 0.003


def test_sgd_takes_the_square_of_the_unit(model):
    for rate in (0.1 * ms, 1e-4 * second**2):
        optimizer = SGD({WEIGHT: 0.1, DELAY: rate})
        optimizer.bind(model)
        assert optimizer.rates[DELAY] == pytest.approx(1e-4)


@pytest.mark.parametrize("make", [Adam, lambda rates: SGD(rates, momentum=0.5)])
def test_memory_goes_on_elsewhere(make):
    models = FakeModel(), FakeModel()
    optimizers = make(RATES), make(RATES)
    for optimizer, model in zip(optimizers, models, strict=True):
        optimizer.bind(model)
    optimizers[0].start_epoch(2)
    for t in range(3):
        optimizers[0].step(gradients(t))
    optimizers[1].load(optimizers[0].state())
    for key in (WEIGHT, DELAY):
        models[1].parameters.set_raw(key, models[0].parameters.raw(key))
    for optimizer in optimizers:
        optimizer.step(gradients(9))
    assert optimizers[1].epoch == 2
    for key in (WEIGHT, DELAY):
        np.testing.assert_array_equal(*(model.parameters.raw(key) for model in models))


def test_state_is_a_copy(model):
    optimizer = Adam(RATES)
    optimizer.bind(model)
    state = optimizer.state()
    optimizer.step(gradients())
    assert np.all(state["mean/syn.w"] == 0)
    assert sorted(state) == sorted(
        ["epoch", "steps"] + [f"{s}/{n}" for s in ("mean", "square") for n in NAMES]
    )


NAMES = ("syn.w", "syn.delay")


def test_foreign_state_is_refused(model):
    adam, sgd = Adam(RATES), SGD(RATES)
    adam.bind(model)
    sgd.bind(model)
    with pytest.raises(ValueError, match="another optimiser"):
        adam.load(sgd.state())
    other = Adam(RATES)
    other.bind(FakeModel(channels=4))
    with pytest.raises(ValueError, match="shape"):
        adam.load(other.state())


@pytest.mark.parametrize(
    "rates, error, message",
    [
        ({WEIGHT: 0.01, DELAY: 0.1}, DimensionMismatchError, "syn.delay"),
        ({WEIGHT: 0.01 * ms, DELAY: 0.1 * ms}, DimensionMismatchError, "syn.w"),
        ({WEIGHT: 0.01}, ValueError, "no learning rate for syn.delay"),
        ({**RATES, ("a", "b"): 1.0}, ValueError, "a.b has a learning rate"),
        ({WEIGHT: -0.01, DELAY: 0.1 * ms}, ValueError, "syn.w"),
        ({WEIGHT: lambda epoch: np.nan, DELAY: 0.1 * ms}, ValueError, "epoch 0"),
    ],
)
def test_wrong_rates(model, rates, error, message):
    with pytest.raises(error, match=message):
        Adam(rates).bind(model)


def test_wrong_bounds(model):
    with pytest.raises(ValueError, match="no room"):
        Adam(RATES, bounds={WEIGHT: (1, 0)}).bind(model)
    with pytest.raises(DimensionMismatchError, match="bounds of syn.delay"):
        Adam(RATES, bounds={DELAY: (0, 1)}).bind(model)


def test_use_before_bind():
    with pytest.raises(RuntimeError, match="bind"):
        Adam(RATES).step({})


@pytest.mark.parametrize("threads", [1, 3])
def test_one_pass_gives_the_bits_of_numpy(threads):
    size = LONG + 5
    found = []
    for whole in (True, False):
        model = FakeModel(channels=size, classes=1)
        optimizer = Adam({WEIGHT: 0.01, DELAY: 0.1 * ms}, bounds={WEIGHT: (-1, 1)})
        optimizer.bind(model)
        for seed in range(3):
            random = np.random.default_rng(seed)
            given = {WEIGHT: random.normal(size=size), DELAY: 100 * random.normal(size=size)}
            optimizer.step(HostGradients(given, TrialPool(threads)) if whole else given)
        found.append({key: model.parameters.raw(key) for key in (WEIGHT, DELAY)})
        found[-1] |= optimizer.state()
    assert np.any(found[0][WEIGHT] == 1) and np.any(found[0][DELAY] == 0)
    for key, expected in found[1].items():
        np.testing.assert_array_equal(found[0][key], expected)


def test_rates_of_their_own_are_left_to_numpy():
    size = LONG
    rates, one = np.linspace(0, 1, size), np.ones(size)
    given = HostGradients({WEIGHT: one}, TrialPool(1))
    memory, numbers = [0 * one, 0 * one], (0.1, 0.001, 1e-8, 0.1, 0.001)
    assert given.moved("adam", WEIGHT, one, memory, (rates, 0.0, 1.0), numbers) is None
    assert given.moved("other", WEIGHT, one, memory, (0.1, 0.0, 1.0), numbers) is None
    assert given.moved("adam", WEIGHT, one, memory, (0.1, 0.0, 1.0), numbers) is not None
