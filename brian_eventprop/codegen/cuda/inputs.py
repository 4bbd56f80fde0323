"""Render the CUDA kernels of inputs that add, which do not depend on the network."""

from __future__ import annotations

from brian_eventprop.codegen.cuda.collect import collect_threads
from brian_eventprop.codegen.cuda.target import ON_CHIP, LocalArray, Target, spelling
from brian_eventprop.codegen.templates import render


def drive_cells(target: Target, itemsize: int) -> int:
    """Return how many steps times neurons of what arrives a block has on the chip.

    Examples
    --------
    >>> drive_cells(Target(), 4), drive_cells(Target(), 8)
    (11520, 5760)
    """
    return (ON_CHIP - 1024 - 8 * collect_threads(target)) // itemsize // 32 * 32


def drive_shape(n_target: int, n_steps: int, longest: int, threads: int, cells: int):
    """Return for how many neurons and steps a block sums the input drive.

    A spike is looked at in every block that one of its arrivals may belong to, so a block has at
    least as many steps as the longest delay if they fit, and as many neurons as then remain.

    Examples
    --------
    >>> drive_shape(256, 1127, 512, 256, 11520), drive_shape(512, 1000, 62, 256, 11520)
    ((32, 282), (160, 72))
    >>> drive_shape(20, 100, 10, 256, 11520)
    (32, 100)
    """
    wanted = min(n_steps, max(longest, 64))
    most = min(threads, -(-n_target // 32) * 32)
    width = max(32, min(most, cells // wanted // 32 * 32))
    blocks = -(-n_steps // min(n_steps, max(cells // width, 1)))
    return width, -(-n_steps // blocks)


def inputs_chip(target: Target, itemsize: int):
    """Return the arrays on the chip for the input drive, and for the gradients of spike times."""
    threads = collect_threads(target)
    ends = (LocalArray("", role, role, (threads,), "np.int32") for role in ("low", "high"))
    cells = LocalArray("", "cells", "cells", (drive_cells(target, itemsize),))
    return (cells, *ends), (LocalArray("", "sums", "sums", (threads // 32, 33)),)


def render_inputs(n_steps: int, single: bool, target: Target) -> str:
    """Render ``drive_dense``, ``drive_sparse``, ``d_time_dense`` and ``d_time_sparse``."""
    threads = collect_threads(target)
    return render(
        "cuda/inputs.py.j2",
        n_steps=n_steps,
        cells=drive_cells(target, 4 if single else 8),
        threads=threads,
        float="float32" if single else "float64",
        **spelling(target, threads),
    )
