"""The one place that imports the CUDA package, so that another one can take its place here.

``cuda`` is numba-cuda, which serves ``numba.cuda``; Numba's own, deprecated target of that name is
not used.  It is imported when it is asked for; ``types`` are the types of its numbers.
"""

from __future__ import annotations

import importlib
import os

#: What to say when the package is not there.
INSTALL = (
    "backend='cuda' needs the package numba-cuda and the libraries of the CUDA toolkit: "
    "pip install 'brian-eventprop[cuda]'. backend='cpu' needs neither and gives the same results."
)


def simulated() -> bool:
    """Whether Numba's simulator takes the place of a GPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def __getattr__(name: str):
    if name == "types":
        return importlib.import_module("numba").types
    if name != "cuda":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        importlib.import_module("_numba_cuda_redirector")  # numba.cuda becomes numba-cuda's
        return importlib.import_module("numba.cuda")
    except ImportError as error:
        raise ImportError(INSTALL) from error
