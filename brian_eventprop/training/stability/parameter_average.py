"""The average of the parameters over the steps of a training."""

from __future__ import annotations

import numpy as np

from brian_eventprop._checks import number
from brian_eventprop.training.callbacks import Callback, EarlyStopping
from brian_eventprop.training.optimizers import name_of
from brian_eventprop.training.rewiring import DeepR


class ParameterAverage(Callback):
    """Keep the exponential moving average of all trained values, and use it wherever one measures.

    After each step the average moves by ``1 - decay`` of the way to the values of the step.
    Validation, `EarlyStopping` and what is left in the model after `fit` see the average; the
    steps themselves go on from their own values, as if there were none.  A step that a grazing
    spike made too long moves the average by ``1 - decay`` of it only.

    Parameters
    ----------
    decay : float, optional
        Between 0 and 1: about ``1/(1 - decay)`` steps count.  The first steps have less of it,
        ``(1 + n)/(10 + n)`` in step n, so that the first values are soon forgotten.

    Raises
    ------
    ValueError
        If `decay` is not between 0 and 1, or together with `DeepR`, whose synapses change.

    Notes
    -----
    Averages of the iterates were proposed by Polyak and Juditsky (1992); they are common in
    training networks.  A second `fit` begins with the average, as with any other values.

    Examples
    --------
    >>> trainer = Trainer(model, optimizer, [ParameterAverage(0.998)])  # doctest: +SKIP
    """

    def __init__(self, decay: float = 0.998):
        self.decay = number(decay, "decay")
        if not 0 < self.decay < 1:
            raise ValueError(f"decay must lie between 0 and 1, not {decay}")

    def on_train_begin(self, trainer, epochs, batches):
        del epochs, batches
        if any(isinstance(hook, DeepR) for hook in trainer.hooks):
            raise ValueError(
                "ParameterAverage averages the values of synapses, and DeepR makes others of them: "
                "leave one out"
            )
        self.average, self.steps, self._own = _values(trainer), 0, None

    def on_batch_end(self, trainer, batch, result):
        del batch, result
        self.steps += 1
        decay = min(self.decay, self.steps / (9 + self.steps))
        for key, value in _values(trainer).items():
            self.average[key] += (1 - decay) * (value - self.average[key])

    def on_validation_begin(self, trainer, epoch):
        del epoch
        self._own = _values(trainer)
        _set(trainer, self.average)

    def on_epoch_recorded(self, trainer):
        _set(trainer, self._own)
        self._own = None

    def on_train_end(self, trainer):
        stopping = (hook for hook in trainer.hooks if isinstance(hook, EarlyStopping))
        if not any(hook.restore_best and hook.best_values is not None for hook in stopping):
            _set(trainer, self.average)

    def state(self):
        if not self.steps:
            return {}
        names = {f"average of {name_of(key)}": a for key, a in self.average.items()}
        own = {} if self._own is None else self._own
        return {
            "steps": np.array(self.steps), **names,
            **{f"step of {name_of(key)}": array for key, array in own.items()},
        }  # fmt: skip

    def on_resume(self, trainer, state):
        keys = trainer.model.parameters.keys
        self.steps = int(state["steps"])
        self.average = {key: np.array(state[f"average of {name_of(key)}"]) for key in keys}
        own = {key: state.get(f"step of {name_of(key)}") for key in keys}
        _set(trainer, {key: np.array(array) for key, array in own.items() if array is not None})


def _values(trainer) -> dict:
    parameters = trainer.model.parameters
    return {key: np.array(parameters.raw(key), dtype=float) for key in parameters.keys}


def _set(trainer, values) -> None:
    for key, array in values.items():
        trainer.model.parameters.set_raw(key, array.copy())
