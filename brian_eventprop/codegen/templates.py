"""The Jinja2 environment of the kernel templates."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import jinja2
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from brian_eventprop.kernels.cache import cache_folder, read_checked, write_checked


class _TranslatedTemplates(BytecodeCache):
    """Templates as Jinja2 has translated them to Python, beside the compiled kernels on the disk.

    To translate them anew takes a quarter of the time in which a network is made of kernels that
    are compiled already.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        path = _translation(bucket)
        content = read_checked(path) if path else None
        if content is not None:
            bucket.bytecode_from_string(content)

    def dump_bytecode(self, bucket: Bucket) -> None:
        path = _translation(bucket)
        if path:
            write_checked(path, bucket.bytecode_to_string())


def _translation(bucket: Bucket) -> Path | None:
    folder = cache_folder()
    name = f"{jinja2.__version__}_{bucket.key}_{bucket.checksum}"
    return folder and folder / "templates" / name


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
        bytecode_cache=_TranslatedTemplates(),
    )
    env.filters["code"] = _code
    env.filters["outdent"] = _outdent
    env.tests["same_as"] = lambda a, b: a is b
    return env


def render(template: str, **values) -> str:
    """Render a template."""
    return environment().get_template(template).render(**values)
