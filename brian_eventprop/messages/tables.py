"""Tables as text and as HTML, and objects in one line."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from html import escape

import numpy as np

Rows = Sequence[Sequence[str]]


def text_table(heads: Sequence[str], rows: Rows) -> str:
    """Return a table with aligned columns.

    Examples
    --------
    >>> print(text_table(["group", "spikes"], [["hidden", "3"]]))
    group   spikes
    ------  ------
    hidden  3
    """
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(f"{cell:{w}}" for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def html_table(heads: Sequence[str], rows: Rows) -> str:
    """Return a table for a notebook.

    Examples
    --------
    >>> html_table(["a"], [["v > 1"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>v &gt; 1</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def titled_html(title: str, heads: Sequence[str], rows: Rows) -> str:
    """Return a line and a table, if it has rows."""
    return f"<p>{escape(title)}</p>{html_table(heads, rows) if rows else ''}"


def settings_of(thing, most: int = 6) -> list[str]:
    """Return what an object was made with, ``name=value``, as far as it keeps that by these names.

    Examples
    --------
    >>> from brian_eventprop.training import EarlyStopping
    >>> settings_of(EarlyStopping(3))
    ['patience=3', 'min_delta=0.0', 'restore_best=True']
    """
    kept = vars(thing)
    given = inspect.signature(type(thing).__init__).parameters
    names = [name for name in given if name in kept and name != "readouts"]
    return [f"{name}={_brief(kept[name])}" for name in names if kept[name] is not None][:most]


def _brief(value) -> str:
    if isinstance(value, np.ndarray) and value.size > 1:
        return f"array{value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."
