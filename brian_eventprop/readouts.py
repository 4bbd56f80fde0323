"""Readouts say what is measured of a trial; a loss then says what is good about it.

A readout names a neuron group and an expression in the group's own namespace (its variables and
constants, with ``t`` for the time and ``T`` for the duration of the trial).  It yields one number
per trial and neuron, or one per spike.  Nothing is computed here: the network's kernels evaluate
the expression and its derivatives.
"""

from __future__ import annotations

from numbers import Number
from typing import ClassVar

import numpy as np
from brian2 import NeuronGroup, Quantity, Subgroup, Synapses, second

from brian_eventprop._units import TIME, to_si

__all__ = ["Final", "Integral", "Maximum", "Readout", "SpikeCount", "SpikeTimes", "Value"]


class Readout:
    """What a loss sees of one group: an array (trials, neurons), or one more axis.

    The third axis is the spikes of a neuron, or the times of a value.

    Attributes
    ----------
    kind : str
        ``"integral"``, ``"final"``, ``"maximum"``, ``"value"``, ``"spike_times"`` or
        ``"spike_count"``.
    group : `NeuronGroup` or `Subgroup`
        Whose neurons are measured.
    expression : str
        What is measured, in Brian2's syntax.
    which : str
        ``"all"``, ``"first"`` or ``"each"`` for spike times, else empty.
    """

    kind: ClassVar[str]

    #: What may be measured.
    owners: ClassVar[tuple] = (NeuronGroup, Subgroup)

    def __init__(self, group, expression: str = "", which: str = ""):
        if not isinstance(group, self.owners):
            raise TypeError(
                f"{type(self).__name__} measures a NeuronGroup (or a part of one, G[2:5]), "
                f"not {group!r}"
            )
        if not isinstance(expression, str):
            raise TypeError(
                f"{type(self).__name__} needs its expression as a string such as 'v', "
                f"not {expression!r}"
            )
        self.group = group
        self.expression = expression.strip()
        self.which = which

    @property
    def of_many_times(self) -> bool:
        """Whether its third axis is times."""
        return False

    def __repr__(self) -> str:
        parts = [self.group.name]
        parts += [repr(text) for text in (self.expression, self.which) if text]
        return f"{type(self).__name__}({', '.join(parts)})"


class _Expression(Readout):
    """A readout that cannot do without an expression."""

    def __init__(self, group, expression: str):
        super().__init__(group, expression)
        if not self.expression:
            raise ValueError(f"{type(self).__name__} needs an expression to measure, such as 'v'")


class Integral(_Expression):
    """Integral of an expression over the trial.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose neurons are measured.
    expression : str
        What is measured, in Brian2's syntax; ``t`` is the time, ``T`` the duration of the trial.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> output = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", method="exact", name="output")
    >>> Integral(output, "v*exp(-t/T)")
    Integral(output, 'v*exp(-t/T)')
    """

    kind = "integral"


class Final(_Expression):
    """Value of an expression at the end of the trial.

    Parameters
    ----------
    group : `NeuronGroup`, `Subgroup` or `Synapses`
        Whose neurons or synapses are measured, one value each.  Of synapses the expression may use
        their own variables and constants, such as a weight that plasticity changes; variables
        that are event-driven have the values of the synapse's last event, as in Brian2.
    expression : str
        What is measured, in Brian2's syntax.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> output = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", method="exact", name="output_f")
    >>> Final(output, "v").kind
    'final'
    """

    kind = "final"
    owners = (NeuronGroup, Subgroup, Synapses)


class Maximum(_Expression):
    """Largest value of an expression during the trial; the gradient goes to the first maximum.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose neurons are measured.
    expression : str
        What is measured, in Brian2's syntax; ``t`` is the time, ``T`` the duration of the trial.

    Notes
    -----
    Of a group that spikes, the clock solver sees what a `StateMonitor` of Brian2 records, once per
    time step and after the resets of the last one: for a threshold at 1, ``Maximum(group, "v")``
    is a bit less (0.9931, say).  The event solver sees the state up to the very spike, just before
    the reset: exactly 1.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> output = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", method="exact", name="output_m")
    >>> Maximum(output, "v").expression
    'v'
    """

    kind = "maximum"


class Value(_Expression):
    """Value of an expression at a given time of the trial, or at many.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose neurons are measured.
    expression : str
        What is measured, in Brian2's syntax.
    at : Quantity
        The time, from the start of a trial to its end, or a list or array of times in any order;
        then the readout has one more axis, (trials, neurons, times).  The clock solver wants times
        of its grid.

    Raises
    ------
    ValueError
        When the model is built: if a time is not within the trial, or not on the time grid.

    Notes
    -----
    The value is what a `StateMonitor` of Brian2 records for that time: that before the arrivals and
    spikes of the very same time.  Where one of them is at this time, the derivative by its time is
    one-sided.  At the end of the trial it is `Final`.  A ``(summed)`` variable has the sum at this
    time, which Brian2 records one time step later.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> output = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", method="exact", name="output_v")
    >>> Value(output, "v", at=20*ms)
    Value(output_v, 'v', at=20. * msecond)
    >>> Value(output, "v", at=[10, 20]*ms)
    Value(output_v, 'v', at=array([10., 20.]) * msecond)
    """

    kind = "value"

    def __init__(self, group, expression: str, at: Quantity):
        super().__init__(group, expression)
        times = to_si(at, TIME, "at")
        if times.ndim > 1 or not times.size or not np.all((times >= 0) & (times < np.inf)):
            raise ValueError(f"at must be a time of the trial, or a list of them, not {at!r}")
        self.at = times * second

    @property
    def of_many_times(self) -> bool:
        return self.at.ndim == 1

    def __repr__(self) -> str:
        many = self.at.size > 4
        at = f"{self.at.size} times up to {self.at.max()!r}" if many else f"at={self.at!r}"
        return f"{super().__repr__()[:-1]}, {at})"


class SpikeTimes(Readout):
    """An expression at the spikes of each neuron: at the first one, at each, or summed over all.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose spikes.
    expression : str, optional
        What is taken at each spike; may use ``t``, ``T`` and constants.  By default the time.
    which : {'all', 'first', 'each'}, optional
        ``'all'``: the sum over the neuron's spikes, 0 if it is silent.  ``'first'``: the value at
        the first spike, infinite if it is silent.  ``'each'``: the value at every single spike, an
        array (trials, neurons, K) with the spikes of a neuron in the order of time.  K is the
        largest number of spikes of a neuron in the batch; where a neuron has fewer, the rest is
        infinite.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> output = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0", name="output_s")
    >>> SpikeTimes(output, which="first")
    SpikeTimes(output_s, 't', 'first')
    >>> SpikeTimes(output, "t/T", which="each")
    SpikeTimes(output_s, 't/T', 'each')
    """

    kind = "spike_times"

    def __init__(self, group, expression: str = "t", which: str = "all"):
        if which not in ("all", "first", "each"):
            raise ValueError(f"which must be 'all', 'first' or 'each', not {which!r}")
        super().__init__(group, expression, which)
        if not self.expression:
            raise ValueError("SpikeTimes needs an expression to take at each spike, such as 't'")


class SpikeCount(Readout):
    """Number of spikes of each neuron.  It is piecewise constant: its exact gradient is zero.

    Parameters
    ----------
    group : `NeuronGroup` or `Subgroup`
        Whose spikes.
    scale : float or Quantity, optional
        Gives the count a surrogate gradient: in the backward pass a spike counts as
        ``1 + g/scale``, where ``g`` is how far the state just before the spike is above the
        threshold (0 at a crossing).  So ``scale``, in the unit of what the threshold compares, is
        the change of the potential that is taken to be worth one spike.

    Notes
    -----
    The surrogate is not the derivative of a count, which has none.  It says in which direction the
    neuron would spike more or less, and flows back through the network by the exact rules: at each
    spike the adjoint jumps by dL/d(count) times the gradient of ``g/scale``.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> hidden = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0", name="hidden_c")
    >>> SpikeCount(hidden)
    SpikeCount(hidden_c)
    >>> SpikeCount(hidden, scale=0.5).scale
    0.5
    """

    kind = "spike_count"

    def __init__(self, group, scale=None):
        super().__init__(group)
        one = isinstance(scale, Number | Quantity | np.ndarray) and np.asarray(scale).ndim == 0
        if scale is not None and not (one and 0 < np.asarray(scale) < np.inf):
            raise ValueError(f"scale must be one positive number, not {scale!r}")
        self.scale = scale
