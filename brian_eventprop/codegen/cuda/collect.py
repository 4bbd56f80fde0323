"""Render the CUDA kernels that do not depend on the network: gradients of synapses that add."""

from __future__ import annotations

from brian_eventprop.codegen.cuda.target import ON_CHIP, LocalArray, Target, spelling
from brian_eventprop.codegen.templates import render


def collect_threads(target: Target) -> int:
    """Return the threads of a block: at least as many as there are target neurons in a tile."""
    return max(32, min(256, target.threads))


def collect_width(n_steps: int, itemsize: int) -> int:
    """Return how many target neurons' records of a whole trial fit on the chip, at most 32.

    Examples
    --------
    >>> collect_width(1000, 4), collect_width(100, 8), collect_width(10**6, 8)
    (4, 16, 32)
    """
    fits = (ON_CHIP - 1024) // (2 * n_steps * itemsize)
    return min(32, 1 << fits.bit_length() - 1) if fits else 32


def _tiled(n_steps: int, itemsize: int) -> bool:
    return 2 * n_steps * itemsize * collect_width(n_steps, itemsize) <= ON_CHIP - 1024


def collect_chip(n_steps: int, single: bool) -> tuple[LocalArray, ...]:
    """Return the arrays of a block on the chip."""
    itemsize = 4 if single else 8
    if not _tiled(n_steps, itemsize):
        return ()
    return (
        LocalArray("", "adjoints", "adjoints", (2 * n_steps * collect_width(n_steps, itemsize),)),
    )


def render_collect(n_steps: int, single: bool, target: Target) -> str:
    """Render the functions that sort spikes and collect, accumulate and clear gradients."""
    itemsize = 4 if single else 8
    return render(
        "cuda/collect.py.j2",
        n_steps=n_steps,
        width=collect_width(n_steps, itemsize),
        tiled=_tiled(n_steps, itemsize),
        threads=collect_threads(target),
        float="float32" if single else "float64",
        **spelling(target, collect_threads(target)),
    )
