"""Neurons that do not spike, or far too often: say so, stop, and lift the weights of silent ones.

The exact gradient sees the spikes there are, not those that a slightly larger weight would add.  A
silent neuron therefore learns nothing, and a silent group stops everything behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from brian2 import hertz
from brian2.units.fundamentalunits import get_dimensions
from brian2.utils.logger import get_logger

from brian_eventprop._checks import mapping
from brian_eventprop._names import name_of
from brian_eventprop._units import to_si
from brian_eventprop.training.callbacks import Callback

__all__ = ["LiftSilent", "RateWarning", "SilenceWarning"]

logger = get_logger(__name__)


class _SpikeCounter(Callback):
    """Counts the spikes of every neuron of the spiking groups over an epoch."""

    def on_epoch_begin(self, trainer, epoch):
        del epoch
        groups = trainer.model.spec.groups
        self.counts = {g.name: np.zeros(g.size, int) for g in groups if g.threshold}
        self.trials = 0

    def on_batch_end(self, trainer, batch, result):
        del trainer, batch
        self.trials += len(getattr(result, "losses", ()))
        for name, count in self.counts.items():
            count += result.spikes.counts(name, len(count)).astype(int)


class SilenceWarning(_SpikeCounter):
    """Warn, once for each, of groups that did not spike in a whole epoch.

    Every `Trainer` has one; give it your own in ``callbacks`` to have it stop.

    Parameters
    ----------
    stop : bool
        Whether the training ends after such an epoch.

    Examples
    --------
    >>> trainer = Trainer(model, optimizer, [SilenceWarning(stop=True)])  # doctest: +SKIP
    """

    def __init__(self, stop: bool = False):
        self.stop = stop
        self.warned: set[str] = set()

    def on_epoch_end(self, trainer, epoch, row):
        del row
        for name, count in self.counts.items():
            if count.any():
                continue
            trainer.stop = trainer.stop or self.stop
            if name not in self.warned:
                self.warned.add(name)
                logger.warn(
                    f"The group '{name}' did not spike in epoch {epoch}. The gradient says nothing "
                    "of spikes that do not exist, so nothing before this group is learned. Start "
                    "with larger weights, or add a term to the loss that wakes silent neurons, "
                    f"bep.SilenceMargin({name}, 'v', threshold).",
                    "silent_group",
                )


class RateWarning(_SpikeCounter):
    """Warn, once for each, of groups whose neurons spike far too often: the activity explodes.

    Every `Trainer` has one; give it your own in ``callbacks`` to change the limit or have it stop.

    Parameters
    ----------
    most : Quantity
        Largest firing rate, mean over the neurons of a group and the trials of an epoch.
    stop : bool
        Whether the training ends after such an epoch.

    Examples
    --------
    >>> from brian2 import Hz
    >>> RateWarning(200*Hz, stop=True).most
    200.0
    """

    def __init__(self, most=500 * hertz, stop: bool = False):
        self.most, self.stop = float(to_si(most, get_dimensions(hertz), "most")), stop
        if not self.most > 0:
            raise ValueError("most must be a positive rate")
        self.warned: set[str] = set()

    def on_epoch_end(self, trainer, epoch, row):
        del row
        duration = float(getattr(trainer.model, "duration", np.inf))
        for name, count in self.counts.items():
            rate = np.sum(count) / max(self.trials * len(count) * duration, 1e-300)
            if rate <= self.most:
                continue
            trainer.stop = trainer.stop or self.stop
            if name not in self.warned:
                self.warned.add(name)
                worst = int(np.argmax(count))
                logger.warn(
                    f"The neurons of '{name}' spiked at {rate:.0f} Hz on average in epoch {epoch} "
                    f"(most of all neuron {worst}: {count[worst] / (self.trials * duration):.0f} "
                    "Hz). Such activity says nothing any more: lower the learning rate of the "
                    f"weights, bound them, or add bep.FiringRate({name}, upper=...) to the loss.",
                    "exploding_rates",
                )


class LiftSilent(_SpikeCounter):
    """Raise the weights of the synapses onto neurons that were silent in an epoch.

    Parameters
    ----------
    amounts : dict
        What is added before the next epoch, ``{s_in.w: 0.05}``, in the unit of the variable, which
        must be trained.

    Examples
    --------
    >>> trainer = Trainer(model, optimizer, [LiftSilent({s_in.w: 0.05})])  # doctest: +SKIP
    """

    def __init__(self, amounts: Mapping):
        self.given = list(mapping(amounts, "amounts", "{s_in.w: 0.05}").items())

    def on_train_begin(self, trainer, epochs, batches):
        del epochs, batches
        model, self.lifts, self.counts = trainer.model, [], {}
        for view, amount in self.given:
            key = model.key_of(view)
            pathways = [p for p in model.spec.pathways if p.synapses == key[0]]
            if key not in model.parameters.keys or not pathways:
                raise ValueError(f"'{name_of(key)}' is not a trained variable of synapses")
            amount = float(to_si(amount, model.parameters.dimension(key), "the amount"))
            self.lifts.append((key, pathways[0].target, pathways[0].name, amount))

    def on_epoch_begin(self, trainer, epoch):
        # Not right after the epoch that found them: the parameters that were validated then are
        # those that `EarlyStopping` keeps, and the last epoch's are those of the trained network.
        parameters = trainer.model.parameters
        for key, group, pathway, amount in self.lifts if self.counts else ():
            silent, post = self.counts[group] == 0, trainer.model.targets(pathway)
            parameters.set_raw(key, parameters.raw(key) + amount * silent[post])
        super().on_epoch_begin(trainer, epoch)

    def state(self):
        return dict(self.counts)

    def on_resume(self, trainer, state):
        del trainer
        self.counts = {name: np.array(count) for name, count in state.items()}
