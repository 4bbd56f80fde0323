"""Timed arrays of a batch as the kernels look them up: values, cells of the grid, columns."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

import numpy as np

from brian_eventprop.reading.spec import Group, NetworkSpec, ReadoutSpec, TimedInput, Trace


def traces_of(group: Group, readouts: Sequence[ReadoutSpec]) -> list[Trace]:
    """Return the traces in the code of a group and of its readouts, once each."""
    traces = [*group.traces, *(t for r in readouts if r.group == group.name for t in r.traces)]
    return list({t.name: t for t in traces}.values())


def timed_input(spec: NetworkSpec, trace: Trace) -> TimedInput:
    """Return the timed array that a trace reads."""
    return next(timed for timed in spec.timed if timed.name == trace.array)


def columns(group: Group, trace: Trace, values: Mapping, n_columns: int) -> np.ndarray:
    """Return the column of the array that each neuron reads; 0 outside of the trace's part."""
    result = np.zeros(group.size, np.int64)
    if not trace.column:
        return result
    start, stop = trace.part or (0, group.size)
    scope = {"i": np.arange(stop - start), "N": stop - start}
    tree = ast.parse(trace.column, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in scope:
            parameter = np.broadcast_to(values[group.name, node.id], group.size)
            scope[node.id] = parameter[start:stop].astype(np.int64)
    result[start:stop] = eval(compile(tree, trace.array, "eval"), {"__builtins__": {}}, scope)
    if result.min(initial=0) < 0 or result.max(initial=0) >= n_columns:
        raise ValueError(
            f"'{trace.array}(t, {trace.column})' of '{group.name}' asks for the columns "
            f"{result.min()} to {result.max()}, but the array has {n_columns}"
        )
    return result


def cells_on_grid(timed: TimedInput, trace: Trace, n_steps: int, n_cells: int, dt: float):
    """Return the cell of the array at every time step, rounded as Brian2 does."""
    times = np.arange(n_steps) * dt + trace.offset * dt
    upsampled = np.round(times / (timed.dt / timed.factor))
    cells = (upsampled / timed.factor).astype(np.int64)
    return np.clip(cells, 0, n_cells - 1)


def rows(array: np.ndarray, n_trials: int) -> np.ndarray:
    """Return the row of an array that each trial reads: one each, or the only one."""
    return np.arange(n_trials) if len(array) > 1 else np.zeros(n_trials, np.int64)
