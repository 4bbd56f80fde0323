"""Operations: what the loops of a solver call, a function for each kind of neuron or synapse.

The text of an operation depends on the equations alone, not on what the groups are called or how
many there are, so equal ones are compiled once.  What its body reads without assigning it is given
to it: arrays through the context (see `brian_eventprop.kernels.views`), numbers of the run, and the
functions of the kernels' library.
"""

from __future__ import annotations

import ast
import builtins
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from brian_eventprop.kernels.clock import loop as clock_loop

#: Owner and role of an array.
ArrayKey = tuple[str, str]

#: The arrays of the run itself: its whole numbers, and the time step.
RUN, TIME_STEP = ("", "run"), ("", "time_step")

#: What every operation may read besides its arrays, and how it is found.
_NUMBERS = {
    "n_steps": "run[STEPS_OF_TRIAL]", "segment": "run[SEGMENT]", "n0": "run[N0]", "n1": "run[N1]",
    "start": "run[START]", "stop": "run[STOP]", "first_updated": "run[FIRST_UPDATED]",
    "recomputing": "run[RECOMPUTING] != 0", "with_inputs": "run[WITH_INPUTS] != 0",
    "dt64": "time_step[0]", "dt": "FLOAT(time_step[0])", "t": "FLOAT(n * time_step[0])",
}  # fmt: skip

_LIBRARY = {
    "kernels.buffers": (
        "before clear copy_in deliver fill find_event lowest next_round prefetch queue scatter "
        "waiting"
    ),
    "kernels.clock.dense_rows": "add_d_time_of_rows collect_rows scatter_rows write_row",
    "kernels.clock.tiles": (
        "STEPS add_input_drive add_d_time add_d_time_of_inputs clear_after collect d_time_of_row "
        "deliver_drive from_record into_record write_pairs write_rates"
    ),
    "kernels.clock.per_spike": "add_arrivals add_arrivals_and_times",
    "kernels.brian_functions": (
        "clip dexprel exprel sign safe_product inverse_root positive_power power_log"
    ),
    "kernels.sorting": "sort_by_neuron rows_of_record",
    "kernels.clock.loop": " ".join(
        name for name, value in vars(clock_loop).items() if name.isupper() and type(value) is int
    ),
}

#: Where each name of the library stands.
LIBRARY = {name: module for module, names in _LIBRARY.items() for name in names.split()}


@dataclass(frozen=True)
class Operation:
    """A function of a context, a trial and a time step.

    Parameters
    ----------
    name
        Name of the function.
    body
        Its lines; what they read and do not assign are arrays, numbers of the run, functions.
    arrays
        The identifiers of its arrays, and the owner and the role of each.
    single
        Whether states are in single precision.
    functions
        Generated functions that it calls, and the module of each.
    lines
        Lines before it, which give numbers of the run and constants their names.
    source
        The group or input without whose spikes in a step there is nothing to do.
    finds
        Whether it finds these spikes, which are known.
    owner
        The object of Brian2 whose operation it is, for people: the text does not depend on it.
    """

    name: str
    body: str
    arrays: tuple[tuple[str, ArrayKey], ...]
    single: bool
    functions: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    source: str | None = None
    finds: bool = False
    owner: str = field(default="", compare=False)

    @property
    def keys(self) -> tuple[ArrayKey, ...]:
        """The arrays in the order of the context."""
        return tuple(key for _, key in self.arrays)

    def text(self, views: tuple[tuple[str, int], ...]) -> str:
        """Return the module of the function, given the view and the size in the context of each."""
        return _module(self, views)


@lru_cache(maxsize=4096)
def _module(operation: Operation, views) -> str:
    slot, made = 0, []
    for (identifier, _), (view, size) in zip(operation.arrays, views, strict=True):
        made.append(f"{identifier} = {view}(context, {slot})")
        slot += size
    read = free_names("\n".join((*operation.lines, operation.body)))
    imports: dict[str, set[str]] = {}
    for name in sorted(read & set(LIBRARY)):
        imports.setdefault(f"brian_eventprop.{LIBRARY[name]}", set()).add(name)
    imports["brian_eventprop.kernels.cache"] = {"njit"}
    if views:
        imports["brian_eventprop.kernels.views"] = {view for view, _ in views}
    for name, module in operation.functions:
        imports.setdefault(module, set()).add(name)
    head = [f"from {module} import {', '.join(sorted(imports[module]))}" for module in imports]
    number, pair = ("float32", "float64") if operation.single else ("float64", "complex128")
    return "\n".join((
        "import math", "", "import numpy as np", "", *sorted(head), "",
        f"FLOAT, PAIR = np.{number}, np.{pair}", "", "",
        '@njit("int64(int64, int64, int64)", nogil=True, error_model="numpy", cache=True, '
        "no_cpython_wrapper=True, _nrt=False)",  # no operation makes arrays
        f"def run_{operation.name}(context, trial, n):",
        *(f"    {line}" for line in (*made, *operation.lines)),
        textwrap.indent(operation.body, "    ").rstrip(), "    return 0", "",
    ))  # fmt: skip


def operation(
    name: str,
    body: str,
    find: Callable[[str], ArrayKey | None] | Mapping[str, ArrayKey],
    single: bool,
    constants: Mapping[str, str] | None = None,
    functions: Mapping[str, str] | None = None,
    source: str | None = None,
    finds: bool = False,
    owner: str = "",
) -> Operation:
    """Return the operation with a body, and what the body reads.

    Parameters
    ----------
    name, body, single, source, finds, owner
        See `Operation`.
    find
        The array that an identifier stands for, if any.
    constants
        The value of each constant, which may read those before it.
    functions
        Generated functions and the modules they stand in.
    """
    find = find.get if isinstance(find, Mapping) else find
    body = textwrap.dedent(body).strip("\n") or "pass"
    called = free_names(body)
    lines, wanted = [], called
    for known in (constants or {}, _NUMBERS):
        for identifier, value in reversed(known.items()):  # a value may read one before it
            if identifier in wanted:
                lines.insert(0, f"{identifier} = {value}")
                wanted |= free_names(value)
    wanted -= set(functions or ())
    whole = {"run": RUN, "time_step": TIME_STEP}
    found = {identifier: whole.get(identifier) or find(identifier) for identifier in wanted}
    arrays = tuple(sorted((i, key) for i, key in found.items() if key is not None))
    used = tuple((f, module) for f, module in (functions or {}).items() if f in called)
    return Operation(name, body, arrays, single, used, tuple(lines), source, finds, owner)


@lru_cache(maxsize=4096)
def free_names(code: str) -> frozenset[str]:
    """Return the names that code reads, or whose elements it assigns, without assigning them."""
    read, assigned = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else assigned).add(node.id)
    return frozenset(read - assigned)


def may_be_array(identifier: str) -> bool:
    """Return whether an identifier that a body reads may stand for an array."""
    known = identifier in LIBRARY or identifier in _NUMBERS or hasattr(builtins, identifier)
    return not known and identifier not in ("np", "math", "n", "trial", "FLOAT", "PAIR")


def load_operation(operation: Operation, views, load: Callable) -> Callable:
    """Return the function of an operation for arrays of given kinds from the module of its text."""
    module = load(operation.text(views), operation.name)
    return getattr(module, f"run_{operation.name}")
