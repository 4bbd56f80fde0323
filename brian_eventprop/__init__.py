"""Exact gradients for spiking networks written in Brian2."""

from brian_eventprop import datasets, plotting
from brian_eventprop._brian_messages import report_own_errors
from brian_eventprop.augmentation import Blend, ChannelShift
from brian_eventprop.checking import check_gradient
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.losses import *  # noqa: F403
from brian_eventprop.losses import __all__ as _losses
from brian_eventprop.model import EventPropModel
from brian_eventprop.optimizers import SGD, Adam
from brian_eventprop.reading import Axonal
from brian_eventprop.readouts import Final, Integral, Maximum, SpikeCount, SpikeTimes
from brian_eventprop.spikes import SpikeData
from brian_eventprop.training import *  # noqa: F403
from brian_eventprop.training import __all__ as _training

__all__ = [
    "SGD",
    "Adam",
    "Axonal",
    "Blend",
    "ChannelShift",
    "EventPropModel",
    "Final",
    "Integral",
    "Maximum",
    "SpikeCount",
    "SpikeData",
    "SpikeTimes",
    "UnsupportedError",
    "check_gradient",
    "datasets",
    "plotting",
    *_losses,
    *_training,
]

report_own_errors()
