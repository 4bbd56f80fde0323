"""The interface of a loss, the algebra of losses, and the checks that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from brian_eventprop._checks import number
from brian_eventprop.messages.tables import settings_of
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
    def __call__(self, values, targets=None) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Return the losses (trials,) and a tuple of their derivatives in each readout."""

    def check_targets(self, targets, n_trials: int) -> None:
        """Refuse targets that the loss cannot use, before a network is run for them.

        Parameters
        ----------
        targets
            What `run` was given, or what comes with the data; None if there are none.
        n_trials
            Number of trials.
        """
        del targets, n_trials

    def predict(self, values) -> np.ndarray | None:
        """Return the label that each trial's readout stands for; None if the loss has no labels."""
        del values
        return None

    def __repr__(self) -> str:
        parts = [*(repr(readout) for readout in self.readouts), *settings_of(self)]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __add__(self, other: Loss) -> WeightedSum:
        if not isinstance(other, Loss):
            return NotImplemented
        return WeightedSum([(1.0, self), (1.0, other)])

    def __radd__(self, other) -> Loss:
        # sum() starts from the number 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, weight: float) -> WeightedSum:
        if not np.isscalar(weight) or isinstance(weight, str | bytes):
            return NotImplemented
        return WeightedSum([(weight, self)])

    __rmul__ = __mul__


class WeightedSum(Loss):
    """Weighted sum of losses, each with its own readouts; all see the same targets.

    Usually written with ``+`` and ``*``.  The labels are those of the first loss that has any.

    Parameters
    ----------
    terms : list of pairs
        ``(weight, loss)``, with numbers as weights.

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
        for term in terms:
            if not isinstance(term, tuple | list) or len(term) != 2:
                raise TypeError(f"WeightedSum takes pairs (weight, loss), not {term!r}")
            weight, loss = term
            if not isinstance(loss, Loss):
                raise TypeError(f"WeightedSum takes pairs (weight, loss), not a loss {loss!r}")
            inner = loss.terms if isinstance(loss, WeightedSum) else [(1.0, loss)]
            self.terms += [(number(weight, "a weight") * factor, part) for factor, part in inner]
        self.readouts = tuple(readout for _, loss in self.terms for readout in loss.readouts)

    def __repr__(self) -> str:
        return " + ".join(
            repr(loss) if weight == 1 else f"{weight:g}*{loss!r}" for weight, loss in self.terms
        )

    def __call__(self, values, targets=None):
        total, derivatives = 0.0, []
        for weight, loss, part in self._parts(values):
            losses, gradients = loss(part, targets)
            total = total + weight * losses
            derivatives += [weight * gradient for gradient in gradients]
        return total, tuple(derivatives)

    def check_targets(self, targets, n_trials):
        for _, loss in self.terms:
            loss.check_targets(targets, n_trials)

    def predict(self, values):
        labels = (loss.predict(part) for _, loss, part in self._parts(values))
        return next((found for found in labels if found is not None), None)

    def _parts(self, values):
        start = 0
        for weight, loss in self.terms:
            stop = start + len(loss.readouts)
            yield weight, loss, values[start:stop]
            start = stop


def evaluate(loss, values, targets):
    """Return the losses and their derivatives as arrays, after checking what the loss returned.

    An array of another shape would often fit, and give the gradient of something else.
    """
    found = loss(values, targets)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError(f"the loss must return (losses, derivatives), not {type(found).__name__}")
    losses = np.asarray(found[0], dtype=float)
    if losses.shape != values[0].shape[:1]:
        raise ValueError(
            f"the loss must return one number per trial, {values[0].shape[:1]}, not losses of the "
            f"shape {losses.shape}; the mean over the trials is taken by the model"
        )
    if not isinstance(found[1], tuple | list) or len(found[1]) != len(values):
        count = len(found[1]) if isinstance(found[1], tuple | list) else type(found[1]).__name__
        raise ValueError(
            f"the loss must return a tuple with its derivative in each readout, {len(values)}, "
            f"not {count}"
        )
    derivatives = tuple(np.asarray(d, dtype=float) for d in found[1])
    for k, (derivative, value) in enumerate(zip(derivatives, values, strict=True)):
        if derivative.shape != value.shape:
            raise ValueError(
                f"the loss's derivative in readout {k} has the shape {derivative.shape}, the "
                f"readout {value.shape}"
            )
    return losses, derivatives


def cross_entropy(logits, labels):
    """Return the cross-entropy per row and its derivative in the logits."""
    rows = np.arange(len(logits))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    derivative = np.exp(log_p)
    derivative[rows, labels] -= 1.0
    return -log_p[rows, labels], derivative


def checked_readout(readout) -> Readout:
    if not isinstance(readout, Readout):
        raise TypeError(f"expected a readout such as Integral(group, 'v'), not {readout!r}")
    return readout


def needed(targets):
    if targets is None:
        raise ValueError(
            "this loss needs targets: give them to run(spikes, targets), or with the data, "
            "SpikeData(..., targets=...)"
        )
    return targets


def checked_labels(targets, shape) -> np.ndarray:
    """Return the targets as labels (trials,) after checking that they are."""
    given = np.asarray(needed(targets))
    whole = given.dtype.kind in "iub" or given.dtype.kind == "f" and np.all(given == given // 1)
    if given.shape != shape[:1] or not whole:
        found = f"{given.dtype} numbers" if given.dtype.kind in "iubf" else type(targets).__name__
        if given.dtype.kind in "US":
            found = f"names such as {str(given.flat[0])!r}, which must be numbered first,"
        raise ValueError(
            f"targets must be one whole-numbered label per trial ({shape[0]}), not {found} of the "
            f"shape {given.shape}"
        )
    labels = given.astype(np.int64)
    if len(labels) and (labels.min() < 0 or labels.max() >= shape[1]):
        raise ValueError(f"labels must lie in 0..{shape[1] - 1}, one per neuron of the readout")
    return labels
