"""How much memory arrivals at a group take, and how it is cut into tiles of neurons."""

from __future__ import annotations

import numpy as np
from brian2 import get_logger

from brian_eventprop.adjoint.autapses import changes_slope_read, order_matters
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.kernels.clock.tiles import TILE
from brian_eventprop.reading.spec import NetworkValues

logger = get_logger(__name__)


def known_autapses(system: AdjointSystem, network: NetworkValues) -> frozenset[str]:
    """Return the groups whose spikes may arrive at their own neuron at once, before the reset.

    Only those where the order matters.  A delay that is trained may become 0.

    Raises
    ------
    UnsupportedError
        If an arrival reads what another one has changed whose spike is the same.
    """
    _check_slopes(system, network)
    loops = (
        p for p in system.pathways if p.pathway.source == p.pathway.target and p.touches_target
    )
    found = (p for p in loops if _at_once(p.pathway, system, network) and order_matters(system, p))
    return frozenset(p.pathway.target for p in found)


def _at_once(pathway, system, network) -> bool:
    """Whether a neuron has, or may come to have, a synapse onto itself without delay."""
    if pathway.delay in system.trained:
        return bool(np.any(network.senders(pathway) == network.receivers(pathway)))
    return _at_once_now(pathway, system, network)


def _at_once_now(pathway, system, network) -> bool:
    """Whether a neuron has a synapse onto itself without delay."""
    pre, post = network.senders(pathway), network.receivers(pathway)
    delays = np.asarray(network.values[pathway.delay])
    steps = np.rint((delays[pre] if pathway.axonal else delays) / system.spec.dt)
    return bool(np.any((pre == post) & (steps == 0)))


def _check_slopes(system, network) -> None:
    """Refuse what the clock solver lacks: plasticity that reads what the very spike has changed."""
    loops = [p for p in system.pathways if p.pathway.source == p.pathway.target]
    loops = [p for p in loops if _at_once(p.pathway, system, network)]
    same = {p.pathway.name: _onto_itself(p, network) for p in loops}
    for number, q in enumerate(loops):
        for p in loops[: number + 1]:
            names = p.pathway.name, q.pathway.name
            meet = p is not q or same[names[0]] or _several(p, network)
            if p.pathway.target != q.pathway.target or not meet:
                continue
            if changes_slope_read(system, p, q, (same[names[0]], same[names[1]])):
                now = all(_at_once_now(x.pathway, system, network) for x in (p, q))
                _refuse_slope(p, q) if now else _warn_of_slope(p, q)


def _refuse_slope(p, q) -> None:
    way_out = "Connect no neuron to itself (connect(condition='i != j'))"
    if p.pathway.sender != "pre":
        way_out = "Move what it changes to a pathway of its own with a later order"
    raise UnsupportedError(
        f"Synapses '{q.pathway.synapses}': '{q.pathway.text}' is not supported with "
        f"solver='clock' after '{p.pathway.text}' of '{p.pathway.synapses}', which the same spike "
        "runs on the same neuron without delay: the slope of what it reads would be taken from "
        f"the wrong side of that jump. {way_out}{'' if q.pre else _OR_EVENTS}."
    )


def _warn_of_slope(p, q) -> None:
    logger.warn(
        f"Synapses '{q.pathway.synapses}': a trained delay of '{p.pathway.synapses}' that falls "
        "to 0, where a neuron is connected to itself, gives "
        f"'{q.pathway.text}' the slope from the wrong side of a jump, and the gradient is "
        "wrong by some per cent. Keep it above half a time step with bounds=, connect no neuron "
        f"to itself (connect(condition='i != j')){'' if q.pre else _OR_EVENTS}.",
        "slope_at_once",
        once=True,
    )


_OR_EVENTS = ", or use solver='event'"


def _several(p, network) -> bool:
    """Whether a spike runs the code of several synapses on its own neuron."""
    receivers = network.receivers(p.pathway)
    own = receivers[network.senders(p.pathway) == receivers]
    return bool(own.size) and int(np.bincount(own).max()) > 1


def _onto_itself(p, network) -> bool:
    return bool(p.pre) and bool(np.any(network.touched(p.pathway) == network.receivers(p.pathway)))


def ring_shape(name: str, arriving, longest, size: int, n_steps: int) -> np.ndarray:
    """Return the sizes of a group's ring, and of the record of arrival adjoints.

    They are width and number of slots of the ring (powers of two), longest delay of what it holds,
    length of a tile's record, length of the whole record, number of neurons, log2 of the neurons in
    a tile, log2 of the width.

    Parameters
    ----------
    name
        Of the group.
    arriving
        The binders of the pathways onto it.
    longest
        The longest delay of each of them in time steps.
    size
        Number of neurons.
    n_steps
        Number of time steps of a trial.
    """
    pairs = list(zip(arriving, (min(steps, n_steps) for steps in longest), strict=True))
    ring = max((steps for binder, steps in pairs if not binder.code.precomputed), default=0)
    width, slots = (1 << max(n - 1, 0).bit_length() for n in (size, ring + 1))
    tile = _tile(arriving, size)
    longest = (steps for binder, steps in pairs if binder.code.layout.after)
    stride = (n_steps + max(longest, default=-n_steps - 1) + 1) * tile
    total = stride * -(-size // tile)
    if max(total, width * slots) >= 2**32:
        raise MemoryError(f"'{name}' has too many neurons and time steps for one record")
    shifts = tile.bit_length() - 1, width.bit_length() - 1
    return np.array([width, slots, ring, stride, total, size, *shifts], np.int64)


def _tile(arriving, size: int) -> int:
    """Return the number of neurons in a tile: a power of two that holds eight synapses a source.

    The largest projection decides, of those that use the record.
    """
    recorded = [binder for binder in arriving if binder.code.layout.after]
    largest = max(recorded or arriving, key=lambda binder: binder.size)
    pairs = max(largest.n_source * size, 1)
    wanted = min(TILE * pairs / max(largest.size, 1), size)
    return max(TILE, 1 << max(int(np.ceil(wanted)) - 1, 0).bit_length())
