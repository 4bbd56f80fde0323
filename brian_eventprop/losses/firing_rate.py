"""Keep neurons within a range of activity: a term of a loss, not a loss by itself."""

from __future__ import annotations

import numpy as np

from brian_eventprop._checks import number, plain_numbers
from brian_eventprop.losses.base import Loss
from brian_eventprop.readouts import SpikeCount


class FiringRate(Loss):
    """Penalty on neurons that spike too often or too rarely, on the mean over the batch.

    With N the mean number of spikes of a neuron in a trial of the batch, the penalty is
    ``strength * ((N - upper)**2 if N > upper else (lower - N)**2 if N < lower else 0)``, summed
    over the neurons.  Add it to another loss: ``CrossEntropy(...) + FiringRate(hidden, upper=14)``.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose neurons.
    lower, upper : float or array, optional
        Least and most spikes per neuron and trial, one number or one per neuron; either may be
        left out, both may be equal (a target).
    strength : float
        Factor of the penalty.
    scale : float or Quantity
        The change of the potential that is taken to be worth one spike, in the unit of what the
        threshold compares (``10*mV`` for a threshold in volts).

    Notes
    -----
    The number of spikes is piecewise constant, so its exact derivative is 0.  The gradient here is
    a surrogate (Nowotny, Turner & Knight 2025; Meszaros, Knight & Nowotny 2025): at each spike the
    adjoint of the potential jumps by ``2*strength*(N - upper)/(B*scale)``, B trials in the batch,
    and is then carried back through the network by the exact rules; see `SpikeCount`.  Silent
    neurons have no spikes and so get no gradient: `LiftSilent` is for them.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> import numpy as np
    >>> hidden = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0", name="hidden_r")
    >>> loss = FiringRate(hidden, lower=1, upper=2)
    >>> losses, (derivative,) = loss((np.array([[4.0, 1.0, 0.0], [2.0, 2.0, 1.0]]),))
    >>> losses, derivative[0]
    (array([1.25, 1.25]), array([ 2.,  0., -1.]))
    """

    def __init__(self, group, *, lower=None, upper=None, strength: float = 1.0, scale=1.0):
        if lower is None and upper is None:
            raise ValueError("FiringRate needs lower=, upper= or both: spikes per neuron and trial")
        self.readouts = (SpikeCount(group, scale=scale),)
        self.lower = plain_numbers(-np.inf if lower is None else lower, "lower")
        self.upper = plain_numbers(np.inf if upper is None else upper, "upper")
        if np.any(np.isnan(self.lower)) or np.any(np.isnan(self.upper)):
            raise ValueError("lower and upper must be numbers of spikes, not NaN")
        if np.any(self.upper < 0) or np.any(self.lower > self.upper):
            raise ValueError(f"there is no range from lower={lower} to upper={upper} spikes")
        self.strength = number(strength, "strength")
        if self.strength < 0:
            raise ValueError(f"strength must not be negative: {strength}")
        for bound in (self.lower, self.upper):
            if bound.shape not in ((), (len(group),)):
                raise ValueError(f"the bounds must be one number or {len(group)}, one per neuron")

    def __call__(self, values, targets=None):
        del targets
        (counts,) = values
        mean = np.mean(counts, axis=0)
        error = np.maximum(mean - self.upper, 0.0) - np.maximum(self.lower - mean, 0.0)
        penalty = self.strength * float(np.sum(error**2))
        derivative = np.broadcast_to(2.0 * self.strength * error, counts.shape)
        return np.full(len(counts), penalty), (derivative.copy(),)
