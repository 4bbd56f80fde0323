"""Copies of a model, with values of their own: neither kernels nor Brian2's objects are copied."""

from __future__ import annotations

import copy

from brian_eventprop._copies import NotPickled
from brian_eventprop.model.parameters import Parameters
from brian_eventprop.reading import ReadValues
from brian_eventprop.runtime import solver_for


class CopiedModel(NotPickled):
    """What ``copy`` and ``pickle`` do with a model."""

    instead = (
        "make the model where it is needed, and take its values there with model.save(path) and "
        "bep.load_parameters(path, model)"
    )

    def _solver_for(self, system, network):
        """Return a solver as that of the model, of a derived network with its values."""
        precision, threads, tolerance = self._options
        return solver_for(
            self.solver, self.backend, system, network, self.n_steps, precision, threads,
            float(self.duration), tolerance,
        )  # fmt: skip

    def __deepcopy__(self, memo):
        """Return a second model of the same Brian2 objects, with values and memory of its own.

        It has not been run.  `write_back` of either writes into the same Brian2 objects.
        """
        twin = memo[id(self)] = copy.copy(self)
        twin._solver = self._solver_for(self.system, self._network)
        hold = twin._solver.hold
        twin._values = hold({key: value.copy() for key, value in self._values.items()})
        network, keys = self._network, tuple(self.parameters.keys)
        twin.parameters = Parameters(
            keys, twin._values, network.dimensions, twin.key_of, hold, network.shapes
        )
        twin._last, twin._coming, twin._own = None, {}, {}
        twin._ran = twin._recorder = None
        twin._rewired = dict(self._rewired)
        twin._in_brian2 = ReadValues(self.spec, self._network, self.objects)
        return twin
