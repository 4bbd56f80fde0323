"""What can hook into a training run: a class with the moments it cares about."""

from __future__ import annotations

import csv

import numpy as np

from brian_eventprop._checks import number, whole_number
from brian_eventprop._copies import copied
from brian_eventprop.messages.tables import settings_of
from brian_eventprop.messages.wanted import watched
from brian_eventprop.training.optimizers import name_of

__all__ = ["CSVLog", "Callback", "EarlyStopping", "ProgressBar", "ReduceOnPlateau"]

#: Seconds between two states of a progress bar in a file, which keeps them all.
IN_FILES = 10.0


class Callback:
    """Base of all callbacks; override the moments of interest.

    Set ``trainer.stop = True`` to end the training after the epoch.  A callback that remembers
    something from epoch to epoch returns it in `state`, so that a `Checkpoint` can keep it.

    A deep copy shares Brian2's objects, and what cannot be copied, such as open files, with the
    original.
    """

    #: Whether all it does is to write or to tell; with MPI it is called on rank 0 only then.
    writes = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(settings_of(self))})"

    def __deepcopy__(self, memo):
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update({name: copied(value, memo) for name, value in vars(self).items()})
        return twin

    def on_train_begin(self, trainer, epochs: int, batches: int | None) -> None:
        """Before the first of ``epochs`` epochs of ``batches`` batches, None if nobody knows."""

    def on_epoch_begin(self, trainer, epoch: int) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, trainer, batch: int, result) -> None:
        """After the step that followed a batch; ``result`` is what the model's run returned."""

    def on_validation_begin(self, trainer, epoch: int) -> None:
        """After the last step of an epoch, before its validation, if there is one."""

    def on_epoch_end(self, trainer, epoch: int, row: dict) -> None:
        """After the validation of an epoch; ``row`` goes into the history and may be extended."""

    def on_epoch_recorded(self, trainer) -> None:
        """After all callbacks have seen the epoch and it stands in the history: nothing changes."""

    def on_train_end(self, trainer) -> None:
        """After the last epoch, also when the training ends with an error."""

    def state(self) -> dict:
        """Return the memory that a resumed training needs, as named arrays."""
        return {}

    def on_resume(self, trainer, state: dict) -> None:
        """After `on_train_begin` of a resumed training, with what `state` had returned."""


class ProgressBar(Callback):
    """A bar over all batches, with the numbers of the last epoch beside it.

    It appears after the first batch, which may have to wait for kernels to be compiled: the
    remaining time is that of the other batches.
    """

    writes = True

    def on_train_begin(self, trainer, epochs, batches):
        del trainer
        self.total = None if batches is None else epochs * batches
        self.bar = None

    def on_batch_end(self, trainer, batch, result):
        from tqdm.auto import tqdm

        del trainer, batch, result
        if self.bar is None:
            self.bar = tqdm(
                total=self.total, initial=1, unit="batch", dynamic_ncols=True,
                mininterval=0.1 if watched() else IN_FILES,
            )  # fmt: skip
        else:
            self.bar.update()

    def on_epoch_end(self, trainer, epoch, row):
        del trainer
        if self.bar is None:  # no batch has been counted
            return
        self.bar.set_description(f"epoch {epoch}")
        self.bar.set_postfix({k: f"{v:.4g}" for k, v in row.items() if k not in _CLERICAL})

    def on_train_end(self, trainer):
        del trainer
        if self.bar is not None:
            self.bar.close()


class EarlyStopping(Callback):
    """Stop when a number of the history gets no better, and go back to the best parameters.

    Parameters
    ----------
    patience : int
        Epochs without improvement before the training stops.
    monitor : str, optional
        Column of the history; those that end in ``accuracy`` shall grow, all others shrink.  By
        default the first of ``val_accuracy``, ``val_loss``, ``accuracy``, ``loss`` that there is.
    min_delta : float
        What counts as an improvement.
    restore_best : bool
        Whether the parameters of the best epoch come back at the end.  The memory of the optimiser
        stays as it is.

    Examples
    --------
    >>> EarlyStopping(patience=15, monitor="val_loss").patience
    15
    """

    def __init__(self, patience=15, monitor=None, min_delta=0.0, restore_best=True):
        self.patience, self.monitor = whole_number(patience, "patience", least=1), monitor
        self.min_delta, self.restore_best = number(min_delta, "min_delta"), restore_best

    def on_train_begin(self, trainer, epochs, batches):
        del trainer, epochs, batches
        self.best, self.best_epoch, self.best_values = -np.inf, None, None
        self.best_wiring: dict = {}

    def on_epoch_end(self, trainer, epoch, row):
        score = _score(row, self.monitor)
        if self.best_epoch is None or score > self.best + self.min_delta:
            self.best, self.best_epoch = score, epoch
            parameters = trainer.model.parameters
            self.best_values = {key: parameters.raw(key).copy() for key in parameters.keys}
            self.best_wiring = _wiring(trainer.model)
        elif epoch - self.best_epoch >= self.patience:
            trainer.stop = True

    def state(self):
        if self.best_epoch is None or self.best_values is None:
            return {}
        values = {name_of(key): value for key, value in self.best_values.items()}
        for name, ends in self.best_wiring.items():
            values[f"wiring of {name}"] = np.stack(ends)
        return {"best": np.array(self.best), "best_epoch": np.array(self.best_epoch), **values}

    def on_resume(self, trainer, state):
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        keys = trainer.model.parameters.keys
        self.best_values = {key: np.array(state[name_of(key)]) for key in keys}
        prefix = "wiring of "
        self.best_wiring = {
            name.removeprefix(prefix): tuple(np.array(ends))
            for name, ends in state.items()
            if name.startswith(prefix)
        }

    def on_train_end(self, trainer):
        if self.restore_best and self.best_values is not None:
            for key, value in self.best_values.items():
                trainer.model.parameters.set_raw(key, value)
            for name in _wiring(trainer.model):
                ends = self.best_wiring.get(name)
                ends = trainer.model.connections(name, first=True) if ends is None else ends
                trainer.model.reconnect(name, *ends)


class ReduceOnPlateau(Callback):
    """Lower all learning rates when a number of the history gets no better.

    Parameters
    ----------
    factor : float
        What the rates are multiplied with.
    patience : int
        Epochs without improvement before that happens.
    monitor : str, optional
        Column of the history, as for `EarlyStopping`.
    min_delta : float
        What counts as an improvement.
    least : float
        The rates get no lower than this part of those given to the optimiser.

    Examples
    --------
    >>> trainer = Trainer(model, optimizer, [ReduceOnPlateau(0.5, patience=3)])  # doctest: +SKIP
    """

    def __init__(self, factor=0.5, patience=5, monitor=None, min_delta=0.0, least=0.0):
        self.factor, self.monitor = number(factor, "factor"), monitor
        self.patience = whole_number(patience, "patience", least=1)
        self.min_delta, self.least = number(min_delta, "min_delta"), number(least, "least")
        if not 0 < self.factor < 1 or not 0 <= self.least <= 1:
            raise ValueError("factor must lie in (0, 1) and least in [0, 1]")

    def on_train_begin(self, trainer, epochs, batches):
        del epochs, batches
        trainer.optimizer.scale = 1.0
        self.best, self.since = -np.inf, 0

    def on_epoch_end(self, trainer, epoch, row):
        del epoch
        score = _score(row, self.monitor)
        self.since += 1
        if score > self.best + self.min_delta:
            self.best, self.since = score, 0
        elif self.since >= self.patience:
            trainer.optimizer.scale = max(trainer.optimizer.scale * self.factor, self.least)
            self.since = 0
        self.scale = trainer.optimizer.scale
        row["rate_scale"] = self.scale

    def state(self):
        if self.best == -np.inf:
            return {}
        return {name: np.array(getattr(self, name)) for name in ("best", "since", "scale")}

    def on_resume(self, trainer, state):
        self.best, self.since = float(state["best"]), int(state["since"])
        trainer.optimizer.scale = self.scale = float(state["scale"])


class CSVLog(Callback):
    """Write the history to a file while it grows, one line per epoch.

    Parameters
    ----------
    path : path-like
        The file; it is replaced when a training begins.  A training that is resumed writes the
        epochs before again.

    Examples
    --------
    >>> log = CSVLog("training.csv")
    """

    writes = True

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, trainer, epochs, batches):
        del trainer, epochs, batches
        self.columns = None

    def on_epoch_end(self, trainer, epoch, row):
        del trainer, epoch
        self._write(row)

    def state(self):
        return {} if self.columns is None else {"columns": np.array(self.columns, dtype="S")}

    def on_resume(self, trainer, state):
        # What was written after the last checkpoint will be written again.
        columns = [name.decode() for name in state["columns"]]
        for row in trainer.history.rows:
            self._write(row, columns)

    def _write(self, row, columns=None) -> None:
        first = self.columns is None
        names = (columns or list(row)) if self.columns is None else self.columns
        self.columns = names
        with open(self.path, "w" if first else "a", newline="") as file:
            writer = csv.DictWriter(file, names, restval="", extrasaction="ignore")
            if first:
                writer.writeheader()
            writer.writerow(row)


def _wiring(model) -> dict:
    """The connections that a callback such as `DeepR` has changed."""
    return model.wiring() if hasattr(model, "wiring") else {}


def _score(row: dict, monitor: str | None) -> float:
    """A number of the history such that more is better."""
    column = monitor or next(name for name in _MONITORED if name in row)
    if column not in row:
        raise KeyError(f"cannot watch {column!r}, there are only {', '.join(row)}")
    return row[column] if column.endswith("accuracy") else -row[column]


#: Columns that say nothing about how good the network is.
_CLERICAL = ("epoch", "seconds")
_MONITORED = ("val_accuracy", "val_loss", "accuracy", "loss")
