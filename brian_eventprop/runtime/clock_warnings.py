"""What the clock solver's gradient leaves out is said when the model is built."""

from __future__ import annotations

from brian2 import get_logger

from brian_eventprop.adjoint.expressions import to_sympy
from brian_eventprop.adjoint.switches import jumps
from brian_eventprop.adjoint.system import AdjointSystem

logger = get_logger(__name__)


def warn_of_gaps(system: AdjointSystem) -> None:
    """Warn of conditions that make the equations or the integrand of a readout jump.

    On the time grid the change has no time of its own, so what its moving is worth is missing.
    """
    for g in system.groups:
        texts = g.group.derivatives
        terms = [(f"d{s}/dt = {texts[s]}", e) for s, e in g.derivatives.items()]
        for readout in g.readouts:
            if readout.kind == "integral":
                text = f"Integral of '{system.spec.readouts[readout.number].expression}'"
                terms.append((text, to_sympy(readout.expression)))
        for text, expression in terms:
            if jumps(expression, g.group.states, g.hoisted.active):
                logger.warn(
                    f"NeuronGroup '{g.group.name}': {text} jumps where a condition changes, and "
                    "the gradient on the time grid lacks what moving that time is worth. Use "
                    "solver='event', or a smooth function in the place of the condition.",
                    "jump",
                )
