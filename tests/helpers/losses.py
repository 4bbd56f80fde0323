"""The derivatives that a loss returns, against central differences."""

import numpy as np
import pytest


def check_derivatives(loss, values, targets, step=1e-6):
    """Compare the derivatives in all finite values with central differences."""
    values = tuple(np.array(value, dtype=float) for value in values)
    losses, derivatives = loss(values, targets)
    assert losses.shape == (len(values[0]),)
    assert np.all(np.isfinite(losses))
    for value, derivative in zip(values, derivatives, strict=True):
        assert derivative.shape == value.shape
        assert np.all(derivative[~np.isfinite(value)] == 0)
        for index in np.argwhere(np.isfinite(value)):
            numeric = _central(loss, values, targets, value, tuple(index), step)
            scale = max(1.0, np.max(np.abs(derivative)))
            assert derivative[tuple(index)] == pytest.approx(numeric, rel=1e-5, abs=1e-6 * scale)


def _central(loss, values, targets, value, index, step):
    kept, h = value[index], step * max(1e-2, abs(value[index]))
    value[index] = kept + h
    above = loss(values, targets)[0][index[0]]
    value[index] = kept - h
    below = loss(values, targets)[0][index[0]]
    value[index] = kept
    return (above - below) / (2 * h)
