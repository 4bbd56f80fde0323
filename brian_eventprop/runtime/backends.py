"""What runs the functions of a network on the CPU: Numba's machine code, or the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import numpy as np

from brian_eventprop.codegen.expr.operations import ArrayKey, Operation, load_operation
from brian_eventprop.kernels.cache import load_module
from brian_eventprop.kernels.views import description
from brian_eventprop.runtime.interpreter import library_module, load_interpreted, plain
from brian_eventprop.runtime.trial_pool import TrialPool

#: The kinds of the arrays of operations: the function that makes the view of each array, and how
#: many places of a context its description takes; see `kernels.views`.
Views = Mapping[ArrayKey, tuple[str, int]]


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


class Calls(Protocol):
    """The functions of operations, for arrays of certain kinds."""

    functions: Sequence[Callable]

    def with_arrays(self, parts: Sequence[Arrays]) -> tuple[Sequence, object]:
        """Return a row (function, context, source) for each, and what must be kept meanwhile."""


class Backend(Protocol):
    """What runs the functions of a network on the CPU."""

    def load(self, source: str, tag: str) -> ModuleType:
        """Return a generated module."""

    def library(self, module: ModuleType) -> ModuleType:
        """Return a module of the kernels' library as this backend runs it."""

    def trial_pool(self, threads: int | None) -> TrialPool:
        """Return what calls kernels for chunks of trials, in at most so many threads."""

    def calls(self, operations: Sequence[Operation], sources: np.ndarray, views: Views) -> Calls:
        """Return the functions of operations, given the number of the source of each."""


@dataclass(frozen=True)
class Compiled:
    """Machine code, which calls operations by their addresses."""

    def load(self, source, tag):
        """Return a module whose functions Numba compiles."""
        return load_module(source, tag)

    def library(self, module):
        """Return the module itself."""
        return module

    def trial_pool(self, threads):
        """Return a pool of threads."""
        return TrialPool(threads)

    def calls(self, operations, sources, views):
        """Compile operations."""
        return _Addresses(operations, sources, views)


class _Addresses:
    """Tables of addresses; a context is a table that describes the arrays of an operation."""

    def __init__(self, operations, sources, views):
        first, begin = {}, 0
        for key, (_, size) in views.items():
            first[key], begin = begin, begin + size
        places, begins, self.functions = [], [], []
        for op in operations:
            begins.append(8 * len(places))
            for key in op.keys:
                places += range(first[key], first[key] + views[key][1])
            own = tuple(views[key] for key in op.keys)
            self.functions.append(load_operation(op, own, load_module))
        addresses = [_address(function) for function in self.functions]
        self._rows = np.stack([np.array(x, np.int64) for x in (addresses, begins, sources)], 1)
        self._places = np.array(places, np.int64)

    def with_arrays(self, parts):
        """Return the addresses of functions and of their contexts."""
        contexts = np.concatenate([part.numbers for part in parts])[self._places]
        table = self._rows.copy()
        table[:, 1] += contexts.__array_interface__["data"][0]
        return table, (contexts, parts, table)


def _address(function) -> int:
    (version,) = function.overloads.values()
    return version.library.get_pointer_to_function(version.fndesc.llvm_cfunc_wrapper_name)


@dataclass(frozen=True)
class Interpreter:
    """Plain Python, in which a debugger can stop; numbers come out as in machine code."""

    def load(self, source, tag):
        """Return a module of plain functions."""
        return load_interpreted(source, tag)

    def library(self, module):
        """Return the module with plain functions."""
        return library_module(module.__name__)

    def trial_pool(self, threads):
        """Return calls in this thread: there is one interpreter for all."""
        del threads
        return _PlainTrialPool(1)

    def calls(self, operations, sources, views):
        """Load operations."""
        return _Functions(operations, sources, views)


class _Functions:
    """Functions themselves; a context holds the arrays of an operation."""

    def __init__(self, operations, sources, views):
        self._operations, self._sources = operations, [int(source) for source in sources]
        self._slots = []
        for op in operations:
            sizes = [views[key][1] for key in op.keys]
            self._slots.append([sum(sizes[:k]) for k in range(len(sizes))])
        self.functions = [
            load_operation(op, tuple(views[key] for key in op.keys), load_interpreted)
            for op in operations
        ]

    def with_arrays(self, parts):
        """Return functions and their contexts."""
        arrays = {key: array for part in parts for key, array in part.arrays.items()}
        contexts = [
            {slot: arrays[key] for slot, key in zip(slots, op.keys, strict=True)}
            for op, slots in zip(self._operations, self._slots, strict=True)
        ]
        return list(zip(self.functions, contexts, self._sources, strict=True)), None


class _PlainTrialPool(TrialPool):
    """Calls plain functions, in which infinities and NaN are no errors, as in machine code."""

    def function(self, compiled):
        """Return the function before it was compiled, where numbers come out the same."""
        return np.errstate(all="ignore")(plain(compiled))

    def call(self, *arguments, **options):
        """See `TrialPool.call`."""
        with np.errstate(all="ignore"):
            return super().call(*arguments, **options)


COMPILED, INTERPRETER = Compiled(), Interpreter()
