"""Callbacks that record more of a training, or tell it to others: functions, logs, TensorBoard."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from brian_eventprop._checks import whole_number
from brian_eventprop.messages.wanted import in_notebook
from brian_eventprop.training.callbacks import Callback
from brian_eventprop.training.optimizers import name_of

__all__ = ["GradientNorms", "LineLog", "Report", "TensorBoardLog"]

#: Most lines of `LineLog` in a notebook, which keeps all that is written.
IN_NOTEBOOK = 50


class GradientNorms(Callback):
    """Add the norm of every gradient to the history: ``gradient(s_in.w)`` and so on.

    The number of an epoch is the mean over its batches of the root of the sum of squares, per SI
    unit of the variable.

    Examples
    --------
    >>> trainer = Trainer(model, optimizer, [GradientNorms()])  # doctest: +SKIP
    >>> trainer.fit(data, 10, 50)["gradient(s_in.w)"]  # doctest: +SKIP
    """

    def on_epoch_begin(self, trainer, epoch):
        del trainer, epoch
        self.norms: dict[str, list[float]] = {}

    def on_batch_end(self, trainer, batch, result):
        del batch, result
        for key, gradient in trainer.gradients.items():
            self.norms.setdefault(name_of(key), []).append(float(np.linalg.norm(gradient)))

    def on_epoch_end(self, trainer, epoch, row):
        del trainer, epoch
        row.update({f"gradient({name})": float(np.mean(n)) for name, n in self.norms.items()})


class Report(Callback):
    """Hand the numbers of a training to a function: for W&B, MLflow, Optuna and others.

    Parameters
    ----------
    function : callable
        ``f(step, numbers)``, called after every epoch with its number (0, 1, ...), or after every
        step of the optimiser with how many there were; `numbers` is a dict of floats by name.  What
        it raises ends the training.
    every : {'epoch', 'step'}
        When.
    gradients : bool
        Whether their norms are wanted; those of a GPU are copied from it in every step.

    Notes
    -----
    Names are ``loss``; ``learning_rate/s.w`` and ``gradient/s.w`` for every trained variable (the
    root of the sum of squares), in SI units; ``gradient_norm``, that of `ClipNorm` before it clips;
    ``grazing``, how many spikes only grazed their threshold, so that the gradient is uncertain
    there.  After an epoch these are means over its steps, and there is all that stands in the
    history: ``accuracy``, ``val_loss``, ``seconds`` and what other callbacks have added.

    Examples
    --------
    >>> run = wandb.init()  # doctest: +SKIP
    >>> report = Report(lambda step, numbers: run.log(numbers, step=step))  # doctest: +SKIP
    >>> report = Report(lambda step, numbers: mlflow.log_metrics(numbers, step))  # doctest: +SKIP
    """

    writes = True

    def __init__(self, function: Callable, every: str = "epoch", gradients: bool = True):
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"a Report needs a function f(step, numbers), not {repr(function)[:60]}"
            )
        if every not in ("epoch", "step"):
            raise ValueError(f"every must be 'epoch' or 'step', not {every!r}")
        self.function, self.every, self.gradients = function, every, bool(gradients)

    def on_epoch_begin(self, trainer, epoch):
        del trainer, epoch
        self.steps: list[dict[str, float]] = []

    def on_batch_end(self, trainer, batch, result):
        del batch
        numbers = {"loss": float(result.loss), **_of_step(trainer, self.gradients)}
        if self.every == "step":
            self.function(trainer.optimizer.steps, numbers)
        else:
            self.steps.append(numbers)

    def on_epoch_recorded(self, trainer):
        if self.every != "epoch":
            return
        names = dict.fromkeys(name for numbers in self.steps for name in numbers)
        means = {n: float(np.mean([s[n] for s in self.steps if n in s])) for n in names}
        row = {_plain(name): float(value) for name, value in trainer.history.rows[-1].items()}
        self.function(int(row.pop("epoch")), {**means, **row})


def _of_step(trainer, gradients: bool) -> dict[str, float]:
    """Return the numbers of the last step, besides its loss."""
    optimizer, found = trainer.optimizer, trainer.gradients
    numbers = {
        f"learning_rate/{name_of(key)}": float(np.mean(rate))
        for key, rate in optimizer.rates.items()
    }
    if gradients:
        for key, gradient in found.items():
            numbers[f"gradient/{name_of(key)}"] = float(np.linalg.norm(gradient))
    if optimizer.gradient_norm is not None:
        numbers["gradient_norm"] = optimizer.gradient_norm
    if hasattr(found, "grazing"):
        numbers["grazing"] = float(found.grazing)
    return numbers


def _plain(name: str) -> str:
    """Return the name of a column as W&B and MLflow group and allow it: 'gradient/s.w'."""
    return re.sub(r"^(\w+)\((.*)\)$", r"\1/\2", name)


class LineLog(Callback):
    """Write one line per epoch, for logs of clusters that no progress bar suits.

    ``Trainer.fit(..., progress='lines')`` is the same.

    Parameters
    ----------
    file : file, optional
        Where to; by default the standard output.
    most : int, optional
        Write about so many lines and leave out epochs evenly if there are more; the last one is
        always written.  By default 50 in a notebook, and all elsewhere.

    Examples
    --------
    >>> trainer.fit(data, 3, 20, progress="lines")  # doctest: +SKIP
    epoch 0 (1 of 3): loss 1.0997, accuracy 0.2667, 2.31 s
    epoch 1 (2 of 3): loss 0.9123, accuracy 0.5333, 0.22 s, 00:00 left
    epoch 2 (3 of 3): loss 0.8027, accuracy 0.6124, 0.22 s
    """

    writes = True

    def __init__(self, file=None, most: int | None = None):
        self.file = file
        self.most = None if most is None else whole_number(most, "most", least=1)

    def on_train_begin(self, trainer, epochs, batches):
        del batches
        self.first, self.epochs, self.line = trainer.epoch, epochs, ""
        most = self.most or (IN_NOTEBOOK if in_notebook() else max(epochs, 1))
        self.every = -(-epochs // most)

    def on_epoch_recorded(self, trainer):
        row = dict(trainer.history.rows[-1])
        epoch, seconds = int(row.pop("epoch")), row.pop("seconds")
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
        done = epoch - self.first + 1
        self.line = f"epoch {epoch} ({done} of {self.epochs}): {numbers}, {seconds:.2f} s"
        if 1 < done < self.epochs:  # kernels are compiled in the first epoch
            self.line += f", {_clock((self.epochs - done) * seconds)} left"
        if (done - 1) % self.every == 0 or done == self.epochs:
            self._write()

    def on_train_end(self, trainer):
        del trainer
        self._write()

    def _write(self) -> None:
        """Write the last line, unless it was written."""
        if self.line:
            print(self.line, file=self.file or sys.stdout, flush=True)
        self.line = ""


def _clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours if there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


class TensorBoardLog(Callback):
    """Write the history for TensorBoard while it grows.

    Needs the package tensorboardX, or PyTorch with tensorboard: ``pip install tensorboardX``.

    Parameters
    ----------
    folder : path-like
        Where the event files go.

    Examples
    --------
    >>> trainer = Trainer(model, optimizer, [TensorBoardLog("runs/1")])  # doctest: +SKIP
    """

    writes = True

    def __init__(self, folder):
        self.folder = str(folder)
        self.writer: Any = None  # a SummaryWriter of either package

    def on_train_begin(self, trainer, epochs, batches):
        del trainer, epochs, batches
        self.writer = _summary_writer()(self.folder)

    def on_epoch_end(self, trainer, epoch, row):
        del trainer
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, epoch)
        self.writer.flush()

    def on_train_end(self, trainer):
        del trainer
        if self.writer is not None:
            self.writer.close()


def _summary_writer():
    try:
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]
    except ImportError:
        try:
            from torch.utils.tensorboard import (  # pyright: ignore[reportMissingImports]
                SummaryWriter,
            )
        except ImportError:
            raise ImportError(
                "TensorBoardLog needs tensorboardX (pip install tensorboardX), or PyTorch with "
                "tensorboard"
            ) from None
    return SummaryWriter
