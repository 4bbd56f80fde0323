"""Forward mode on Brian2's time grid: its steps, and the true flow of explosive upstrokes."""

from brian_eventprop.forward.grid.clock import ClockTrial, GridSpikes
from brian_eventprop.forward.grid.maxima import Sums
from brian_eventprop.forward.grid.upstrokes import History, Upstrokes, find_upstrokes

__all__ = ["ClockTrial", "GridSpikes", "History", "Sums", "Upstrokes", "find_upstrokes"]
