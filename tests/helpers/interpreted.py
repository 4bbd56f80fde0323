"""All networks on the CPU as plain Python: a model costs a fraction of a second, not a compilation.

After `install`, ``backend='cpu'`` is ``backend='interpreter'``, so any network runs interpreted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from brian_eventprop import runtime


def install() -> None:
    """Let this process run the kernels of the CPU in the interpreter."""
    solvers = runtime.SOLVERS
    for solver, backend in list(solvers):
        if backend == "interpreter":
            solvers[solver, "cpu"] = solvers[solver, backend]


@contextmanager
def interpreted() -> Iterator[None]:
    """Do so for a while."""
    before = dict(runtime.SOLVERS)
    install()
    try:
        yield
    finally:
        runtime.SOLVERS.update(before)
