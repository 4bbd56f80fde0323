"""What forward mode does not have, refused by the name of the object."""

from __future__ import annotations

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.forward.code import has_edges
from brian_eventprop.reading.spec import NetworkSpec


def check_supported(spec: NetworkSpec) -> None:
    """Refuse a network whose tangents would be wrong.

    Raises
    ------
    UnsupportedError
        The message names the object and what of it is not supported.
    """
    for group in spec.groups:
        if group.refractory_condition is not None:
            raise _unsupported(group.name, group.refractory_condition, "refractoriness ends")
        for text in (*group.derivatives.values(), *group.derivatives_refractory.values()):
            if edge := has_edges(text):
                raise _unsupported(group.name, edge, "the equations change")
    for readout in spec.readouts:
        if readout.kind == "integral" and (edge := has_edges(readout.expression)):
            raise _unsupported(readout.group, edge, "an integrand changes")
    for coupling in spec.couplings:
        for statement in coupling.statements:
            if edge := has_edges(statement.expression):
                raise _unsupported(coupling.owner, edge, "a sum changes")


def _unsupported(name: str, text: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"'{name}': forward mode does not have '{text}', where {what} at a time of its own. Prove "
        "such a gradient with bep.check_gradient."
    )
