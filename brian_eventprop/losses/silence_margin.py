"""Wake neurons that are silent, by the exact gradient of how close they come to the threshold."""

from __future__ import annotations

import numpy as np

from brian_eventprop._checks import number, plain_numbers
from brian_eventprop.losses.base import Loss
from brian_eventprop.readouts import Maximum, SpikeCount


class SilenceMargin(Loss):
    """Penalty on silent neurons: how far they stay below the threshold.

    Every neuron shall spike in a share of the trials of a batch.  Where it does not, the silent
    trials that come closest to the threshold are pulled over it, as many as are missing:
    ``strength * (threshold - peak) / scale``, mean over these trials, summed over the neurons.  Add
    it to another loss: ``TimeToFirstSpike(...) + SilenceMargin(hidden, 'v', 1)``.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose neurons.
    expression : str
        What the threshold compares, in Brian2's syntax, such as ``'v'``.
    threshold : float, Quantity or array
        The value that it must exceed, in its unit, one for all or one per neuron.
    share : float, optional
        The least share of the trials of a batch in which a neuron shall spike, between 0 and 1;
        at least one trial.
    strength : float, optional
        Factor of the penalty.
    scale : float or Quantity, optional
        The distance that counts as 1, in the unit of the expression (``10*mV`` for volts).

    Raises
    ------
    ValueError
        If a number is out of its range.

    Notes
    -----
    The peak of a trial without a spike is a differentiable function of all weights, delays and time
    constants; its derivative goes to the time of the peak, where the slope is 0 (`Maximum`).  Of
    neurons that spike often enough the penalty and its gradient are 0, and so is that of neurons
    that nothing reaches: they stay silent whatever the weights.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> import numpy as np
    >>> hidden = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="hidden_sm")
    >>> loss = SilenceMargin(hidden, "v", 1)
    >>> counts, peaks = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.5], [0.2, 0.75]])
    >>> losses, (_, derivative) = loss((counts, peaks))
    >>> losses, derivative
    (array([0.25, 0.25]), array([[ 0.,  0.],
           [ 0., -2.]]))
    """

    def __init__(self, group, expression, threshold, *, share=0.5, strength=1.0, scale=1.0):
        self.readouts = (SpikeCount(group), Maximum(group, expression))
        self.threshold, self.scale = plain_numbers(threshold, "threshold"), number(scale, "scale")
        self.share, self.strength = number(share, "share"), number(strength, "strength")
        if self.threshold.shape not in ((), (len(group),)):
            raise ValueError(f"threshold must be one number or {len(group)}, one per neuron")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie between 0 and 1: {share}")
        if not self.strength >= 0 or not self.scale > 0:
            raise ValueError("strength must not be negative, and scale must be positive")

    def __call__(self, values, targets=None):
        del targets
        counts, peaks = values
        pulled, number_of = self._pulled(np.asarray(counts) > 0, np.asarray(peaks))
        distance = np.maximum(self.threshold - peaks, 0.0) / self.scale
        penalty = self.strength * float(np.sum(np.where(pulled, distance, 0.0) / number_of))
        slope = -self.strength * len(counts) / self.scale
        derivative = np.where(pulled & (distance > 0), slope / number_of, 0.0)
        return np.full(len(counts), penalty), (np.zeros_like(derivative), derivative)

    def _pulled(self, spikes, peaks):
        """Return which trials are pulled over the threshold, and how many of each neuron."""
        wanted = max(int(np.ceil(self.share * len(spikes))), 1)
        missing = np.maximum(wanted - spikes.sum(axis=0), 0)
        order = np.argsort(np.where(spikes, np.inf, -peaks), axis=0, kind="stable")
        rank = np.argsort(order, axis=0, kind="stable")
        return rank < missing, np.maximum(missing, 1)
