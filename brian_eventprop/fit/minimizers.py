"""SciPy's minimisers, imported when they are needed: SciPy is no part of the installation."""

from __future__ import annotations

from types import ModuleType


def optimize() -> ModuleType:
    """Return `scipy.optimize`.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    """
    try:
        import scipy.optimize
    except ImportError:
        raise ImportError(
            "fits to recordings need SciPy: pip install 'brian-eventprop[fit]'"
        ) from None
    return scipy.optimize
