"""Numbers of a network into the arrays that the CUDA kernels read.

Few numbers change between batches: those of the trained synapses, which a kernel packs on the
device, and inputs.  Everything else is copied again only if it has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.codegen.cuda.stages import homes_of
from brian_eventprop.runtime.cuda.arrays import by_end
from brian_eventprop.runtime.cuda.update import Held
from brian_eventprop.runtime.cuda.values import DeviceValues
from brian_eventprop.runtime.readouts import Samples, grid_samples, places_on_grid


class CudaPacking:
    """Packs the constants of a network.

    Parameters
    ----------
    module
        The rendered kernels.
    groups, pathways, couplings
        The binders, by name; see `brian_eventprop.runtime.binding.binder`.
    held
        The variables that stay on the device.
    workspace
        The memory of the solver.
    n_steps, dt
        The time grid.

    Attributes
    ----------
    longest
        Longest delay of each pathway in steps, as of the last batch.
    ring_size
        Entries of all rings of a trial.
    samples
        Where each readout at given times is sampled, by its number.
    """

    def __init__(
        self, module, groups, pathways, held: Held, workspace, n_steps: int, dt: float,
        couplings: Mapping = {},
    ):  # fmt: skip
        self.module, self.groups, self.pathways = module, groups, pathways
        self.held, self.workspace, self.dtype = held, workspace, workspace.dtype
        self.n_steps, self.dt = n_steps, dt
        self.couplings = couplings
        #: The ends of couplings never change, nor does the order of their synapses.
        self._ends = {c.name: _ends_of(c, couplings[c.name]) for c in module.couplings}
        self.samples: dict[int, Samples] = {}
        self._sample_places = {}
        for g in module.groups:
            own = grid_samples(g, dt, n_steps)
            self.samples |= own
            self._sample_places[g.name] = places_on_grid(own.values(), n_steps)
        self.longest: dict[str, int] = {}
        self.ring_size = 0

    def __call__(self, values: DeviceValues, orders: Mapping) -> tuple[dict, dict]:
        """Return the names' values of every part, and the arrays; ``orders`` sort the synapses."""
        constants, host = {}, {}
        known = values.as_they_are()  # what the device has changed is not read here
        for g in self.module.groups:
            binder = self.groups[g.name]
            v = constants[g.name] = binder.bind(known)
            host[g.name, "X0"] = binder.initial(known, self.dtype)
            host[g.name, "C"] = binder.shared(v, self.dtype)
            host[g.name, "P"] = binder.per_element(v, self.dtype)
            if g.at_times:
                host[g.name, "sample_place"] = self._sample_places[g.name]
            if g.fixed_period:
                limit = np.iinfo(np.int32).max // 2
                steps = np.minimum(binder.refractory_steps(v), limit)
                host[g.name, "R"] = steps.astype(np.int32)
        for p in self.module.pathways:
            constants[p.name] = self.pathways[p.name].bind(known)
        arrays, ends = self.held.pack(values, constants, orders)
        for p in self.module.pathways:
            host |= self._pathway(p, known, constants[p.name], orders[p.name], ends)
        for c in self.module.couplings:
            binder, (order, ends) = self.couplings[c.name], self._ends[c.name]
            v = constants[c.name] = binder.bind(known)
            host |= {(c.name, role): array for role, array in ends.items()}
            host[c.name, "C"] = binder.shared(v, self.dtype)
            host[c.name, "W"] = binder.per_element(v, self.dtype, order)
        host["", "shape"] = self._ring_shape()
        host["", "times"] = (np.arange(self.n_steps + 1) * self.dt).astype(self.dtype)
        return constants, {k: self.workspace.send(k, array) for k, array in host.items()} | arrays

    def _pathway(self, p, values, v, order, ends):
        binder, host = self.pathways[p.name], {}
        host[p.name, "C"] = binder.shared(v, self.dtype)
        if p.name not in self.held.pathways:
            host[p.name, "W"] = binder.per_element(v, self.dtype, order)
        if p.name in ends:
            shortest, longest = (int(n) for n in ends[p.name])
        else:
            narrow = np.uint16 if self.n_steps < 2**16 else np.int32
            steps = np.minimum(binder.steps(values), self.n_steps)
            host[p.name, "steps"] = (steps if order is None else steps[order]).astype(narrow)
            shortest = int(steps.min(initial=self.n_steps))
            longest = int(steps.max(initial=0))
        self.longest[p.name] = longest
        created = np.arange(binder.size) if order is None else order
        if p.synaptic:
            host[p.name, "synapse"] = created.astype(np.int32)
        if p.adjoint.pre:
            host[p.name, "pre"] = pre = binder.indices["pre"][created].astype(np.int32)
            size = p.pre_group.size
            host[p.name, "first_of_pre"], host[p.name, "next_of_pre"] = by_end(pre, size)
        if p.in_turn:
            host[p.name, "post"] = binder.receivers[created].astype(np.int32)
            # of each source, in the order of creation
            place = np.argsort(created)
            first, chosen = by_end(binder.senders, binder.n_source)
            host[p.name, "first_in_turn"] = first
            host[p.name, "next_in_turn"] = place[chosen].astype(np.int32)
        if p in homes_of(self.module.pathways):
            rows = [np.broadcast_to(values[p.synapses, s], binder.size) for s in p.adjoint.synaptic]
            host[p.name, "initial"] = np.array(rows, self.dtype)
        if not p.ring:
            host[p.name, "delays"] = np.array([shortest, longest], np.int32)
        return host

    def _ring_shape(self):
        """Return, per group, the number of slots of its rings and where each ring begins."""
        groups = self.module.groups
        most = max((len(g.ring_states) for g in groups), default=0)
        shape, used = np.zeros((len(groups), 1 + most), np.int32), 0
        for g in groups:
            arriving = [
                self.longest[p.name]
                for p in self.module.pathways
                if p.target is g and not p.precomputed
            ]
            shape[g.number, 0] = slots = max(arriving, default=0) + 1
            for k in range(len(g.ring_states)):
                shape[g.number, 1 + k] = used
                used += slots * g.size
        self.ring_size = used
        return shape

    def order(self, coupling: str) -> np.ndarray:
        """Return how the synapses of a coupling are sorted: by the neurons with the sums."""
        return self._ends[coupling][0]


def _ends_of(c, binder) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the order of the synapses of a coupling, and the neurons at their ends."""
    first, order = by_end(binder.indices[c.side], c.receiver.size)
    ends = {side: neurons[order].astype(np.int32) for side, neurons in binder.indices.items()}
    others, receivers = ends[c.other_side], ends[c.side]
    arrays = {"first": first, "others": others, "receivers": receivers}
    size = int(others.max(initial=-1)) + 1 if c.other is None else c.other.size
    arrays["first_other"], arrays["next_other"] = by_end(others, size)
    return order, arrays
