"""The arrays that chunks of trials add their gradients to, and their sums in the chunks' order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.kernels.clock.tiles import sum_chunks
from brian_eventprop.runtime.array_passes import ArrayPasses
from brian_eventprop.runtime.backends import Arrays
from brian_eventprop.runtime.timed_inputs import TimedGradients
from brian_eventprop.runtime.trial_pool import CHUNKS, TrialPool


class ChunkSums:
    """Arrays per chunk, kept between batches.

    Parameters
    ----------
    module, groups, pathways
        The rendered kernels and the binders of their parts.
    dtype
        Of the states.
    keys
        Of the arrays that the kernels know.
    """

    def __init__(self, module, groups: Mapping, pathways: Mapping, dtype, keys):
        self.module, self.groups, self.pathways, self.dtype = module, groups, pathways, dtype
        self._keys = frozenset(keys)
        self._private: dict[int, dict[tuple[str, str], np.ndarray]] = {}
        self._described: dict[int, Arrays] = {}
        self._cleared: set[tuple[str, int]] = set()
        self._pairs: dict[str, np.ndarray] = {}
        self._both: dict[str, np.ndarray] = {}
        self._timed: TimedGradients | None = None
        self.make_room()

    def make_room(self) -> None:
        """Take arrays of other sizes if rows of synapses have become longer or shorter."""
        for p in self.module.pathways:
            # weights and delays side by side, one row per chunk; cleared while they are read
            shape = CHUNKS, 2 * self.pathways[p.name].stored
            if p.layout.paired and np.shape(self._pairs.get(p.name)) != shape:
                self._pairs[p.name] = np.zeros(shape, self.dtype)
                # new memory for the sums would have to be mapped page by page in every batch
                self._both[p.name] = np.empty((2, self.pathways[p.name].size))
                self._private.clear()

    def make_room_for(self, timed: TimedGradients) -> None:
        """Take arrays for the gradients of timed arrays, which a batch may have in other shapes."""
        if self._timed is None or self._timed.shared != timed.shared:
            self._timed = timed
            self._private.clear()

    def arrays(self, chunk: int) -> Arrays:
        """Return the arrays that a chunk of trials adds to, zero."""
        if chunk not in self._private:
            own = self._private[chunk] = self._new(chunk)
            known = {key: array for key, array in own.items() if key in self._keys}
            self._described[chunk] = Arrays(known)
        for (name, role), array in self._private[chunk].items():
            if role != "grad_synapses" and (
                role != "grad_synapses_flat" or (name, chunk) not in self._cleared
            ):
                array.fill(0)
        self._cleared -= {(name, chunk) for name in self._pairs}
        return self._described[chunk]

    def _new(self, chunk):
        arrays = self._timed.of_chunk() if self._timed else {}
        for g in self.module.groups:
            size = self.groups[g.name].size
            arrays[g.name, "grad_shared"] = np.zeros(len(g.shared_grads))
            arrays[g.name, "grad_neuron"] = np.zeros((len(g.element_grads), size))
            arrays[g.name, "grad_initial"] = np.zeros((g.n_states, size))
            if g.fixed_period:
                arrays[g.name, "grad_refractory"] = np.zeros(size)
        for c in self.module.couplings:
            arrays[c.name, "grad_shared"] = np.zeros(len(c.shared_grads))
            shape = len(c.element_grads), c.adjoint.coupling.size
            arrays[c.name, "grad_weight"] = np.zeros(shape)
        for p in self.module.pathways:
            size = self.pathways[p.name].size
            if p.synaptic and not p.own_group:
                arrays[p.synapses, "grad_initial"] = np.zeros((len(p.synaptic), size))
            arrays[p.name, "grad_shared"] = np.zeros(len(p.shared_grads))
            if p.name in self._pairs:
                arrays[p.name, "grad_synapses_flat"] = self._pairs[p.name][chunk]
                pair = np.float64 if self.dtype == np.float32 else np.complex128
                arrays[p.name, "grad_synapses"] = arrays[p.name, "grad_synapses_flat"].view(pair)
            elif p.layout.by_row:
                arrays[p.name, "grad_weight"] = np.zeros((1, size), self.dtype)
                arrays[p.name, "grad_delay"] = np.zeros(self.pathways[p.name].n_source)
            else:
                arrays[p.name, "grad_weight"] = np.zeros((len(p.element_grads), size))
                arrays[p.name, "grad_delay"] = np.zeros(size if p.delay_trained else 0)
        return arrays

    def total(self, n_chunks: int, trial_pool: TrialPool, orders: Mapping) -> dict:
        """Return the sums over the chunks, in double precision.

        Those of pathways whose synapses are sorted by tile are in the order of creation then, and
        stay until the next batch.
        """
        private = [self._private[chunk] for chunk in range(n_chunks)]
        passes, sums = ArrayPasses(trial_pool), {}
        for name, role in private[0]:
            if role == "grad_synapses":
                continue
            if role != "grad_synapses_flat":
                sums[name, role] = _added_up([own[name, role] for own in private])
                continue
            both, order = self._both[name], orders[name]
            order = np.arange(0) if order is None else order
            passes.add(
                sum_chunks, self.pathways[name].stored, self._pairs[name][:n_chunks], order, *both
            )
            self._cleared |= {(name, chunk) for chunk in range(n_chunks)}
            sums[name, "grad_weight"], sums[name, "grad_delay"] = both[:1], both[1]
        passes.run()
        return sums

    @property
    def in_order(self) -> tuple[str, ...]:
        """The pathways whose sums are in the order of creation."""
        return tuple(self._pairs)


def _added_up(arrays) -> np.ndarray:
    """Return the sum of arrays in their order, in double precision."""
    total = arrays[0].astype(float)
    for array in arrays[1:]:
        total += array
    return total
