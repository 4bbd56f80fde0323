"""An emulator of a CUDA device: the kernels as generators, stepped from barrier to barrier.

The kernels run as plain Python, which is quicker than compiling them where networks are small;
``compiled=True`` compiles them for full-size trials.

All threads of a block run up to the next barrier, one after the other, in a random order; if some
are through while others wait, the barrier is divergent and the emulator says so.  Arrays start with
NaN or absurd numbers, so that reading what nobody wrote is seen.
"""

from __future__ import annotations

import itertools
import types

import numba
import numpy as np

from brian_eventprop.codegen.cuda.target import ON_CHIP, Target
from brian_eventprop.kernels.cache import load_module

_DONE = object()


class There:
    """An array on the device: it can be looked at and cut, but the host cannot compute with it."""

    def __init__(self, array: np.ndarray):
        self.array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def reshape(self, shape):
        """Return the array in another shape."""
        return There(self.array.reshape(shape))

    def view(self, dtype):
        """Return the same bytes as other numbers."""
        return There(self.array.view(dtype))

    def __getitem__(self, part):
        """Return a part that lies in one piece."""
        assert isinstance(part, slice) and part.step is None and self.ndim == 1
        return There(self.array[part])


class Emulator:
    """Has the methods of `CudaDevice`.

    Parameters
    ----------
    threads
        Most threads of a block.
    seed
        Of the order of the threads; None runs them in their own order.
    compiled
        Whether the generators are compiled.
    chip
        Bytes of fast memory that a block can have.
    warps
        Whether sums over threads go through warps, as on a GPU; that is slow here.
    cores
        How many blocks can run at a time; only these may wait for each other.
    """

    def __init__(
        self,
        threads: int = 64,
        seed: int | None = 0,
        compiled: bool = False,
        warps: bool = False,
        chip: int = ON_CHIP,
        cores: int = 1,
    ):
        self.target = Target(emulated=True, warps=warps, threads=threads)
        self.chip, self.max_memory, self.cores, self.most_ring = chip, 0, cores, 0
        #: Most blocks that ran a trial together.
        self.largest_cluster = 1
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.compiled = compiled
        #: Kernels, copies beside them, and who waited for what.
        self.launches: list = []
        self._copies: list = []
        self.copied = 0
        self.barriers = 0
        #: Bytes copied to the device and from it.
        self.down = self.up = 0

    def load(self, source, tag):
        """Import a generated module."""
        module = load_module(source, f"emulated_{tag}")
        if self.compiled:
            module = _compiled(module)
        return module

    def put(self, array, into=None):
        """Copy an array."""
        self.down += array.nbytes
        if into is None:
            return There(np.array(array, order="C"))
        assert into.shape == array.shape and into.dtype == array.dtype
        into.array[...] = array
        return into

    def get(self, array):
        """Copy an array."""
        self.up += array.array.nbytes
        return np.array(array.array)

    def empty(self, shape, dtype):
        """Return an array of nonsense."""
        return There(nonsense(shape, dtype))

    # ---- copies on the copy stream: as late as the events allow ----
    def pinned(self, nbytes):
        """Return nonsense."""
        return nonsense(nbytes, np.uint8)

    def copy_async(self, host, there, nbytes):
        """Copy when somebody waits for it, what is on the host by then."""
        self.down += nbytes
        self.launches.append("copy")

        def copy():
            there.array[:nbytes] = host[:nbytes]

        self._copies.append(copy)

    def event(self, on_copy_stream=False):
        """Return a mark: the number of copies, or of launches, before it."""
        return self.copied + len(self._copies) if on_copy_stream else len(self.launches)

    def after(self, event, on_copy_stream=False):
        """Do the copies before a mark; launches are done at once, so copies need not wait."""
        if on_copy_stream:
            self.launches.append(("copies wait for", event))
            return
        self.launches.append("wait")
        self.finish(event)

    def finish(self, event):
        """Do the copies before a mark."""
        while self.copied < event:
            self._copies.pop(0)()
            self.copied += 1

    # ---- kernels ----
    def launch(self, kernel, grid, threads, arguments, chip=(), ring=None, cluster=1):
        """Run every block of a grid, those of a cluster together."""
        self.launches.append(kernel.__name__)
        assert not any(isinstance(a, np.ndarray) for a in arguments), "an array of the host"
        arguments = [a.array if isinstance(a, There) else a for a in arguments]
        self.most_ring = max(self.most_ring, 0 if ring is None else ring[0])
        floats = next(
            (a.dtype for a in arguments if isinstance(a, np.ndarray) and a.dtype in _FLOATS), None
        )
        if cluster > 1:
            assert grid <= self.cores and ring is None
            self.largest_cluster = max(self.largest_cluster, cluster)
            everyone = []
            for block in range(grid):
                given = [block, *self._local(chip, floats), *arguments]
                everyone.append([kernel(thread, *given) for thread in range(threads)])
            clusters = [sum(everyone[k : k + cluster], []) for k in range(0, grid, cluster)]
            while clusters:  # all run at a time; blocks wait for those of their own cluster only
                clusters = [
                    clusters[k] for k in self._order(len(clusters)) if self._step(clusters[k])
                ]
            return
        shape = (grid,) if np.ndim(grid) == 0 else tuple(grid)
        names = getattr(kernel, "py_func", kernel).__code__.co_varnames
        for block in itertools.product(*(range(n) for n in shape)):
            local = self._local(chip, floats)
            local += [nonsense(ring[0], ring[1])] if ring is not None else []
            # a kernel knows its block, and the length of the last side of the grid that is not 1
            ids = [*block, shape[-1]] if len(shape) > 1 else [*block]
            ids = [block[0], shape[0]] if names[2] == "blocks" else ids
            running = [kernel(tid, *ids, *local, *arguments) for tid in range(threads)]
            while self._step(running):
                pass

    @staticmethod
    def _local(chip, floats):
        """Return the arrays on the chip of a block."""
        return [
            nonsense(a.shape, floats if a.dtype == "FLOAT" else getattr(np, a.dtype[3:]))
            for a in chip
        ]

    def _order(self, n):
        return range(n) if self.rng is None else self.rng.permutation(n)

    def _step(self, running):
        """Step threads to the next barrier; return whether they go on from there."""
        came = [next(running[k], _DONE) for k in self._order(len(running))]
        self.barriers += 1
        missing = sum(barrier is _DONE for barrier in came)
        if missing == len(running):
            return False
        assert missing == 0, f"{missing} threads did not come to a barrier"
        assert len(set(came)) == 1, "threads wait at different barriers"
        return True


def nonsense(shape, dtype) -> np.ndarray:
    """Return an array as nobody has written to it."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).max, dtype)


_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _compiled(module):
    """Return a copy of a generated module with compiled functions."""
    known = {k: f for k, f in vars(module).items() if not k.startswith("__")}
    copy = types.ModuleType(module.__name__ + "_compiled", module.__doc__)
    vars(copy).update(known)
    for name, function in known.items():
        if isinstance(function, types.FunctionType):
            renewed = types.FunctionType(function.__code__, vars(copy), name)
            setattr(copy, name, numba.njit(error_model="numpy")(renewed))
    return copy
