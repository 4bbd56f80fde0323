"""The CUDA device: memory, and launches of kernels.

The solver asks for nothing else, so an emulator with the same methods can take its place.
"""

from __future__ import annotations

import warnings

import numpy as np

from brian_eventprop.codegen.cache import load_module
from brian_eventprop.codegen.cuda import Target

#: What to say when there is no device.
NO_DEVICE = (
    "backend='cuda' needs an NVIDIA GPU and its driver, but none was found. "
    "backend='cpu' gives the same results."
)


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
        from brian_eventprop.codegen.cuda_package import cuda, simulated

        if not cuda.is_available():
            raise RuntimeError(NO_DEVICE)
        # a batch of few trials is the user's choice
        warnings.filterwarnings("ignore", message="Grid size .* under-utilization")
        self.cuda = cuda
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
            return self.cuda.to_device(array)
        into.copy_to_device(array)
        return into

    def get(self, array) -> np.ndarray:
        """Copy an array from the device."""
        return array.copy_to_host()

    def empty(self, shape, dtype):
        """Return a new array on the device."""
        return self.cuda.device_array(tuple(max(n, 1) for n in shape), dtype)

    def launch(self, kernel, grid, threads: int, arguments, chip=(), ring=None) -> None:
        """Run a kernel on a grid of blocks; `ring` is the size and type of an array on the chip."""
        del chip
        size, dtype = ring or (0, np.float64)
        kernel[grid, threads, 0, size * np.dtype(dtype).itemsize](*arguments)
