"""Which neurons the synapses of a model connect, and other ones for the next run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brian_eventprop._checks import plain_numbers
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading.spec import Pathway


class WiredModel:
    """The connections of a model's projections."""

    def targets(self, pathway: str) -> np.ndarray:
        """Return the index of the target neuron of each synapse of a pathway."""
        return self._network.post[pathway]

    def ends(self, synapses) -> tuple[int, int]:
        """Return how many source and target neurons a `Synapses` object (or its name) has."""
        obj, _ = self._projection(synapses)
        return len(obj.source), len(obj.target)

    def connections(self, synapses, first: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return source and target of each synapse, as ``s.i`` and ``s.j`` of a `Synapses`.

        With `first`, those with which the model was made.
        """
        obj, (pathway, *_) = self._projection(synapses)
        network = self._as_read if first else self._network
        i = network.pre[pathway] - getattr(obj.source, "start", 0)
        return i, network.post[pathway] - getattr(obj.target, "start", 0)

    def wiring(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the connections of every projection that was rewired, by its name."""
        return {name: self.connections(name) for name in self._rewired}

    def reconnect(self, synapses, i, j) -> None:
        """Give the synapses of a projection other sources and targets, for the next run.

        Parameters
        ----------
        synapses : `Synapses` or str
            The object or its name.
        i, j : array
            Source and target of each synapse, as many as there are; weights, delays and all else
            stay with their synapse.  `write_back` writes them into the Brian2 object.
        """
        obj, pathways = self._projection(synapses)
        if any(c.owner == obj.name for c in self.spec.couplings):
            raise UnsupportedError(
                f"Synapses '{obj.name}' cannot be rewired: they have a (summed) variable. Use "
                "Synapses of their own for it."
            )
        if any(key[0] in (obj.name, *pathways) for key in self._tied.keys):
            raise UnsupportedError(
                f"Synapses '{obj.name}' cannot be rewired: a variable of them is an expression. "
                "Train the variable itself."
            )
        used = {(obj.name, name) for name in ("i", "j", "N_incoming", "N_outgoing")}
        if used & set(self._values):
            raise UnsupportedError(
                f"Synapses '{obj.name}' cannot be rewired: its code uses the index of a neuron, "
                "or its number of synapses. Use a synaptic variable in its place."
            )
        if any(p.alone for p in self.spec.pathways if p.synapses == obj.name):
            raise UnsupportedError(
                f"Synapses '{obj.name}' cannot be rewired: the result of its code depends on the "
                "order of arrivals, of which each neuron has one synapse only now."
            )
        ends = []
        for given, end, what in ((i, obj.source, "i"), (j, obj.target, "j")):
            given = plain_numbers(given, what)
            inside = given.shape == (len(obj),) and np.all((given >= 0) & (given < len(end)))
            if not inside or np.any(given != given.astype(np.int64)):
                raise ValueError(f"{what} must be {len(obj)} indices in 0..{len(end) - 1}")
            ends.append(given.astype(np.int64) + getattr(end, "start", 0))
        pre, post = dict(self._network.pre), dict(self._network.post)
        for pathway in pathways:
            pre[pathway], post[pathway] = ends
            self._solver.reconnect(pathway, *ends)
        self._network = replace(self._network, pre=pre, post=post)
        self._rewired[obj.name] = self._last = self._recorder = None

    def _of_synapses(self) -> list[Pathway]:
        """Return the pathways of `Synapses`, not of other events or of a `PoissonInput`."""
        return [p for p in self.spec.pathways if not p.of_event and p.source not in self._drawn]

    def _projection(self, synapses):
        name = getattr(synapses, "name", synapses)
        own = self._of_synapses()
        pathways = [p.name for p in own if p.synapses == name]
        if not pathways:
            known = ", ".join(dict.fromkeys(p.synapses for p in own)) or "none"
            raise ValueError(f"'{name}' is no Synapses object of the model; it has: {known}")
        return next(obj for obj in self.objects if obj.name == name), pathways
