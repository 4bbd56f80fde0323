"""The Jinja2 environment of the kernel templates."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def _code(lines, indent: int) -> str:
    """Join lines of code at an indentation; the first stands where the template put it."""
    return ("\n" + " " * indent).join(lines) if lines else "pass"


def _outdent(text: str, indent: int) -> str:
    """Move code to the left."""
    return re.sub(f"(?m)^ {{{indent}}}", "", text)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment; the templates lie beside the package in a checkout."""
    inside = Path(__file__).parent.parent / "templates"
    folder = inside if inside.is_dir() else Path(__file__).parents[2] / "templates"
    env = Environment(
        loader=FileSystemLoader(folder),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    env.filters["code"] = _code
    env.filters["outdent"] = _outdent
    env.tests["same_as"] = lambda a, b: a is b
    return env


def render(template: str, **values) -> str:
    """Render a template."""
    return environment().get_template(template).render(**values)
