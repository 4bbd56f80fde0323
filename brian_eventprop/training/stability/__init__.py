"""What keeps a training steady where spikes graze their threshold, none of it by default."""

from brian_eventprop.training.stability.choices import Grazing, checked_choices
from brian_eventprop.training.stability.clip_trials import ClipTrials
from brian_eventprop.training.stability.parameter_average import ParameterAverage
from brian_eventprop.training.stability.slope_floor import SlopeFloor

__all__ = ["ClipTrials", "Grazing", "ParameterAverage", "SlopeFloor", "checked_choices"]
