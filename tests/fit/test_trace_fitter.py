"""TraceFitter: parameters of known traces, error bars, and what it refuses."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    Mohm,
    Quantity,
    TimedArray,
    ms,
    mV,
    nA,
    second,
    volt,
)

import brian_eventprop as bep

MEMBRANE = "dv/dt = (R*I - v)/tau : volt\nR : ohm (constant)\ntau : second (constant)"
BOUNDS = {"R": [5, 40] * Mohm, "tau": [2, 30] * ms}


def membrane(steps, R=20 * Mohm, tau=8 * ms, amplitude=1 * nA, dt=0.2 * ms):
    t = np.arange(steps) * dt
    return R * amplitude * (1 - np.exp(-t / tau))


def two_recordings():
    amplitudes = [1.0, -0.5] * nA
    current = np.outer(amplitudes / nA, np.ones(60)) * nA
    return current, Quantity([membrane(60, amplitude=a) for a in amplitudes])


def fitter_of(current, recorded, model=MEMBRANE, **options):
    given = {"dt": 0.2 * ms, "n_samples": 3, "method": "exact", **options}
    return bep.fit.TraceFitter(model, "I", current, "v", recorded, **given)


@pytest.mark.parametrize("optimizer", ["L-BFGS-B", "adam", "differential_evolution"])
def test_the_true_parameters_are_found(optimizer):
    current, recorded = two_recordings()
    fitter = fitter_of(current, recorded, n_samples=5)
    found, error = fitter.fit(14, optimizer, seed=3, **BOUNDS)
    assert error == fitter.best_error and error < 1 * mV**2
    found, estimate = fitter.refine(n_values=12)
    np.testing.assert_allclose(found["R"] / Mohm, 20, rtol=1e-6)
    np.testing.assert_allclose(found["tau"] / ms, 8, rtol=1e-6)
    assert estimate.residuals.shape == (24,)
    np.testing.assert_allclose(fitter.generate_traces() / mV, recorded / mV, atol=1e-5)


def test_the_search_follows_the_exact_gradient():
    current, recorded = two_recordings()
    fitter = fitter_of(current, recorded, n_samples=1)
    fitter.fit(5, seed=1, **BOUNDS)
    R, tau, h = 15 * Mohm, 12 * ms, 1e-5
    _, slopes = fitter.evaluate({"R": R, "tau": tau})
    for name, size in {"R": R, "tau": tau}.items():
        at = {"R": R, "tau": tau}
        ends = [fitter.evaluate({**at, name: size * (1 + s)})[0] for s in (h, -h)]
        np.testing.assert_allclose(slopes[name] * size, (ends[0] - ends[1]) / (2 * h), rtol=1e-6)


def test_error_bars_are_those_of_linear_regression():
    # v = v0 + slope*t, so the standard errors are known in closed form
    random, t = np.random.default_rng(0), np.arange(50) * 1e-3
    noisy = 0.01 + 2.0 * t + random.normal(0, 0.003, 50)
    fitter = fitter_of(
        np.zeros((1, 50)), noisy[None] * volt, "dv/dt = g + I*g : volt\ng : volt/second (constant)",
        dt=1 * ms, method="euler", n_samples=2,
    )  # fmt: skip
    fitter.fit(12, seed=1, v=[-0.5, 0.5] * volt, g=[-10, 10] * volt / second)
    found, estimate = fitter.refine()
    A = np.stack([np.ones(50), t], axis=1)
    wanted, squares, *_ = np.linalg.lstsq(A, noisy, rcond=None)
    covariance = squares[0] / 48 * np.linalg.inv(A.T @ A)
    np.testing.assert_allclose([found["v"] / volt, found["g"] / (volt / second)], wanted, rtol=1e-6)
    errors = [np.asarray(estimate.stderr[name]) for name in ("v", "g")]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-5)
    correlation = covariance[0, 1] / np.prod(np.sqrt(np.diag(covariance)))
    np.testing.assert_allclose(estimate.correlation[0, 1], correlation, rtol=1e-5)
    assert str(estimate).count("+-") == 2


def test_a_parameter_without_influence_has_an_infinite_error():
    model = MEMBRANE + "\ng : 1 (constant)"
    model = model.replace("R*I - v", "R*I*(1 + 0*g) - v")
    current, recorded = two_recordings()
    fitter = fitter_of(current, recorded, model.replace("0*g", "g"), param_init={"tau": 8 * ms})
    fitter.fit(8, seed=0, R=BOUNDS["R"], g=[-0.1, 0.1])
    _, estimate = fitter.refine(n_values=8)  # R*(1 + g) alone is determined
    assert np.isinf(estimate.stderr["R"]) and np.isinf(estimate.stderr["g"])


def test_values_that_are_not_compared():
    current, recorded = two_recordings()
    spoilt = recorded.copy()
    spoilt[:, :10], spoilt[0, 30] = 1 * volt, np.nan * volt
    fitter = fitter_of(current, spoilt)
    _, error = fitter.fit(14, t_start=2 * ms, seed=3, **BOUNDS)
    found, estimate = fitter.refine()
    assert estimate.residuals.shape == (99,)
    np.testing.assert_allclose(found["tau"] / ms, 8, rtol=1e-6)


def test_a_coupling_to_the_recording_is_gone_at_the_end():
    current, recorded = two_recordings()
    fitter = fitter_of(current, recorded, method="exponential_euler")
    fitter.fit(16, coupling=[200] * Hz, seed=3, **BOUNDS)
    found, _ = fitter.refine(n_values=12)
    # the reference is the exact solution, so exponential Euler is a bit off
    np.testing.assert_allclose(found["R"] / Mohm, 20, rtol=0.01)
    with_none = fitter.generate_traces(found)
    np.testing.assert_allclose(with_none / mV, recorded / mV, atol=0.3)


def test_results_of_all_starts_and_the_callback():
    current, recorded = two_recordings()
    heard = []

    def callback(params, errors, best, error, index):
        heard.append((len(params), errors.shape, set(best), index))
        return index == 2

    fitter = fitter_of(TimedArray(current.T, dt=0.2 * ms), recorded)
    _, error = fitter.fit(30, callback=callback, seed=3, bounds=BOUNDS)
    assert heard == [(3, (3,), {"R", "tau"}, k) for k in range(3)]
    rows = fitter.results()
    assert len(rows) == 3 and rows[0]["error"] == error
    assert np.all(np.diff(fitter.results("dict")["error"]) >= 0)


def test_what_is_refused():
    current, recorded = two_recordings()
    with pytest.raises(TypeError, match="give bounds of the parameter, tau="):
        fitter_of(current, recorded).fit(3, R=BOUNDS["R"])
    with pytest.raises(ValueError, match="'r' is no parameter of the model; it has: R, tau, v"):
        fitter_of(current, recorded).fit(3, r=[1, 2], **BOUNDS)
    with pytest.raises(ValueError, match="output must have the shape of input"):
        fitter_of(current, recorded[:, 1:])
    with pytest.raises(ValueError, match="uses 'R', which is fitted"):
        fitter_of(current, recorded, param_init={"v": "R*nA"}).fit(3, **BOUNDS)
    with pytest.raises(ValueError, match="must be used in the model, but not be defined"):
        bep.fit.TraceFitter(MEMBRANE, "R", current, "v", recorded, 0.2 * ms)
    with pytest.raises(TypeError, match="call fit"):
        fitter_of(current, recorded).refine()
