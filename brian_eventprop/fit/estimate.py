"""Error bars of fitted parameters: the covariance of Gauss and Newton, from the Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from brian2 import Quantity

from brian_eventprop._units import handy_unit
from brian_eventprop.fit.space import Space
from brian_eventprop.model.curvature import inverse_of_normal


@dataclass(frozen=True)
class Estimate:
    """Fitted parameters with their error bars.

    Attributes
    ----------
    params : dict
        Values with units.
    stderr : dict
        Standard errors with units: infinite for a parameter that the recordings do not determine,
        NaN for one at a bound and where there are no more residuals than parameters.
    correlation : array (n_parameters, n_parameters)
        Of the errors.
    residuals : array (n_residuals,)
        What is left, in SI units; weighted, if the fit was.
    result : `scipy.optimize.OptimizeResult`
        What SciPy returned.
    """

    space: Space
    values: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    result: object

    @property
    def params(self) -> dict[str, Quantity]:
        return self.space.with_units(self.values)

    @property
    def stderr(self) -> dict[str, Quantity]:
        return self.space.with_units(np.sqrt(np.diag(self.covariance)))

    @cached_property
    def correlation(self) -> np.ndarray:
        size = np.sqrt(np.diag(self.covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.covariance / np.outer(size, size)

    def __str__(self) -> str:
        rows, errors = [], self.stderr
        for name, value in self.params.items():
            unit = handy_unit(value.dim)
            shown = "" if value.dim.is_dimensionless else f" {unit}"
            rows.append(f"{name} = {value / unit:.6g} +- {errors[name] / unit:.2g}{shown}")
        return "\n".join(rows)


def covariance(
    jacobian: np.ndarray, residuals: np.ndarray, free: np.ndarray, least: float = 0.0
) -> np.ndarray:
    """Return the covariance of the parameters of a least-squares fit.

    Parameters
    ----------
    jacobian : array (n_residuals, n_parameters)
        Derivatives of the residuals.
    residuals : array (n_residuals,)
        At the best parameters; their variance is that of the measurement, the same for all.
    free : array of bool (n_parameters,)
        Which parameters are not at a bound.
    least : float
        The variance of a residual is no smaller.

    Returns
    -------
    array (n_parameters, n_parameters)
        ``s**2 (J^T J)^-1`` with ``s**2`` the sum of squares per degree of freedom; infinite where a
        parameter is not determined, NaN where it is not free.

    Notes
    -----
    JᵀJ is the Gauss-Newton matrix of half the sum of squares, `EventPropModel.gauss_newton`.  For
    independent errors of one variance, ``s**2 (J^T J)^-1`` is what the covariance of the
    parameters approaches as the number of residuals grows (Seber & Wild, Nonlinear Regression,
    Wiley 1989, chapter 2).

    Examples
    --------
    >>> J = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> covariance(J, np.array([1.0, -2.0, 1.0]), np.array([True, True]))
    array([[ 5., -3.],
           [-3.,  3.]])
    """
    n = jacobian.shape[1]
    found = np.full((n, n), np.nan)
    freedom = len(residuals) - int(free.sum())
    if freedom < 1 or not free.any():
        return found
    inverse = inverse_of_normal(jacobian[:, free])
    inverse *= max(np.sum(residuals**2) / freedom, least)
    found[np.ix_(free, free)] = inverse
    return found
