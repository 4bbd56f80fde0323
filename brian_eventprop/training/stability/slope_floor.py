"""Clip the gradient by the slope of each crossing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from brian2 import Quantity

from brian_eventprop._checks import number
from brian_eventprop.training.callbacks import Callback

#: Weight of the batches before in the running median of the slopes.
KEPT = 0.9


class SlopeFloor(Callback):
    """Divide by no slope below a least one, for ``Trainer(..., grazing=SlopeFloor(...))``.

    The time of a spike moves by one over the slope with which its potential crosses the threshold.
    Where that slope is smaller than the least one, the backward pass divides by the least one: what
    hangs on the time of this spike gets smaller by the quotient of the two, and all else stays.
    The gradient is not that of the loss then.  The history has ``clipped_spikes``, how many spikes
    of an epoch that were.

    Parameters
    ----------
    least : float, Quantity or dict
        A plain number is a part of the median slope of each group, which is taken over the batches
        so far (weight 0.9 for those before each batch).  A slope in the unit of the threshold's
        variable by time, ``0.02/ms``, or one by group, ``{hidden: 0.02/ms}``, is taken as it is.

    Raises
    ------
    ValueError
        If a part is negative.

    Notes
    -----
    Other programs clamp a vanishing slope by a constant of their own; here it is a choice, and what
    it changes is counted.  Not for CUDA.

    Examples
    --------
    >>> from brian2 import ms
    >>> SlopeFloor(0.1), SlopeFloor({"hidden": 0.02/ms})
    (SlopeFloor(least=0.1), SlopeFloor(least={'hidden': 20. * hertz}))
    >>> trainer = Trainer(model, optimizer, grazing=SlopeFloor(0.1))  # doctest: +SKIP
    """

    def __init__(self, least):
        self.least = least
        absolute = isinstance(least, Mapping | Quantity)
        self.part = None if absolute else number(least, "least")
        if self.part is not None and self.part < 0:
            raise ValueError(f"least must not be negative: {least}")
        self._floors: dict[str, float] = {}
        self.medians: dict[str, float] = {}
        self.clipped = 0

    def bind(self, model) -> None:
        """Check units and names against a model."""
        self._floors = model.slope_floors(0.0 if self.part is not None else self.least)

    def on_train_begin(self, trainer, epochs, batches):
        del trainer, epochs, batches
        self.medians, self.clipped = {}, 0

    def on_epoch_begin(self, trainer, epoch):
        del trainer, epoch
        self.clipped = 0

    def on_epoch_end(self, trainer, epoch, row):
        del trainer, epoch
        row["clipped_spikes"] = self.clipped

    @property
    def waiting(self) -> bool:
        """Whether no batch has told the slopes yet that the floors are parts of."""
        return self.part is not None and not self.medians

    def floors(self) -> dict[str, float]:
        """Return the least slopes of the next backward pass, by group and in SI units."""
        if self.part is None:
            return self._floors
        return {name: self.part * median for name, median in self.medians.items()}

    def see(self, slopes: Mapping[str, np.ndarray]) -> None:
        """Take the slopes of a batch into the median; NaN stands for spikes without a crossing."""
        for name, array in slopes.items():
            crossed = array[~np.isnan(array)]
            if crossed.size:
                median = float(np.median(crossed))
                before = self.medians.get(name, median)
                self.medians[name] = KEPT * before + (1 - KEPT) * median

    def count(self, slopes: Mapping[str, np.ndarray], floors: Mapping[str, float]) -> None:
        """Count the spikes of a backward pass whose slope was below the least one."""
        self.clipped += sum(int(np.sum(slopes[name] < floor)) for name, floor in floors.items())

    def state(self):
        return {f"median of {name}": np.array(value) for name, value in self.medians.items()}

    def on_resume(self, trainer, state):
        del trainer
        prefix = "median of "
        self.medians = {name.removeprefix(prefix): float(value) for name, value in state.items()}
