"""Call the event solver's kernels: the components of a network, one after the other.

A component runs all trials of a chunk before the next one begins, with the spikes of those before
it as its input; backwards it is the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np

from brian_eventprop.codegen.event import EventComponent, EventModule
from brian_eventprop.runtime.event_arrays import backward_arrays, forward_arrays

Arrays = Mapping[tuple[str, str], np.ndarray]


class EventChain:
    """The kernels of a network.

    Parameters
    ----------
    module
        The rendered kernels.
    load
        Returns a generated module, given its text.
    duration
        Duration of a trial in seconds.
    """

    def __init__(self, module: EventModule, load: Callable[[str], ModuleType], duration: float):
        self.duration, self._inputs = duration, frozenset(module.inputs)
        loaded = [(component, load(component.source)) for component in module.components]
        forward = [(component, kernels.forward) for component, kernels in loaded]
        backward = [(component, kernels.backward) for component, kernels in reversed(loaded)]
        self.forward = _Pass(self._forward, forward)
        self.backward = _Pass(self._backward, backward)

    def _forward(self, kernels, first, last, windows, arrays: Arrays) -> dict:
        """Run a chunk of trials; return what it leaves for the backward pass."""
        tapes: dict[tuple[str, str], np.ndarray] = {}
        for component, kernel in kernels:
            spikes = []
            for name in component.sources:
                spikes += self._spikes(name, first, last, arrays, tapes)
            own = [arrays[pair] for pair in component.arguments]
            work = forward_arrays(component, arrays, last - first, windows, spikes[1::2])
            found = self._call(component, kernel, first, last, windows, [*spikes, *own, *work])
            tapes.update(zip(component.tapes, found, strict=True))
        return tapes

    def _backward(self, kernels, first, last, windows, with_inputs: bool, arrays: Arrays) -> int:
        """Take a chunk of trials backwards; return the number of spikes that graze."""
        grazing = 0
        for component, kernel in kernels:
            given = []
            for name in component.sources:
                is_input = name in self._inputs
                if component.bulk:
                    given += self._spikes(name, first, last, arrays, arrays)
                    given.append(with_inputs or not is_input)
                given.append(arrays[name, "TB" if is_input else "sent"])
            given += [arrays[pair] for pair in component.arguments]
            given += backward_arrays(component, arrays, last - first, windows)
            given += [arrays[pair] for pair in (*component.tapes, *component.gradients)]
            grazing += self._call(component, kernel, first, last, windows, given)
        return grazing

    def _spikes(self, name, first, last, arrays, tapes):
        """The spikes of a source, and where those of each trial begin."""
        if name in self._inputs:
            return arrays[name, "spikes"], arrays[name, "ptr"][first : last + 1]
        return tapes[name, "spikes"], tapes[name, "bounds"]

    def _call(self, component: EventComponent, kernel, first, last, windows, given):
        running = np.zeros(1, np.int64)
        names = [g.name for g in component.groups]
        try:
            return kernel(first, last, self.duration, windows[names[0]], running, *given)
        except FloatingPointError as error:  # kernels know no names, and put no numbers into texts
            text, *numbers = error.args
            text = text % tuple(numbers) if numbers else text
            raise FloatingPointError(f"{names[running[0]]}: {text}") from None


class _Pass:
    """One way through the components, as a kernel that takes a chunk of trials."""

    def __init__(self, function: Callable, kernels: list):
        self._function, self._kernels = function, kernels

    def __call__(self, first: int, last: int, *arguments):
        return self._function(self._kernels, first, last, *arguments)

    @property
    def signatures(self) -> list:
        """Signatures that are compiled; none while one of the kernels is not."""
        found = [kernel.signatures for _, kernel in self._kernels]
        return found if all(found) else []
