"""Values that somebody changes in Brian2's objects after a model has read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.live.writing import owners_of
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues

#: Most bytes of an array that are compared bit by bit.
SHORT = 2**15


class ReadValues:
    """What the objects of a network hold, to be compared with what they held before.

    States that a run of Brian2 has changed do not count: a model keeps the initial ones.

    Parameters
    ----------
    spec, values
        The network as it was read.
    objects
        Its Brian2 objects.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> from brian_eventprop.reading import read_network
    >>> G = NeuronGroup(2, "v : 1", name="G")
    >>> read = ReadValues(*read_network([G], [], {}), [G])
    >>> G.v[1] = 3
    >>> read.changes(), read.changes()
    (["'v' of 'G'"], [])
    """

    def __init__(self, spec: NetworkSpec, values: NetworkValues, objects: Iterable):
        owners = owners_of(objects)
        self._owners: dict[tuple[str, str], Any] = {}
        self._constants: dict[tuple[str, str], Any] = {}
        for key in values.values:
            owner, name = owners.get(key[0]), key[1]
            if owner is None or name in ("i", "j"):
                continue
            if name in owner.variables:
                self._owners[key] = owner
            elif name in owner.namespace:
                self._constants[key] = owner
        states = {(g.name, state) for g in spec.groups for state in g.states}
        self._states = {key: owner for key, owner in self._owners.items() if key in states}
        self._moving = {key[0]: owner for key, owner in self._states.items()}
        self._clocks = {obj.clock.name: obj.clock for obj in owners.values()}
        names = [p.synapses for p in spec.pathways] + [c.owner for c in spec.couplings]
        synapses = [owners[name] for name in dict.fromkeys(names)]
        self._synapses = [s for s in synapses if isinstance(s, brian.Synapses)]
        #: The same once more where comparing bits takes less time than comparing numbers.
        self._bits: dict[tuple[str, str], tuple | None] = {}
        self._held = {key: values.values[key] for key, _ in self._now()}
        self.refresh()

    def refresh(self) -> None:
        """Take what the objects hold now as read."""
        for key, now in self._now():
            if not _equal(self._held[key], now):
                self._held[key] = np.array(now)
            self._bits[key] = _bits(now)
        self._runs = {name: _last_run(owner) for name, owner in self._moving.items()}
        self._steps = {name: clock.dt_ for name, clock in self._clocks.items()}
        self._sizes = {s.name: len(s) for s in self._synapses}

    def changes(self) -> list[str]:
        """Return the names of what was changed since the last call or refresh."""
        found = [
            f"the synapses of '{s.name}'" for s in self._synapses if len(s) != self._sizes[s.name]
        ]
        found += [
            f"dt of '{n}'" for n, clock in self._clocks.items() if clock.dt_ != self._steps[n]
        ]
        moving = self._moving.items()
        ran = {name for name, owner in moving if _last_run(owner) != self._runs[name]}
        for key, now in self._now():
            known = self._bits[key]
            if known is not None and known == _bits(now):
                continue
            moved = key[0] in ran and key in self._states
            if not moved and not _equal(self._held[key], now):
                found.append(f"'{key[1]}' of '{key[0]}'")
        if found or ran:
            self.refresh()
        return found

    def _now(self) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
        for key, owner in self._owners.items():
            yield key, owner.variables[key[1]].get_value()
        for key, owner in self._constants.items():
            yield key, np.asarray(owner.namespace.get(key[1], np.nan))


def _bits(array: np.ndarray) -> tuple | None:
    """Return what is the same for equal bits; None of long arrays, which would be copied."""
    return (array.dtype, array.shape, array.tobytes()) if array.nbytes <= SHORT else None


def _equal(held: np.ndarray, now: np.ndarray) -> bool:
    return np.array_equal(held, now) or np.array_equal(held, now, equal_nan=True)


def _last_run(owner) -> tuple:
    """What changes whenever Brian2 runs an object."""
    clock = owner.clock.variables["timestep"].get_value().item()
    return getattr(owner, "_network", None), clock
