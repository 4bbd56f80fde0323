"""The interface of a loss, the algebra of losses, and the checks that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from brian_eventprop.readouts import Readout


class Loss(ABC):
    """One number per trial, from the values of some readouts.

    Attributes
    ----------
    readouts : tuple of `Readout`
        What must be measured.
    """

    readouts: tuple[Readout, ...] = ()

    @abstractmethod
    def __call__(self, values, targets=None):
        """Return the losses (trials,) and a tuple of their derivatives in each readout."""

    def predict(self, values) -> np.ndarray | None:
        """Return the label that each trial's readout stands for; None if the loss has no labels."""
        del values
        return None

    def __add__(self, other: Loss) -> WeightedSum:
        if not isinstance(other, Loss):
            return NotImplemented
        return WeightedSum([(1.0, self), (1.0, other)])

    def __radd__(self, other) -> Loss:
        # sum() starts from the number 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, weight: float) -> WeightedSum:
        if not np.isscalar(weight):
            return NotImplemented
        return WeightedSum([(weight, self)])

    __rmul__ = __mul__


class WeightedSum(Loss):
    """Weighted sum of losses, each with its own readouts; all see the same targets.

    Usually written with ``+`` and ``*``.  The labels are those of the first loss that has any.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> from brian_eventprop.readouts import Final, Integral
    >>> from brian_eventprop.losses import CrossEntropy, Sum
    >>> output = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", method="exact", name="output_w")
    >>> loss = CrossEntropy(Final(output, "v")) + 0.1 * Sum(Integral(output, "v**2"))
    >>> loss.readouts
    (Final(output_w, 'v'), Integral(output_w, 'v**2'))
    """

    def __init__(self, terms):
        self.terms: list[tuple[float, Loss]] = []
        for weight, loss in terms:
            inner = loss.terms if isinstance(loss, WeightedSum) else [(1.0, loss)]
            self.terms += [(float(weight) * factor, part) for factor, part in inner]
        self.readouts = tuple(readout for _, loss in self.terms for readout in loss.readouts)

    def __call__(self, values, targets=None):
        total, derivatives = 0.0, []
        for weight, loss, part in self._parts(values):
            losses, gradients = loss(part, targets)
            total = total + weight * losses
            derivatives += [weight * gradient for gradient in gradients]
        return total, tuple(derivatives)

    def predict(self, values):
        labels = (loss.predict(part) for _, loss, part in self._parts(values))
        return next((found for found in labels if found is not None), None)

    def _parts(self, values):
        start = 0
        for weight, loss in self.terms:
            stop = start + len(loss.readouts)
            yield weight, loss, values[start:stop]
            start = stop


def cross_entropy(logits, labels):
    """Return the cross-entropy per row and its derivative in the logits."""
    rows = np.arange(len(logits))
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    derivative = np.exp(log_p)
    derivative[rows, labels] -= 1.0
    return -log_p[rows, labels], derivative


def checked_readout(readout) -> Readout:
    if not isinstance(readout, Readout):
        raise TypeError(f"expected a readout such as Integral(group, 'v'), not {readout!r}")
    return readout


def needed(targets):
    if targets is None:
        raise ValueError("this loss needs targets: give them to run() or with the SpikeData")
    return targets


def checked_labels(targets, shape) -> np.ndarray:
    """Return the targets as labels (trials,) after checking that they are."""
    given = np.asarray(needed(targets))
    labels = given.astype(np.int64)
    if given.shape != shape[:1] or np.any(labels != given):
        raise ValueError(f"targets must be one whole-numbered label per trial ({shape[0]})")
    if len(labels) and (labels.min() < 0 or labels.max() >= shape[1]):
        raise ValueError(f"labels must lie in 0..{shape[1] - 1}, one per neuron of the readout")
    return labels
