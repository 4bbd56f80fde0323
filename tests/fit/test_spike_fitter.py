"""SpikeFitter: parameters of known spikes, the bound of the rate, and what it refuses."""

import numpy as np
import pytest
from brian2 import ms, second

import brian_eventprop as bep

LIF = "dv/dt = (w*I - v)/tau : 1\nw : 1 (constant)\ntau : second (constant)"
BOUNDS = {"w": [1, 4], "tau": [6, 20] * ms}
NEURON = {"threshold": "v > 1", "reset": "v = 0", "method": "exact", "dt": 0.2 * ms}


def currents():
    return np.outer([1.0, 1.6], np.ones(100))


def spikes_of(w, tau):
    """Return the exact spike times of a leaky neuron under both currents."""
    trains = []
    for current in (1.0, 1.6):
        period = tau * np.log(w * current / (w * current - 1))
        trains.append(np.arange(1, int(20e-3 / period) + 1) * period * second)
    return trains


def fitter_of(recorded, **options):
    return bep.fit.SpikeFitter(LIF, currents(), recorded, n_samples=3, **{**NEURON, **options})


def test_the_true_parameters_are_found_in_exact_time():
    fitter = fitter_of(spikes_of(2.0, 10e-3), solver="event")
    found, estimate = fitter.refine({"w": 2.1, "tau": 10.2 * ms}, **BOUNDS)
    np.testing.assert_allclose([found["w"], found["tau"] / ms], [2.0, 10], rtol=1e-6)
    assert np.all(np.abs(estimate.residuals) < 1e-9)
    for ours, theirs in zip(fitter.generate_spikes(), fitter.output, strict=True):
        np.testing.assert_allclose(ours / ms, theirs / ms, atol=1e-5)


def test_on_the_grid_error_bars_are_those_of_rounding():
    fitter = fitter_of(spikes_of(2.0, 10e-3))
    begin = {"w": 1.9, "tau": 9 * ms}
    found, estimate = fitter.refine(begin, **BOUNDS)
    off = [abs(found["w"] - 2), abs(found["tau"] - 10 * ms)]
    assert off[0] < 3 * estimate.stderr["w"] and off[1] < 3 * estimate.stderr["tau"]
    assert 0 < estimate.stderr["tau"] < 4 * ms


def test_the_metrics_of_every_start():
    recorded = spikes_of(2.0, 10e-3)
    fitter = fitter_of(recorded)
    params, error = fitter.fit(6, seed=2, coincidence=1 * ms, bounds=BOUNDS)
    rows = fitter.results()
    assert len(rows) == 3 and rows[0]["error"] == error
    trains = fitter.generate()
    assert sum(map(len, trains)) == rows[0]["n_spikes"]
    each = [
        bep.fit.gamma_factor(a, b, delta=1 * ms, duration=20 * ms)
        for a, b in zip(trains, recorded, strict=True)
    ]
    np.testing.assert_allclose(rows[0]["gamma_factor"], np.mean(each))


def test_the_bound_of_the_rate_pulls_at_every_spike():
    many, found = {"w": 2.8, "tau": 6 * ms}, {}  # far too many spikes
    for weight in (0.0, 10.0):
        fitter = fitter_of(spikes_of(2.0, 10e-3))
        fitter.fit(5, seed=2, rate_weight=weight, bounds=BOUNDS)
        assert sum(map(len, fitter.generate_spikes(many))) > 14
        found[weight] = fitter.evaluate(many)
    assert found[10.0][0] > found[0.0][0] + 5
    # more drive means more spikes: the bound adds to the derivative by w
    assert found[10.0][1]["w"] > found[0.0][1]["w"] + 1


def test_what_is_refused():
    with pytest.raises(ValueError, match="spikes of 2 recordings, not of 1"):
        fitter_of([[1] * ms])
    with pytest.raises(ValueError, match="no spikes"):
        fitter_of([[] * ms, [] * ms])
    with pytest.raises(TypeError, match="callback"):
        fitter_of(spikes_of(2.0, 10e-3)).fit(5, callback=3, bounds=BOUNDS)
