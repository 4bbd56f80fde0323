"""The one place that imports the CUDA package, so that another one can take its place here.

``cuda`` is numba-cuda, which serves ``numba.cuda`` (Numba's own, deprecated target of that name is
not used), or else its successor numba-cuda-mlir.  ``types`` are the types of its numbers.  Both are
imported when they are asked for.
"""

from __future__ import annotations

import importlib
import os

#: What to say when no package is there.
INSTALL = (
    "backend='cuda' needs the package numba-cuda and the libraries of the CUDA toolkit: "
    "pip install 'brian-eventprop[cuda]'. backend='cpu' needs neither and gives the same results."
)

#: For each package: a module that only it has, its ``cuda`` and its ``types``.
PACKAGES = (
    ("_numba_cuda_redirector", {"cuda": "numba.cuda", "types": "numba.core.types"}),
    ("numba_cuda_mlir", {"cuda": "numba_cuda_mlir.cuda", "types": "numba_cuda_mlir.types"}),
)


def simulated() -> bool:
    """Whether Numba's simulator takes the place of a GPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def most_on_chip() -> int:
    """Return how many bytes of shared memory a block of the current device can have.

    Beyond 48 KiB a kernel must be allowed to, which only numba-cuda's driver has a way for.
    """
    package, least = __getattr__("cuda"), 48 * 1024
    if simulated() or not _first(package):
        return least
    return max(least, package.get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)


def most_in_memory() -> int:
    """Return how many bytes of the device's memory the arrays of blocks may take."""
    package = __getattr__("cuda")
    if simulated() or not _first(package):
        return 0
    return package.current_context().get_memory_info()[0] // 16


def most_together() -> int:
    """Return how many blocks may wait for each other: one on each multiprocessor at least.

    What they wrote must be seen by the others then, for which numba-cuda-mlir has no function.
    """
    package = __getattr__("cuda")
    if simulated() or not _first(package):
        return 1
    return package.get_current_device().MULTIPROCESSOR_COUNT


def _first(package) -> bool:
    """Return whether a package is numba-cuda."""
    return package.__name__ == PACKAGES[0][1]["cuda"]


def allow_on_chip(launch, nbytes: int) -> None:
    """Let a configured launch have more dynamic shared memory than 48 KiB.

    numba-cuda has no option for this, so the driver is told below the level of its kernels.
    """
    from numba.cuda.cudadrv import driver

    attribute = driver.binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

    def allow(kernel, launch):
        del launch
        function = kernel._codelibrary.get_cufunc()
        driver.driver.cuKernelSetAttribute(attribute, nbytes, function.handle, function.device.id)

    if not launch.pre_launch_callbacks:  # a launch that was configured before has it
        launch.pre_launch_callbacks.append(allow)


def __getattr__(name: str):
    if name not in ("cuda", "types"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    reason = None
    for own, modules in PACKAGES:
        try:
            importlib.import_module(own)  # the redirector makes numba.cuda numba-cuda's
            return importlib.import_module(modules[name])
        except ImportError as error:
            reason = reason or error
    raise ImportError(INSTALL) from reason
