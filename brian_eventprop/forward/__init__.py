"""Forward mode: tangents of a run, found without anything of the adjoint."""

from brian_eventprop.forward.event import GivenSpikes
from brian_eventprop.forward.grid import Sums
from brian_eventprop.forward.tangents import Run, tangents_along

__all__ = ["GivenSpikes", "Run", "Sums", "tangents_along"]
