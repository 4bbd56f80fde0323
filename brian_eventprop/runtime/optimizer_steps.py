"""Steps of an optimiser in one pass over long arrays.

NumPy goes over all arrays once per operation, a dozen times; the numbers are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from brian_eventprop.runtime.array_passes import LONG, ArrayPasses, compiled
from brian_eventprop.runtime.trial_pool import TrialPool


@compiled
def _adam(
    first, last, into, value, gradient, mean, square, rate, low, high, new1, new2, eps, all1, all2
):
    for k in range(np.uint64(first), np.uint64(last)):
        mean[k] += new1 * (gradient[k] - mean[k])
        square[k] += new2 * (gradient[k] * gradient[k] - square[k])
        moved = value[k] - rate * ((mean[k] / all1) / (np.sqrt(square[k] / all2) + eps))
        moved = low if moved < low else moved
        into[k] = high if moved > high else moved


_KERNELS = {"adam": _adam}


class HostGradients(dict):
    """Gradients by key, as NumPy arrays, and the threads for loops over them.

    ``grazing`` is the number of spikes whose part in them is uncertain, ``slopes`` those of the
    crossings by group.
    """

    def __init__(
        self, gradients, trial_pool: TrialPool, grazing: int = 0, slopes: Mapping = {}
    ):  # fmt: skip
        super().__init__(gradients)
        self.trial_pool, self.passes = trial_pool, ArrayPasses(trial_pool)
        self.grazing, self.slopes = grazing, slopes

    def ordered(self, keys) -> HostGradients:
        """Return the gradients in another order of their keys."""
        return self.replaced({key: self[key] for key in keys})

    def replaced(self, arrays) -> HostGradients:
        """Return other gradients in place of these, with the same threads."""
        return HostGradients(arrays, self.trial_pool, self.grazing, self.slopes)

    def moved(
        self,
        kernel: str | None,
        key,
        value: np.ndarray,
        memory: Sequence[np.ndarray],
        limits: Sequence,
        numbers: Sequence[float],
    ) -> np.ndarray | None:
        """Return the values of a variable after a step, or None if that is left to NumPy.

        They are there once the `passes` are made.

        Parameters
        ----------
        kernel
            The optimiser's name among the kernels.
        key, value
            Of the variable.
        memory
            The optimiser's arrays of the variable, which change.
        limits
            Learning rate, lowest and highest value.
        numbers
            What else the kernel needs.
        """
        step = _KERNELS.get(kernel)
        if step is None or value.size < LONG or any(np.ndim(x) > 0 for x in limits):
            return None
        numbers = [*(float(x) for x in limits), *(float(x) for x in numbers)]
        into = np.empty_like(value)
        arrays = into, value, np.asarray(self[key], dtype=float), *memory
        self.passes.add(step, value.size, *arrays, *numbers)
        return into
