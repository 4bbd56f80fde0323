"""Functions that write machine instructions, each with a twin in plain Python.

The twin says what the instructions do: the interpreter calls it in their place (see
`brian_eventprop.runtime.interpreter`), and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import extending


def intrinsic(twin: Callable) -> Callable:
    """Make an intrinsic, as `numba.extending.intrinsic` does, of what types and writes its code.

    Parameters
    ----------
    twin
        The same function in plain Python.
    """
    del twin
    return extending.intrinsic
