"""Losses on first spikes: the class is the neuron that spikes first."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from brian_eventprop._checks import number
from brian_eventprop._units import to_seconds
from brian_eventprop.losses.base import Loss, checked_labels, cross_entropy
from brian_eventprop.readouts import Final, Maximum, SpikeTimes


class _FirstSpike(Loss):
    """What first-spike losses share: labels by the earliest spike, pseudo-spikes for the silent.

    A silent neuron counts as one that spikes at ``late``; if it is the right one and its closeness
    c <= 0 to the threshold is known, at ``late * (1 - c)``.  While the right one is silent all
    others count as spiking at 0, whatever they do: moving them would drive the wrong spikes out
    before the right one appears, until the whole layer is silent.
    """

    def __init__(self, group, late, closeness):
        first = SpikeTimes(group, "t", which="first")
        # Without a time for the late spike the trial's end is read from the trial itself.
        if late is None and "T" in group.variables:
            raise ValueError(
                f"'{group.name}' has a variable 'T', which is the end of a trial for this loss: "
                "give the time of a late spike, late=..., or rename the variable"
            )
        extra = [] if late is not None else [Final(group, "T")]
        extra += [] if closeness is None else [Maximum(group, closeness)]
        self.readouts = (first, *extra)
        self.late = None if late is None else positive(late, "late")
        self.has_closeness = closeness is not None

    def predict(self, values):
        first = values[0]
        return np.where(np.all(np.isposinf(first), axis=1), -1, np.argmin(first, axis=1))

    def __call__(self, values, targets=None):
        first = values[0]
        labels = checked_labels(targets, first.shape)
        silent = np.isposinf(first)
        late = np.broadcast_to(values[1] if self.late is None else self.late, first.shape)
        right = np.arange(first.shape[1]) == labels[:, None]
        missing = np.any(silent & right, axis=1, keepdims=True)
        times = np.where(missing & ~right, 0.0, np.where(silent, late, first))
        derivatives = [np.zeros(np.shape(value)) for value in values]
        if self.has_closeness:
            # A silent neuron can touch its threshold (closeness 0), never pass it.
            lifted = missing & right & (values[-1] < 0.0)
            times = np.where(lifted, late * (1.0 - values[-1]), times)
        losses, slope = self._of_times(times, labels, silent, late)
        derivatives[0] = np.where(silent | missing, 0.0, slope)
        if self.has_closeness:
            derivatives[-1] = np.where(lifted, -late * slope, 0.0)
        return losses, tuple(derivatives)

    def check_targets(self, targets, n_trials):
        checked_labels(targets, (n_trials, len(self.readouts[0].group)))

    @abstractmethod
    def _of_times(self, times, labels, silent, late) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses and their derivatives in the spike times, all of them finite."""


class TimeToFirstSpike(_FirstSpike):
    """The neuron of the right class shall spike first: cross-entropy of ``-t_first / tau``.

    The loss of a trial with first spikes t and label c (Göltz et al. 2021, Wunderlich and Pehle
    2021) is ``-log softmax(-t / tau)[c] + alpha * (exp(t[c] / tau_alpha) - 1)``.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        One neuron per class.
    tau : quantity
        Difference of spike times that counts as one logit.
    alpha : float, optional
        Strength of the pull of the right neuron's spike to early times.
    tau_alpha : quantity, optional
        Time constant of that pull; ``tau`` if not given.
    late : quantity, optional
        When a silent neuron counts as spiking; the end of the trial if not given.
    closeness : str, optional
        Expression without unit that is 0 at the threshold and negative below, such as ``"v - 1"``.

    Notes
    -----
    Silent neurons: each counts as one pseudo-spike at ``late``.  If the right neuron is silent, all
    others count as spiking at 0, so silence costs more than any spike and nothing is learned from
    the others.  Alone, that keeps the loss finite, but there is no spike to move.  With
    ``closeness`` the pseudo-spike of the silent right neuron comes at ``late * (1 - c)``, where c
    is the maximum of its closeness to the threshold during the trial.  The loss then has an exact
    gradient in that maximum, which lifts the neuron until it spikes.  The pull of ``alpha`` ends at
    ``late``.  A trial without any output spike is predicted as -1, no class.

    A trial whose right neuron is silent costs ``late / tau`` or more, which in a long trial is far
    more than any other: then a handful of them are most of the mean loss, and the loss of a
    training jumps whenever one comes or goes.  A ``late`` soon after the last inputs avoids that.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> import numpy as np
    >>> G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="output_t")
    >>> loss = TimeToFirstSpike(G, tau=1*ms, late=20*ms)
    >>> losses, (derivative,) = loss((np.array([[0.010, 0.011]]),), [0])
    >>> losses.round(4), derivative.round(1)
    (array([0.3133]), array([[ 268.9, -268.9]]))
    """

    def __init__(self, group, tau, *, alpha=0.0, tau_alpha=None, late=None, closeness=None):
        self.tau = positive(tau, "tau")
        self.alpha = number(alpha, "alpha")
        self.tau_alpha = self.tau if tau_alpha is None else positive(tau_alpha, "tau_alpha")
        super().__init__(group, late, closeness)

    def _of_times(self, times, labels, silent, late):
        del silent
        losses, slope = cross_entropy(-times / self.tau, labels)
        slope = -slope / self.tau
        if self.alpha:
            right = np.arange(len(times)), labels
            pull = self.alpha * np.exp(np.minimum(times, late)[right] / self.tau_alpha)
            losses = losses + pull - self.alpha
            slope[right] += np.where(times[right] <= late[right], pull / self.tau_alpha, 0.0)
        return losses, slope


class ShiftInvariantFirstSpike(_FirstSpike):
    """Every wrong neuron shall spike ``delta`` after the right one, whenever that is.

    The loss of a trial with first spikes t and label c (DelGrad: Göltz et al. 2025; Mészáros et
    al. 2025, equation 71) is half the sum over all other neurons i of
    ``((t[i] - t[c]) / delta - 1)**2``.  Dividing by delta makes it a pure number.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        One neuron per class.
    delta : quantity
        How much later the wrong neurons shall be.
    late, closeness
        As in `TimeToFirstSpike`.

    Notes
    -----
    Silent neurons count as pseudo-spikes at ``late`` (see `TimeToFirstSpike`), except that a silent
    wrong neuron costs nothing if even ``late`` is more than ``delta`` after the right spike.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> import numpy as np
    >>> G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="output_i")
    >>> loss = ShiftInvariantFirstSpike(G, delta=2*ms, late=20*ms)
    >>> losses, (derivative,) = loss((np.array([[0.010, 0.011]]),), [0])
    >>> losses, derivative
    (array([0.125]), array([[ 250., -250.]]))
    """

    def __init__(self, group, delta, *, late=None, closeness=None):
        self.delta = positive(delta, "delta")
        super().__init__(group, late, closeness)

    def _of_times(self, times, labels, silent, late):
        del late
        rows = np.arange(len(times))
        error = (times - times[rows, labels][:, None]) / self.delta - 1.0
        error[rows, labels] = 0.0
        # Silence is as good as a spike that is late enough.
        error = np.where(silent & (error > 0.0), 0.0, error)
        slope = error / self.delta
        slope[rows, labels] = -np.sum(slope, axis=1)
        return 0.5 * np.sum(error**2, axis=1), slope


def positive(value, what: str) -> float:
    """Return a time in seconds after checking that it is finite and above 0."""
    seconds = to_seconds(value, what)
    if not 0 < seconds < np.inf:
        raise ValueError(f"{what} must be a time above 0, not {value}")
    return seconds
