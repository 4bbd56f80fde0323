"""`model.gauss_newton` against Hessians, in both modes, and as the covariance of fits."""

import numpy as np
import pytest
from brian2 import Mohm, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, nA
from helpers.agreement import ROUNDING

import brian_eventprop as bep
from brian_eventprop.model.curvature import inverse_of_normal
from brian_eventprop.model.curvature.gauss_newton import loss_curvature


def decaying(loss, solver="event"):
    """Three neurons that decay; their potentials are trained."""
    neuron = NeuronGroup(3, "dv/dt = -v/tau : 1\ntau : second", method="exact", name="decaying")
    neuron.v, neuron.tau = [1.0, 2.0, 0.5], [8, 10, 12] * ms
    return bep.EventPropModel(
        [neuron], train=[neuron.v], duration=10 * ms, loss=loss(neuron), solver=solver
    ), neuron


def test_it_is_the_hessian_where_readouts_are_linear():
    model, neuron = decaying(
        lambda n: bep.CrossEntropy(bep.Final(n, "v"), scale=3.0), solver="clock"
    )
    model.run(targets=[1])
    found = model.gauss_newton()
    rows = [model.hvp({neuron.v: row}).flatten() for row in np.eye(3)]
    # differences of the gradient keep 1e-10 or so of it
    np.testing.assert_allclose(found.matrix, rows, rtol=1e-8, atol=1e-10)
    assert found.matrix.shape == (3, 3) and np.all(np.linalg.eigvalsh(found.matrix) > -1e-12)
    np.testing.assert_allclose(found.root.T @ found.root, found.matrix, atol=1e-12)
    # along (1, 1, 1), scaled by the decays, a softmax does not change
    assert np.isinf(found.covariance()).any()


def test_the_curvature_of_a_loss():
    values = np.random.default_rng(1).normal(size=(2, 3)) * 0.01
    loss = bep.CrossEntropy(bep.Final(decaying(lambda n: bep.Sum(bep.Final(n, "v")))[1], "v"), 200)
    found = loss_curvature(loss, [values], [0, 2])
    for own, logits in zip(found, 200 * values, strict=True):
        p = np.exp(logits) / np.exp(logits).sum()
        # noise of 1e-16/h is 1e-13 of slopes of 4e4
        np.testing.assert_allclose(own, 4e4 * (np.diag(p) - np.outer(p, p)), rtol=0, atol=1e-6)


def test_missing_spikes_curve_nothing():
    def squares(readouts, targets):
        del targets
        (times,) = readouts
        seen = np.where(np.isfinite(times), times, 0.0)
        return np.sum(seen**4, axis=1), (4 * seen**3,)

    found = loss_curvature(squares, [np.array([[2.0, np.inf], [1.0, 3.0]])], None)
    np.testing.assert_allclose(found, [np.diag([48.0, 0.0]), np.diag([12.0, 108.0])], rtol=1e-11)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_both_modes_agree(solver):
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [1, 2, 4, 6] * ms, name="source")
    neuron = NeuronGroup(
        2, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(3*ms) : 1\ntau : second (shared)",
        threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name="target",
    )  # fmt: skip
    neuron.tau, neuron.I = 6 * ms, [2.0, 1.5]
    s = Synapses(source, neuron, "w : 1", on_pre="I_post += w", name="s")
    s.connect(j="i")
    s.w, s.delay = [2.5, 2.7], [0.4, 0.7] * ms
    model = bep.EventPropModel(
        [source, neuron, s], train=[s.w, s.delay, neuron.tau], duration=12 * ms, solver=solver,
        loss=bep.MeanSquaredError(bep.SpikeTimes(neuron, "t/ms", which="first"), target=2.0)
        + bep.MeanSquaredError(bep.Final(neuron, "v + I"), target=0.5),
    )  # fmt: skip
    model.run()
    assert len(model.result.spikes[neuron]) > 2
    reverse, forward = (model.gauss_newton(mode=mode).matrix for mode in ("reverse", "forward"))
    size = np.sqrt(np.diag(reverse))
    scale = np.where(size > 0, size, 1.0)
    error = np.abs(reverse - forward) / np.outer(scale, scale)
    assert np.any(size > 0) and error.max() < ROUNDING


def test_the_error_bars_of_a_fit():
    """Those of `TraceFitter`, from its copies, are the inverse of the matrix of forward mode."""
    cell = "dv/dt = (R*I - v)/tau : volt\nR : ohm (constant)\ntau : second (constant)"
    t, random = np.arange(40) * 0.2, np.random.default_rng(2)
    recorded = (20 * (1 - np.exp(-t / 8)) + random.normal(0, 0.1, 40))[None] * mV
    fitter = bep.fit.TraceFitter(
        cell, "I", np.ones((1, 40)) * nA, "v", recorded, dt=0.2 * ms, n_samples=1, method="exact"
    )
    params, estimate = fitter.refine(
        {"R": 19 * Mohm, "tau": 9 * ms}, R=[5, 40] * Mohm, tau=[2, 30] * ms, n_values=40
    )
    current = 1 * nA
    neuron = NeuronGroup(1, cell.replace("I", "current"), method="exact", dt=0.2 * ms)
    neuron.R, neuron.tau = params["R"], params["tau"]
    model = bep.EventPropModel(
        [neuron], train=[neuron.R, neuron.tau], duration=8 * ms, namespace={"current": current},
        loss=bep.MeanSquaredError(
            bep.Value(neuron, "v", at=t * ms), target=recorded[0], scale=1 * mV
        ),
    )  # fmt: skip
    model.run()
    left = np.asarray(estimate.residuals) * 1e3
    variance = np.sum(left**2) / 38
    si = {neuron.R: 1 * Mohm / 1e6, neuron.tau: 1000 * ms}
    found = model.gauss_newton(mode="forward", units=si).covariance(2 / 40 * variance)
    np.testing.assert_allclose(estimate.covariance, found, rtol=1e-8)


def test_what_is_not_determined_has_no_error_bar():
    np.testing.assert_allclose(inverse_of_normal(np.array([[2.0]])), [[0.25]])
    found = inverse_of_normal(np.array([[1.0, 1.0, 0.0]]))  # fewer rows than columns
    assert np.isinf(np.diag(found)).all()
    model, _ = decaying(lambda n: bep.MeanSquaredError(bep.Final(n, "v"), target=0.0))
    model.run()
    assert np.isfinite(model.gauss_newton().covariance()).all()

    def saddle(readouts, targets):
        del targets
        return -np.sum(readouts[0] ** 2, axis=1), (-2 * readouts[0],)

    model.loss = saddle
    model.run()
    found = model.gauss_newton()
    assert found.root is None and np.all(np.diag(found.matrix) < 0)
    with pytest.raises(ValueError, match="not convex in its readouts"):
        found.covariance()
    with pytest.raises(ValueError, match="mode must be one of"):
        model.gauss_newton(mode="both")
