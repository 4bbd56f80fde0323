"""The operations of a network as lists of addresses, for the loops in `kernels.clock_loop`.

Operations are compiled when arrays are first given to them, for the kinds of these arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from brian_eventprop.codegen.operations import ArrayKey, Operation, load_operation
from brian_eventprop.kernels.views import description, view_name


@dataclass(frozen=True)
class _Layout:
    """Where the descriptions of arrays go in the contexts of the operations, and the functions.

    ``places`` are the numbers of the descriptions of all arrays, in the order of the contexts, and
    ``begins`` is where the context of each operation begins.
    """

    functions: np.ndarray | list
    places: np.ndarray
    begins: np.ndarray


class ClockProgram:
    """The operations of the phases of a pass.

    Parameters
    ----------
    phases
        The operations of each phase.
    rows
        The row of each source of spikes in the table of numbers.
    """

    def __init__(self, phases: Mapping[str, tuple[Operation, ...]], rows: Mapping[str, int]):
        self.operations = [op for ops in phases.values() for op in ops]
        self.keys = tuple(dict.fromkeys(key for op in self.operations for key in op.keys))
        self.ends = np.cumsum([0, *(len(ops) for ops in phases.values())])
        self._rows = np.array([_row(op, rows) for op in self.operations], np.int64)
        self._layouts: dict[tuple, _Layout] = {}
        self._latest: tuple[list, _Layout | None] = [], None

    @property
    def compiled(self) -> bool:
        """Whether the operations were compiled for some arrays."""
        return bool(self._layouts)

    def bind(self, parts: Sequence[Arrays]) -> tuple[list | np.ndarray, object]:
        """Return the list of operations, and what must be kept as long as it is used."""
        layout = self._layout_of(parts)
        if numba.config.DISABLE_JIT:
            return self._plain(layout, parts), None
        contexts = np.concatenate([part.numbers for part in parts])[layout.places]
        table = np.empty((len(self.operations), 3), np.int64)
        table[:, 0], table[:, 2] = layout.functions, self._rows
        table[:, 1] = layout.begins
        table[:, 1] += contexts.__array_interface__["data"][0]
        return table, (contexts, parts)

    def _layout_of(self, parts) -> _Layout:
        kind = [(part.keys, part.kinds) for part in parts]
        known, layout = self._latest
        if kind != known:  # which takes less time than to look a long key up
            key = tuple(kind)
            if key not in self._layouts:
                self._layouts[key] = self._layout(*zip(*kind, strict=True))
            layout = self._layouts[key]
            self._latest = kind, layout
        return layout

    def _plain(self, layout, parts):
        """The list for the interpreter: functions, and contexts that hold the arrays."""
        arrays = {key: array for part in parts for key, array in part.arrays.items()}
        rows = []
        for function, op, row in zip(layout.functions, self.operations, self._rows, strict=True):
            slot, context = 0, {}
            for key in op.keys:
                context[slot] = arrays[key]
                slot += 1 + arrays[key].ndim
            rows.append((function, context, int(row)))
        return rows

    def _layout(self, order, kinds) -> _Layout:
        views, first, begin = {}, {}, 0
        for keys, own in zip(order, kinds, strict=True):
            for key, (dtype, ndim) in zip(keys, own, strict=True):
                views[key], first[key] = (view_name(dtype, ndim), 1 + ndim), begin
                begin += 1 + ndim
        places, begins, functions = [], [], []
        for op in self.operations:
            begins.append(8 * len(places))
            for key in op.keys:
                places += range(first[key], first[key] + views[key][1])
            functions.append(_address(load_operation(op, tuple(views[key] for key in op.keys))))
        functions = functions if numba.config.DISABLE_JIT else np.array(functions, np.int64)
        return _Layout(functions, np.array(places, np.int64), np.array(begins, np.int64))


class Arrays:
    """Some of the arrays of a program, and the numbers that describe them in contexts.

    Those that are among the arrays `before`, too, were described there.
    """

    def __init__(self, arrays: Mapping[ArrayKey, np.ndarray], before: Arrays | None = None):
        known = before._described if before else {}
        self._described = {
            key: known[key] if key in known and known[key][0] is array else _described(array)
            for key, array in arrays.items()
        }
        self.arrays, self.keys = arrays, tuple(arrays)
        self.kinds = tuple([kind for _, kind, _ in self._described.values()])
        self.numbers = np.array(
            [n for _, _, own in self._described.values() for n in own], np.int64
        )


def _described(array: np.ndarray) -> tuple:
    return array, (array.dtype, array.ndim), description(array)


def _row(op: Operation, rows: Mapping[str, int]) -> int:
    """Return the number that says in which steps an operation is run; see `clock_loop`."""
    if op.source is None:
        return -1
    return -2 - rows[op.source] if op.finds else rows[op.source]


def _address(function):
    """Return the address of a compiled operation, or what is called in place of it."""
    if numba.config.DISABLE_JIT:
        return function
    (version,) = function.overloads.values()
    return version.library.get_pointer_to_function(version.fndesc.llvm_cfunc_wrapper_name)
