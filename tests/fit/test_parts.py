"""The space of the parameters, searches in step, the coincidence factor."""

import numpy as np
import pytest
from brian2 import ms, second, volt

from brian_eventprop.fit.lockstep import adam, evolve, minimize_together
from brian_eventprop.fit.metrics import gamma_factor
from brian_eventprop.fit.space import Space

DIMENSIONS = {"tau": second.dim, "v": volt.dim}


def test_points_and_values():
    space = Space.of({"tau": [1, 100] * ms, "v": [-1, 3] * volt}, DIMENSIONS)
    assert list(space.wide) == [True, False]
    x = np.array([[0.0, 0.0], [0.5, 0.25], [1.0, 1.0]])
    np.testing.assert_allclose(space.values(x), [[1e-3, -1], [1e-2, 0], [0.1, 3]])
    np.testing.assert_allclose(space.points(space.values(x)), x, atol=1e-12)
    h = 1e-6
    slopes = (space.values(x + h) - space.values(x - h)) / (2 * h)
    np.testing.assert_allclose(space.slopes(x), slopes, rtol=1e-6)


@pytest.mark.parametrize("pair", [[3, 1] * ms, [1, np.inf] * ms])
def test_bounds_that_are_none(pair):
    with pytest.raises(ValueError, match="bounds of 'tau' must be finite"):
        Space.of({"tau": pair}, DIMENSIONS)


def test_every_layer_of_a_parameter_has_one_start():
    space = Space.of({"tau": [1, 2] * ms, "v": [-1, 3] * volt}, DIMENSIONS)
    x = space.draw(8, np.random.default_rng(0))
    assert np.array_equal(np.sort(np.floor(8 * x), axis=0), np.tile(np.arange(8)[:, None], 2))


def rosenbrock(x):
    """Return values and gradients with the minimum at (0.6, 0.36)."""
    a, b = x[:, 0], x[:, 1] - x[:, 0] ** 2
    slopes = np.stack([2 * (a - 0.6) - 40 * x[:, 0] * b, 20 * b], axis=1)
    return (a - 0.6) ** 2 + 10 * b**2, slopes


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "adam", "evolve"])
def test_all_searches_take_the_rounds_that_they_are_given(method):
    random = np.random.default_rng(1)
    best, calls = [], []

    def evaluate(x):
        values, slopes = rosenbrock(x)
        best.append(values.min())
        calls.append(len(x))
        return values, slopes

    starts = random.random((5, 2))
    if method == "adam":
        adam(evaluate, starts, 60)
    elif method == "evolve":
        evolve(lambda x: evaluate(x)[0], starts, 60, random)
    else:
        minimize_together(evaluate, starts, 60, method, lambda: random.random(2))
    rounds = len(calls)  # a population that has converged is done
    assert calls == [5] * rounds and (rounds <= 60 if method == "evolve" else rounds == 60)
    assert min(best) < 0.02


def test_an_error_in_the_loss_is_raised_and_stops_all():
    calls = []

    def evaluate(x):
        calls.append(1)
        if len(calls) == 3:
            raise ZeroDivisionError("in the loss")
        return rosenbrock(x)

    with pytest.raises(ZeroDivisionError, match="in the loss"):
        minimize_together(evaluate, np.full((3, 2), 0.2), 50, "L-BFGS-B", lambda: np.zeros(2))
    assert len(calls) == 3


def test_gamma_factor_counts_each_spike_once():
    recorded = [10, 11, 50] * ms
    assert gamma_factor(recorded, recorded, 2 * ms, 100 * ms) == pytest.approx(1)
    # two recorded spikes, one partner: 2 coincidences of 2 + 3 spikes, 0.36 by chance
    expected = (2 - 0.36) / (0.5 * (1 - 0.12) * 5)
    assert gamma_factor([10.5, 50] * ms, recorded, 2 * ms, 100 * ms) == pytest.approx(expected)
    assert gamma_factor([] * ms, recorded, 2 * ms, 100 * ms) < 0
    assert np.isnan(gamma_factor(recorded, [] * ms, 2 * ms, 100 * ms))
