"""Losses on whole spike trains: how far each neuron's spikes are from those it should fire.

Target trains come with the data or are given once for all trials.  With the data they are the
``targets`` of a trial, as

- a `SpikeData` with one trial per sample and one channel per neuron of the readout,
- nested lists, ``targets[b][c]`` the times of neuron c in sample b, or
- an array (samples, neurons, K), or (samples, neurons) for one spike each, filled up with infinity
  or NaN where there are fewer spikes.

Bare numbers are seconds.
"""

from __future__ import annotations

import numpy as np
from brian2 import Quantity

from brian_eventprop._checks import number
from brian_eventprop._units import TIME, to_si
from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.losses.base import Loss, needed
from brian_eventprop.losses.first_spike import positive
from brian_eventprop.readouts import SpikeTimes

#: Spikes closer than this fraction of tau stand at the same time: the time grid of Brian2 and
#: decimal numbers differ in the last digit.
_SAME = 1e-9


class _SpikeTrains(Loss):
    """What losses on trains share: every spike of a group, and the targets as one array."""

    def __init__(self, group, target):
        self.readouts = (SpikeTimes(group, "t", which="each"),)
        self.target = None if target is None else _one_trial(target)

    def _pair(self, values, targets):
        """Return spikes and target spikes, both (samples, neurons, any), infinite where none is."""
        times = np.asarray(values[0], dtype=float)
        wanted = self._wanted(targets, len(times), times.shape[1])
        return times, np.broadcast_to(wanted, (len(times), *wanted.shape[1:]))

    def check_targets(self, targets, n_trials):
        self._wanted(targets, n_trials, len(self.readouts[0].group))

    def _wanted(self, targets, n_trials: int, n_neurons: int) -> np.ndarray:
        wanted = _trains(needed(targets)) if self.target is None else self.target
        expected = (n_trials if self.target is None else 1, n_neurons)
        if wanted.shape[:2] != expected:
            raise ValueError(
                f"target spike trains are needed for {expected[0]} trials of {expected[1]} neurons "
                f"(those of the loss's group), not for {wanted.shape[0]} of {wanted.shape[1]}"
            )
        return wanted


class VanRossum(_SpikeTrains):
    """Squared distance of van Rossum (2001) between a neuron's spikes and its target spikes.

    Both trains are filtered with ``exp(-t/tau)`` from each spike on, to f and g.  The loss of a
    trial is the sum over the neurons of ``1/tau`` times the integral of ``(f - g)**2``.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose spikes.
    tau : quantity
        Time constant of the filter: what is much closer counts as coincident, what is much farther
        apart as unrelated.
    target : list of trains or `SpikeData`, optional
        The same target in every trial, one train per neuron; without it, the targets come with the
        data: a `SpikeData` with one trial per sample and one channel per neuron, or nested lists.

    Notes
    -----
    The integral is taken in closed form and does not end with the trial.  With it the loss is half
    the sum over all pairs of spikes, also of one with itself, of ``s s' exp(-|t - t'|/tau)``, where
    s is 1 for a spike and -1 for a target spike.  A missing or superfluous spike far from all
    others thus costs 1/2, one that is far from its target costs 1, and equal trains cost 0.

    Silent neurons: their target spikes cost what they cost; there is no spike to move, so nothing
    is learned from them.  A spike exactly on another one (or on its target) is neither pulled nor
    pushed by that one: the distance has a kink there.  Time and memory grow with the number of
    spikes, not of pairs.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> import numpy as np
    >>> G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0", name="output_vr")
    >>> loss = VanRossum(G, tau=5*ms, target=[[10, 200]*ms])
    >>> losses, (derivative,) = loss((np.array([[[0.012]], [[np.inf]]]),))
    >>> losses.round(4), derivative[:, 0, 0].round(2)
    (array([0.8297, 1.    ]), array([134.06,   0.  ]))
    """

    def __init__(self, group, tau, *, target=None):
        super().__init__(group, target)
        self.tau = positive(tau, "tau")

    def __call__(self, values, targets=None):
        times, wanted = self._pair(values, targets)
        both = np.concatenate([times, wanted], axis=2)
        sign = np.repeat([1.0, -1.0], [times.shape[2], wanted.shape[2]])
        sign = np.where(np.isfinite(both), sign, 0.0)
        order = np.argsort(both, axis=2, kind="stable")
        sign = np.take_along_axis(sign, order, axis=2)
        both = np.take_along_axis(both, order, axis=2)
        # Places without a spike have no sign: any time after the last spike does.
        last = np.max(both, axis=2, where=np.isfinite(both), initial=0.0, keepdims=True)
        both = np.minimum(both, last)
        before, along = self._sweep(both, sign)
        after, _ = self._sweep(-both[:, :, ::-1], sign[:, :, ::-1])
        derivative = np.empty_like(both)
        pull = sign * (after[:, :, ::-1] - before) / self.tau
        np.put_along_axis(derivative, order, pull, axis=2)
        losses = np.sum(sign * (along + sign / 2), axis=(1, 2))
        # A distance is never negative, whatever rounding says.
        return np.maximum(losses, 0.0), (derivative[:, :, : times.shape[2]],)

    def _sweep(self, times, sign):
        """Return the filtered signs just before each spike, without and with those on it."""
        before, along = np.zeros_like(times), np.zeros_like(times)
        for k in range(1, times.shape[2]):
            gap = times[:, :, k] - times[:, :, k - 1]
            apart = gap > _SAME * self.tau
            along[:, :, k] = (along[:, :, k - 1] + sign[:, :, k - 1]) * np.exp(-gap / self.tau)
            before[:, :, k] = np.where(apart, along[:, :, k], before[:, :, k - 1])
        return before, along


class SpikeTrainError(_SpikeTrains):
    """Mean squared error of spike times: the k-th spike against the k-th target spike.

    The loss of a trial is the sum over all neurons and k of ``((t[k] - target[k]) / scale)**2``,
    divided by the number of target spikes in the trial (by 1 if there is none).

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose spikes.
    scale : quantity
        What counts as an error of 1.
    target
        As in `VanRossum`.
    penalty : float, optional
        What a missing or a superfluous spike adds to the sum: by default 1, like a spike that is
        off by ``scale``; 0 leaves such spikes out.

    Notes
    -----
    If a neuron fires fewer spikes than it should, the last target spikes are the missing ones; if
    it fires more, its last spikes are the superfluous ones.  Their penalty is constant, so nothing
    is learned from them: a neuron that is silent, or should be, has derivative 0.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> import numpy as np
    >>> G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="output_te")
    >>> loss = SpikeTrainError(G, scale=1*ms)
    >>> targets = [[[0.010, 0.020], []]]
    >>> losses, (derivative,) = loss((np.array([[[0.011, np.inf], [0.007, np.inf]]]),), targets)
    >>> losses, derivative.round(6)
    (array([1.5]), array([[[1000.,    0.],
            [   0.,    0.]]]))
    """

    def __init__(self, group, scale, *, target=None, penalty=1.0):
        super().__init__(group, target)
        self.scale = positive(scale, "scale")
        self.penalty = number(penalty, "penalty")
        if not 0 <= self.penalty < np.inf:
            raise ValueError(f"penalty must be a number from 0 on, not {penalty}")

    def __call__(self, values, targets=None):
        times, wanted = self._pair(values, targets)
        fired, due = np.isfinite(times), np.isfinite(wanted)
        shared = min(times.shape[2], wanted.shape[2])
        paired = fired[:, :, :shared] & due[:, :, :shared]
        error = np.zeros(paired.shape)
        np.subtract(times[:, :, :shared], wanted[:, :, :shared], out=error, where=paired)
        error /= self.scale
        number = np.maximum(np.sum(due, axis=(1, 2)), 1)
        pairs = np.sum(paired, axis=(1, 2))
        unpaired = np.sum(fired, axis=(1, 2)) + np.sum(due, axis=(1, 2)) - 2 * pairs
        losses = (np.sum(error**2, axis=(1, 2)) + self.penalty * unpaired) / number
        derivative = np.zeros(times.shape)
        derivative[:, :, :shared] = 2.0 * error / (self.scale * number[:, None, None])
        return losses, (derivative,)


def _trains(given) -> np.ndarray:
    """Return target trains as an array (samples, neurons, K), sorted, infinite where none is."""
    if isinstance(given, SpikeData):
        return given.padded()
    if isinstance(given, Quantity):
        given = to_si(given, TIME, "targets")
    try:
        times = np.array(given, dtype=float)
    except (TypeError, ValueError):  # trains of different lengths
        try:
            return SpikeData.from_lists(list(given)).padded()
        except TypeError:
            raise TypeError(
                "target spike trains are a SpikeData, nested lists targets[sample][neuron], or an "
                f"array (samples, neurons, K), not {repr(given)[:60]}"
            ) from None
    times = times[:, :, None] if times.ndim == 2 else times
    if times.ndim != 3:
        raise ValueError(
            "target spike trains are a SpikeData, nested lists targets[sample][neuron], or an "
            f"array (samples, neurons, K), not an array of shape {times.shape}"
        )
    return np.sort(np.where(np.isnan(times), np.inf, times), axis=2)


def _one_trial(target) -> np.ndarray:
    if isinstance(target, Quantity):
        target = to_si(target, TIME, "target")
    trains = _trains(target if isinstance(target, SpikeData) else [target])
    if len(trains) != 1:
        raise ValueError(
            f"target is one trial for all samples, not {len(trains)}: give targets of each sample "
            "with the data"
        )
    return trains
