"""Where every state of a network stands in one vector, and the constants beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from brian_eventprop.forward.duals import Dual
from brian_eventprop.reading.spec import (
    Coupling,
    Key,
    NetworkSpec,
    NetworkValues,
    Pathway,
    ReadoutSpec,
    Symbol,
)

#: The owner of the integrals that are read out; each is a state, by the number of its readout.
INTEGRAL = "integral"


@dataclass(frozen=True)
class Layout:
    """The states of a network in one vector.

    Attributes
    ----------
    slots
        Where the values of a state stand, by owner (group or `Synapses`) and name.
    node
        The neuron or synapse that each entry belongs to, numbered through the network.
    first
        The number of the first neuron of a group, or of the first synapse of a `Synapses`.
    starts
        Where each slot begins.
    """

    slots: Mapping[tuple[str, str], slice]
    node: np.ndarray
    first: Mapping[str, int]
    starts: np.ndarray

    def largest(self, array: np.ndarray) -> np.ndarray:
        """Return the largest size of an entry of the same slot, for each entry."""
        if not array.shape[1]:
            return np.abs(array)
        found = np.maximum.reduceat(np.abs(array), self.starts, axis=1)
        lengths = np.diff(np.append(self.starts, array.shape[1]))
        return np.repeat(found, lengths, axis=1)


def layout_of(spec: NetworkSpec) -> Layout:
    """Return the layout of a network's states and integrals."""
    owners = [(g.name, g.size, g.states) for g in spec.groups]
    owners += [(s.name, s.size, s.states) for s in spec.synapses]
    integrals = {g.name: [] for g in spec.groups}
    for k, readout in enumerate(spec.readouts):
        if readout.kind == "integral":
            integrals[readout.group].append(str(k))
    slots, nodes, first, at, count = {}, [], {}, 0, 0
    for name, size, states in owners:
        if name not in first:
            first[name] = count
            count += size
        own = [(name, state) for state in states]
        own += [(INTEGRAL, number) for number in integrals.get(name, ())]
        for slot in own if size else ():
            slots[slot] = slice(at, at + size)
            nodes.append(first[name] + np.arange(size))
            at += size
    starts = np.array([slot.start for slot in slots.values()], np.int64)
    return Layout(slots, np.concatenate([*nodes, np.empty(0)]).astype(np.int64), first, starts)


@dataclass(frozen=True)
class Constants:
    """What does not change while the states flow: numbers with their tangents.

    Attributes
    ----------
    values
        Parameters, weights, delays and initial values by key.
    network
        Which neurons the synapses connect.
    timed
        The values of each `TimedArray` in this trial, (cells, columns).
    columns
        By group and name of a timed value, the column that each neuron reads.
    cells
        The present cell of each timed array.
    """

    spec: NetworkSpec
    values: Mapping[Key, Dual]
    network: NetworkValues
    timed: Mapping[str, Dual]
    columns: Mapping[tuple[str, str], np.ndarray]
    cells: Mapping[str, int]

    def at_cells(self, cells: Mapping[str, int]) -> Constants:
        """Return the same at other cells of the timed arrays."""
        return replace(self, cells=cells)

    def at_step(self, n: int) -> Constants:
        """Return the same at a time step of the grid, where Brian2 rounds to a cell."""
        if not self.spec.timed:
            return self
        return replace(self, cells={t.name: (t, n) for t in self.spec.timed})

    def delay(self, part: Pathway, synapses) -> Dual:
        """Return the delays of some synapses of a pathway."""
        delays = self.values[part.delay]
        if part.axonal:
            return delays[self.network.senders(part)[synapses]]
        return delays[synapses if len(delays.v) == part.size else np.zeros_like(synapses)]

    def of_group(self, name: str, symbols: Mapping[str, Symbol], timed_values=()) -> dict:
        """Return the constants in the code of a group by name."""
        links = self.network.links.get(name, {})
        return self._named(name, symbols, links) | self._timed(name, timed_values, slice(None))

    def of_synapses(self, part: Pathway | Coupling) -> dict:
        """Return the constants in the code of a pathway or a coupling, one value per synapse."""
        owner = part.synapses if isinstance(part, Pathway) else part.owner
        ends = ends_of(part, self.network)
        found = self._named(owner, part.symbols, ends)
        if isinstance(part, Pathway) and part.timed_values:
            receivers = self.network.receivers(part)
            found |= self._timed(part.target, part.timed_values, receivers)
        return found

    def _named(self, owner: str, symbols: Mapping[str, Symbol], indices: Mapping) -> dict:
        found = {"dt": Dual(self.spec.dt)}
        for name, symbol in symbols.items():
            if symbol.kind == "number":
                found[name] = Dual(float(symbol.value))
            elif symbol.kind == "shared":
                found[name] = _number(self.values[symbol.key])
            elif symbol.kind in ("neuron", "synapse", "index"):
                value = self.values[symbol.key]
                indexed = symbol.side and (symbol.key[0] != owner or symbol.side in indices)
                own = symbol.key[0] == owner and symbol.side in ("pre", "post")
                found[name] = value[indices[symbol.side]] if indexed and not own else value
        return found

    def _timed(self, group: str, timed_values, members) -> dict:
        found = {}
        for timed in timed_values:
            values = self.timed[timed.array]
            cell = min(self._cell(timed), len(values.v) - 1)
            columns = self.columns.get((group, timed.name))
            row = values[cell]
            found[timed.name] = row[columns[members]] if columns is not None else row[0]
        return found

    def _cell(self, timed) -> int:
        """Return the present cell of a timed array, or that of a stage of the present step."""
        cell = self.cells[timed.array]
        if isinstance(cell, int):
            return cell
        array, n = cell
        time = (n + timed.offset) * self.spec.dt
        return max(int(np.round(time / (array.dt / array.factor)) / array.factor), 0)


def _number(value: Dual) -> Dual:
    return Dual(float(value.v[0]), float(value.d[0]))


def ends_of(part: Pathway | Coupling, network: NetworkValues) -> dict[str, np.ndarray]:
    """Return the neurons at the ends of synapses by side, those of links too."""
    owner = part.synapses if isinstance(part, Pathway) else part.owner
    return {
        "pre": network.pre[part.name],
        "post": network.post[part.name],
        **network.links.get(owner, {}),
    }


def places_of(part: Pathway | Coupling, layout: Layout, network: NetworkValues) -> dict:
    """Return, for each name of a state in the code of synapses, where each synapse finds it."""
    ends, places = ends_of(part, network), {}
    for name, symbol in part.symbols.items():
        if symbol.kind != "state":
            continue
        owner, index = _state_owner(part, symbol), np.arange(part.size)
        if symbol.side:
            index = ends[symbol.side]
        slot = layout.slots.get((owner, symbol.variable))
        if slot is not None:
            places[name] = slot.start + index
    return places


def _state_owner(part: Pathway | Coupling, symbol: Symbol) -> str:
    """Return the name of the group or the Synapses that has a state in the code of synapses."""
    if isinstance(part, Coupling):
        if symbol.side in ("pre", "post"):
            return part.end(symbol.side)
        return symbol.key[0] if symbol.side else part.owner
    if not symbol.side:
        return part.synapses
    if symbol.side == part.pre_side and part.pre_group:
        return part.pre_group
    if symbol.side == "post" and part.receiver == "post":
        return part.target
    return symbol.key[0]


def integrands(spec: NetworkSpec, group: str) -> dict[int, ReadoutSpec]:
    """Return the readouts that are integrals over a group, by number."""
    return {k: r for k, r in enumerate(spec.readouts) if r.kind == "integral" and r.group == group}
