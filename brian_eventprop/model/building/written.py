"""The way back from a model to the Brian2 objects, and into a file."""

from __future__ import annotations

from brian2 import get_logger

from brian_eventprop.data.parameter_files import save_parameters
from brian_eventprop.reading import (
    per_synapse,
    write_connections,
    write_timed_values,
    write_values,
)

logger = get_logger(__name__)


class WrittenModel:
    """What writes trained values."""

    def write_back(self) -> None:
        """Write the trained values into the Brian2 objects; a plain Brian2 run then uses them."""
        self._mention_changes()
        self._compute()
        keys = [key for key in self.parameters.keys if not self._is_quantity(key)]
        trained = {key: self._values[key] for key in (*keys, *self._tied.keys)}
        write_timed_values({key: trained.pop(key) for key in self._timed_keys}, self._network)
        write_values(per_synapse(trained, self.spec, self._network), self.spec, self.objects)
        for name in dict.fromkeys(p.synapses for p in self._of_synapses()):
            obj, (pathway, *_) = self._projection(name)
            write_connections(obj, self._network.pre[pathway], self._network.post[pathway])
        self._in_brian2.refresh()

    def save(self, path) -> None:
        """Write the trained values to an HDF5 file, with units and connections.

        Parameters
        ----------
        path : path-like
            The file, replaced only when the new one is complete; `load_parameters` reads it.
        """
        save_parameters(self, path)

    def _mention_changes(self) -> None:
        """Say what was changed in Brian2's objects since the model has read or written them."""
        if changed := self._in_brian2.changes():
            logger.warn(
                f"After this model was made, values were changed in Brian2: {', '.join(changed)}. "
                "The model goes on with the values that it has: change trained ones in "
                "model.parameters, and make a new model for all others.",
                "changed",
            )
