"""What a run leaves on the device: spikes and gradients, copied to the host when asked for.

The solver's next run takes over the memory; what somebody still holds then is copied before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from weakref import ref

import numpy as np

from brian_eventprop.data.spikes import occurrence
from brian_eventprop.reading.spec import Key


class Lease:
    """Lends what is on the device to the caller, until the next run takes the memory over."""

    def __init__(self):
        self._given: list[ref] = []

    def give(self, thing):
        """Lend a thing: remember it, and return it."""
        self._given.append(ref(thing))
        return thing

    def take_back(self) -> None:
        """Copy to the host what somebody still holds."""
        given, self._given = self._given, []
        for thing in given:
            if thing() is not None:
                thing().keep()


class DeviceSpikes:
    """Spikes of one group for a batch; see `GroupSpikes`.

    Parameters
    ----------
    needed
        Number of spikes of each trial.
    rows
        Returns the lists of all trials, rows (step, neuron, row before).
    count
        Returns the number of spikes of each neuron in each trial.
    total
        Returns that, summed over the trials.
    dt
        Brian2's time step in seconds.
    """

    def __init__(self, needed: np.ndarray, rows: Callable, count: Callable, total: Callable, dt):
        self.needed, self.dt = np.asarray(needed, np.int64), dt
        self._fetch, self._count, self._total = rows, count, total

    @cached_property
    def ptr(self) -> np.ndarray:
        """Where the spikes of each trial begin."""
        return np.concatenate(([0], np.cumsum(self.needed))).astype(np.int64)

    @cached_property
    def trials(self) -> np.ndarray:
        """Trial of each spike."""
        return np.repeat(np.arange(len(self.needed)), self.needed)

    @cached_property
    def _rows(self) -> np.ndarray:
        most = int(self.needed.max(initial=0))
        lists = self._fetch()[:, :most]
        return lists[np.arange(most) < self.needed[:, None]]

    @cached_property
    def neurons(self) -> np.ndarray:
        """Neuron of each spike."""
        return self._rows[:, 1].astype(np.int64)

    @cached_property
    def times(self) -> np.ndarray:
        """Time of each spike, as Brian2 records it."""
        return self._rows[:, 0] * self.dt

    @cached_property
    def rank(self) -> np.ndarray:
        """How many spikes of its neuron come before each spike in its trial."""
        width = int(self.neurons.max(initial=-1)) + 1
        return occurrence(self.trials * width + self.neurons)

    def per_trial(self) -> np.ndarray:
        """Return the number of spikes of each neuron in each trial."""
        return self._count()

    def counts(self, size: int) -> np.ndarray:
        """Return the number of spikes of each neuron, summed over the trials."""
        if "_rows" in vars(self):
            return np.bincount(self.neurons, minlength=size)
        return self._totals

    @cached_property
    def _totals(self) -> np.ndarray:
        return self._total()

    def keep(self) -> None:
        """Copy the spikes to the host."""
        _ = self._rows


class DeviceGradients(Mapping):
    """Gradients by key, NumPy arrays to whoever looks one up.

    Parameters
    ----------
    keys
        All trained variables.
    there
        Gradients on the device, of the variables that stay there.
    rest
        Returns the others.
    held
        The solver's `Held`.
    values
        Where the values of the variables are.
    grazing
        Returns the number of spikes whose part in the gradients is uncertain.
    """

    def __init__(
        self, keys: tuple[Key, ...], there: Mapping, rest: Callable, held, values, grazing: Callable
    ):
        self._keys, self.held, self._values = tuple(keys), there, values
        self._rest, self._solver_held, self._grazing = rest, held, grazing
        self._known: dict[Key, np.ndarray] = {}

    def __getitem__(self, key: Key) -> np.ndarray:
        if key not in self._known:
            if key in self.held:
                self._known[key] = self._solver_held.device.get(self.held[key])
            elif key in self._keys:
                self._known |= self._rest()
        return self._known[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def ordered(self, keys) -> DeviceGradients:
        """Return the gradients in another order of their keys."""
        self._keys = tuple(keys)
        return self

    def suspect(self) -> list[Key]:
        """Return the keys whose gradients may have entries that are not finite."""
        bad = set(self._solver_held.not_finite(self.held)) if self.held else set()
        return [key for key in self._keys if key not in self.held or key in bad]

    def step(self, kernel: str, key: Key, rate, bounds, memory, numbers) -> None:
        """Take an optimiser's step of a variable that stays on the device; see `Held.step`."""
        gradient = self.held[key]
        self._solver_held.step(kernel, gradient, key, self._values, rate, bounds, memory, numbers)

    @cached_property
    def grazing(self) -> int:
        """Return how many spikes only grazed the threshold."""
        return self._grazing()

    def keep(self) -> None:
        """Copy the gradients to the host."""
        _ = self.grazing
        for key in self._keys:
            _ = self[key]


class DeviceBackward:
    """What a backward pass returns, most of it looked up when it is needed; see `Backward`."""

    #: Slopes of crossings stay in the kernels.
    slopes: Mapping[str, np.ndarray] = MappingProxyType({})

    def __init__(
        self,
        gradients: DeviceGradients,
        inputs: Callable,
        grazing: Callable,
        traces: Callable,
        adjoints: Callable,
    ):
        self.gradients = gradients
        self._inputs, self._grazing = inputs, grazing
        self._traces, self._adjoints = traces, adjoints

    @cached_property
    def adjoints(self) -> dict[int, np.ndarray]:
        """Return the adjoint variables that were recorded, by the number of the readout."""
        return self._adjoints()

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """Return dL/d(time) of each input spike, by input."""
        return self._inputs()

    @cached_property
    def traces(self) -> dict[str, np.ndarray]:
        """Return dL/d(values) of timed arrays, by name."""
        return self._traces()

    @cached_property
    def grazing(self) -> int:
        """Return how many spikes only grazed the threshold."""
        return self._grazing()
