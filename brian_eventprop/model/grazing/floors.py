"""Least slopes of crossings with units, as a backward pass takes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial

import numpy as np

from brian_eventprop._units import to_si
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.model.vjp import per_trial
from brian_eventprop.reading import slope_dimensions
from brian_eventprop.runtime.optimizer_steps import HostGradients


class GrazingModel:
    """The part of a model that knows the slopes with which potentials cross their thresholds."""

    @cached_property
    def slope_dimensions(self) -> dict[str, object]:
        """The dimensions of the slopes of crossings, by the names of the groups that spike."""
        brian_groups = {obj.name: obj for obj in self.objects}
        return {
            g.name: slope_dimensions(g, brian_groups[g.name], self._namespace)
            for g in self.spec.groups
            if g.threshold and g.name in brian_groups
        }

    def trial_gradient_arrays(self, floors: Mapping = {}) -> HostGradients:
        """Return the gradients of each trial's own loss in the last run, by key.

        Plain arrays (trials, values) in SI units; each trial is run once more, on its own.

        Parameters
        ----------
        floors : dict, optional
            Least slopes of crossings, as from `slope_floors`.
        """
        run, keys = self._done(), self.parameters.keys
        back = partial(self._back, floors=floors, with_inputs=False)
        found = per_trial(self._alone(run), run.of_mean(True), back, keys)
        pool = self._solver.trial_pool
        return HostGradients(found.gradients, pool, found.grazing, found.slopes)

    def slope_floors(self, given) -> dict[str, float]:
        """Return the least slopes of crossings in SI units by group, after checking their units.

        Parameters
        ----------
        given : Quantity, dict or None
            One slope for all groups that spike, or one for each of some, by the Brian2 object or
            its name: ``{hidden: 0.02/ms}``.

        Raises
        ------
        UnsupportedError
            On CUDA.
        ValueError
            If a slope is negative or no single number, or a group does not spike.
        """
        if given is None:
            return {}
        if self.backend == "cuda":
            raise UnsupportedError(
                "Slopes of crossings stay in the kernels of CUDA: for a least slope and for "
                "gradients.report() make the model with backend='cpu'."
            )
        known = self.slope_dimensions
        pairs = given.items() if isinstance(given, Mapping) else [(name, given) for name in known]
        floors = {}
        for group, slope in pairs:
            name = getattr(group, "name", group)
            if name not in known:
                raise ValueError(f"'{name}' is no group that spikes; these are {', '.join(known)}")
            floor = to_si(slope, known[name], f"the least slope of '{name}'")
            if floor.size != 1 or not 0 <= floor.item() < np.inf:
                raise ValueError(f"the least slope of '{name}' must be one, not negative: {slope}")
            floors[name] = float(floor.item())
        return floors
