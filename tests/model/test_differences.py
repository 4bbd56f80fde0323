"""Differences of functions whose derivative is known: the value, and the error it admits."""

import numpy as np
import pytest

from brian_eventprop.model.differences import differentiate, is_one_sided


def never(found):
    del found
    return False


def to_seven_digits(found):
    return found.error <= 1e-7 * abs(found.value)


@pytest.mark.parametrize("room", [np.inf, 0.0], ids=["both sides", "one side"])
@pytest.mark.parametrize("noise", [0.0, 1e-15, 1e-12, 1e-9])
def test_the_error_is_a_bound(noise, room):
    rng = np.random.default_rng(1)
    for _ in range(40):
        slope, bend, rate = rng.normal(size=3) * (1, 1, 5)

        def sample(x, slope=slope, bend=bend, rate=rate):
            noisy = noise * rng.normal()
            return 1 + slope * x + bend * np.sin(rate * x) + noisy, True

        exact = slope + bend * rate
        found = differentiate(sample, sample(0)[0], 1.0, to_seven_digits, room)
        assert abs(found.value - exact) <= found.error
        assert found.error <= max(1e-6 * abs(exact), 1e-4 * bool(room) + 1e6 * noise)


def test_noise_chooses_a_wide_step_and_a_bend_a_narrow_one():
    rng = np.random.default_rng(2)
    noisy = differentiate(lambda x: (x + 1e-9 * rng.normal(), True), 0.0, 1.0, never)
    assert noisy.error < 1e-5
    bent = differentiate(lambda x: (np.sin(3000 * x), True), 0.0, 1.0, never)
    assert abs(bent.value - 3000) <= bent.error < 3e-3


def test_steps_at_which_other_neurons_spike_do_not_count():
    def sample(x):
        return (x, True) if abs(x) < 2e-5 else (x + 5, False)

    found = differentiate(sample, 0.0, 1.0, never)
    assert found.same_spikes
    assert abs(found.value - 1) <= found.error < 1e-7


def test_a_spike_that_vanishes_at_any_step_is_told():
    found = differentiate(lambda x: (x - 3 * (x < 0), x >= 0), 0.0, 1.0, never)
    assert not found.same_spikes


def test_a_kink_is_told_from_an_extremum():
    assert differentiate(lambda x: (abs(x) + x, True), 0.0, 1.0, never).kink
    extremum = differentiate(lambda x: (x**2, True), 0.0, 1.0, never)
    assert not extremum.kink
    assert abs(extremum.value) <= extremum.error <= 1e-9 * extremum.slope


def test_a_loss_that_does_not_move_or_is_not_finite():
    assert differentiate(lambda x: (0.3, True), 0.3, 1.0, never).flat
    assert not differentiate(lambda x: (np.nan, True), 0.3, 1.0, never).finite
    wide = differentiate(lambda x: (np.nan if abs(x) > 1e-5 else x, True), 0.0, 1.0, never)
    assert wide.finite
    assert abs(wide.value - 1) <= wide.error < 1e-7


def test_a_variable_that_cannot_get_lower_is_moved_to_one_side():
    seen = []

    def sample(x):
        seen.append(x)
        return np.exp(x), True

    found = differentiate(sample, 1.0, 1.0, never, room=0.0)
    assert min(seen) > 0
    assert found.one_sided
    assert is_one_sided(0.0, 1.0)
    assert abs(found.value - 1) <= found.error < 1e-6
    seen.clear()
    assert not differentiate(sample, 1.0, 1.0, never, room=1e-3).one_sided
    assert min(seen) > -1e-3
