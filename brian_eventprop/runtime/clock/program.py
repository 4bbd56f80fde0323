"""The operations of a network, phase by phase, for the loops in `kernels.clock.loop`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from brian_eventprop.codegen.expr.operations import Operation
from brian_eventprop.kernels.views import view_name
from brian_eventprop.runtime.backends import Arrays, Backend, Calls


class ClockProgram:
    """The operations of the phases of a pass.

    They are loaded when arrays are first given to them, for the kinds of these arrays.

    Parameters
    ----------
    phases
        The operations of each phase.
    rows
        The row of each source of spikes in the table of numbers.
    backend
        What runs them.
    """

    def __init__(
        self,
        phases: Mapping[str, tuple[Operation, ...]],
        rows: Mapping[str, int],
        backend: Backend,
    ):
        self.operations = [op for ops in phases.values() for op in ops]
        self.keys = tuple(dict.fromkeys(key for op in self.operations for key in op.keys))
        self.ends = np.cumsum([0, *(len(ops) for ops in phases.values())])
        self._sources = np.array([_number(op, rows) for op in self.operations], np.int64)
        self._backend = backend
        self._calls: dict[tuple, Calls] = {}
        self._latest: tuple[list, Calls | None] = [], None

    @property
    def loaded(self) -> bool:
        """Whether the operations were loaded for some arrays."""
        return bool(self._calls)

    @property
    def functions(self) -> dict[str, Callable]:
        """The functions by the object and the name of the operation, once they are loaded."""
        names = [f"{op.owner}.{op.name}" for op in self.operations]
        loaded = [zip(names, calls.functions, strict=True) for calls in self._calls.values()]
        return {name: function for pairs in loaded for name, function in pairs}

    def bind(self, parts: Sequence[Arrays]) -> tuple[list | np.ndarray, object]:
        """Return the list of operations, and what must be kept as long as it is used."""
        return self._calls_for(parts).with_arrays(parts)

    def _calls_for(self, parts) -> Calls:
        kind = [(part.keys, part.kinds) for part in parts]
        known, calls = self._latest
        if kind != known:  # which takes less time than to look a long key up
            key = tuple(kind)
            if key not in self._calls:
                self._calls[key] = self._load(kind)
            calls = self._calls[key]
            self._latest = kind, calls
        return calls

    def _load(self, kind) -> Calls:
        views = {
            key: (view_name(dtype, ndim), 1 + ndim)
            for keys, kinds in kind
            for key, (dtype, ndim) in zip(keys, kinds, strict=True)
        }
        return self._backend.calls(self.operations, self._sources, views)


def _number(op: Operation, rows: Mapping[str, int]) -> int:
    """Return the number that says in which steps an operation is run; see `kernels.clock.loop`."""
    if op.source is None:
        return -1
    return -2 - rows[op.source] if op.finds else rows[op.source]
