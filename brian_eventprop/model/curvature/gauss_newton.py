"""The Gauss-Newton matrix: the curvature of a loss as its readouts see it, Jᵀ H J."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, Unit

from brian_eventprop.losses.base import evaluate
from brian_eventprop.model.curvature.extrapolation import extrapolate
from brian_eventprop.model.curvature.inverse import inverse_of_normal
from brian_eventprop.reading.spec import Key

#: Eigenvalues of H, scaled to a diagonal of 1, that are smaller are those of rounding: differences
#: of the loss's derivatives are exact to 1e-12 or so.
_ROUNDING = 1e-9
#: The first step of differences of a loss's derivatives: this part of the largest readout.
_START = 0.1


@dataclass(frozen=True)
class GaussNewton:
    """The Gauss-Newton matrix of a mean loss.

    Attributes
    ----------
    matrix : array (n, n)
        Jᵀ H J, with the mean over the trials, in the vector of `Parameters.flatten`.
    root : array (n_values, n) or None
        R with RᵀR the matrix; None if the loss is not convex in the readouts.
    units : dict
        By key, the units of that vector.
    """

    matrix: np.ndarray
    root: np.ndarray | None
    units: Mapping[Key, Unit]

    def covariance(self, variance: float = 1.0) -> np.ndarray:
        """Return the covariance of the parameters that minimise the loss, (n, n).

        Parameters
        ----------
        variance : float
            What the inverse of the matrix is multiplied by.  Where the losses of single trials are
            negative log-likelihoods, ``1/n_trials``.  Where the mean loss is a sum of squared
            errors times c, ``2*c*s**2`` with the variance ``s**2`` of one error.

        Returns
        -------
        array (n, n)
            In products of the units of the vector; infinite on the diagonal where a parameter is
            not determined.

        Raises
        ------
        ValueError
            If the loss is not convex in the readouts.

        Notes
        -----
        As the number of observations grows, the estimates of maximum likelihood are normally
        distributed with the inverse of the information as their covariance, of which this is the
        approximation that leaves out second derivatives of the model (Seber & Wild, Nonlinear
        Regression, Wiley 1989, chapter 2).
        """
        if self.root is None:
            raise ValueError(
                "the loss is not convex in its readouts here, so its Gauss-Newton matrix is no "
                "inverse covariance"
            )
        return variance * inverse_of_normal(self.root)


def gauss_newton_of(
    jacobian: Sequence[np.ndarray], curvature: np.ndarray, units: Mapping
) -> GaussNewton:
    """Return the Gauss-Newton matrix.

    Parameters
    ----------
    jacobian : list of array (trials, ..., n)
        Derivatives of each readout.
    curvature : array (trials, n_values, n_values)
        The Hessian of each trial's loss in the values of all its readouts.
    units
        Of the vector of parameters.
    """
    n_trials, n = len(jacobian[0]), jacobian[0].shape[-1]
    rows = np.concatenate([j.reshape(n_trials, -1, n) for j in jacobian], axis=1)
    matrix = np.einsum("bvi,bvw,bwj->ij", rows, curvature, rows, optimize=True) / n_trials
    return GaussNewton((matrix + matrix.T) / 2, _root_of(curvature, rows), units)


def _root_of(curvature: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Return R with RᵀR the mean of Jᵀ H J; None if an H has a negative direction."""
    # values of readouts may be volts and seconds: without a scale, those of large units were lost
    diagonal = np.diagonal(curvature, axis1=1, axis2=2)
    sizes = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = curvature / (sizes[:, :, np.newaxis] * sizes[:, np.newaxis, :])
    values, vectors = np.linalg.eigh(scaled)
    if np.any(values < -_ROUNDING):
        return None
    roots = np.sqrt(np.where(values > _ROUNDING, values, 0.0) / len(rows))
    found = vectors.transpose(0, 2, 1) @ (sizes[:, :, np.newaxis] * rows)
    return (roots[:, :, np.newaxis] * found).reshape(-1, rows.shape[-1])


def loss_curvature(loss, readouts: Sequence[np.ndarray], targets) -> np.ndarray:
    """Return the Hessian of each trial's loss in the values of its readouts.

    A loss returns its first derivatives; their central differences, extrapolated, are exact to
    rounding where it is a polynomial of low order.  Values of missing spikes (infinite) depend on
    nothing.

    Parameters
    ----------
    loss
        As `EventPropModel` takes it.
    readouts : list of array (trials, ...)
    targets
        As the loss takes them.

    Returns
    -------
    array (trials, n_values, n_values)
    """
    readouts = [np.asarray(r, float) for r in readouts]
    n_trials = len(readouts[0])
    sizes = [r[0].size for r in readouts]
    at = np.concatenate([r.reshape(n_trials, -1) for r in readouts], axis=1)
    scales = np.repeat([_scale(r) for r in readouts], sizes)
    there = np.isfinite(at)

    def derivatives(values: np.ndarray) -> np.ndarray:
        parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        given = [p.reshape(r.shape) for p, r in zip(parts, readouts, strict=True)]
        found = evaluate(loss, tuple(given), targets)[1]
        return np.concatenate([d.reshape(n_trials, -1) for d in found], axis=1)

    found = np.zeros((n_trials, at.shape[1], at.shape[1]))
    for k in range(at.shape[1]):
        moved = np.zeros_like(at)
        moved[:, k] = there[:, k]

        def difference(h: float, moved=moved):
            slope = (derivatives(at + h * moved) - derivatives(at - h * moved)) / (2 * h)
            return list(np.where(there, slope, 0.0))

        if np.any(moved):
            values, _ = extrapolate(difference, _START * scales[k])
            found[:, k] = values
    return (found + found.transpose(0, 2, 1)) / 2


def _scale(readout: np.ndarray) -> float:
    return float(np.abs(readout[np.isfinite(readout)]).max(initial=0.0)) or 1.0


def unit_directions(parameters, units: Mapping[Key, Unit]):
    """Yield the directions of the vector of `Parameters.flatten`, one entry after the other."""
    for key in parameters.keys:
        size = np.size(parameters.raw(key))
        for k in range(size):
            direction = np.zeros(size)
            direction[k] = float(units[key])
            shape, dim = parameters.shape(key), parameters.dimension(key)
            yield {key: Quantity(direction.reshape(shape), dim=dim)}
