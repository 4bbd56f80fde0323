"""What the clock solver's gradient leaves out is said when the model is built."""

from __future__ import annotations

from brian2 import get_logger

from brian_eventprop.adjoint.groups import GroupAdjoint, flowing
from brian_eventprop.adjoint.switches import jumps
from brian_eventprop.adjoint.system import AdjointSystem

logger = get_logger(__name__)


def warn_of_gaps(system: AdjointSystem) -> None:
    """Warn of thresholds that jump at a time that moves.

    Where the threshold jumps over the state, the spike moves with the condition that made it jump,
    not with the potential: that part of the gradient is missing.
    """
    for g in system.groups:
        if g.crossing is not None and _jumps(g):
            logger.warn(
                f"NeuronGroup '{g.group.name}': the threshold '{g.group.threshold}' jumps where a "
                "condition changes, and the gradient on the time grid lacks the spikes that such "
                "a jump sets off. Combine conditions with 'and' and 'or', for example "
                "'v > 1 and u > 0.2', or use a smooth function in the place of the condition.",
                "jump",
            )


def _jumps(g: GroupAdjoint) -> bool:
    """Whether a threshold jumps along the flow; states that do not flow change at events only."""
    return jumps(g.crossing.g, flowing(g.derivatives), g.invariants.active)
