"""The CUDA device: memory, and launches of kernels.

The solver asks for nothing else, so an emulator with the same methods can take its place.
"""

from __future__ import annotations

import warnings

import numpy as np

from brian_eventprop.codegen.cuda.target import ON_CHIP, Target
from brian_eventprop.kernels.cache import load_module

#: What to say when there is no device.
NO_DEVICE = (
    "backend='cuda' needs an NVIDIA GPU and its driver, but none was found. "
    "backend='cpu' gives the same results."
)


#: A warning of numba-cuda about small grids.
FEW_BLOCKS = r".*Grid size .* under-utilization"


class CudaDevice:
    """The current CUDA device (or Numba's simulator of one).

    Raises
    ------
    ImportError
        If the package that compiles the kernels is not installed.
    RuntimeError
        If there is no device.
    """

    def __init__(self):
        from brian_eventprop.codegen.cuda.package import (
            cuda,
            most_in_memory,
            most_on_chip,
            most_together,
            simulated,
        )

        if not cuda.is_available():
            raise RuntimeError(NO_DEVICE)
        # a batch of few trials is the user's choice; the message begins with a colour
        warnings.filterwarnings("ignore", message=FEW_BLOCKS)
        self.cuda = cuda
        # neither is the default stream, for which all others would wait
        self.stream, self.copy_stream = cuda.stream(), cuda.stream()
        #: Bytes of fast memory that a block can have, in part only if the kernel asks for it.
        self.chip = most_on_chip()
        #: Bytes that the arrays of blocks in memory may take, if these are many.
        self.max_memory = most_in_memory()
        #: Blocks that may wait for each other: one on each multiprocessor.
        self.cores = most_together()
        self.target = Target(warps=not simulated())

    def load(self, source: str, tag: str):
        """Import a generated module."""
        return load_module(source, f"cuda_{tag}")

    def put(self, array: np.ndarray, into=None):
        """Copy an array to the device, into another of its shape and type if one is given."""
        if not array.size:  # kernels get arrays of at least one entry
            array = np.zeros([max(n, 1) for n in array.shape], array.dtype)
        array = np.ascontiguousarray(array)
        if into is None:
            into = self.cuda.to_device(array, stream=self.stream)
        else:
            into.copy_to_device(array, stream=self.stream)
        self.stream.synchronize()  # the host's array may change from now on
        return into

    def get(self, array) -> np.ndarray:
        """Copy an array from the device."""
        found = array.copy_to_host(stream=self.stream)
        self.stream.synchronize()
        return found

    def empty(self, shape, dtype):
        """Return a new array on the device."""
        return self.cuda.device_array(tuple(max(n, 1) for n in shape), dtype)

    # ---- copies on a stream of their own ----
    def pinned(self, nbytes: int) -> np.ndarray:
        """Return bytes on the host that the device can read by itself."""
        return self.cuda.pinned_array((nbytes,), np.uint8)

    def copy_async(self, host: np.ndarray, there, nbytes: int) -> None:
        """Begin to copy bytes from pinned memory; kernels run on."""
        there[:nbytes].copy_to_device(host[:nbytes], stream=self.copy_stream)

    def event(self, on_copy_stream: bool = False):
        """Return an event after all that was begun: launches, or copies on the copy stream."""
        event = self.cuda.event()
        event.record(self.copy_stream if on_copy_stream else self.stream)
        return event

    def after(self, event, on_copy_stream: bool = False) -> None:
        """Let later launches, or later copies, wait for a mark."""
        event.wait(self.copy_stream if on_copy_stream else self.stream)

    def finish(self, event) -> None:
        """Wait for a mark."""
        event.synchronize()

    # ---- kernels ----
    def launch(self, kernel, grid, threads: int, arguments, chip=(), ring=None, cluster=1) -> None:
        """Run a kernel on a grid of blocks; `ring` is the size and type of an array on the chip.

        A `cluster` of several blocks waits for each other: the kernel asks for a cooperative
        launch.
        """
        del cluster
        size, dtype = ring or (0, np.float64)
        nbytes = size * np.dtype(dtype).itemsize
        configured = kernel[grid, threads, self.stream, nbytes]
        if nbytes and nbytes + sum(a.size * 8 for a in chip) > ON_CHIP:
            from brian_eventprop.codegen.cuda.package import allow_on_chip

            allow_on_chip(configured, nbytes)
        configured(*arguments)
