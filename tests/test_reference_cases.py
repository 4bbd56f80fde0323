"""Gradients of the reference cases: on the clock grid at first order, with exact times to 1e-6."""

import numpy as np
import pytest
from brian2 import us
from helpers.networks import reference

#: One case of each sort for every run of the tests; the others are marked slow.
EVENT_CASES = [
    name
    if name in ("alif_refractory", "conductance", "delta_soft_reset")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in reference.NAMES
]


@pytest.mark.parametrize("name", EVENT_CASES)
def test_event_solver_is_exact(name):
    case, result, errors = reference.run(name, 100 * us, solver="event")
    assert max(errors.values()) < 1e-6, errors
    assert result.loss == pytest.approx(case.loss_value, rel=1e-10)
    for group, expected in case.spikes.items():
        times = np.sort(np.asarray(result.spikes[case.groups[group]].t))
        np.testing.assert_allclose(times, expected["t"], rtol=1e-11)


@pytest.mark.parametrize("name", reference.NAMES)
def test_gradients_and_spikes_are_those_of_the_reference(name):
    reference.check(*reference.run(name, 1 * us))


@pytest.mark.parametrize("name", ["conductance", "delta_refractory", "release", "saturating"])
def test_error_shrinks_with_the_time_step(name):
    coarse = reference.run(name, 20 * us)[2]
    fine = reference.run(name, 2 * us)[2]
    assert np.mean(list(fine.values())) < 0.25 * np.mean(list(coarse.values()))
