"""Gradients of the reference cases: on the clock grid at first order, with exact times to 1e-6."""

import numpy as np
import pytest
from brian2 import us
from helpers.networks import reference


def cases(*fast):
    """All cases; those that are not named are marked slow."""
    return [n if n in fast else pytest.param(n, marks=pytest.mark.slow) for n in reference.NAMES]


@pytest.mark.parametrize("name", cases("alif_refractory", "conductance", "delta_soft_reset"))
def test_event_solver_is_exact(name):
    case, result, errors = reference.run(name, 100 * us, solver="event")
    assert max(errors.values()) < 1e-6, errors
    assert result.loss == pytest.approx(case.loss_value, rel=1e-10)
    for group, expected in case.spikes.items():
        times = np.sort(np.asarray(result.spikes[case.groups[group]].t))
        np.testing.assert_allclose(times, expected["t"], rtol=1e-11)


@pytest.mark.compiled  # tens of thousands of time steps
@pytest.mark.parametrize("name", cases("conductance", "delta_refractory", "two_populations"))
def test_gradients_and_spikes_are_those_of_the_reference(name):
    reference.check(*reference.run(name, 1 * us))


@pytest.mark.compiled
@pytest.mark.parametrize(
    "name",
    ["conductance", "delta_refractory"]
    + [pytest.param(n, marks=pytest.mark.slow) for n in ("release", "saturating")],
)
def test_error_shrinks_with_the_time_step(name):
    coarse = reference.run(name, 20 * us)[2]
    fine = reference.run(name, 2 * us)[2]
    assert np.mean(list(fine.values())) < 0.25 * np.mean(list(coarse.values()))
