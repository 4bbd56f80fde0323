"""All networks on the CPU as plain Python: a model costs a fraction of a second, not a compilation.

After `install`, ``backend='cpu'`` is ``backend='interpreter'``, so any network runs interpreted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from brian_eventprop import runtime

_COMPILED = {names: made for names, made in runtime.SOLVERS.items() if names[1] == "cpu"}


def install(interpreted: bool = True) -> None:
    """Let this process run the kernels of the CPU in the interpreter, or compile them again."""
    for solver, cpu in _COMPILED:
        made = runtime.SOLVERS[solver, "interpreter"] if interpreted else _COMPILED[solver, cpu]
        runtime.SOLVERS[solver, cpu] = made


@contextmanager
def kernels(interpreted: bool) -> Iterator[None]:
    """Do so for a while."""
    before = dict(runtime.SOLVERS)
    install(interpreted)
    try:
        yield
    finally:
        runtime.SOLVERS.update(before)
