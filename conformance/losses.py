"""The losses of the files and their derivatives by the readouts' values, in NumPy.

For packages that take cotangents of readouts; those that differentiate losses themselves need
only `value`, written in their own arrays.
"""

from __future__ import annotations

import numpy as np


def value(loss: dict, y: np.ndarray) -> float:
    """Return one term of a loss of the values of its readout, (neurons,) or (neurons, times)."""
    if loss["kind"] == "weighted_sum":
        weights = np.asarray(loss["weights"])
        return float(np.sum(weights[weights != 0] * y[weights != 0]))
    if loss["kind"] == "squared_error":
        return float(np.sum((y - loss["targets"]) ** 2))
    scaled = loss["scale"] * y
    top = np.max(scaled)
    return float(np.log(np.sum(np.exp(scaled - top))) + top - scaled[loss["label"]])


def slope(loss: dict, y: np.ndarray) -> np.ndarray:
    """Return the derivative of that term by the values."""
    if loss["kind"] == "weighted_sum":
        return np.asarray(loss["weights"], dtype=float)
    if loss["kind"] == "squared_error":
        return 2 * (y - loss["targets"])
    scaled = loss["scale"] * y
    part = np.exp(scaled - np.max(scaled))
    out = part / part.sum()
    out[loss["label"]] -= 1
    return loss["scale"] * out
