"""The rooms of the package: who may import whom, and how many files lie in one folder."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "brian_eventprop"

# Small modules that every room may import.
BASE = {"errors", "_checks", "_copies", "_names", "_units", "messages"}

#: A room, and the rooms that it may import from.
RULES = {
    "kernels": set(),
    "reading": BASE,
    "adjoint": BASE | {"reading"},
    "plan": BASE | {"reading", "adjoint"},
    "codegen": BASE | {"reading", "adjoint", "plan", "kernels"},
    "runtime": BASE | {"reading", "adjoint", "plan", "codegen", "kernels", "data"},
    "data": BASE | {"reading"},
    "forward": BASE | {"reading"},
    "readouts": BASE,
    "losses": BASE | {"readouts", "data"},
    "expressions": BASE | {"reading", "codegen"},
    "model": BASE
    | {"reading", "adjoint", "runtime", "readouts", "losses", "data", "expressions", "forward"},
    "training": BASE | {"data", "losses", "plotting"},
    "datasets": BASE | {"data"},
    "plotting": BASE | {"data"},
    "bridges": BASE | {"data"},
    "fit": BASE | {"model", "readouts", "losses"},
    "torch": BASE | {"bridges", "data"},
    "jax": BASE | {"bridges", "data"},
    "nir": BASE | {"reading", "adjoint"},
    "errors": set(),
    "messages": set(),
    "_checks": BASE,
    "_lazy": set(),
    "_names": set(),
    "_copies": BASE,
    "_units": BASE,
}


def modules() -> dict[str, Path]:
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(path: Path, known) -> set[str]:
    """The modules of the package that a file imports, in functions, too; not for types alone."""
    found = set()
    tree = ast.parse(path.read_text())
    for block in tree.body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            block.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            inside = name.removeprefix("brian_eventprop.")
            if inside != name:
                found.add(inside if inside in known else inside.rpartition(".")[0])
    return found


MODULES = modules()
GRAPH = {name: imports(path, MODULES) for name, path in MODULES.items()}


@pytest.mark.parametrize("room", RULES)
def test_a_room_imports_only_from_the_rooms_below_it(room):
    members = [name for name in GRAPH if name.split(".")[0] == room]
    used = {other.split(".")[0] for name in members for other in GRAPH[name]}
    assert members
    assert used - {room} <= RULES[room]


def test_every_room_has_a_rule():
    assert {name.split(".")[0] for name in GRAPH if name} == set(RULES)


def test_no_two_modules_import_each_other():
    """Packages are left out: a folder's `__init__` hands out the names of its files."""
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    graph = {name: GRAPH[name] - packages for name in GRAPH if name not in packages}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("folder", [PACKAGE, ROOT / "templates", ROOT / "tests"], ids=str)
def test_no_folder_has_more_than_a_dozen_files(folder):
    counts = {
        str(sub.relative_to(ROOT)): sum(
            file.suffix in (".py", ".j2") and file.name not in ("__init__.py", "conftest.py")
            for file in sub.iterdir()
        )
        for sub in (folder, *folder.rglob("*/"))
        if sub.is_dir() and "__pycache__" not in sub.parts
    }
    assert {name: count for name, count in counts.items() if count > 12} == {}
