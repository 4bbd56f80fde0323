"""The reference has every public name, and every public name says what it takes and returns."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import brian_eventprop as bep

ROOT = Path(__file__).parents[2]
MODULES = ("datasets", "fit", "nir", "plotting", "schedules")
BRIDGES = ("torch", "jax")


def public():
    """Every public class and function, by the name that users write."""
    for name in bep.__all__:
        if name not in MODULES:
            yield f"bep.{name}", getattr(bep, name)
    for module in MODULES:
        found = getattr(bep, module)
        for name in found.__all__:
            yield f"bep.{module}.{name}", getattr(found, name)


NAMES = dict(public())

#: Made by the package only: their attributes are what matters.
RETURNED = {"bep.fit.Estimate", "bep.nir.Imported"}


def listed(page):
    """Names in the autosummary tables of a page of the reference."""
    text = (ROOT / "docs" / "api" / f"{page}.rst").read_text()
    tables = re.findall(r"^\.\. autosummary::\n(?: +:.*\n)*\n((?: +\S+\n)+)", text, re.MULTILINE)
    return {name.rpartition(".")[2] for table in tables for name in table.split()}


def test_every_public_name_has_a_page():
    pages = [file.stem for file in (ROOT / "docs" / "api").glob("*.rst")]
    on_pages = set().union(*(listed(page) for page in pages))
    assert {name.rpartition(".")[2] for name in NAMES} <= on_pages
    index = (ROOT / "docs" / "api" / "index.md").read_text()
    assert set(pages) <= set(index.split())


@pytest.mark.parametrize("bridge", BRIDGES)
def test_bridges_have_pages(bridge):
    tree = ast.parse((ROOT / "brian_eventprop" / f"{bridge}.py").read_text())
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    assert set(names) <= listed("bridges")


def arguments(thing):
    """What a call takes."""
    signature = inspect.signature(thing)
    return [name for name in signature.parameters if name not in ("self", "args", "kwargs")]


def described(text, section):
    """The names that a section of a docstring describes: its lines that are not indented."""
    found = re.search(
        rf"^{section}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", text, re.MULTILINE | re.DOTALL
    )
    heads = re.findall(r"^\S.*", found[1], re.MULTILINE) if found else []
    return {name.strip(" *") for head in heads for name in head.partition(" : ")[0].split(",")}


def test_a_section_is_read_to_its_end():
    text = "Do.\n\nParameters\n----------\na, *b : int\n    Of c : no.\nd\n\nReturns\n-------\ne\n"
    assert described(text, "Parameters") - {""} == {"a", "b", "d"}
    assert described(text, "Notes") == set()


@pytest.mark.parametrize("name", sorted(NAMES.keys() - RETURNED))
def test_a_docstring_says_what_is_taken(name):
    thing = NAMES[name]
    text = inspect.getdoc(thing)
    assert text and len(text.splitlines()[0]) > 20, "a first sentence"
    known = described(text, "Parameters") | described(text, "Attributes")
    missing = [argument for argument in arguments(thing) if argument not in known]
    assert not missing, f"{name} does not say what it takes as {', '.join(missing)}"
