"""The training loop: run, differentiate, step, validate, record."""

from __future__ import annotations

import time
from collections.abc import Iterable
from copy import copy, deepcopy
from html import escape
from typing import Any

import numpy as np
from brian2.utils.logger import get_logger

from brian_eventprop._checks import whole_number
from brian_eventprop._copies import NotPickled
from brian_eventprop.data.augmentation import checked
from brian_eventprop.messages.compiling import compiling_announced, part_of
from brian_eventprop.messages.long_work import LongWork
from brian_eventprop.messages.wanted import silent
from brian_eventprop.training import checkpoint
from brian_eventprop.training.batches import size_of, with_next
from brian_eventprop.training.callbacks import Callback, EarlyStopping, ProgressBar
from brian_eventprop.training.history import History
from brian_eventprop.training.optimizers import Optimizer, name_of
from brian_eventprop.training.parallel import MPI
from brian_eventprop.training.reports import LineLog
from brian_eventprop.training.silence import RateWarning, SilenceWarning
from brian_eventprop.training.sources import Source, source_of
from brian_eventprop.training.stability import checked_choices

__all__ = ["Trainer"]

logger = get_logger(__name__)

#: Trials that are evaluated at once, unless somebody says how many.
_AT_ONCE = 256


class Trainer(NotPickled):
    """Train a model with an optimiser.

    Parameters
    ----------
    model : `EventPropModel`
        The network, its loss and its parameters.
    optimizer : `Optimizer`
        `Adam` or `SGD` with one learning rate per trained variable.
    callbacks : sequence of `Callback`
        What else shall happen.
    communicator : `MPI`, optional
        The processes that train together; each runs a part of every batch.
    grazing : `SlopeFloor`, `ClipTrials` or both, optional
        What is done about spikes whose potential only grazes the threshold, which have huge
        gradients; the history counts what was clipped.  By default nothing: the gradient is exact.

    Attributes
    ----------
    history : `History`
        All epochs so far.
    gradients : dict
        Those of the last batch by key, in SI units, for callbacks to look at.
    epoch : int
        The next epoch; a second `fit` goes on where the first one ended.

    Examples
    --------
    >>> trainer = Trainer(model, Adam({s.w: 1e-3}))  # doctest: +SKIP
    >>> trainer.fit(data, epochs=10, batch_size=50)  # doctest: +SKIP
    """

    instead = (
        "keep a training with bep.Checkpoint(path) in its callbacks and go on with "
        "trainer.resume(path), or trained values with trainer.model.save(path)"
    )

    def __init__(
        self, model, optimizer, callbacks: Iterable[Callback] = (),
        communicator: MPI | None = None, grazing=None,
    ):  # fmt: skip
        _check_parts(model, optimizer)
        self.model, self.optimizer, self.communicator = model, optimizer, communicator
        self.callbacks = _callbacks(callbacks)
        self.grazing = checked_choices(grazing, model, communicator)
        self.history = History()
        self.epoch = 0
        self.stop = False
        self.hooks, self.settings, self._resumed = self.callbacks, {}, None
        self._watch = [SilenceWarning(), RateWarning()]
        self.gradients: dict = {}
        optimizer.bind(model)

    def fit(
        self,
        data,
        epochs: int,
        batch_size: int | None = None,
        validation=None,
        shuffle: bool | None = None,
        seed: int = 0,
        early_stopping: int | EarlyStopping | None = None,
        progress: bool | str = True,
        augment=None,
    ) -> History:
        """Train for a number of epochs and return the history.

        Parameters
        ----------
        data : `SpikeData`, dict, dataset, iterable or callable
            Training trials with their targets; several input groups have one `SpikeData` each.  Or
            a dataset with samples ``(input, target)`` by number, as tonic and PyTorch have them; or
            an iterable of batches ``(spikes, targets)``, such as a list or a torch ``DataLoader``;
            or a function, of nothing or of the epoch, that returns one.  Inputs that are not
            `SpikeData` are events (see `SpikeData.from_events`) or rasters (trials, steps, ...) on
            the time grid of the model.
        epochs : int
            How often all trials are seen.
        batch_size : int
            Trials per step, for data that does not come in batches.
        validation : like `data`, optional
            Trials to evaluate after each epoch; nothing is learned from them.
        shuffle : bool, optional
            Whether each epoch has its own order of trials; by default it has, but for batches that
            are ready.
        seed : int
            Of that order: the same seed gives the same training, bit by bit.
        early_stopping : int or `EarlyStopping`, optional
            Stop after that many epochs without improvement, and restore the best parameters.
        progress : bool or 'lines'
            Whether to show a progress bar, and a line when kernels are compiled; with 'lines' one
            line is written per epoch, see `LineLog`.
        augment : callable or sequence of them, optional
            Variations of the training trials, made anew for every batch, such as ``[Blend(),
            ChannelShift(40)]``; any function ``f(batch, random, data)`` that returns the trials to
            train on, see `brian_eventprop.data.augmentation`.

        Raises
        ------
        FloatingPointError
            If a loss or a gradient is not finite; the message names the variable.  The parameters
            are those before the faulty step.
        """
        given = data, epochs, batch_size, validation, shuffle, seed, early_stopping, progress
        if self.communicator is None:
            with silent(not progress):
                return self._fit(*given, augment)
        try:
            with silent(not (progress and self.communicator.writes)):
                return self._fit(*given, augment)
        except BaseException:
            self.communicator.abort()
            raise

    def _fit(
        self, data, epochs, batch_size, validation, shuffle, seed, early_stopping, progress, augment
    ) -> History:
        epochs = whole_number(epochs, "epochs")
        seed = whole_number(seed, "seed")
        source = source_of(
            data, "data", self.model, batch_size=batch_size, shuffle=shuffle, seed=seed,
            augment=checked(augment, data), passes=epochs,
        )  # fmt: skip
        if source.count == 0:
            raise ValueError("there are no trials to train on")
        source.check(self.model)
        others = None
        if validation is not None:
            default = batch_size or _AT_ONCE
            others = source_of(validation, "validation", self.model, default=default, passes=epochs)
            others.check(self.model)
        hooks = self.hooks = self._hooks(early_stopping, progress)
        self.settings = {**source.settings, "grazing": repr(self.grazing) if self.grazing else None}
        if self.communicator is not None:
            self.communicator.begin(self.model, self.optimizer)
            self.settings = {**self.settings, "chunks": self.communicator.chunks}
        self.stop = False
        self._call(hooks, "on_train_begin", epochs, source.count)
        try:
            self._go_on(hooks)
            for _ in range(epochs):
                if self.stop:
                    break
                self._epoch(source, others, hooks)
        finally:
            self._call(hooks, "on_train_end")
        return self.history

    def resume(self, path) -> int:
        """Go on from a file of `Checkpoint`; return the number of epochs that are done.

        The next `fit` continues with the next epoch: give it the epochs that are left.

        Raises
        ------
        ValueError
            If the file is cut off, damaged, no checkpoint, or of another model or optimiser; the
            message says which.  Nothing has been changed then.

        Examples
        --------
        >>> done = trainer.resume("run.h5")  # doctest: +SKIP
        >>> trainer.fit(data, epochs=40 - done, batch_size=50)  # doctest: +SKIP
        """
        self._resumed = checkpoint.restore(self, path)
        return self.epoch

    def __deepcopy__(self, memo):
        """Return a training that goes on by itself, with copies of model, optimiser and callbacks.

        The models have the same Brian2 objects.
        """
        twin = memo[id(self)] = copy(self)
        twin.model, twin.optimizer = deepcopy(self.model, memo), deepcopy(self.optimizer, memo)
        twin.callbacks = [deepcopy(hook, memo) for hook in self.callbacks]
        twin._watch = [deepcopy(hook, memo) for hook in self._watch]
        twin.grazing = deepcopy(self.grazing, memo)
        twin.history, twin.settings = deepcopy(self.history, memo), dict(self.settings)
        twin.hooks, twin.gradients, twin._resumed = (
            twin.callbacks,
            {},
            deepcopy(self._resumed, memo),
        )
        return twin

    def __repr__(self) -> str:
        hooks = [type(hook).__name__ for hook in self.callbacks]
        shown = ", ".join(hooks[:6]) + (", ..." if len(hooks) > 6 else "")
        return f"Trainer({_short(self.model)}, {self.optimizer!r}, [{shown}]; epoch {self.epoch})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.history._repr_html_()}"

    def evaluate(self, data, batch_size: int | None = None) -> dict[str, float]:
        """Return the mean loss and, for data with labels, the accuracy.  Nothing is learned.

        Parameters
        ----------
        data
            As in `fit`.
        batch_size : int, optional
            Trials at once, by default 256 of data that does not come in batches.
        """
        source = source_of(data, "data", self.model, batch_size=batch_size, default=_AT_ONCE)
        return self._measured(source)

    def _measured(self, source: Source) -> dict[str, float]:
        totals = _Totals(self.model.loss)
        with LongWork("evaluation", source.count, "batch") as work:
            for spikes, targets in source.epoch(self.epoch):
                totals.add(self._run(spikes, targets), targets)
                work.add(1)
        return totals.means()

    def predict(self, data, batch_size: int | None = None) -> np.ndarray:
        """Return the label of every trial, by the loss's own rule; see `evaluate`."""
        source = source_of(data, "data", self.model, batch_size=batch_size, default=_AT_ONCE)
        labels = []
        for spikes, targets in source.epoch(self.epoch):
            # The loss wants some targets, but its labels do not depend on them.
            targets = np.zeros(size_of(spikes), int) if targets is None else targets
            labels.append(_labels(self.model.loss, self._run(spikes, targets)))
        if not labels or labels[0] is None:
            raise ValueError("this loss has no labels to predict")
        return np.concatenate(labels)

    def _run(self, spikes, targets):
        if self.communicator is None:
            return self.model.run(spikes, targets)
        return self.communicator.run(self.model, spikes, targets)

    def _hooks(self, early_stopping, progress: bool | str) -> list[Callback]:
        if isinstance(progress, str) and progress != "lines":
            raise ValueError(f"progress must be True, False or 'lines', not {progress!r}")
        kinds = [type(hook) for hook in self.callbacks]
        # what was clipped stands in the row before a callback writes it down
        hooks = [*(self.grazing.hooks if self.grazing else []), *self.callbacks]
        hooks += [hook for hook in self._watch if type(hook) not in kinds]
        if early_stopping is not None:
            is_hook = isinstance(early_stopping, Callback)
            hooks.append(early_stopping if is_hook else EarlyStopping(early_stopping))
        if progress:
            hooks.append(LineLog() if progress == "lines" else ProgressBar())
        if self.communicator is not None and not self.communicator.writes:
            hooks = [hook for hook in hooks if not hook.writes]
        return hooks

    def _go_on(self, hooks) -> None:
        # Callbacks forget everything when a training begins; here they get it back.
        if self._resumed is None:
            return
        resumed, self._resumed = self._resumed, None
        self.stop = resumed["stop"]
        present = checkpoint.named(hooks)
        for name, state in resumed["callbacks"].items():
            if name in present:
                present[name].on_resume(self, state)
        changed = [
            f"{name} is {value}, not {resumed['settings'].get(name)}"
            for name, value in self.settings.items()
            if value != resumed["settings"].get(name)
        ]
        changed += [f"there is no {name}" for name in resumed["callbacks"] if name not in present]
        if changed:
            logger.warn(
                "The training goes on otherwise than it began, so it will not give what it would "
                f"have given without the interruption: {'; '.join(changed)}.",
                "resumed_otherwise",
            )

    def _call(self, hooks, moment: str, *details) -> None:
        for hook in hooks:
            getattr(hook, moment)(self, *details)

    def _epoch(self, source: Source, validation: Source | None, hooks) -> None:
        start = time.perf_counter()
        self.optimizer.start_epoch(self.epoch)
        self._call(hooks, "on_epoch_begin", self.epoch)
        totals, clipped = _Totals(self.model.loss), self.optimizer.clipped_steps
        for number, ((spikes, targets), coming) in enumerate(with_next(source.epoch(self.epoch))):
            with compiling_announced(lambda: part_of(self.model)):
                result = self._step(spikes, targets, number, coming)
            totals.add(result, targets)
            self._call(hooks, "on_batch_end", number, result)
            del result  # so that its spikes need not be kept
        if totals.trials == 0:
            raise ValueError(f"data gave no batches in epoch {self.epoch}")
        row = {"epoch": self.epoch, **totals.means()}
        if self.optimizer.clip:
            row["clipped_steps"] = self.optimizer.clipped_steps - clipped
        self._call(hooks, "on_validation_begin", self.epoch)
        if validation is not None:
            measured = self._measured(validation)
            row.update({f"val_{name}": value for name, value in measured.items()})
        row["seconds"] = time.perf_counter() - start
        self._call(hooks, "on_epoch_end", self.epoch, row)
        self.history.append(row)
        self.epoch += 1
        self._call(hooks, "on_epoch_recorded")

    def _step(self, spikes, targets, number: int, coming=None):
        where = f"in epoch {self.epoch}, batch {number}"
        self.gradients = {}
        gradients: Any
        if self.communicator is None:
            result = self.model.run(spikes, targets)
            _check_finite(result.losses, "the loss", where)
            rule = self.grazing
            gradients = rule.gradients(self.model) if rule else self.model.gradient_arrays()
        else:
            result, gradients = self.communicator.step(self.model, spikes, targets)
            _check_finite(result.losses, "the loss", where)
            coming = None
        if coming is not None:  # a GPU is at work now
            self.model.look_ahead(coming[0])
        # on a GPU only those are looked up that a kernel found wanting
        for key in gradients.suspect() if hasattr(gradients, "suspect") else gradients:
            _check_finite(gradients[key], f"the gradient of {name_of(key)}", where)
        self.gradients = gradients
        self.optimizer.step(gradients)
        return result


def _check_parts(model, optimizer) -> None:
    if not (hasattr(model, "parameters") and hasattr(model, "run")):
        raise TypeError(
            f"a Trainer needs an EventPropModel, then an optimiser: Trainer(model, Adam({{...}})); "
            f"the model is {_short(model)}"
        )
    if model.loss is None:
        raise ValueError(
            "a Trainer needs a model with a loss, EventPropModel(..., loss=...); this one has "
            "readouts only"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            "the optimiser must be an object such as Adam({s.w: 1e-3}) or SGD({s.w: 0.1}), not "
            f"{_short(optimizer)}"
        )


def _callbacks(callbacks) -> list[Callback]:
    several = isinstance(callbacks, Iterable) and not isinstance(callbacks, str)
    given: list = list(callbacks) if several else [] if callbacks is None else [callbacks]
    for callback in given:
        if isinstance(callback, type) or not hasattr(callback, "on_train_begin"):
            raise TypeError(
                "callbacks must be objects such as EarlyStopping(patience=5), not "
                f"{_short(callback)}"
            )
    return given


def _short(item) -> str:
    text = f"the class {item.__name__}" if isinstance(item, type) else repr(item)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Totals:
    """Sums of the losses and hits of an epoch."""

    def __init__(self, loss):
        self.loss, self.trials = loss, 0
        self.losses, self.hits = 0.0, None

    def add(self, result, targets) -> None:
        self.trials += len(result.losses)
        self.losses += float(np.sum(result.losses))
        labels = _labels(self.loss, result)
        if labels is not None and targets is not None and np.shape(targets) == labels.shape:
            self.hits = (self.hits or 0) + int(np.sum(labels == np.asarray(targets)))

    def means(self) -> dict[str, float]:
        if self.trials == 0:
            raise ValueError("there are no trials to evaluate")
        means = {"loss": self.losses / self.trials}
        if self.hits is not None:
            means["accuracy"] = self.hits / self.trials
        return means


def _labels(loss, result):
    predict = getattr(loss, "predict", None)
    if predict is None:
        return None
    return predict(result.readout)


def _check_finite(values, what: str, where: str) -> None:
    bad = ~np.isfinite(values)
    if np.any(bad):
        raise FloatingPointError(
            f"{what} is not finite {where}: {np.sum(bad)} of {np.size(values)} values, first at "
            f"index {tuple(int(i) for i in np.argwhere(bad)[0])}; the parameters were not changed"
        )
