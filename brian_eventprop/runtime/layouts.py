"""How much memory arrivals at a group take, and how it is cut into tiles of neurons."""

from __future__ import annotations

import numpy as np

from brian_eventprop.adjoint.autapses import order_matters
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.kernels.clock.tiles import TILE
from brian_eventprop.reading.spec import NetworkValues


def known_autapses(system: AdjointSystem, network: NetworkValues) -> frozenset[str]:
    """Return the groups whose spikes may arrive at their own neuron at once, before the reset.

    Only those where the order matters.  A delay that is trained may become 0.
    """
    loops = (
        p for p in system.pathways if p.pathway.source == p.pathway.target and p.touches_target
    )
    found = (p for p in loops if _at_once(p.pathway, system, network) and order_matters(system, p))
    return frozenset(p.pathway.target for p in found)


def _at_once(pathway, system, network) -> bool:
    """Whether a neuron has, or may come to have, a synapse onto itself without delay."""
    pre, post = network.senders(pathway), network.receivers(pathway)
    delays = np.asarray(network.values[pathway.delay])
    steps = np.rint((delays[pre] if pathway.axonal else delays) / system.spec.dt)
    own = pre == post
    may_become = pathway.delay in system.trained
    return bool(np.any(own if may_become else own & (steps == 0)))


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
