"""What the clock solver's gradient leaves out is said when the model is built."""

from __future__ import annotations

from brian2 import get_logger

from brian_eventprop.adjoint.expressions import to_sympy
from brian_eventprop.adjoint.switches import jumps
from brian_eventprop.adjoint.system import AdjointSystem

logger = get_logger(__name__)


def warn_of_gaps(system: AdjointSystem) -> None:
    """Warn of every part of the gradient that the clock solver leaves out."""
    _warn_of_jumps(system)
    _warn_of_maxima(system)


def _warn_of_jumps(system: AdjointSystem) -> None:
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


def _warn_of_maxima(system: AdjointSystem) -> None:
    """Warn of maxima that may be made by arrivals whose times depend on what is trained.

    The arrivals of a step are added up before they act, so it is not known which one made it.
    """
    groups = {g.group.name: g for g in system.groups}
    for p in system.pathways:
        moves = p.pathway.delay in system.trained or p.pathway.source in groups
        maxima = [r for r in groups[p.pathway.target].readouts if r.kind == "maximum"]
        if moves and maxima:
            expression = system.spec.readouts[maxima[0].number].expression
            logger.warn(
                f"NeuronGroup '{p.pathway.target}': where an arrival of '{p.pathway.synapses}' "
                f"makes the Maximum of '{expression}', by its jump or by turning a rise "
                "into a fall, the gradient on the time grid lacks what moving this arrival is "
                "worth: little if many arrivals act at a time, much if few do. Use "
                "solver='event', or Integral or Final in its place.",
                "maximum",
            )
