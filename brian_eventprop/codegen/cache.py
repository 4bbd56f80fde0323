"""Generated modules on disk, named after their content.

A module is written once (to a temporary file, then renamed, so that several processes may build
at the same time) and imported from there, so that Numba can keep its machine code beside it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numba
import numpy as np

#: Modules of this folder that generated modules import, and what these import: their code becomes
#: part of the compiled kernels.
HELPERS = (
    "functions", "arrivals", "bulk_adjoint", "bulk_arrivals", "nodes", "tableau", "buffers",
    "tiles", "row_buffers", "streams", "vectors",
)  # fmt: skip

#: Environment variable that names the folder of generated modules.
CACHE_VARIABLE = "BRIAN_EVENTPROP_CACHE"


def cache_folder() -> Path:
    """Return the folder of generated modules, created if need be."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "brian_eventprop"
    folder = Path(os.environ.get(CACHE_VARIABLE, default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@lru_cache
def _helpers() -> str:
    """Return what the machine code of the helpers depends on besides each file itself."""
    folder = Path(__file__).parent
    texts = ((folder / f"{name}.py").read_text() for name in HELPERS)
    return "\n".join((*texts, numba.__version__, np.__version__, sys.version))


def njit(*signature, **options):
    """Compile a function of a helper, as `numba.njit` does.

    Numba would take machine code from the disk unless the very file has changed.  A function of
    another helper may be a part of it, so here it is kept by the content of all of them.
    """
    compiled = numba.njit(*signature, **options)

    def decorated(function):
        folder = Path(numba.config.CACHE_DIR or cache_folder())
        before, name = numba.config.CACHE_DIR, hashlib.sha256(_helpers().encode()).hexdigest()
        numba.config.CACHE_DIR = str(folder / f"helpers_{name[:20]}")
        try:
            return compiled(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorated


def load_module(source: str, tag: str) -> ModuleType:
    """Write a generated module if it is new, and import it."""
    key = "\n".join((source, _helpers()))
    name = f"{tag}_{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{name}.py"
    if not path.exists() or path.read_text() != source:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            file.write(source)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
