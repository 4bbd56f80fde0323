"""The event solver against independent reference cases: losses, spike times and gradients."""

import numpy as np
import pytest
from helpers.networks import reference

import brian_eventprop as bep

#: The others cost as much compilation again and test nothing else; `-m slow` runs them.
FAST = ("lif_recurrent_delay",)


@pytest.mark.parametrize(
    "name",
    [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in reference.NAMES],
)
def test_reference_case(name):
    case = reference.build(name)
    model = bep.EventPropModel(
        case.objects,
        train=list(case.train.values()),
        loss=case.loss,
        duration=case.duration,
        solver="event",
    )
    result = model.run()
    gradients = model.gradient()
    assert result.loss == pytest.approx(case.loss_value, rel=1e-8)
    for group, expected in case.spikes.items():
        found = result.spikes[case.groups[group]]
        assert len(found) == len(expected["i"])
        if not expected["i"]:
            continue
        order, there = np.lexsort((found.t, found.i)), np.lexsort((expected["t"], expected["i"]))
        np.testing.assert_array_equal(np.asarray(found.i)[order], np.array(expected["i"])[there])
        times = np.array(expected["t"])[there]
        np.testing.assert_allclose(np.asarray(found.t)[order], times, atol=1e-10)
    for key, view in case.train.items():
        error = np.abs(np.asarray(gradients[view]) - case.expected[key]).max()
        assert error < 1e-6 * np.abs(case.expected[key]).max(), key
