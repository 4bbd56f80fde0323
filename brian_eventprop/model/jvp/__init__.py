"""Forward mode as the user sees it: directions with units in, tangents out."""

from brian_eventprop.model.jvp.directions import Direction, direction_of
from brian_eventprop.model.jvp.result import Tangents, tangents_of

__all__ = ["Direction", "Tangents", "direction_of", "tangents_of"]
