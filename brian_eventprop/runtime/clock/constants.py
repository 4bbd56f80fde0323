"""What the clock solver's kernels on the CPU read and no batch brings: constants, delays, layouts.

Training changes few of them.  What is made of values that are still the same is taken again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from brian_eventprop.codegen.expr.operations import TIME_STEP, ArrayKey
from brian_eventprop.runtime.array_passes import ArrayPasses
from brian_eventprop.runtime.binding.remembered import Remembered
from brian_eventprop.runtime.layouts import ring_shape
from brian_eventprop.runtime.readouts import Samples, grid_samples, places_on_grid
from brian_eventprop.runtime.trial_pool import TrialPool


class ClockConstants:
    """The constants of a network for the clock solver on the CPU.

    Parameters
    ----------
    module
        The rendered kernels.
    groups, pathways, couplings
        The binders, by name; see `brian_eventprop.runtime.binding.binder`.
    dt, n_steps
        The time step in seconds, and how many a trial has.
    dtype
        The kind of the states.
    trial_pool
        The threads.
    """

    def __init__(
        self, module, groups, pathways, dt: float, n_steps: int, dtype, trial_pool: TrialPool,
        couplings: Mapping = {},
    ):  # fmt: skip
        self.module, self.groups, self.pathways = module, groups, pathways
        self.couplings = couplings
        self.n_steps, self.dtype, self.trial_pool = n_steps, dtype, trial_pool
        self._time_step = np.array([dt])
        #: Where each readout at given times is sampled, by its number.
        self.samples: dict[int, Samples] = {}
        self._sample_places = {}
        for g in module.groups:
            own = grid_samples(g, dt, n_steps)
            self.samples |= own
            self._sample_places[g.name] = places_on_grid(own.values(), n_steps)
        self.forget()

    def forget(self) -> None:
        """Make everything again: synapses have other ends."""
        self._of_groups, self._shapes, self._delays, self._layouts = {}, {}, {}, {}
        for g in self.module.groups:
            keys = [*self.groups[g.name].keys, *map(g.adjoint.group.start, g.states)]
            self._of_groups[g.name] = Remembered(keys)
            if g.rings:
                self._shapes[g.name] = Remembered(())
        for p in self.module.pathways:
            keys = [self.pathways[p.name].delay]
            self._delays[p.name] = Remembered(keys)
            self._layouts[p.name] = Remembered(keys)

    def __call__(self, values: Mapping, passes: ArrayPasses) -> tuple[dict, dict, dict, dict]:
        """Return arrays that may be those of the last call, others, the names' values, the orders.

        The values of the names are by group or pathway, and so are the orders in which gradients of
        synapses come.  Some arrays are there once `passes` are made.
        """
        shared: dict[ArrayKey, np.ndarray] = {TIME_STEP: self._time_step}
        own: dict[ArrayKey, np.ndarray] = {}
        constants, orders = {}, {}
        for g in self.module.groups:
            constants[g.name], arrays = self._of_groups[g.name](partial(self._group, g), values)
            shared |= arrays
        longest = {
            p.name: self._delays[p.name](partial(self._longest, p), values)
            for p in self.module.pathways
            if p.ring
        }
        for g in self.module.groups:
            if g.rings:
                arriving = [longest[p.name] for p in self.module.pathways if p.target is g]
                shared[g.name, "shape"] = self._shapes[g.name](
                    partial(self._shape, g), values, *arriving
                )
        for p in self.module.pathways:
            binder = self.pathways[p.name]
            v = constants[p.name] = binder.bind(values)
            shape = shared[p.target.name, "shape"].tolist() if p.ring else ()
            make = partial(self._layout, p)
            order, orders[p.name], arrays = self._layouts[p.name](make, values, *shape)
            shared |= arrays
            own[p.name, "C"] = self._common(binder, v)
            own[p.name, "W"] = binder.per_element(v, self.dtype, order, passes)
        for name, binder in self.couplings.items():
            v = constants[name] = binder.bind(values)
            shared |= {(name, role): array for role, array in binder.ends().items()}
            own[name, "C"] = self._common(binder, v)
            own[name, "W"] = binder.per_element(v, self.dtype)
        return shared, own, constants, orders

    def _group(self, g, values):
        """The values of a group's names, and the arrays that are made of them."""
        binder = self.groups[g.name]
        v = binder.bind(values)
        arrays = {
            (g.name, "X0"): binder.initial(values, self.dtype),
            (g.name, "C"): self._common(binder, v),
            (g.name, "P"): binder.per_element(v, self.dtype),
        }
        if g.at_times:
            arrays[g.name, "sample_place"] = self._sample_places[g.name]
        if g.fixed_period:
            steps = arrays[g.name, "R"] = binder.refractory_steps(v)
            arrays[g.name, "longest"] = np.array([steps.max(initial=0)])
        return v, arrays

    def _common(self, binder, v) -> np.ndarray:
        """Pack the constants common to all, and the reciprocals of some, as the kernels round."""
        common = binder.shared(v, self.dtype)
        scope = binder.code.scope
        if not scope.inverted:
            return common
        at = [scope.shared.index(name) for name in scope.inverted]
        with np.errstate(divide="ignore"):
            return np.concatenate((common, self.dtype(1) / common[at]))

    def _longest(self, p, values) -> int:
        """The longest delay of a pathway in time steps; delays that are no times are refused."""
        binder = self.pathways[p.name]
        return binder.longest(binder.delays(values))

    def _shape(self, g, values, *longest) -> np.ndarray:
        """The sizes of the ring of a group."""
        del values
        arriving = [self.pathways[p.name] for p in self.module.pathways if p.target is g]
        return ring_shape(g.name, arriving, longest, self.groups[g.name].size, self.n_steps)

    def _layout(self, p, values, *shape):
        """The order of a pathway's synapses, that of their gradients, and the arrays of both."""
        binder, passes = self.pathways[p.name], ArrayPasses(self.trial_pool)
        delays = binder.by_synapse(values[binder.delay])
        order, back, arrays = p.layout.pack(binder, delays, shape, self.n_steps, passes)
        passes.run()
        return order, back, {(p.name, role): array for role, array in arrays.items()}
