"""Every example has a page in the gallery, uses what is public, prints, and draws a picture."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = {file.stem: ast.parse(file.read_text()) for file in (ROOT / "examples").glob("*.py")}
#: What the others import.
HELPERS = {"experiment", "layers", "speech_recipe"}


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def shown():
    """The examples of the gallery, and the helpers that their pages show."""
    tree = ast.parse((ROOT / "docs" / "extensions" / "gallery.py").read_text())
    made = [call for call in calls(tree) if ast.unparse(call.func) == "Example"]
    names = [[ast.literal_eval(argument) for argument in call.args] for call in made]
    return {name: (rest[1] if len(rest) > 1 else "", *rest[2:]) for name, *rest in names}


def imported(tree):
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} & HELPERS


def test_every_example_is_in_the_gallery():
    pages = shown()
    assert set(pages) == set(SCRIPTS) - HELPERS
    for name, (_, *helpers) in pages.items():
        listed = set(helpers[0]) if helpers else set()
        wanted = imported(SCRIPTS[name])
        wanted |= {more for helper in wanted for more in imported(SCRIPTS[helper])}
        assert listed == wanted, name


def test_those_that_are_not_run_have_a_picture():
    """All but those that need data or a library that few have."""
    kept = {file.stem for file in (ROOT / "docs" / "figures" / "examples").glob("*.png")}
    without = {name for name, (takes, *_) in shown().items() if takes and "needs" not in takes}
    assert without <= kept


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_an_example_uses_what_is_public(name):
    tree = SCRIPTS[name]
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    private = {a for a in attributes if a.startswith("_") and not a.startswith("__")}
    assert not private
    assert not {m for m in modules if "._" in m}


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - HELPERS))
def test_an_example_prints_and_draws(name):
    tree = SCRIPTS[name]
    used = [tree, *(SCRIPTS[helper] for helper in imported(tree))]
    used += [SCRIPTS[more] for part in used for more in imported(part)]
    written = {ast.unparse(call.func).rpartition(".")[2] for part in used for call in calls(part)}
    assert {"print", "savefig"} <= written
