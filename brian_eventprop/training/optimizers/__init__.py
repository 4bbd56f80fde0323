"""Optimisers: turn gradients into steps of the trained variables."""

from brian_eventprop.training.optimizers.base import Optimizer
from brian_eventprop.training.optimizers.clipping import ClipNorm, ClipValue
from brian_eventprop.training.optimizers.given import name_of
from brian_eventprop.training.optimizers.rules import SGD, Adam

__all__ = ["SGD", "Adam", "ClipNorm", "ClipValue", "Optimizer", "name_of"]
