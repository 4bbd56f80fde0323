"""Residuals of recordings and their exact Jacobian, as least squares ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from brian_eventprop.fit.cells import Copies
from brian_eventprop.fit.space import Space


class Residuals:
    """The residuals of copies of one neuron, and their derivatives by points of a space.

    Parameters
    ----------
    space
        Where the points are.
    copies
        As many as a recording has values: each gives one row of the Jacobian, in one backward pass.
    traces
        The recorded inputs.
    of
        Returns the residuals of readouts.
    one_each
        Returns cotangents, one value for each copy, and the residuals' derivatives by the values.
    compared
        Which values of all recordings are residuals: an index.
    """

    def __init__(
        self, space: Space, copies: Copies, traces: Mapping, of: Callable, one_each: Callable,
        compared: np.ndarray,
    ):  # fmt: skip
        self.space, self.copies, self.traces = space, copies, traces
        self._of, self._one_each, self._compared = of, one_each, compared
        self._at: np.ndarray | None = None
        self._readouts: tuple = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the residuals at a point."""
        if self._at is None or not np.array_equal(self._at, x):
            self._readouts = self.copies.run(self.space.values(x), self.traces)
            self._at = np.array(x)
        return self._of(self._readouts)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return their derivatives (n_residuals, n_parameters)."""
        self(x)
        of, scale = self._one_each(self._readouts)
        found = self.copies.gradient(of, per_recording=True)
        found = found.reshape(-1, len(self.space.names)) * scale.reshape(-1, 1)
        return found[self._compared] * self.space.slopes(x)


def settle(residuals: Residuals, x: np.ndarray, steps: int = 10) -> np.ndarray:
    """Return the best of some steps of Gauss and Newton, each taken whether it is better or not.

    Spike times on a time grid are constant for small changes of the parameters, and no minimiser
    that wants each step to be better goes on from there; their derivatives know the way.
    """
    best, least = x, np.sum(residuals(x) ** 2)
    for _ in range(steps):
        slopes = residuals.slopes(x)
        step = np.linalg.lstsq(slopes, residuals(x), rcond=1e-8)[0]
        x = np.clip(x - step, 0.0, 1.0)
        now = np.sum(residuals(x) ** 2)
        if now < least:
            best, least = x, now
    return best
