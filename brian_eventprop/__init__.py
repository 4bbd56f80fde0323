"""Exact gradients for spiking networks written in Brian2."""

from importlib.metadata import PackageNotFoundError, version

from brian_eventprop import datasets, fit, nir, plotting
from brian_eventprop.data.augmentation import Blend, ChannelShift
from brian_eventprop.data.parameter_files import load_parameters
from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.expressions import Expression
from brian_eventprop.losses import *  # noqa: F403
from brian_eventprop.losses import __all__ as _losses
from brian_eventprop.model.brian_messages import report_own_errors
from brian_eventprop.model.gradient_check import check_gradient
from brian_eventprop.model.model import EventPropModel
from brian_eventprop.nir.quantizing import quantize
from brian_eventprop.reading import Axonal, function
from brian_eventprop.readouts import Final, Integral, Maximum, SpikeCount, SpikeTimes, Value
from brian_eventprop.training import *  # noqa: F403
from brian_eventprop.training import __all__ as _training
from brian_eventprop.training.optimizers import SGD, Adam, ClipNorm, ClipValue

__all__ = [
    "SGD",
    "Adam",
    "Axonal",
    "Blend",
    "ChannelShift",
    "ClipNorm",
    "ClipValue",
    "EventPropModel",
    "Expression",
    "Final",
    "Integral",
    "Maximum",
    "SpikeCount",
    "SpikeData",
    "SpikeTimes",
    "UnsupportedError",
    "Value",
    "check_gradient",
    "datasets",
    "fit",
    "function",
    "load_parameters",
    "nir",
    "plotting",
    "quantize",
    *_losses,
    *_training,
]

try:
    __version__ = version("brian-eventprop")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "__doc__"])


report_own_errors()
