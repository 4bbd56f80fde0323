"""The arrays that a chunk of trials works on, allocated by what the operations read.

Each role has one rule, which says the shape and the kind of numbers of its array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.codegen.expr.operations import RUN, ArrayKey
from brian_eventprop.kernels.clock.loop import (
    CAPACITY,
    COLUMNS,
    COUNT,
    LONGEST,
    LOOKBACK,
    NEEDED,
    NUMBERS,
    SEGMENT,
    STEP,
    STEPS_OF_TRIAL,
    TRIAL,
    WITH_INPUTS,
)
from brian_eventprop.kernels.clock.tiles import STEPS
from brian_eventprop.runtime.backends import Arrays

#: Roles that a group has for each state at which arrivals are summed: a kind, then the state.
PER_STATE = (
    "ring", "input_drive", "next_drive", "lam", "rate", "recent_adjoints", "arrival_adjoints",
    "d_arrivals", "history_lam", "history_rate", "record", "paired_record",
)  # fmt: skip

#: Places for spikes, or for queued arrivals, that an array has at first.
FEW = 256


@dataclass(frozen=True)
class WorkSizes:
    """What the sizes of the arrays depend on that may change from batch to batch.

    These are the steps of a segment, places for the spikes of one trial of each source, the shapes
    of rings and records, and the number of rows of synapses with one delay.
    """

    segment: int
    spikes: tuple[tuple[str, int], ...]
    rings: tuple[bytes, ...]
    rows: tuple[int, ...]


def work_sizes(module, arrays: Mapping, segment: int) -> WorkSizes:
    """Return the sizes for the given arrays."""
    spikes = []
    for source in (*module.inputs, *module.groups):
        ptr = arrays.get((source.name, "ptr" if source.is_input else "tptr"))
        if ptr is not None:
            most = int((ptr[1:] - ptr[:-1]).max(initial=0))
            spikes.append((source.name, 1 << most.bit_length()))
    rings = tuple(arrays[g.name, "shape"].tobytes() for g in module.groups if g.rings)
    rows = tuple(len(arrays[p.name, "start"]) for p in module.pathways if not p.ring)
    return WorkSizes(segment, tuple(spikes), rings, rows)


class ClockArrays:
    """The arrays that a thread works on, one call for some trials after the other.

    Parameters
    ----------
    module
        The operations of the network.
    keys
        Owner and role of each array.
    given
        The arrays that are there already.
    sizes
        Number of neurons of each group and input.
    work
        What the sizes depend on besides; see `work_sizes`.
    n_steps
        Time steps of a trial.
    dtype
        The kind of the states.
    record_memory
        Memory for what arrives at groups, by group.
    backward
        Whether it is for the backward pass.
    """

    def __init__(
        self, module, keys: Iterable[ArrayKey], given: Mapping, sizes, work: WorkSizes, n_steps,
        dtype, record_memory: Mapping, backward: bool = False,
    ):  # fmt: skip
        self.groups = {g.name: g for g in module.groups}
        self.pathways = {p.name: p for p in module.pathways}
        self.couplings = {c.name: c for c in module.couplings}
        self.given, self.sizes, self.record_memory = given, sizes, record_memory
        self.synapses = {p.synapses: p for p in module.pathways if p.synaptic and not p.own_group}
        self.most = dict(work.spikes)
        self.n_steps, self.segment, self.dtype = n_steps, work.segment, np.dtype(dtype)
        names = (*sizes, *self._queued(), *map(events_of, self._eventful()))
        self.rows = {name: row for row, name in enumerate(names)}
        self.table = np.zeros((len(self.rows), COLUMNS), np.int64)
        self.backward = backward
        self.run = np.zeros(NUMBERS, np.int64)
        self.arrays: dict[ArrayKey, np.ndarray] = {}
        for key in keys:
            self._find(*key)
        self.arrays = {key: self.arrays[key] for key in keys}
        self.bound = Arrays(self.arrays)

    def begin(self, first: int, with_inputs: bool, longest: int, lookback: bool) -> None:
        """Set the numbers of a call that begins with a trial."""
        self.table[:], self.run[:] = 0, 0
        self.table[:, CAPACITY] = 2**62
        self.run[STEPS_OF_TRIAL], self.run[SEGMENT] = self.n_steps, self.segment
        self.run[TRIAL], self.run[STEP] = first, -1
        self.run[WITH_INPUTS], self.run[LONGEST] = with_inputs, longest
        self.run[LOOKBACK] = lookback
        if not self.backward:
            self._set_capacities()

    @property
    def n_bytes(self) -> int:
        """The size of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def _queued(self):
        return [p.name for p in self.pathways.values() if not p.ring]

    def _eventful(self):
        """The pathways that record what their events touch besides their targets."""
        return [p.name for p in self.pathways.values() if p.eventful]

    def _find(self, owner: str, role: str) -> np.ndarray:
        if (owner, role) in self.given:
            return self.given[owner, role]
        if (owner, role) not in self.arrays and role == "table":
            self.arrays[owner, role] = self.table[self.rows[owner]]
        elif (owner, role) not in self.arrays and role == "event_table":
            self.arrays[owner, role] = self.table[self.rows[events_of(owner)]]
        elif (owner, role) == RUN:
            self.arrays[RUN] = self.run
        elif (owner, role) not in self.arrays:
            make = self._of_pathway if owner in self.pathways else self._of_source
            make = self._of_synapses if owner in self.synapses else make
            make = self._of_coupling if owner in self.couplings else make
            self.arrays[owner, role] = make(owner, role)
        return self.arrays[owner, role]

    def _of_pathway(self, owner: str, role: str) -> np.ndarray:
        if role in ("head", "tail"):
            return np.empty(self.n_steps, np.int32)
        if role == "entry":
            return np.empty((FEW + len(self.given[owner, "start"]), 3), np.int32)
        if role == "scratch":
            return np.empty(len(self._find(owner, "entry")), np.int32)
        if role == "first_event":
            return np.zeros(self.n_steps + 1, np.int64)
        if role == "events":
            p = self.pathways[owner]
            return np.empty((FEW + p.adjoint.pathway.size, p.event_columns), self.dtype)
        raise KeyError((owner, role))

    def _of_synapses(self, owner: str, role: str) -> np.ndarray:
        """An array of the states of a `Synapses` object, or of their adjoint."""
        if role not in ("synaptic", "lam_synaptic"):
            raise KeyError((owner, role))
        p = self.synapses[owner]
        return np.zeros((len(p.synaptic), p.adjoint.pathway.size), self.dtype)

    def _of_coupling(self, owner: str, role: str) -> np.ndarray:
        """What the backward pass keeps of each synapse from one time step to the one before."""
        c = self.couplings[owner]
        if role != "later":
            raise KeyError((owner, role))
        return np.zeros((c.steps.rows, c.adjoint.coupling.size), self.dtype)

    @property
    def _pair(self):
        """The kind of two numbers side by side."""
        return np.float64 if self.dtype == np.float32 else np.complex128

    def _of_source(self, owner: str, role: str) -> np.ndarray:
        """An array of a group or of an input."""
        size = self.sizes[owner]
        if role == "order":
            return np.empty(self.most[owner], np.int32)
        if role == "base":
            return np.empty(self.most[owner], np.uint32)
        if role == "bound":
            return np.empty(size + 1, np.int32)
        g, (kind, state) = self.groups[owner], _kind_and_state(role)
        if role.startswith("upstroke_"):
            return self._of_upstroke(g, role.removeprefix("upstroke_"), size)
        for rules in (self._states, self._spikes, self._arrivals):
            found = rules(g, kind, state, size)
            if found is not None:
                return found
        raise KeyError((owner, role))

    def _states(self, g, kind: str, state: str, size: int):
        if kind in ("x", "y", "lam") and not state:
            return np.zeros((g.n_states, size), self.dtype)
        if kind == "was":
            return np.zeros((len(g.arrival_maxima[0].receiving), size), self.dtype)
        if kind in ("coupling", "coupling_rate"):
            return np.zeros((g.n_states, size), self.dtype)
        if kind in ("rec", "former"):
            rows = (min(self.segment, self.n_steps) + 1) * g.n_states
            return np.zeros((rows, size), self.dtype)
        if kind == "stack":
            return np.empty((64, g.n_states), self.dtype)
        if kind == "carried":
            return np.zeros((g.carried_rows, size), self.dtype)
        if kind == "stacked":
            return np.zeros(1, np.int64)
        if kind == "due":
            return np.zeros(self.n_steps, np.int32)
        return None

    def _spikes(self, g, kind: str, state: str, size: int):
        if kind == "start":
            return np.empty(size, self.dtype)
        if kind == "words":
            return np.zeros((size + 7) // 8, np.uint64)
        if kind == "over":
            return self._find(g.name, "words").view(np.uint8)
        if kind in ("spike_step", "spike_neuron"):
            return np.empty(FEW + size, np.int32)
        if kind == "spike_state":
            return np.empty((FEW + size, g.spike_columns), self.dtype)
        if kind in ("free", "last", "newest"):
            return np.zeros(size, np.int32)
        if kind in ("d_release", "d_caused", "d_freed"):
            return np.empty(size)
        if kind in ("d_spike_time", "d_reset"):
            return np.empty(self.most[g.name])
        if kind == "before":
            return np.empty(self.most[g.name], np.int32)
        return None

    def _arrivals(self, g, kind: str, state: str, size: int):
        shape = self.given.get((g.name, "shape"))
        width, slots, longest, _, total = (int(k) for k in shape[:5]) if g.rings else (0,) * 5
        if kind == "ring":
            return np.empty(2 * width * slots, self.dtype)
        if kind == "next_drive":
            return np.empty(STEPS * size, self.dtype)
        if kind in ("lam", "rate"):
            return np.empty(size, self.dtype)
        if kind == "recent_adjoints":
            return np.empty(2 * STEPS * size, self.dtype)
        if kind == "arrival_adjoints":
            return np.empty(2 * width * slots, self.dtype)
        if kind == "d_arrivals":
            return np.empty(width * slots, self.dtype)
        if kind in ("history_lam", "history_rate"):
            return np.zeros((self.n_steps + longest + 1, size), self.dtype)
        record_memory, driven = self.record_memory[g.name, "record_memory"], len(g.in_drive)
        if kind == "input_drive":
            at = [s for s in g.rings if s in g.in_drive].index(state)
            return record_memory[at * total : (at + 1) * total]
        if kind in ("record", "paired_record"):
            at = driven + 2 * g.rings.index(state)
            pair = record_memory[at * total : (at + 2) * total]
            return pair if kind == "record" else pair.view(self._pair)
        return None

    def _of_upstroke(self, g, role: str, size: int) -> np.ndarray:
        if role == "number":
            return np.zeros(1, np.int64)
        if role == "store":
            return np.zeros((g.upstroke.rows, size))
        return np.zeros(size, np.int32)

    # ---- arrays that grow ----
    def _set_capacities(self) -> None:
        for g in self.groups.values():
            if (g.name, "spike_state") in self.arrays:
                row = self.rows[g.name]
                self.table[row, NEEDED] = self.sizes[g.name]
                self.table[row, CAPACITY] = len(self.arrays[g.name, "spike_step"])
        for name in self._queued():
            if (name, "entry") in self.arrays:
                self.table[self.rows[name], NEEDED] = len(self.given[name, "start"])
                self.table[self.rows[name], CAPACITY] = len(self.arrays[name, "entry"])
        for name in self._eventful():
            row = self.rows[events_of(name)]
            self.table[row, NEEDED] = self.pathways[name].adjoint.pathway.size
            self.table[row, CAPACITY] = len(self.arrays[name, "events"])

    def grow(self) -> None:
        """Make arrays longer that an operation found too short."""
        needed = self.table[:, NEEDED] + (0 if self.backward else self.table[:, COUNT])
        for (owner, role), array in list(self.arrays.items()):
            if role not in (
                "spike_step",
                "spike_neuron",
                "spike_state",
                "entry",
                "scratch",
                "stack",
                "events",
            ):
                continue
            least = int(needed[self.rows[events_of(owner) if role == "events" else owner]])
            if least > len(array):
                longer = np.empty((max(2 * len(array), least), *array.shape[1:]), array.dtype)
                longer[: len(array)] = array
                self.arrays[owner, role] = longer
        self.bound = Arrays(self.arrays)
        if not self.backward:
            self._set_capacities()


def events_of(pathway: str) -> str:
    """The name of the row of a pathway's record of events in the table of numbers."""
    return f"events of {pathway}"


def _kind_and_state(role: str) -> tuple[str, str]:
    """Split a role into its kind and the state that it is for, if any."""
    for kind in PER_STATE:
        if role.startswith(f"{kind}_"):
            return kind, role.removeprefix(f"{kind}_")
    return role, ""
