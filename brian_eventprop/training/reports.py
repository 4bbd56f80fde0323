"""Callbacks that record more of a training: norms of the gradients, curves for TensorBoard."""

from __future__ import annotations

import numpy as np

from brian_eventprop.training.callbacks import Callback
from brian_eventprop.training.optimizers import name_of

__all__ = ["GradientNorms", "TensorBoardLog"]


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

    def __init__(self, folder):
        self.folder = str(folder)
        self.writer = None

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
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ImportError(
                "TensorBoardLog needs tensorboardX (pip install tensorboardX), or PyTorch with "
                "tensorboard"
            ) from None
    return SummaryWriter
