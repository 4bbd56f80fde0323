"""The arrays that the event solver's chunks of trials add their gradients to, and their sums.

The sums are taken in the chunks' order.  In one thread the chunks follow each other, so that two
sets of arrays are enough; they are kept between batches, since getting zeros from the system takes
longer than writing them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.runtime.event.synapses import move_into
from brian_eventprop.runtime.timed_inputs import TimedGradients
from brian_eventprop.runtime.trial_pool import TrialPool


class EventSums:
    """Arrays per chunk, kept between batches.

    Parameters
    ----------
    module, groups, pathways
        The rendered kernels and the binders of their parts.
    trial_pool
        What runs the passes over long arrays.
    timed
        The gradients of timed arrays.
    """

    def __init__(
        self, module, groups: Mapping, pathways: Mapping, trial_pool: TrialPool,
        timed: TimedGradients,
    ):  # fmt: skip
        self.module, self._groups, self._pathways = module, groups, pathways
        self.timed = timed
        self._move_into = trial_pool.function(move_into)
        #: Arrays that are not in use, all of them zero.
        self._spare: list[dict[tuple[str, str], np.ndarray]] = []
        self._given: dict[int, dict[tuple[str, str], np.ndarray]] = {}
        self._total: dict[tuple[str, str], np.ndarray] | None = None
        self._alone = False

    def begin(self, alone: bool) -> None:
        """Begin a batch; ``alone`` if each chunk is done before the next one asks for arrays."""
        left = [*self._given.values(), *([self._total] if self._total else [])]
        for own in left:
            for array in own.values():
                array[...] = 0
        self._spare += left
        self._given, self._total, self._alone = {}, None, alone

    def arrays(self, chunk: int) -> dict[tuple[str, str], np.ndarray]:
        """Return the arrays that a chunk of trials adds to, zero."""
        if self._alone and self._given:
            self._add(self._given.popitem()[1])
        own = self._given[chunk] = self._spare.pop() if self._spare else self._new()
        return own

    def total(self) -> dict[tuple[str, str], np.ndarray]:
        """Return the sums over the chunks; they hold until the next batch begins."""
        for chunk in sorted(self._given):
            self._add(self._given.pop(chunk))
        return self._total

    def _add(self, own):
        if self._total is None:
            self._total = own
            return
        for pair, array in own.items():
            self._move_into(self._total[pair].reshape(-1), array.reshape(-1))
        self._spare.append(own)

    def _new(self):
        arrays = self.timed.of_chunk()
        for g in self.module.groups:
            size = self._groups[g.name].size
            arrays[g.name, "grad_shared"] = np.zeros(len(g.shared_grads))
            arrays[g.name, "grad_neuron"] = np.zeros((len(g.element_grads), size))
            arrays[g.name, "grad_initial"] = np.zeros((size, g.n_states))
            if g.fixed_period:
                arrays[g.name, "grad_refractory"] = np.zeros(size)
        for p in self.module.pathways:
            size = self._pathways[p.name].size
            if p.synaptic and p.home is p:
                arrays[p.name, "grad_initial"] = np.zeros((len(p.synaptic), size))
            if p.target.batched:
                n_sums = len(p.target.batched.of(p)) if p.sums else 0
                arrays[p.name, "grad_sums"] = np.zeros(size * n_sums)
                continue
            arrays[p.name, "grad_shared"] = np.zeros(len(p.shared_grads))
            arrays[p.name, "grad_weight"] = np.zeros((len(p.element_grads), size))
            arrays[p.name, "grad_delay"] = np.zeros(size if p.delay_trained else 0)
        for c in self.module.couplings:
            arrays[c.name, "grad_shared"] = np.zeros(len(c.shared_grads))
            shape = len(c.element_grads), c.adjoint.coupling.size
            arrays[c.name, "grad_weight"] = np.zeros(shape)
        return arrays
