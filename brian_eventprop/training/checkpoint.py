"""Checkpoints: a training that was killed goes on as if nothing had happened, bit by bit.

A checkpoint is an HDF5 file of numbers and text; nothing in it is ever executed.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from brian_eventprop.data.files import READ_ERRORS, reading, writing
from brian_eventprop.training.callbacks import Callback
from brian_eventprop.training.fingerprint import describe, difference
from brian_eventprop.training.optimizers import name_of

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Save the whole training to a file after every epoch, and go on from it.

    The file holds the parameters, the memory of the optimiser and of the callbacks, the history,
    and what the model was.  It is replaced only when the new one is complete, so whenever the
    training is killed there is a good file.

    Parameters
    ----------
    path : path-like
        The file.
    every : int
        Epochs between two saves; the last epoch is always saved.

    Notes
    -----
    The order of the trials depends on the seed of `Trainer.fit` and the epoch only, so a resumed
    training gives the same bits as one that was not interrupted, if `fit` gets the same data,
    ``batch_size`` and ``seed``.  Batches that somebody else makes, at random, are the same again
    if a function of the epoch makes them.  Learning rates are those of the script.

    Examples
    --------
    This script may be killed and started again until it has done its 40 epochs:

    >>> checkpoint = Checkpoint("run.h5")
    >>> trainer = Trainer(model, optimizer, [checkpoint])  # doctest: +SKIP
    >>> done = checkpoint.resume(trainer)  # doctest: +SKIP
    >>> trainer.fit(data, epochs=40 - done, batch_size=50)  # doctest: +SKIP
    """

    writes = True

    def __init__(self, path, every: int = 1):
        if every != int(every) or every < 1:
            raise ValueError(f"every must be a whole number of epochs, not {every!r}")
        self.path, self.every = Path(path), int(every)

    def resume(self, trainer) -> int:
        """Let `trainer` go on from the file, if there is one; return the number of epochs done.

        Raises
        ------
        ValueError
            If the file is damaged, or of another model or optimiser; see `Trainer.resume`.
        """
        return trainer.resume(self.path) if self.path.exists() else trainer.epoch

    def on_train_begin(self, trainer, epochs, batches):
        del batches
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self.path.parent} for the checkpoint")
        self.last = trainer.epoch + epochs

    def on_epoch_recorded(self, trainer):
        if trainer.epoch % self.every == 0 or trainer.epoch == self.last or trainer.stop:
            content = _content(trainer)
            with writing(self.path, "checkpoint") as file:
                for name, value in content.items():
                    file[name] = value


def restore(trainer, path) -> dict:
    """Put a trainer into the state of a file; return what the next `fit` has to know.

    Nothing is changed unless all of the file fits.
    """
    path = Path(path)
    content = _unpacked(path)
    model, optimizer = trainer.model, trainer.optimizer
    if not {"model", "progress"} <= content.keys():
        raise ValueError(f"{path} is not a checkpoint of a training: it holds {list(content)[:5]}")
    described, written = describe(model, optimizer), str(content["model"])
    if described != written:
        raise ValueError(f"{path} belongs to another training: {difference(described, written)}")
    progress = json.loads(str(content["progress"]))
    values = {key: content[f"parameters/{name_of(key)}"] for key in model.parameters.keys}
    optimizer.load(_below(content, "optimizer/"))
    for key, value in values.items():
        model.parameters.set_raw(key, value)
    trainer.history.rows[:] = progress["history"]
    trainer.epoch = progress["epoch"]
    states = {name: _below(content, f"callbacks/{name}/") for name in progress["callbacks"]}
    return {"callbacks": states, "stop": progress["stop"], "settings": progress["settings"]}


def states_of(hooks) -> dict[str, dict]:
    """Return the memory of all callbacks that have some, by their name."""
    states = {name: hook.state() for name, hook in named(hooks).items()}
    return {name: state for name, state in states.items() if state}


def named(hooks) -> dict[str, Callback]:
    """Return callbacks by the name of their class, numbered."""
    seen: Counter = Counter()
    names = {}
    for hook in hooks:
        kind = type(hook).__name__
        names[f"{kind}-{seen[kind]}"] = hook
        seen[kind] += 1
    return names


# ---- content -------------------------------------------------------------------------------


def _content(trainer) -> dict[str, np.ndarray | str]:
    model, optimizer = trainer.model, trainer.optimizer
    states = states_of(trainer.hooks)
    progress = {
        "epoch": trainer.epoch,
        "stop": bool(trainer.stop),
        "settings": trainer.settings,
        "history": trainer.history.rows,
        "callbacks": list(states),
    }
    content: dict[str, np.ndarray | str] = {
        "model": describe(model, optimizer),
        "progress": json.dumps(progress, default=_number),
    }
    for key in model.parameters.keys:
        content[f"parameters/{name_of(key)}"] = model.parameters.raw(key)
    content.update({f"optimizer/{name}": a for name, a in optimizer.state().items()})
    for hook, state in states.items():
        content.update({f"callbacks/{hook}/{name}": array for name, array in state.items()})
    return content


def _below(content: dict, prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in content.items() if k.startswith(prefix)}


def _number(value):
    # A callback may have put an array's element into the history.
    return np.asarray(value).tolist()


def _unpacked(path: Path) -> dict[str, np.ndarray | str]:
    found: dict[str, np.ndarray | str] = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset):
            is_text = item.dtype.kind == "O"  # arrays of bytes stay what they are
            found[name] = item.asstr()[()] if is_text else item[()]

    with reading(path, "checkpoint") as file:
        try:
            file.visititems(take)
        except READ_ERRORS as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
    return found
