"""Numbers of a network into the arrays that the CUDA kernels read.

Few numbers change between batches: those of the trained synapses, which a kernel packs on the
device, and inputs.  Everything else is copied again only if it has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.runtime.cuda.update import Held
from brian_eventprop.runtime.cuda.values import DeviceValues
from brian_eventprop.runtime.readouts import Samples, grid_samples, places_on_grid


class CudaPacking:
    """Packs the constants of a network.

    Parameters
    ----------
    module
        The rendered kernels.
    groups, pathways
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

    def __init__(self, module, groups, pathways, held: Held, workspace, n_steps: int, dt: float):
        self.module, self.groups, self.pathways = module, groups, pathways
        self.held, self.workspace, self.dtype = held, workspace, workspace.dtype
        self.n_steps, self.dt = n_steps, dt
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
        if p.synaptic:
            created = np.arange(binder.size) if order is None else order
            host[p.name, "synapse"] = created.astype(np.int32)
        if p.synaptic and p.home is p:
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
