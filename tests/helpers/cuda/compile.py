"""Devices that look at kernels only: what they compile to, and how much memory they ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from brian2 import Quantity

import brian_eventprop as bep
from brian_eventprop.codegen.cuda.target import ON_CHIP, Target
from brian_eventprop.kernels.cache import load_module
from helpers.watch import watched

#: Kernels between the trials, which compute in double precision whatever that of the states is.
BETWEEN = re.compile(r"(pack|vjp)_|adam$|sgd$|not_finite$")
UPDATES = {"adam", "sgd", "not_finite", "count", "pack_steps"}


def compiled(model, spikes):
    """Compile all kernels of a model, also those of optimisers."""
    with watched(model.runtime, "forward") as runs:
        model.run(spikes)
    for there in runs[-1].returned.spikes.values():
        counts = there.per_trial()
        model.runtime.workspace.added_up(counts, ("", "counts"))  # as of spikes nobody looks at
    _ = model.gradient().inputs
    rates = {
        key: Quantity(1e-3, dim=model.parameters.dimension(key)) for key in model.parameters.keys
    }
    for kind in (bep.Adam, bep.SGD):
        optimizer = kind(rates)
        optimizer.bind(model)
        gradients = model.gradient_arrays()
        gradients.suspect()
        optimizer.step(gradients)


class DryDevice:
    """Runs nothing; arrays are never touched, and what comes back is zero."""

    def __init__(self, **target):
        self.target, self.chip, self.max_memory, self.cores = Target(**target), ON_CHIP, 0, 1
        self.launches: list[tuple[str, object, int]] = []
        #: Bytes copied: to the device, from it, and to it beside the kernels.
        self.down = self.up = self.copied_async = 0

    def load(self, source, tag):
        """Return a name for every kernel."""
        return SimpleNamespace(**{name: name for name in re.findall(r"^def (\w+)", source, re.M)})

    def put(self, array, into=None):
        """Return an array like it."""
        self.down += array.nbytes
        return np.ascontiguousarray(array)

    def get(self, array):
        """Return zeros."""
        self.up += array.nbytes
        return np.zeros(array.shape, array.dtype)

    def empty(self, shape, dtype):
        """Return an array."""
        return np.empty(shape, dtype)

    def pinned(self, nbytes):
        """Return bytes."""
        return np.empty(nbytes, np.uint8)

    def copy_async(self, host, there, nbytes):
        """Copy nothing."""
        self.copied_async += nbytes

    def event(self, on_copy_stream=False):
        """Return a mark."""

    def after(self, event, on_copy_stream=False):
        """Wait for nothing."""

    finish = after

    def launch(self, kernel, grid, threads, arguments, chip=(), ring=None, cluster=1):
        """Note the kernel."""
        del arguments, chip, ring, cluster
        self.launches.append((kernel, grid, threads))


@dataclass(frozen=True)
class Report:
    """What a kernel became for one architecture."""

    name: str
    arch: str
    threads: int
    registers: int
    spilled: int
    stack: int
    shared: int
    doubles: tuple[str, ...]


class CompilingDevice(DryDevice):
    """Compiles kernels for the argument types with which they would run, and links them.

    ``only`` is a regular expression for the beginnings of the names of those that are wanted.
    """

    def __init__(self, archs=("80", "90"), **target):
        super().__init__(**target)
        self.archs, self.reports, self.ptx, self.only = archs, [], {}, ""
        self._known, self.source = set(), ""

    def load(self, source, tag):
        """Import a generated module."""
        self.source += source
        return load_module(source, f"cuda_{tag}")

    def launch(self, kernel, grid, threads, arguments, chip=(), ring=None, cluster=1):
        """Compile and link the kernel, unless that was done."""
        key = kernel.py_func
        if key not in self._known and re.match(self.only, key.__name__):
            self._known.add(key)
            self._compile(kernel, threads, arguments)

    def _compile(self, kernel, threads, arguments):
        import numba
        from numba.cuda import dispatcher

        from brian_eventprop.codegen.cuda.package import cuda

        # device functions ask the current device for its architecture
        dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=(8, 0))
        types = numba.types.void(*(numba.typeof(a) for a in arguments))
        options = {k: v for k, v in kernel.targetoptions.items() if k in ("launch_bounds",)}
        ptx, _ = cuda.compile(
            kernel.py_func, types, cc=(8, 0), device=False, abi="numba", output="ptx", **options
        )
        self.ptx[kernel.py_func.__name__] = ptx
        doubles = tuple(
            line.strip()
            for line in ptx.splitlines()
            if ".f64" in line and not line.lstrip().startswith(".")
        )
        for arch in self.archs:
            self.reports.append(self._linked(kernel, arch, ptx, threads, doubles))

    def _linked(self, kernel, arch, ptx, threads, doubles) -> Report:
        from cuda.core import Linker, LinkerOptions, ObjectCode

        options = LinkerOptions(arch=f"sm_{arch}", ptxas_options=["-v"], verbose=True)
        objects = [ObjectCode.from_ptx(ptx.encode(), name="kernel")]
        if "cudaCG" in ptx:  # a launch of blocks that wait for each other
            from numba.cuda.cudadrv.libs import get_cudalib

            objects.append(ObjectCode.from_library(get_cudalib("cudadevrt", static=True)))
        linker = Linker(*objects, options=options)
        linker.link("cubin")
        log = linker.get_info_log()
        stack, stores, loads = (
            int(x)
            for x in re.search(
                r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log
            ).groups()
        )
        used = re.search(r"Used (\d+) registers", log)
        # of a library that is linked to it, there are properties, too
        own = log[log.rindex(f"{kernel.py_func.__name__}B") :]
        shared = re.search(r"(\d+) bytes smem", own)
        return Report(
            kernel.py_func.__name__, arch, threads, int(used[1]), stores + loads, stack,
            int(shared[1]) if shared else 0, doubles,
        )  # fmt: skip


class SuccessorDevice(DryDevice):
    """Compiles every kernel with numba-cuda-mlir, the successor of numba-cuda."""

    def __init__(self):
        super().__init__()
        self.ptx: dict[str, str] = {}

    def load(self, source, tag):
        """Import a generated module."""
        return load_module(source, f"successor_{tag}")

    def launch(self, kernel, grid, threads, arguments, chip=(), ring=None, cluster=1):
        """Compile the kernel, unless that was done."""
        from numba_cuda_mlir import cuda, tools, types

        tools._cached_cc = (8, 0)  # device functions ask for it
        name = kernel.py_func.__name__
        if name not in self.ptx:
            signature = types.void(*(_type(types, a) for a in arguments))
            self.ptx[name], _ = cuda.compile(
                kernel.py_func, signature, cc=(8, 0), device=False, abi="numba", output="ptx"
            )


def _type(types, argument):
    if np.ndim(argument):
        return types.Array(getattr(types, argument.dtype.name), argument.ndim, "C")
    known = {bool: types.boolean, int: types.int64, float: types.float64}
    return known.get(type(argument)) or getattr(types, argument.dtype.name)
