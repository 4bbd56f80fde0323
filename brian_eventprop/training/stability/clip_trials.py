"""Clip the gradient by trial: none has more than a multiple of the usual norm."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from brian_eventprop._checks import number, whole_number
from brian_eventprop.training.callbacks import Callback


class ClipTrials(Callback):
    """Clip the norm of each trial's own gradient, for ``Trainer(..., grazing=ClipTrials(...))``.

    A trial whose gradient has, in any trained variable, a norm above a multiple of the median of
    the last trials is scaled down until it has none: its direction stays, and the other trials of
    the batch are as they were.  The history has ``clipped_trials``, how many of an epoch that were.

    Parameters
    ----------
    multiple : float
        Of the median.  Where most trials are right already, their gradients are tiny: then those
        that still teach something are far above the median, and a small multiple stops learning.
    window : int, optional
        Of how many of the last trials the median is; trials without a gradient do not count.

    Raises
    ------
    ValueError
        If `multiple` is not above 0.

    Notes
    -----
    Each trial is run once more, on its own (`EventPropModel.gradient` with ``per_trial``), so a
    step takes several times as long.

    Examples
    --------
    >>> clip = ClipTrials(2.0)
    >>> arrays = {("s", "w"): np.array([[1.0, 0.0], [0.0, 1.0], [30.0, 40.0]])}
    >>> clip.mean(arrays)["s", "w"]
    array([0.73333333, 0.86666667])
    >>> clip.clipped
    1
    """

    def __init__(self, multiple: float, window: int = 1000):
        self.multiple = number(multiple, "multiple")
        self.window = whole_number(window, "window", least=1)
        if not self.multiple > 0:
            raise ValueError(f"multiple must be above 0, not {multiple}")
        self._norms: dict[tuple[str, str], deque] = {}
        self.clipped = 0

    def on_train_begin(self, trainer, epochs, batches):
        del trainer, epochs, batches
        self._norms, self.clipped = {}, 0

    def on_epoch_begin(self, trainer, epoch):
        del trainer, epoch
        self.clipped = 0

    def on_epoch_end(self, trainer, epoch, row):
        del trainer, epoch
        row["clipped_trials"] = self.clipped

    def mean(self, arrays: Mapping) -> dict:
        """Return the mean of the trials' gradients, after some were scaled down.

        Parameters
        ----------
        arrays
            By key, (trials, values).
        """
        factor = np.ones(len(next(iter(arrays.values()))))
        for key, array in arrays.items():
            norm = np.linalg.norm(array, axis=1)
            known = self._norms.setdefault(key, deque(maxlen=self.window))
            known.extend(norm[norm > 0].tolist())
            if known:
                most = self.multiple * np.median(known)
                factor = np.minimum(factor, most / np.maximum(norm, most))
        self.clipped += int(np.sum(factor < 1))
        return {key: np.mean(factor[:, None] * array, axis=0) for key, array in arrays.items()}

    def state(self):
        return {f"{owner}/{name}": np.array(norms) for (owner, name), norms in self._norms.items()}

    def on_resume(self, trainer, state):
        del trainer
        self._norms = {
            tuple(name.rsplit("/", 1)): deque(norms.tolist(), maxlen=self.window)
            for name, norms in state.items()
        }
