"""Timed arrays of a batch as the kernels look them up: values, cells of the grid, columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from brian2.core.functions import DEFAULT_FUNCTIONS

from brian_eventprop.reading.equations.expressions import functions
from brian_eventprop.reading.spec import (
    Group,
    NetworkSpec,
    ReadoutSpec,
    Symbol,
    TimedInput,
    TimedValue,
)


def timed_values_of(group: Group, readouts: Sequence[ReadoutSpec]) -> list[TimedValue]:
    """Return the traces in the code of a group and of its readouts, once each."""
    timed_values = [
        *group.timed_values,
        *(t for r in readouts if r.group == group.name for t in r.timed_values),
    ]
    return list({t.name: t for t in timed_values}.values())


def timed_input(spec: NetworkSpec, timed_value: TimedValue) -> TimedInput:
    """Return the timed array that a trace reads."""
    return next(timed for timed in spec.timed if timed.name == timed_value.array)


def columns(group: Group, timed_value: TimedValue, values: Mapping, n_columns: int) -> np.ndarray:
    """Return the column of the array that each neuron reads; 0 outside of the trace's part."""
    result = np.zeros(group.size, np.int64)
    if not timed_value.column:
        return result
    start, stop = timed_value.part or (0, group.size)
    scope = {s.name: _constant(group, s, values, start, stop) for s in timed_value.names}
    scope |= {name: DEFAULT_FUNCTIONS[name].pyfunc for name in functions(timed_value.column)}
    with np.errstate(all="ignore"):
        found = np.asarray(eval(timed_value.column, {"__builtins__": {}}, scope))
    call = f"'{timed_value.array}(t, {timed_value.column})' of '{group.name}'"
    whole = found.dtype != bool and np.all(np.isfinite(found)) and np.all(found == np.rint(found))
    if not whole:
        raise ValueError(f"{call} asks for columns that are no whole numbers")
    if found.min(initial=0) < 0 or found.max(initial=0) >= n_columns:
        raise ValueError(
            f"{call} asks for the columns {found.min():g} to {found.max():g}, but the array has "
            f"{n_columns}"
        )
    result[start:stop] = found
    return result


def _constant(group: Group, symbol: Symbol, values: Mapping, start: int, stop: int):
    """Return the value of a name in the expression of a column, whole numbers as such."""
    if symbol.kind == "index":
        return np.arange(stop - start)
    if symbol.kind == "number":
        return stop - start if symbol.name == "N" else symbol.value
    array = values[symbol.key]
    array = array[start:stop] if symbol.kind == "neuron" else array[0]
    return (
        array.astype(np.int64) if np.all(np.isfinite(array) & (array == np.rint(array))) else array
    )


def cells_on_grid(
    timed: TimedInput,
    timed_value: TimedValue,
    n_steps: int,
    n_cells: int,
    dt: float,
    every: int = 1,
):
    """Return the cell of the array at every time step, rounded as Brian2 does.

    ``every`` is the number of time steps in one of the group's own.
    """
    times = np.arange(n_steps) * dt + timed_value.offset * every * dt
    upsampled = np.round(times / (timed.dt / timed.factor))
    cells = (upsampled / timed.factor).astype(np.int64)
    return np.clip(cells, 0, n_cells - 1)


def rows(array: np.ndarray, n_trials: int) -> np.ndarray:
    """Return the row of an array that each trial reads: one each, or the only one."""
    return np.arange(n_trials) if len(array) > 1 else np.zeros(n_trials, np.int64)


class TimedGradients:
    """The gradients of timed arrays that a backward pass adds to.

    An array with values of its own in each trial has a gradient for each, which no two trials add
    to.  To that of an array that all trials share, each chunk of trials adds on its own.

    Parameters
    ----------
    groups
        The code of the groups: ``timed_gradients`` has the name of the timed array by role.
    arrays
        The values (trials or 1, cells, columns) that the forward pass read, by group and role.
    """

    def __init__(self, groups: Iterable, arrays: Mapping):
        self._names, shapes = {}, {}
        for g in groups:
            for role, name in g.timed_gradients.items():
                self._names[g.name, role] = name
                shapes[name] = arrays[g.name, role.removeprefix("grad_")].shape
        self.shared = {name: shape for name, shape in shapes.items() if shape[0] == 1}
        by_trial = {n: np.zeros(shape) for n, shape in shapes.items() if n not in self.shared}
        #: The arrays of those with values for each trial, by group and role.
        self.by_trial = self._keyed(by_trial)

    def _keyed(self, arrays: Mapping) -> dict[tuple[str, str], np.ndarray]:
        return {key: arrays[name] for key, name in self._names.items() if name in arrays}

    def of_chunk(self) -> dict[tuple[str, str], np.ndarray]:
        """Return arrays for a chunk of trials to add to: those that all trials share."""
        return self._keyed({name: np.zeros(shape) for name, shape in self.shared.items()})

    def totals(self, total: Mapping) -> dict[str, np.ndarray]:
        """Return the gradients by name, given the sums of the chunks."""
        found = {**total, **self.by_trial}
        return {name: np.array(found[key]) for key, name in self._names.items()}


def regular_times(steps: int, dt: float, duration: float) -> np.ndarray:
    """Return the times within a trial at which code runs in every so many time steps.

    >>> regular_times(20, 1e-4, 5e-3)
    array([0.   , 0.002, 0.004])
    """
    return np.arange(int(np.ceil(duration / (steps * dt) - 1e-9))) * steps * dt


def near_to(time: float, begins: Sequence[np.ndarray]) -> float:
    """Return a time, or the begin of a cell that differs from it by rounding only."""
    for begin in begins:
        nearest = begin[np.argmin(np.abs(begin - time))]
        if abs(nearest - time) <= 1e-12 * time:
            return float(nearest)
    return time
