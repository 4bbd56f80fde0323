"""All networks on the CPU as plain Python: a model costs a fraction of a second, not a compilation.

After `install`, ``backend='cpu'`` is ``backend='interpreter'``, so any test runs interpreted.
"""

from __future__ import annotations

from brian_eventprop import runtime


def install() -> None:
    """Let this process run the kernels of the CPU in the interpreter."""
    runtime.SOLVERS.update(interpreted())


def interpreted() -> dict:
    """Return the solvers in place of those that compile kernels for the CPU."""
    solvers = {solver for solver, backend in runtime.SOLVERS if backend == "interpreter"}
    return {(solver, "cpu"): runtime.SOLVERS[solver, "interpreter"] for solver in solvers}
