"""Gradients of the reference cases: on the clock grid at first order, with exact times to 1e-6."""

import numpy as np
import pytest
from brian2 import us
from helpers import reference

import brian_eventprop as bep

#: One case of each sort for every run of the tests; the others are marked slow.
EVENT_CASES = [
    name
    if name in ("alif_refractory", "conductance", "delta_soft_reset")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in reference.NAMES
]


def run(name, dt, **options):
    """The case, its result, and each gradient's largest error relative to its largest entry."""
    case = reference.build(name, dt)
    model = bep.EventPropModel(
        case.objects,
        train=list(case.train.values()),
        loss=case.loss,
        duration=case.duration,
        **options,
    )
    result = model.run()
    gradients = model.gradient()
    errors = {
        key: np.abs(np.asarray(gradients[view]) - case.expected[key]).max()
        / np.abs(case.expected[key]).max()
        for key, view in case.train.items()
    }
    return case, result, errors


@pytest.mark.parametrize("name", EVENT_CASES)
def test_event_solver_is_exact(name):
    case, result, errors = run(name, 100 * us, solver="event")
    assert max(errors.values()) < 1e-6, errors
    assert result.loss == pytest.approx(case.loss_value, rel=1e-10)
    for group, expected in case.spikes.items():
        times = np.sort(np.asarray(result.spikes[case.groups[group]].t))
        np.testing.assert_allclose(times, expected["t"], rtol=1e-11)


@pytest.mark.parametrize("name", reference.NAMES)
def test_gradients_and_spikes_are_those_of_the_reference(name):
    case, result, errors = run(name, 1 * us)
    assert max(errors.values()) < 0.02, errors
    assert result.loss == pytest.approx(case.loss_value, rel=5e-3)
    for group, expected in case.spikes.items():
        if not expected["i"]:
            continue
        found = result.spikes[case.groups[group]]
        order = np.lexsort((found.t, found.i))
        expected_order = np.lexsort((expected["t"], expected["i"]))
        np.testing.assert_array_equal(
            np.asarray(found.i)[order], np.asarray(expected["i"])[expected_order]
        )
        times = np.asarray(expected["t"])[expected_order]
        np.testing.assert_allclose(np.asarray(found.t)[order], times, atol=2e-5)


@pytest.mark.parametrize("name", ["conductance", "delta_refractory", "release", "saturating"])
def test_error_shrinks_with_the_time_step(name):
    coarse = run(name, 20 * us)[2]
    fine = run(name, 2 * us)[2]
    assert np.mean(list(fine.values())) < 0.25 * np.mean(list(coarse.values()))
