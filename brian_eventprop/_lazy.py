"""Public names that are imported when they are asked for (SPEC 1 of scientific Python)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def public_names(package: str, file: str) -> tuple[Callable[[str], object], list[str]]:
    """Make the `__getattr__` and the `__all__` of a package from the stub beside it.

    Parameters
    ----------
    package : str
        The package's name.
    file : str
        Its `__init__.py`. The imports of `__init__.pyi`, in the same folder, say what is public.

    Returns
    -------
    find : callable
        Imports a public name or a module of the package, and keeps it there.
    names : list of str
        All of them.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    homes = {
        alias.name: f"{package}.{node.module}" if node.module else package
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def find(name: str) -> object:
        home = homes.get(name, package)
        if home == package:
            module = f"{package}.{name}"
            if name.startswith("_") or find_spec(module) is None:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            return import_module(module)  # which sets the package's attribute
        value = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, list(homes)
