"""Arrays on the device that outlive a batch, and the kernels that clear them and add them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from brian_eventprop.codegen.cuda.collect import (
    collect_chip,
    collect_threads,
    collect_width,
    render_collect,
)
from brian_eventprop.codegen.cuda.target import Kernel, LocalArray

#: Bytes that arrays of blocks in memory may have, however little the device has.  They decide how
#: many trials run at a time.
BLOCKS_MEMORY = 320 * 2**20
#: Groups of trials over which the gradients of synapses that add are summed side by side.
PARTS = 8


class Workspace:
    """The memory of a solver on its device.

    Parameters
    ----------
    device
        See `brian_eventprop.runtime.cuda.device`.
    dtype
        Precision of the states.
    n_steps
        Time steps of a trial.
    """

    def __init__(self, device, dtype: np.dtype, n_steps: int):
        self.device, self.dtype = device, dtype
        single = dtype.itemsize == 4
        self.source = render_collect(n_steps, single, device.target)
        self._kernels = device.load(self.source, "collect")
        self._chip = collect_chip(n_steps, single)
        self._threads = collect_threads(device.target)
        self._width = collect_width(n_steps, dtype.itemsize)
        self.kept: dict[object, object] = {}
        self._sent: dict[object, tuple[np.ndarray, object]] = {}
        self._scratch = None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = [*self.kept.values(), *([] if self._scratch is None else [self._scratch])]
        arrays += [there for _, there in self._sent.values()]
        return sum(int(np.prod(a.shape)) * a.dtype.itemsize for a in arrays)

    def type_of(self, array: LocalArray) -> np.dtype:
        """Return the type of the entries of a block's array."""
        return self.dtype if array.dtype == "FLOAT" else np.dtype(getattr(np, array.dtype[3:]))

    def array(self, name, shape, dtype=None):
        """Return an array, the one of the last batch if it fits."""
        dtype = np.dtype(dtype or self.dtype)
        kept = self.kept.get(name)
        if kept is None or kept.shape != tuple(shape) or kept.dtype != dtype:
            self.kept.pop(name, None)  # the old one goes first
            self.kept[name] = kept = self.device.empty(tuple(shape), dtype)
        return kept

    def put(self, name, array: np.ndarray):
        """Copy an array of the host to the device, to where the last batch's was if it fits."""
        array = array if array.size else np.zeros([max(n, 1) for n in array.shape], array.dtype)
        return self.device.put(array, self.array(name, array.shape, array.dtype))

    def send(self, name, array: np.ndarray):
        """Return an array of the host on the device; it is copied if it has changed."""
        known, there = self._sent.get(name, (None, None))
        same = known is not None and known.dtype == array.dtype and known.shape == array.shape
        if not (same and np.array_equal(known, array)):
            there = self.device.put(array, there if same else None)
            self._sent[name] = array.copy(), there
        return there

    def of_blocks(
        self, kernels: Iterable[Kernel], known: Mapping[str, int], n_trials: int, skip=(), most=None
    ):
        """Return how many trials run at a time, and the arrays that their blocks have in memory.

        They lie in one piece of memory, which those of another phase take over.  ``known`` has the
        dimensions that change from batch to batch; ``most`` is a limit of the device.
        """
        local = {a.name: a for k in kernels for a in k.in_memory if a.name not in skip}
        shapes = {
            name: tuple(known[n] if isinstance(n, str) else n for n in a.shape)
            for name, a in local.items()
        }
        sizes = {k: int(np.prod(shapes[k])) * self.type_of(a).itemsize for k, a in local.items()}
        most_at_once = max(
            1, max(self.device.max_memory, BLOCKS_MEMORY) // max(sum(sizes.values()), 1)
        )
        blocks = int(min(n_trials, most or n_trials, most_at_once))
        blocks = -(-n_trials // -(-n_trials // blocks))  # waves of about the same size
        total = sum(_aligned(size * blocks) for size in sizes.values())
        if self._scratch is None or self._scratch.shape[0] < total:
            self._scratch = None
            self._scratch = self.device.empty((total,), np.uint8)
        arrays, start = {}, 0
        for name, a in local.items():
            part = self._scratch[start : start + sizes[name] * blocks].view(self.type_of(a))
            arrays[a.owner, f"{a.role}_all"] = part.reshape((blocks, *shapes[name]))
            start += _aligned(sizes[name] * blocks)
        return blocks, arrays

    def clear(self, array) -> None:
        """Set an array to zero."""
        n = int(np.prod(array.shape))
        if n:
            grid = (min(-(-n // self._threads), 1024), 1, 1)
            self.device.launch(self._kernels.clear, grid, self._threads, [array.reshape(n)])

    def added_up(self, parts, name) -> np.ndarray:
        """Sum an array over its first axis, in order; return the result on the host."""
        n = int(np.prod(parts.shape[1:]))
        total = self.array((name, "total"), (n,))
        grid = (min(-(-n // self._threads), 1024), 1, 1)
        arguments = [parts.reshape((parts.shape[0], n)), total]
        self.device.launch(self._kernels.accumulate, grid, self._threads, arguments)
        return self.device.get(total).reshape(parts.shape[1:]).astype(float)

    def collect(self, p, arrays, sizes: Mapping[str, int], first: int, count: int) -> None:
        """Sum the arrival adjoints of some trials, synapse by synapse of a pathway."""
        source, target = p.source.name, p.target
        given = ("given", "bound") if p.source.is_input else ("sorted", "bound")
        arguments = [first, count, sizes[source], target.size]
        arguments += [*(arrays[source, role] for role in given), arrays[p.name, "steps"]]
        arguments += [] if p.dense else [arrays[p.name, "base"], arrays[p.name, "bits"]]
        adjoints = arrays[target.name, f"record_{p.adjoint.increment.state}_all"]
        self.device.launch(
            self._kernels.collect_dense if p.dense else self._kernels.collect_sparse,
            (-(-target.size // self._width), min(PARTS, count)),
            self._threads,
            [*arguments, adjoints, arrays[p.name, "sums"]],
            self._chip,
        )

    def sort(self, group, arrays) -> None:
        """Sort the spikes of a group by neuron, as those of an input are."""
        table, final = arrays[group.name, "spike_rows"], arrays[group.name, "final"]
        n_trials, capacity = table.shape[:2]
        if n_trials * capacity >= 2**31:
            raise MemoryError(
                f"{n_trials} trials with up to {capacity} spikes of {group.name!r} are more spikes "
                "than 32 bits can count. Run fewer trials in a batch."
            )
        steps = self.array((group.name, "sorted"), (n_trials * capacity,), np.int32)
        bound = self.array((group.name, "bound"), (n_trials, group.size + 1), np.int32)
        arguments = [capacity, table, final, steps, bound]
        self.device.launch(self._kernels.sort_spikes, n_trials, self._threads, arguments)
        arrays[group.name, "sorted"], arrays[group.name, "bound"] = steps, bound


def _aligned(size: int) -> int:
    """Round bytes up, so that any type of number may begin there."""
    return -(-size // 256) * 256
