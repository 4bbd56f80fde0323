"""DEEP R: a projection that keeps its number of synapses and looks for better places for them.

Gradients move the delays that exist ("short-term"); rewiring tries synapses, with new delays,
where there were none ("long-term").  The two work together.
"""

from __future__ import annotations

import numpy as np

from brian_eventprop._checks import number
from brian_eventprop._units import to_seconds, to_si
from brian_eventprop.training.callbacks import Callback
from brian_eventprop.training.optimizers import name_of

__all__ = ["DeepR"]


class DeepR(Callback):
    """Move every synapse whose weight crosses zero to another pair of neurons.

    After each step of the optimiser, synapses whose weight has changed its sign are taken away, and
    as many are made between pairs drawn at random from those that have none, with the sign of the
    one taken away, a small weight and a new delay (Bellec et al. 2018).  The model is rewired with
    `EventPropModel.reconnect`; `EventPropModel.write_back` writes the new connections, too.

    Parameters
    ----------
    weights : VariableView
        The trained weights, ``s.w``.
    delays : VariableView, optional
        The delays of the synapses, which must be trained (a learning rate of 0 keeps them fixed
        until they are drawn again).
    range : pair of Quantity, optional
        New delays are drawn between these; needed with `delays`.
    initial : float or Quantity
        Size of a new weight; with 0 the network does what it did until the next step.
    l1 : float
        By how much every weight shrinks in each step, as a part of its learning rate, so that
        useless synapses reach zero.
    allowed : array of bool (sources, targets), optional
        Which pairs may be connected, by default all.
    seed : int
        Of the draws.

    Examples
    --------
    >>> rewiring = DeepR(s.w, s.delay, range=(0*ms, 20*ms), l1=0.1)  # doctest: +SKIP
    >>> trainer = Trainer(model, optimizer, [rewiring])  # doctest: +SKIP
    """

    def __init__(
        self, weights, delays=None, *, range=None, initial=0.0, l1=0.0, allowed=None, seed=0
    ):
        if (delays is None) != (range is None):
            raise ValueError("new delays need both: DeepR(s.w, s.delay, range=(0*ms, 20*ms))")
        self.views, self.range = (weights, delays), (0.0, 0.0)
        if range is not None:
            if np.size(range) != 2:
                raise ValueError(f"range must be two times, (0*ms, 20*ms), not {range!r}")
            low, high = (to_seconds(limit, "range") for limit in range)
            if not 0 <= low <= high:
                raise ValueError(f"the range of new delays is not one: {range}")
            self.range = low, high
        self.given, self.l1 = initial, number(l1, "l1")
        if self.l1 < 0:
            raise ValueError(f"l1 must not be negative: {l1}")
        self.allowed = None if allowed is None else np.asarray(allowed, bool)
        self.seed = int(seed)

    def on_train_begin(self, trainer, epochs, batches):
        del epochs, batches
        model = trainer.model
        weights, delays = self.views
        self.weights = model.key_of(weights)
        self.delays = None if delays is None else model.key_of(delays)
        for key in (self.weights, self.delays):
            if key is not None and key not in model.parameters.keys:
                raise ValueError(f"{name_of(key)} must be in train=[...] to be rewired")
        self.synapses = self.weights[0]
        self.i, self.j = model.connections(self.synapses)
        values = model.parameters.raw(self.weights)
        if len(values) != len(self.i):
            raise ValueError(f"{name_of(self.weights)} is not one weight per synapse")
        if self.delays is not None and len(model.parameters.raw(self.delays)) != len(self.i):
            raise ValueError(f"{name_of(self.delays)} is not one delay per synapse")
        dimension = model.parameters.dimension(self.weights)
        self.initial = float(to_si(self.given, dimension, "initial"))
        self.free = Pairs(model.ends(self.synapses), self.allowed)
        self.sign = np.where(values < 0, -1.0, 1.0)

    def on_epoch_begin(self, trainer, epoch):
        del trainer, epoch
        self.moved = 0

    def on_batch_end(self, trainer, batch, result):
        del result
        parameters = trainer.model.parameters
        shrinking = self.l1 * trainer.optimizer.rates[self.weights] * self.sign
        weights = parameters.raw(self.weights) - shrinking
        lost = np.flatnonzero(self.sign * weights < 0)
        # the draws depend on nothing but the seed, the epoch and the batch
        key = np.random.SeedSequence(self.seed, spawn_key=(trainer.epoch, batch))
        random = np.random.default_rng(key)
        i, j = self.free.draw(len(lost), self.i, self.j, random)
        lost = lost[: len(i)]  # where all pairs are connected, a synapse stays
        weights[lost] = self.initial * self.sign[lost]
        parameters.set_raw(self.weights, np.where(self.sign * weights < 0, 0.0, weights))
        if not len(lost):
            return
        self.i, self.j = self.i.copy(), self.j.copy()
        self.i[lost], self.j[lost] = i, j
        if self.delays is not None:
            delays = parameters.raw(self.delays).copy()
            delays[lost] = random.uniform(*self.range, len(lost))
            parameters.set_raw(self.delays, delays)
            trainer.optimizer.forget(self.delays, lost)
        trainer.optimizer.forget(self.weights, lost)
        trainer.model.reconnect(self.synapses, self.i, self.j)
        self.moved += len(lost)

    def on_epoch_end(self, trainer, epoch, row):
        del trainer, epoch
        row[f"rewired({self.synapses})"] = self.moved

    def state(self):
        return {"i": self.i, "j": self.j, "sign": self.sign}

    def on_resume(self, trainer, state):
        self.i, self.j = (np.array(state[name], np.int64) for name in ("i", "j"))
        self.sign = np.array(state["sign"])
        trainer.model.reconnect(self.synapses, self.i, self.j)


class Pairs:
    """The pairs of neurons that may be connected."""

    def __init__(self, sizes: tuple[int, int], allowed):
        self.sizes = sizes
        if allowed is not None and allowed.shape != sizes:
            raise ValueError(f"allowed must have the shape {sizes}, not {allowed.shape}")
        every = np.arange(sizes[0] * sizes[1]) if allowed is None else np.flatnonzero(allowed)
        self.codes = every

    def draw(self, number: int, i, j, random):
        """Return pairs that have no synapse, at most `number`."""
        taken = np.unique(np.asarray(i) * self.sizes[1] + j)
        if number == 0:
            return np.divmod(np.empty(0, np.int64), self.sizes[1])
        if len(taken) + number < len(self.codes) // 2:  # nearly all draws are free
            found = np.empty(0, np.int64)
            while len(found) < number:
                more = random.choice(self.codes, 2 * number)
                more = more[~np.isin(more, taken) & ~np.isin(more, found)]
                _, first = np.unique(more, return_index=True)
                found = np.concatenate([found, more[np.sort(first)]])
            return np.divmod(found[:number], self.sizes[1])
        free = np.setdiff1d(self.codes, taken, assume_unique=True)
        return np.divmod(random.permutation(free)[:number], self.sizes[1])
