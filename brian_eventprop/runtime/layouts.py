"""How much memory arrivals at a group take, and how it is cut into tiles of neurons."""

from __future__ import annotations

import numpy as np

from brian_eventprop.adjoint.autapses import order_matters
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.kernels.clock.tiles import TILE
from brian_eventprop.reading.spec import NetworkValues

#: Fewest synapses of a projection from inputs whose spikes are summed before the first step.
#: Fewer fit into the first cache with all that belongs to them, and then there is nothing to gain.
PRECOMPUTED_SYNAPSES = 4096

#: Fewest synapses per target neuron for that: what arrives must be read again at every step.
FAN_IN = 128


#: Most synapses of a projection whose gradients are accumulated spike by spike.  Each spike then
#: reads and writes all that belongs to its synapses, 14 bytes for each: the last cache must hold
#: that.
PER_SPIKE_SYNAPSES = 2**19

#: Most bytes of a record of a whole trial, for each thread.  If it would be longer, gradients are
#: accumulated spike by spike however many synapses there are: writing and clearing the record at
#: every step then takes longer than the synapses that are out of the cache.
RECORD = 2**27


def short_records(spec, n_steps: int, itemsize: int) -> frozenset[str]:
    """Return the pathways whose targets may have a record of what arrives in a whole trial.

    It has two numbers for each neuron and time step.
    """
    size = {g.name: g.size for g in spec.groups}
    most = RECORD // (2 * itemsize * max(n_steps, 1))
    return frozenset(p.name for p in spec.pathways if size[p.target] <= most)


def precomputed_pathways(spec, dense_rows: frozenset[str]) -> frozenset[str]:
    """Return the pathways whose spikes are summed before the first step."""
    inputs, size = {i.name for i in spec.inputs}, {g.name: g.size for g in spec.groups}
    given = (p for p in spec.pathways if p.source in inputs)
    many = (p.name for p in given if p.size >= max(PRECOMPUTED_SYNAPSES, FAN_IN * size[p.target]))
    return frozenset(many) - dense_rows


def per_spike_pathways(spec, others: frozenset[str], recorded: frozenset[str]) -> frozenset[str]:
    """Return the pathways whose gradients are accumulated spike by spike.

    The `others` have a layout; those among `recorded` may have a record of the whole trial.
    """
    few = (p.name for p in spec.pathways if p.size <= PER_SPIKE_SYNAPSES or p.name not in recorded)
    return frozenset(few) - others


def known_autapses(system: AdjointSystem, network: NetworkValues) -> frozenset[str]:
    """Return the groups whose spikes may arrive at their own neuron at once, before the reset.

    Only those where the order matters.  A delay that is trained may become 0.
    """
    loops = (p for p in system.pathways if p.pathway.source == p.pathway.target)
    found = (p for p in loops if _at_once(p.pathway, system, network) and order_matters(system, p))
    return frozenset(p.pathway.target for p in found)


def _at_once(pathway, system, network) -> bool:
    """Whether a neuron has, or may come to have, a synapse onto itself without delay."""
    pre, post = network.pre[pathway.name], network.post[pathway.name]
    delays = np.asarray(network.values[pathway.delay])
    steps = np.rint((delays[pre] if pathway.axonal else delays) / system.spec.dt)
    own = pre == post
    return bool(np.any(own if pathway.delay in system.trained else own & (steps == 0)))


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
    longest = (steps for binder, steps in pairs if not binder.code.per_spike)
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
    recorded = [binder for binder in arriving if not binder.code.per_spike]
    largest = max(recorded or arriving, key=lambda binder: binder.size)
    pairs = max(largest.n_source * size, 1)
    wanted = min(TILE * pairs / max(largest.size, 1), size)
    return max(TILE, 1 << max(int(np.ceil(wanted)) - 1, 0).bit_length())
