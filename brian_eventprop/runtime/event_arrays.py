"""Make the arrays that the event solver's kernels work with; see `codegen.event_work`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from brian_eventprop.codegen.event import EventComponent
from brian_eventprop.codegen.event_work import Sizes, WorkArray

Arrays = Mapping[tuple[str, str], np.ndarray]

#: Larger arrays begin at a line of the cache, so that vectors do not lie in two of them.
LARGE, LINE = 1 << 12, 64


def forward_arrays(
    component: EventComponent,
    arrays: Arrays,
    trials: int,
    windows: Mapping[str, int],
    bounds: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Return the arrays of the forward kernel.

    Parameters
    ----------
    component
        The groups.
    arrays
        What the kernel is given, by owner and role.
    trials
        How many trials it runs.
    windows
        Number of windows of each group.
    bounds
        Where the spikes of each trial begin, for each source outside of the component.
    """
    sizes = _sizes(component, arrays, trials, windows)
    most = max((int(np.max(np.diff(given), initial=0)) for given in bounds), default=0)
    loop = sum(len(arrays[g.name, "X0"]) for g in component.groups)
    made = []
    for owner, array in component.forward_work:
        size = replace(sizes[owner], spikes=most) if component.bulk else sizes[owner]
        if array.role.startswith("loop_"):
            size = replace(size, neurons=loop)
        made.append(_make(array, size))
    return made


def backward_arrays(
    component: EventComponent, arrays: Arrays, trials: int, windows: Mapping[str, int]
) -> list[np.ndarray]:
    """Return the arrays of the backward kernel, as above."""
    sizes = _sizes(component, arrays, trials, windows)
    return [_make(array, sizes[owner]) for owner, array in component.backward_work]


def _sizes(component, arrays, trials, windows):
    """What the sizes of arrays depend on, for each group and pathway."""
    found = {}
    for g in component.groups:
        n, ring = len(arrays[g.name, "X0"]), arrays.get((g.name, "ring"), 0)
        found[g.name] = Sizes(n, trials, windows[g.name], ring)
    for p in component.pathways if component.bulk else ():
        rows, own = arrays[p.name, "rows"], found[p.target.name]
        own = replace(own, sources=len(rows) - 1, row=_longest(rows))
        if p.target.spikes:
            column, recent = arrays[p.name, "column"], arrays[p.name, "recent"]
            reach = arrays[p.name, "reach"]
            own = replace(own, column=_longest(column), recent=recent, reach=reach)
        found[p.name] = own
    return found


def _longest(rows):
    """The largest number of synapses of a neuron."""
    return int(np.max(np.diff(rows), initial=0))


def _make(array: WorkArray, sizes: Sizes) -> np.ndarray:
    shape = array.shape(sizes)
    size = prod(shape) * np.dtype(array.dtype).itemsize
    if size < LARGE:
        return (np.zeros if array.zero else np.empty)(shape, array.dtype)
    memory = (np.zeros if array.zero else np.empty)(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    return memory[start : start + size].view(array.dtype).reshape(shape)
