"""The arrays that the event solver's kernels work with; see `codegen.event.work`.

They are kept for the next call: to make some dozens of them takes longer than a small network does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

import numpy as np

from brian_eventprop.codegen.event.network import EventComponent
from brian_eventprop.codegen.event.work import Sizes, WorkArray

Arrays = Mapping[tuple[str, str], np.ndarray]

#: Larger arrays begin at a line of the cache, so that vectors do not lie in two of them.
LARGE, LINE = 1 << 12, 64


class Work(list):
    """The arrays of one call, in the order of the signature."""

    def __init__(self, trials: int, specs: Sequence[WorkArray], sizes: Iterable[Sizes]):
        self.trials = trials
        shapes = [spec.shape(size) for spec, size in zip(specs, sizes, strict=True)]
        super().__init__(map(_make, specs, shapes))
        given = list(zip(range(len(specs)), specs, shapes, strict=True))
        self._kept = [(k, s.zero, shape, s.dtype) for k, s, shape in given if s.kept]
        self._zero = [self[k] for k, s, _ in given if s.zero and not s.kept]

    def renew(self) -> Work:
        """Prepare for the next call: new arrays for those that were kept, and zeros."""
        for k, zero, shape, dtype in self._kept:
            self[k] = np.zeros(shape, dtype) if zero else np.empty(shape, dtype)
        for array in self._zero:
            array.fill(0)
        return self


def _make(spec: WorkArray, shape: tuple[int, ...]) -> np.ndarray:
    new = np.zeros if spec.zero else np.empty
    size = prod(shape) * np.dtype(spec.dtype).itemsize
    if size < LARGE or spec.kept:
        return new(shape, spec.dtype)
    memory = new(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    return memory[start : start + size].view(spec.dtype).reshape(shape)


class WorkPool:
    """The arrays for calls of one kernel, kept between the calls."""

    def __init__(
        self, pairs: Sequence[tuple[str, WorkArray]], sizes: Mapping[str, Sizes], loop: int
    ):
        self._pairs, self._sizes, self._loop = pairs, sizes, loop
        self._spare: dict[int, list[Work]] = {}

    def take(self, trials: int) -> Work:
        """Return the arrays for a call that runs so many trials."""
        try:
            return self._spare[trials].pop().renew()
        except (KeyError, IndexError):  # none is left
            sizes = (self._size(trials, *pair) for pair in self._pairs)
            return Work(trials, [array for _, array in self._pairs], sizes)

    def give_back(self, work: Work) -> None:
        """Take arrays back that a kernel has worked with."""
        self._spare.setdefault(work.trials, []).append(work)

    def _size(self, trials, owner, array):
        neurons = self._loop if array.role.startswith("loop_") else self._sizes[owner].neurons
        return self._sizes[owner]._replace(trials=trials, neurons=neurons)


class EventWork:
    """The arrays for the kernels of a network, for the sizes of the latest batch."""

    def __init__(self):
        self._pools: dict[tuple[str, bool], tuple[dict, WorkPool]] = {}

    def pool(
        self, component: EventComponent, backward: bool, arrays: Arrays, windows: int
    ) -> WorkPool:
        """Return the arrays for one kernel of a component.

        Parameters
        ----------
        component
            The groups.
        backward
            Which of its kernels it is.
        arrays
            What the kernel is given, by owner and role.
        windows
            Number of its windows.
        """
        sizes, name = _sizes(component, arrays, windows), component.groups[0].name
        known = self._pools.get((name, backward))
        if known is None or known[0] != sizes:
            pairs = component.backward_work if backward else component.forward_work
            loop = sum(sizes[g.name].neurons for g in component.groups)
            known = self._pools[name, backward] = sizes, WorkPool(pairs, sizes, loop)
        return known[1]


def _sizes(component, arrays, windows):
    """What the sizes of arrays depend on, for each group and pathway, but the trials."""
    found = {}
    for g in component.groups:
        ring = arrays.get((g.name, "ring"), 0)
        found[g.name] = Sizes(len(arrays[g.name, "X0"]), 0, windows, ring)
    for p in component.pathways if component.batched else ():
        own, sources = found[p.target.name], len(arrays[p.name, "rows"]) - 1
        own = own._replace(sources=sources, row=arrays[p.name, "longest row"])
        if p.target.spikes:
            column, recent, reach = (
                arrays[p.name, role] for role in ("longest column", "recent", "reach")
            )
            own = own._replace(column=column, recent=recent, reach=reach)
        found[p.name] = own
    return found
