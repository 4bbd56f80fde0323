"""Integration to rounding."""

import numpy as np
import pytest

from brian_eventprop.forward.extrapolation import solve


def test_a_long_oscillation():
    def flow(t, y):
        del t
        return np.stack([y[1], -y[0]])

    found = solve(flow, 0.0, 30.0, np.array([0.0, 1.0]), np.abs)
    # errors of single steps, relative to an entry that passes 0, add up over thirty of them
    np.testing.assert_allclose(found, [np.sin(30.0), np.cos(30.0)], rtol=1e-12)


def test_an_explosion_takes_short_steps():
    """v' = v*v from 1 reaches 1e8 just before the time 1."""
    stop = 1.0 - 1e-8
    found = solve(lambda t, y: y * y, 0.0, stop, np.array([1.0]), np.abs)
    # an error of 1e-15 at each of some thirty doublings moves the explosion by 1e-14, 1e-6 of 1e-8
    assert found[0] == pytest.approx(1.0 / (1.0 - stop), rel=1e-5)


def test_what_cannot_be_integrated_is_no_result():
    with pytest.raises(FloatingPointError, match="cannot be integrated"):
        solve(lambda t, y: y * y, 0.0, 2.0, np.array([1.0]), np.abs)
