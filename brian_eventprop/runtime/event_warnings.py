"""What the event solver's integration cannot resolve is said when the model is built."""

from __future__ import annotations

from collections.abc import Mapping

from brian2 import get_logger

from brian_eventprop.adjoint.derivatives import positive_power_
from brian_eventprop.adjoint.flow import ContinuousFlow
from brian_eventprop.adjoint.system import AdjointSystem

logger = get_logger(__name__)


def warn_of_steep_edges(system: AdjointSystem, flows: Mapping[str, ContinuousFlow]) -> None:
    """Warn of roots of what passes 0, as ``sqrt(clip(v - a, 0, inf))``: infinitely steep there."""
    for g in system.groups:
        for state, text in g.group.derivatives.items():
            expression = flows[g.group.name].smooth.get(state)
            roots = expression.atoms(positive_power_) if expression is not None else ()
            if any(p.args[1].is_number and p.args[1] < 1 for p in roots):
                logger.warn(
                    f"NeuronGroup '{g.group.name}': d{state}/dt = {text} has a root whose slope is "
                    "infinite where its argument passes 0. If a variable gets there by flowing, "
                    "not by a jump, the gradient in exact time is uncertain. Keep the argument "
                    "above 0, for example clip(x, 1e-6, inf), or check with check_gradient.",
                    "steep",
                )
