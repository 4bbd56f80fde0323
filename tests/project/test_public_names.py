"""Tests use what is public: they go on to hold when the inside of an object changes."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

#: Names of other packages for which there are no public ones.
OTHERS = {
    "_Intrinsic",  # Numba's class of intrinsics
    "_defn",  # and the function that defines one
    "_cached_cc",  # the architecture that numba-cuda-mlir compiles for
    "_repr_html_",  # what a notebook asks objects for
    "_refractory",  # the period or condition of a group of Brian2
}


def is_private(name: object) -> bool:
    """Whether a name is private, of no other package, and not one of Python's own."""
    own = isinstance(name, str) and name.startswith("_") and not name.endswith("__")
    return own and len(name) > 1 and name not in OTHERS


def is_itself(node: ast.expr) -> bool:
    """Whether it is the object, or the class, whose method this is."""
    return ast.unparse(node) in ("self", "cls", "super()")


def private_reads(tree: ast.AST) -> list[str]:
    """What a file reads, imports or replaces of others that is private to them."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_itself(node.value):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if is_private(alias.name)]
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            named = node.args[1]
            by_name = ast.unparse(node.func).endswith(("setattr", "getattr", "delattr"))
            if by_name and isinstance(named, ast.Constant) and is_private(named.value):
                found.append(ast.unparse(node))
    return found


def test_no_test_reads_what_is_private():
    found = {
        f"{file.relative_to(TESTS)}: {read}"
        for file in TESTS.rglob("*.py")
        for read in private_reads(ast.parse(file.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "text, private",
    [
        ("model._solver", True),
        ("from package import _part", True),
        ("monkeypatch.setattr(solver, '_segment', 3)", True),
        ("getattr(model, '_network')", True),
        ("self._memory", False),
        ("super()._change(key)", False),
        ("type(model).__name__", False),
        ("for _ in model.parts: pass", False),
    ],
)
def test_what_is_private(text, private):
    assert bool(private_reads(ast.parse(text))) == private
