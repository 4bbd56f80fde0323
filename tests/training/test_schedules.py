"""Learning-rate schedules: their values, their units, and that optimisers take them."""

import pickle

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, mV
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop.training.optimizers import Adam
from brian_eventprop.training.schedules import (
    cosine,
    ease_in,
    exponential,
    linear,
    piecewise,
    step,
    warm_up,
)


@pytest.mark.parametrize(
    "schedule, expected",
    [
        (exponential(2.0, 0.5), [2.0, 1.0, 0.5, 0.25]),
        (cosine(2.0, 2, last=0.5), [2.0, 1.5, 1.0, 1.0]),
        (warm_up(2.0, 1), [1.0, 2.0, 2.0, 2.0]),
        (warm_up(2.0, 0), [2.0, 2.0, 2.0, 2.0]),
        (warm_up(cosine(2.0, 2), 1), [1.0, 1.0, 0.0, 0.0]),
        (linear(2.0, 2, last=0.5), [2.0, 1.5, 1.0, 1.0]),
        (step(2.0, 2, 0.5), [2.0, 2.0, 1.0, 1.0]),
        (piecewise(2.0, {3: 0.1, 1: 0.5}), [2.0, 1.0, 1.0, 0.1]),
        (warm_up(step(2.0, 1, 0.5), 1), [1.0, 1.0, 0.5, 0.25]),
    ],
)
def test_values(schedule, expected):
    np.testing.assert_allclose([schedule(epoch) for epoch in range(4)], expected, atol=1e-15)


def test_an_optimiser_takes_them_with_their_unit():
    delays = warm_up(cosine(0.2 * ms, 10), 4)
    optimizer = Adam({WEIGHT: exponential(0.1, 0.9), DELAY: delays})
    optimizer.bind(FakeModel())
    optimizer.start_epoch(5)
    assert optimizer.rates[WEIGHT] == pytest.approx(0.1 * 0.9**5)
    assert optimizer.rates[DELAY] == pytest.approx(0.1e-3)
    with pytest.raises(DimensionMismatchError, match="learning rate"):
        Adam({WEIGHT: 0.1, DELAY: exponential(1 * mV, 0.5)}).bind(FakeModel())


@pytest.mark.parametrize(
    "make",
    [
        lambda: exponential(1, 0),
        lambda: cosine(1, 0),
        lambda: cosine(1, 5, 2),
        lambda: warm_up(1, -1),
        lambda: linear(1, 0),
        lambda: linear(1, 5, -1),
        lambda: step(1, 0),
        lambda: step(1, 2, 0),
        lambda: piecewise(1, {-1: 0.5}),
        lambda: piecewise(1, {2: 0}),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ValueError):
        make()


def test_ease_in_goes_from_step_to_step():
    optimizer = Adam({WEIGHT: ease_in(exponential(8.0, 0.5), 0.25, 2), DELAY: 0.1 * ms})
    optimizer.bind(model := FakeModel())
    zero = {key: np.zeros_like(model.parameters.raw(key)) for key in model.parameters.keys}
    rates = []
    for n in range(5):
        optimizer.start_epoch(n // 3)
        optimizer.step(zero)
        rates.append(float(optimizer.rates[WEIGHT]))
    assert rates == [2.0, 4.0, 8.0, 4.0, 4.0]
    again = Adam({WEIGHT: ease_in(exponential(8.0, 0.5), 0.25, 2), DELAY: 0.1 * ms})
    again.bind(model)
    again.load(optimizer.state())
    assert again.rates[WEIGHT] == 4.0
    for wrong in ({"start": 0}, {"growth": 1}):
        with pytest.raises(ValueError):
            ease_in(1.0, **wrong)


@pytest.mark.parametrize(
    "schedule, text",
    [
        (exponential(2.0, 0.5), "exponential(2.0, 0.5)"),
        (step(0.1 * ms, 5), "step(100. * usecond, 5, 0.1)"),
        (piecewise(2.0, {3: 0.1}), "piecewise(2.0, {3: 0.1})"),
        (warm_up(linear(2.0, 9), 2), "warm_up(linear(2.0, 9, 0.0), 2)"),
        (cosine(2.0, 9, 0.5), "cosine(2.0, 9, 0.5)"),
        (ease_in(2.0), "ease_in(2.0, 0.01, 1.05)"),
    ],
)
def test_they_say_what_they_are_and_travel_to_other_processes(schedule, text):
    assert repr(schedule) == text
    again = pickle.loads(pickle.dumps(schedule))
    at = (3, 20) if hasattr(schedule, "every_step") else (3,)
    assert repr(again) == text and again(*at) == schedule(*at)
