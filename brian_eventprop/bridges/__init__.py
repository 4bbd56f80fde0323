"""What the bridges to other libraries share: a model as a pure function of numbers."""

from brian_eventprop.bridges.pure import Call, Pulled, PureModel
from brian_eventprop.bridges.spikes import GivenSpikes, from_padded, from_raster, from_spikes

__all__ = [
    "Call",
    "GivenSpikes",
    "Pulled",
    "PureModel",
    "from_padded",
    "from_raster",
    "from_spikes",
]
