"""What forward mode does not have, refused by the name of the object."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.forward.code import has_edges
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues


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


def check_on_grid(spec: NetworkSpec, network: NetworkValues, values: Mapping) -> None:
    """Refuse what forward mode does not have on the time grid."""
    for coupling in spec.couplings:
        if coupling.late or coupling.every > 1:
            raise _not_on_grid(
                coupling.owner,
                f"'{coupling.text}', which is not computed at the beginning of every time step,",
            )
    for group in spec.groups:
        if group.every > 1:
            raise _not_on_grid(group.name, "a time step of its own")
        if group.regular:
            raise _not_on_grid(group.name, "run_regularly")
    for p in spec.pathways:
        own = network.senders(p) == network.post[p.name]
        late = np.broadcast_to(values[p.delay], own.shape) if not p.axonal else np.ones(own.shape)
        touches = any(s.kind == "state" and s.side == "post" for s in p.symbols.values())
        if p.source == p.target and touches and np.any(own & (late < 0.5 * spec.dt)):
            raise _not_on_grid(p.synapses, "spikes that arrive at their own neuron at once")


def check_no_maxima(spec: NetworkSpec, groups: Collection[str]) -> None:
    """Refuse maxima of groups whose explosive spikes follow the true flow."""
    for readout in spec.readouts:
        if readout.kind == "maximum" and readout.group in groups:
            what = f"the Maximum of '{readout.expression}' of neurons with explosive upstrokes"
            raise _not_on_grid(readout.group, what)


def _not_on_grid(name: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"'{name}': forward mode does not have {what} with solver='clock'. Use solver='event'."
    )


def _unsupported(name: str, text: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"'{name}': forward mode does not have '{text}', where {what} at a time of its own. Prove "
        "such a gradient with bep.check_gradient."
    )
