"""What a backward pass starts from when there is no loss: one array of cotangents per readout.

Cotangents are dL/d(value) of each value of a readout, whatever L is; they come from whoever goes on
computing with the readouts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from brian_eventprop._checks import plain_numbers


def cotangents_of(of: Sequence, values: Sequence[np.ndarray], names: Sequence[str]):
    """Return dL/d(value) of each readout, of the readout's shape.

    Parameters
    ----------
    of
        One array per readout, of its shape; None is zero everywhere.  That of the times of each
        spike may have one entry per spike, in the order of trial, neuron and time.
    values
        The readouts of the last run.
    names
        What the readouts are called in messages.

    Raises
    ------
    ValueError
        If there are fewer or more arrays than readouts, or one has another shape or is not finite
        where the readout is.

    Examples
    --------
    >>> values = np.array([[[0.1, 0.2], [0.3, np.inf]]])
    >>> cotangents_of([[1, 2, 3]], [values], ["SpikeTimes(output, 't', 'each')"])[0]
    array([[[1., 2.],
            [3., 0.]]])
    """
    if len(values) == 1 and not isinstance(of, list | tuple):
        of = [of]
    if not isinstance(of, list | tuple) or len(of) != len(values):
        count = len(of) if isinstance(of, list | tuple) else type(of).__name__
        raise ValueError(
            f"of must have one array for each readout, {len(values)} ({', '.join(names)}), "
            f"not {count}"
        )
    return tuple(_cotangent(*each) for each in zip(of, values, names, strict=True))


def _cotangent(given, value: np.ndarray, name: str) -> np.ndarray:
    if given is None:
        return np.zeros_like(value)
    array = plain_numbers(given, f"the cotangent of {name}")
    there = np.isfinite(value)
    if array.shape != value.shape and value.ndim == 3 and array.shape == (there.sum(),):
        spread = np.zeros_like(value)
        spread[there] = array
        array = spread
    if array.shape != value.shape:
        raise ValueError(
            f"the cotangent of {name} must have the readout's shape {value.shape}, not "
            f"{array.shape}"
        )
    if not np.all(np.isfinite(array[there])):
        raise ValueError(f"the cotangent of {name} is not finite in some entries")
    return np.where(there, array, 0.0)  # nothing depends on the time of a spike that is missing
