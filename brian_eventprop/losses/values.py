"""Losses on measured values: their sum, labels by the largest, distance from a target."""

from __future__ import annotations

import numpy as np
from brian2 import Quantity

from brian_eventprop._checks import other_than_zero, plain_numbers
from brian_eventprop._units import TIME, to_seconds, to_si
from brian_eventprop.losses.base import (
    Loss,
    checked_labels,
    checked_readout,
    cross_entropy,
    needed,
)
from brian_eventprop.readouts import Readout, Value


class Sum(Loss):
    """Sum of everything that is measured; no targets.  Spikes that are missing count nothing.

    Parameters
    ----------
    *readouts : `Readout`
        What is summed, over readouts, neurons, spikes and times.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> from brian_eventprop.readouts import Integral
    >>> import numpy as np
    >>> output = NeuronGroup(2, "dv/dt = -v/(20*ms) : 1", method="exact", name="output_a")
    >>> losses, derivatives = Sum(Integral(output, "v"))((np.array([[0.5, 2.0]]),))
    >>> losses, derivatives
    (array([2.5]), (array([[1., 1.]]),))
    """

    def __init__(self, *readouts: Readout):
        self.readouts = tuple(checked_readout(readout) for readout in readouts)
        if not readouts:
            raise ValueError("Sum needs at least one readout")

    def __call__(self, values, targets=None):
        del targets
        counted = [~np.isposinf(value) for value in values]
        losses = sum(
            np.sum(np.where(some, value, 0.0), axis=tuple(range(1, np.ndim(value))))
            for value, some in zip(values, counted, strict=True)
        )
        return losses, tuple(some.astype(float) for some in counted)


class CrossEntropy(Loss):
    """Cross-entropy of a softmax over the neurons of a readout; targets are labels (trials,).

    Parameters
    ----------
    readout : `Readout`
        One value per class.
    scale : float, optional
        Factor on the readout before the softmax (an inverse temperature).  Integrals over time are
        small numbers (volt times second), so they usually need one: 100 makes a potential of 1
        held for 10 ms a logit of 1.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> from brian_eventprop.readouts import Integral
    >>> import numpy as np
    >>> output = NeuronGroup(2, "dv/dt = -v/(20*ms) : 1", method="exact", name="output_e")
    >>> loss = CrossEntropy(Integral(output, "v*exp(-t/T)"), scale=100)
    >>> losses, (derivative,) = loss((np.array([[0.02, 0.01]]),), [0])
    >>> losses.round(4), derivative.round(1)
    (array([0.3133]), array([[-26.9,  26.9]]))
    """

    def __init__(self, readout: Readout, scale: float = 1.0):
        readout = _one_value(readout, "CrossEntropy")
        if readout.which == "first":
            raise ValueError(
                "CrossEntropy cannot use first spikes, a silent neuron has none: "
                "use TimeToFirstSpike(group, tau) instead"
            )
        self.readouts = (readout,)
        self.scale = other_than_zero(scale, "scale")

    def check_targets(self, targets, n_trials):
        checked_labels(targets, (n_trials, len(self.readouts[0].group)))

    def __call__(self, values, targets=None):
        (value,) = values
        labels = checked_labels(targets, value.shape)
        losses, derivative = cross_entropy(self.scale * value, labels)
        return losses, (self.scale * derivative,)

    def predict(self, values):
        return np.argmax(self.scale * values[0], axis=1)


class MeanSquaredError(Loss):
    """Mean over the neurons of ``((value - target) / scale)**2``; of traces, over the times too.

    Parameters
    ----------
    readout : `Readout`
        What is compared, for instance ``SpikeTimes(G, which="first")`` with target times, or
        ``Value(G, "v", at=np.arange(0, 50, 0.1)*ms)`` with target traces.
    target : array or quantity, optional
        A target for every trial (a number, or one per neuron); without it, the targets (trials,
        neurons) come with the data, or (trials,) for a single neuron.  Those of a `Value` at many
        times have one more axis for the times, last; a target (times,) is that of all neurons.
    scale : float or quantity, optional
        What counts as an error of 1.
    late : quantity, optional
        For the times of first spikes: a silent neuron counts as one that spikes at this time.

    Notes
    -----
    Entries whose target is NaN are not compared.  First spikes: an infinite target asks for
    silence.  With ``late``, it and the missing spike of a silent neuron stand at ``late``; without,
    a pair of which either is infinite counts nothing.  A silent neuron's derivative is always 0:
    there is no spike to move.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> from brian_eventprop.readouts import SpikeTimes
    >>> import numpy as np
    >>> G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="output_q")
    >>> loss = MeanSquaredError(SpikeTimes(G, which="first"), scale=1*ms)
    >>> losses, (derivative,) = loss((np.array([[0.003, np.inf]]),), np.array([[0.001, 0.002]]))
    >>> losses, derivative
    (array([2.]), array([[2000.,    0.]]))

    Traces of two neurons and the target of both:

    >>> from brian_eventprop.readouts import Value
    >>> loss = MeanSquaredError(Value(G, "v", at=[1, 2, 3]*ms), target=[0.0, 0.5, 1.0], scale=0.1)
    >>> losses, (derivative,) = loss((np.array([[[0.0, 0.5, 0.8], [0.1, 0.5, 1.0]]]),))
    >>> losses.round(3), derivative.shape
    (array([0.833]), (1, 2, 3))
    """

    def __init__(self, readout: Readout, target=None, scale=1.0, late=None):
        self.readouts = (_no_trains(readout, "MeanSquaredError"),)
        if late is not None and not self._of_first_times:
            raise ValueError(
                "late is for the times of first spikes: SpikeTimes(group, which='first')"
            )
        self.target = None if target is None else _some_number(self._plain(target, "target"))
        self.scale = other_than_zero(self._plain(scale, "scale"), "scale")
        self.late = np.nan if late is None else to_seconds(late, "late")

    def __call__(self, values, targets=None):
        (value,) = values
        target = self._of_trials(targets, value.shape) if self.target is None else self.target
        target = np.broadcast_to(target, value.shape)
        compared = ~np.isnan(target)
        silent = np.isposinf(value)
        if self.readouts[0].which == "first":
            # Without `late` these become NaN and are left out.
            moved = np.where(silent, self.late, value)
            target = np.where(np.isposinf(target), self.late, target)
            compared &= ~(silent & np.isnan(moved)) & ~np.isnan(target)
        else:
            moved = value
        error = np.where(compared, moved - np.where(compared, target, 0.0), 0.0) / self.scale
        count = np.prod(value.shape[1:])
        derivative = np.where(silent, 0.0, 2.0 * error / (self.scale * count))
        return np.mean(error**2, axis=tuple(range(1, value.ndim))), (derivative,)

    def check_targets(self, targets, n_trials):
        (readout,) = self.readouts
        times = readout.at.shape if isinstance(readout, Value) and readout.of_many_times else ()
        shape = (n_trials, len(readout.group), *times)
        if self.target is None:
            _some_number(self._of_trials(targets, shape))
            return
        try:
            np.broadcast_to(self.target, shape)
        except ValueError:
            each = f"for each of the {shape[1]} neurons"
            if times:
                each = f"for each of the {shape[2]} times, or for each neuron and time {shape[1:]}"
            raise ValueError(
                f"target has the shape {self.target.shape}: it must be one number, or one {each}"
            ) from None

    @property
    def _of_first_times(self) -> bool:
        (readout,) = self.readouts
        return (readout.which, readout.expression) == ("first", "t")

    def _plain(self, given, what: str) -> np.ndarray:
        """Return numbers without unit; those with one must be times if times are compared."""
        if self._of_first_times and isinstance(given, Quantity):
            return to_si(given, TIME, what)
        return plain_numbers(given, what)

    def _of_trials(self, targets, shape) -> np.ndarray:
        """Return the targets of the data, one per trial, neuron and time and nothing else.

        Labels (trials,) would fit as well where there are as many trials as neurons.
        """
        given = self._plain(needed(targets), "targets")
        if given.shape == (shape[0], *shape[2:]) and shape[1] == 1:
            given = given[:, None]
        if given.shape != shape:
            each = "trial, neuron and time" if len(shape) > 2 else "trial and neuron"
            raise ValueError(
                f"targets must be one number per {each}, {shape}, not of the shape "
                f"{given.shape}; what all trials share is given once, MeanSquaredError(..., target)"
            )
        return given


def _some_number(target: np.ndarray) -> np.ndarray:
    if target.size and np.all(np.isnan(target)):
        raise ValueError("all targets are NaN, so there is nothing to compare: give numbers")
    return target


def _one_value(readout, loss: str) -> Readout:
    if _no_trains(readout, loss).of_many_times:
        raise ValueError(
            f"{loss} needs one value per neuron, not one for each of many times: use a Value at "
            "one time, or an Integral or Final, or MeanSquaredError to compare traces"
        )
    return readout


def _no_trains(readout, loss: str) -> Readout:
    if checked_readout(readout).which == "each":
        raise ValueError(
            f"{loss} needs one value per neuron, not one per spike: use "
            "SpikeTrainError(group, scale) or VanRossum(group, tau) for spike trains"
        )
    return readout
