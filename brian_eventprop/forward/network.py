"""The equations of a network, evaluated in dual numbers: what flows, and what crosses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.forward.code import Code, comparisons, compiled, run, statements
from brian_eventprop.forward.duals import Dual, dual
from brian_eventprop.forward.layout import (
    INTEGRAL,
    Constants,
    integrands,
    layout_of,
    places_of,
)
from brian_eventprop.reading.spec import TERM, Coupling, Group, NetworkSpec, Pathway, ReadoutSpec


@dataclass(frozen=True)
class GroupCode:
    """The code of a group."""

    group: Group
    derivatives: Mapping[str, Code]
    refractory: Mapping[str, Code]
    threshold: Code | None
    crossings: tuple[Code, ...]
    reset: tuple[tuple[str, Code], ...]
    period: Code | None
    integrals: Mapping[int, tuple[ReadoutSpec, Code]]

    @property
    def name(self) -> str:
        """That of the group."""
        return self.group.name


def group_code(group: Group, spec: NetworkSpec) -> GroupCode:
    """Compile the code of a group."""
    return GroupCode(
        group,
        {state: compiled(text) for state, text in group.derivatives.items()},
        {state: compiled(text) for state, text in group.derivatives_refractory.items()},
        compiled(group.threshold) if group.threshold else None,
        comparisons(group.threshold) if group.threshold else (),
        statements(group.reset),
        compiled(str(group.refractory)) if group.refractory is not None else None,
        {k: (r, compiled(r.expression)) for k, r in integrands(spec, group.name).items()},
    )


@dataclass(frozen=True)
class SynapseCode:
    """The code of a pathway or a coupling, and where it finds the states of each synapse."""

    part: Pathway | Coupling
    block: tuple[tuple[str, Code], ...]
    places: Mapping[str, np.ndarray]


class Network:
    """A network with numbers: parameters and their tangents.

    Parameters
    ----------
    spec
        What the network says.
    constants
        Its numbers, at the first cells of timed arrays.
    on_grid
        Whether it is simulated on the time grid, where sums are computed in Brian2's order.
    """

    def __init__(self, spec: NetworkSpec, constants: Constants, on_grid: bool = False):
        self.spec, self.layout = spec, layout_of(spec)
        self.groups = {g.name: group_code(g, spec) for g in spec.groups}
        network = constants.network
        self.pathways = tuple(
            SynapseCode(p, statements(p.statements), places_of(p, self.layout, network))
            for p in spec.pathways
        )
        self.couplings = tuple(
            SynapseCode(c, statements(c.statements), places_of(c, self.layout, network))
            for c in (spec.couplings if on_grid else in_order(spec.couplings))
        )
        self.take(constants)

    def take(self, constants: Constants) -> None:
        """Take other constants: the next cell of a timed array."""
        self.constants, spec = constants, self.spec
        self.of_group = {
            g.name: constants.of_group(g.name, g.symbols, g.timed_values) for g in spec.groups
        }
        self.of_readout = {
            k: constants.of_group(r.group, r.symbols, r.timed_values)
            for k, r in enumerate(spec.readouts)
        }
        self.of_synapses = {
            code.part.name: constants.of_synapses(code.part)
            for code in (*self.pathways, *self.couplings)
        }

    # ---- the beginning of a trial ----
    def start(self) -> np.ndarray:
        """Return the states at the beginning of a trial: a row of values, a row of tangents."""
        y = np.zeros((2, len(self.layout.node)))
        values = self.constants.values
        owners = [(g.name, g.states, g.start) for g in self.spec.groups]
        owners += [
            (s.name, s.states, lambda state, name=s.name: (name, state)) for s in self.spec.synapses
        ]
        for name, states, start in owners:
            for state in states:
                key, slot = start(state), self.layout.slots.get((name, state))
                if key in values and slot is not None:
                    y[0, slot], y[1, slot] = values[key].v, values[key].d
        return y

    # ---- names ----
    def names(self, code: GroupCode, y: np.ndarray, t: Dual) -> dict:
        """Return the value of every name in the code of a group."""
        return self.of_group[code.name] | self._states(code.group, y) | {"t": t}

    def readout_names(self, number: int, y: np.ndarray, t: Dual) -> dict:
        """Return the value of every name in the expression of a readout."""
        readout = self.spec.readouts[number]
        group = self.groups[readout.group].group
        return self.of_readout[number] | self._states(group, y) | {"t": t}

    def _states(self, group: Group, y: np.ndarray) -> dict:
        slots = self.layout.slots
        return {
            s: Dual(y[0, slots[group.name, s]], y[1, slots[group.name, s]]) for s in group.states
        }

    # ---- between events ----
    def coupled(self, y: np.ndarray, t: Dual) -> np.ndarray:
        """Return the states with those computed that are sums of others."""
        if not self.couplings:
            return y
        y = y.copy()
        for code in self.couplings:
            part, slot = code.part, self.layout.slots[code.part.receiver, code.part.state]
            names = self.of_synapses[part.name] | {"t": t}
            names |= {name: Dual(*y[:, at]) for name, at in code.places.items()}
            term = dual(run(code.block, names)[TERM])
            first, last = part.span
            y[:, slot.start + first : slot.start + last] = 0.0
            ends = self.constants.network
            index = slot.start + (ends.pre if part.side == "pre" else ends.post)[part.name]
            np.add.at(y[0], index, term.v)
            np.add.at(y[1], index, term.d)
        return y

    def flow(
        self,
        t: float,
        y: np.ndarray,
        refractory: Mapping[str, np.ndarray],
        settled: bool = False,
        only: str = "",
    ) -> np.ndarray:
        """Return dy/dt, values and tangents.

        ``refractory`` says which neurons are; with `settled`, sums of other states are taken as
        they stand in `y`; ``only`` names a group if the others may stand still.
        """
        y = y if settled else self.coupled(y, Dual(t))
        found, slots = np.zeros_like(y), self.layout.slots
        for code in [self.groups[only]] if only else self.groups.values():
            names, still = self.names(code, y, Dual(t)), refractory[code.name]
            for state, derivative in code.derivatives.items():
                slot = slots[code.name, state]
                found[:, slot] = _rows(derivative(names), found[:, slot])
                if state in code.refractory and np.any(still):
                    other = _rows(code.refractory[state](names), found[:, slot])
                    found[:, slot] = np.where(still, other, found[:, slot])
                if state in code.group.frozen:
                    found[:, slot] = np.where(still, 0.0, found[:, slot])
            for k, (_, integrand) in code.integrals.items():
                slot = slots[INTEGRAL, str(k)]
                value = integrand(self.readout_names(k, y, Dual(t)))
                found[:, slot] = _rows(value, found[:, slot])
        return found

    def held(self, refractory: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return which entries no synapse changes now: frozen ones of refractory neurons."""
        found = np.zeros(len(self.layout.node), bool)
        for code in self.groups.values():
            for state in code.group.frozen:
                found[self.layout.slots[code.name, state]] = refractory[code.name]
        return found

    # ---- thresholds ----
    def above(self, code: GroupCode, y: np.ndarray, t: float) -> np.ndarray:
        """Return which neurons of a group fulfil the condition for a spike."""
        names = self.names(code, self.coupled(y, Dual(t)), Dual(t))
        return np.broadcast_to(code.threshold(names), code.group.size)


def _rows(value, like: np.ndarray) -> np.ndarray:
    """Return a value and its tangent as two rows."""
    value, rows = dual(value), np.empty_like(like)
    rows[0], rows[1] = value.v, value.d
    return rows


def in_order(couplings: tuple[Coupling, ...]) -> list[Coupling]:
    """Return couplings so that each comes after those whose states it reads."""
    left, found = list(couplings), []
    while left:
        made = {(c.receiver, c.state) for c in left}
        free = [c for c in left if not (c.reads & (made - {(c.receiver, c.state)}))] or left[:1]
        found += free
        left = [c for c in left if c not in free]
    return found
