"""Generated modules, and the library that they import, as plain Python.

Their text stays as it is, in the same files, where a debugger finds it.  What they import differs:
`njit` returns functions as they are, `intrinsic` their twins, functions of `math` give infinity or
NaN as those of C do, and modules of the library are plain Python, too.  They stand beside the
modules that Numba compiles, and replace nothing: modules that run in the interpreter have an
``import`` of their own.
"""

from __future__ import annotations

import builtins
import importlib
import math
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from brian_eventprop.kernels.cache import LIBRARY, source_file

#: Functions of `math` that raise errors where those of C do not.
_RAISING = "exp expm1 log log1p log2 log10 sqrt sin cos tan sinh cosh tanh asin acos atan pow"


def load_interpreted(source: str, tag: str) -> ModuleType:
    """Return a generated module as plain Python; see `cache.load_module`."""
    return _loaded(source, tag)


@lru_cache(maxsize=4096)
def _loaded(source: str, tag: str) -> ModuleType:
    name, file = source_file(source, tag)
    return _interpret(source, name, file)


@cache
def library_module(name: str) -> ModuleType:
    """Return a module of the kernels' library as plain Python; the one for Numba isn't imported."""
    file = find_spec(name).origin
    return _interpret(Path(file).read_text(), name, file)


def plain(function: Callable) -> Callable:
    """Return a function that Numba compiles as it was before."""
    return getattr(function, "py_func", function)


def _interpret(source: str, name: str, file: str) -> ModuleType:
    module = ModuleType(f"interpreted.{name}")
    module.__file__ = file
    module.__builtins__ = {**vars(builtins), "__import__": _import}
    exec(compile(source, file, "exec"), vars(module))
    return module


def _import(name, globals=None, locals=None, fromlist=(), level=0):
    """Import a module for one that runs in the interpreter."""
    if name in _REPLACED:
        return _REPLACED[name]
    if name in LIBRARY:
        return library_module(name)
    generated = getattr(sys.modules.get(name), "__generated__", None)
    if generated is not None:
        return load_interpreted(*generated)
    return importlib.__import__(name, globals, locals, fromlist, level)


def _njit(*signatures, **options):
    """Return functions as they are."""
    del signatures, options
    return lambda function: function


def _intrinsic(twin):
    """Return the twin in place of what writes machine instructions."""
    return lambda generator: twin


def _as_in_c(function: Callable) -> Callable:
    """Return a function of `math` in the precision of its argument, with infinity and NaN."""
    in_numpy = getattr(np, function.__name__, None)

    def wrapped(*arguments):
        number = np.float32 if type(arguments[0]) is np.float32 else np.float64
        try:
            return number(function(*arguments))
        except OverflowError:
            return number(np.inf)
        except ValueError:
            return number(in_numpy(*arguments) if in_numpy else np.nan)

    return wrapped


def _math() -> SimpleNamespace:
    known = {name: getattr(math, name) for name in dir(math) if not name.startswith("_")}
    return SimpleNamespace(**known | {n: _as_in_c(known[n]) for n in _RAISING.split()})


_REPLACED = {
    "math": _math(),
    "brian_eventprop.kernels.cache": SimpleNamespace(njit=_njit),
    "brian_eventprop.kernels.intrinsics": SimpleNamespace(intrinsic=_intrinsic),
}
