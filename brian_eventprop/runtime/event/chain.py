"""Call the event solver's kernels: the components of a network, one after the other.

A component runs all trials of a chunk before the next one begins, with the spikes of those before
it as its input; backwards it is the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np

from brian_eventprop.codegen.event.network import EventComponent, EventModule
from brian_eventprop.runtime.event.work import EventWork
from brian_eventprop.runtime.trial_pool import completed

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
        self.duration, self._inputs, self._work = duration, frozenset(module.inputs), EventWork()
        loaded = [(component, load(component.source)) for component in module.components]
        self.functions = {k: f for pair in loaded for k, f in _functions(*pair).items()}
        forward = [(component, kernels.forward) for component, kernels in loaded]
        backward = [(component, kernels.backward) for component, kernels in reversed(loaded)]
        self.forward = _Pass(self._forward, forward)
        self.backward = _Pass(self._backward, backward)

    def prepare(self, windows: Mapping[str, int], arrays: Arrays, backward: tuple | None = None):
        """Return the arguments of a pass that all chunks of a batch share.

        Parameters
        ----------
        windows
            Number of windows of each group.
        arrays
            What the kernels are given.
        backward
            For the backward pass, whether dL/d(time) of the inputs' spikes is wanted.
        """
        steps = self.backward.kernels if backward else self.forward.kernels
        prepared = []
        for component, _ in steps:
            pairs = component.arguments
            if backward:
                pairs = (*pairs, *component.event_logs, *component.gradients)
            name = component.groups[0].name
            arranged = self._work.pool(component, bool(backward), arrays, windows[name])
            prepared.append((windows[name], arranged, completed((), pairs, arrays)))
        return arrays, prepared, *(backward or ())

    def _forward(self, first, last, arrays: Arrays, prepared: list) -> dict:
        """Run a chunk of trials; return what it leaves for the backward pass."""
        event_logs: dict[tuple[str, str], np.ndarray] = {}
        steps = zip(self.forward.kernels, prepared, strict=True)
        for (component, kernel), (windows, pool, complete) in steps:
            given = []
            for name in component.sources:
                given += self._spikes(name, first, last, arrays, event_logs)
            work = pool.take(last - first)
            given += [*complete({}), *work]
            found = self._call(component, kernel, first, last, windows, given)
            event_logs.update(zip(component.event_logs, found, strict=True))
            pool.give_back(work)
        return event_logs

    def _backward(self, first, last, arrays: Arrays, prepared: list, with_inputs, own: Arrays):
        """Take a chunk of trials backwards; return the number of spikes that graze.

        ``own`` are the arrays of this chunk.
        """
        grazing = 0
        steps = zip(self.backward.kernels, prepared, strict=True)
        for (component, kernel), (windows, pool, complete) in steps:
            given = []
            for name in component.sources:
                is_input = name in self._inputs
                if component.batched:
                    given += self._spikes(name, first, last, arrays, own)
                    given.append(with_inputs or not is_input)
                given.append(
                    arrays[name, "d_input_time"] if is_input else own[name, "d_spike_time"]
                )
            work = pool.take(last - first)
            given += [*complete(own), *work]
            grazing += self._call(component, kernel, first, last, windows, given)
            pool.give_back(work)
        return grazing

    def _spikes(self, name, first, last, arrays, event_logs):
        """The spikes of a source, and where those of each trial begin."""
        if name in self._inputs:
            return arrays[name, "spikes"], arrays[name, "ptr"][first : last + 1]
        return event_logs[name, "spikes"], event_logs[name, "bounds"]

    def _call(self, component: EventComponent, kernel, first, last, windows, given):
        running = np.zeros(1, np.int64)
        try:
            return kernel(first, last, self.duration, windows, running, *given)
        except FloatingPointError as error:  # kernels know no names, and put no numbers into texts
            text, *numbers = error.args
            text = text % tuple(numbers) if numbers else text
            name = component.groups[running[0]].name
            raise FloatingPointError(f"{name}: {text}") from None


def _functions(component: EventComponent, kernels: ModuleType) -> dict[str, Callable]:
    """The generated functions of a component, named after its groups."""
    found = {}
    for name, value in vars(kernels).items():
        if callable(value) and getattr(value, "__module__", "") == kernels.__name__:
            number, _, rest = name.partition("_")
            own = number.removeprefix("g") if number.startswith("g") else ""
            groups = [component.groups[int(own)]] if own.isdecimal() else component.groups
            key = ", ".join(g.name for g in groups)
            found[f"{key}.{rest if own.isdecimal() else name}"] = value
    return found


class _Pass:
    """One way through the components, as a kernel that takes a chunk of trials."""

    def __init__(self, function: Callable, kernels: list):
        self._function, self.kernels = function, kernels

    def __call__(self, first: int, last: int, *arguments):
        return self._function(first, last, *arguments)

    @property
    def signatures(self) -> list:
        """Signatures that are compiled; none while one of the kernels is not."""
        found = [kernel.signatures for _, kernel in self.kernels]
        return found if all(found) else []
