"""Fits of neurons to recordings: spike times and traces, with exact gradients and error bars."""

from brian_eventprop.fit.estimate import Estimate
from brian_eventprop.fit.metrics import gamma_factor
from brian_eventprop.fit.spikes import SpikeFitter
from brian_eventprop.fit.traces import TraceFitter

__all__ = ["Estimate", "SpikeFitter", "TraceFitter", "gamma_factor"]
