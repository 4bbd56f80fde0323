"""Losses say what is minimised: one number per trial, and its derivative in every readout.

A loss is called with the values of its readouts, one array (trials, neurons) each in SI units (one
more axis if a readout is of each single spike), and the targets of the trials.  It returns
``(losses, derivatives)``: an array (trials,) and one array per readout of the readout's shape.
Losses are added and weighted like numbers.

A neuron that does not spike has no spike time: the value of a "first spike" readout is infinite
there.  No loss turns that into NaN; each says what it does with it.
"""

from brian_eventprop.losses.base import Loss, WeightedSum
from brian_eventprop.losses.firing_rate import FiringRate
from brian_eventprop.losses.first_spike import ShiftInvariantFirstSpike, TimeToFirstSpike
from brian_eventprop.losses.silence_margin import SilenceMargin
from brian_eventprop.losses.spike_trains import SpikeTrainError, VanRossum
from brian_eventprop.losses.values import CrossEntropy, MeanSquaredError, Sum

__all__ = [
    "CrossEntropy",
    "FiringRate",
    "Loss",
    "MeanSquaredError",
    "ShiftInvariantFirstSpike",
    "SilenceMargin",
    "SpikeTrainError",
    "Sum",
    "TimeToFirstSpike",
    "VanRossum",
    "WeightedSum",
]
