"""A model as three tables: groups, projections, trained variables."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import Quantity

from brian_eventprop._units import quantity
from brian_eventprop.messages.tables import html_table, text_table


@dataclass(frozen=True)
class Summary:
    """Tables that describe a model; printed as text, shown as HTML in a notebook.

    Parameters
    ----------
    title
        One line.
    tables
        For each, the heads and the rows.
    """

    title: str
    tables: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]

    def __str__(self) -> str:
        parts = [self.title]
        parts += [text_table(heads, rows) for heads, rows in self.tables if rows]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = "".join(html_table(heads, rows) for heads, rows in self.tables if rows)
        return f"<p>{escape(self.title)}</p>{tables}"


def summary_of(model) -> Summary:
    """Return the tables of a model."""
    spec, network = model.spec, model.network
    own = [*spec.groups, *spec.inputs]
    groups = [(g.name, f"{g.size}", _states(g), _spikes(g)) for g in own]
    projections = [
        (p.name, f"{p.source} → {p.target}", f"{p.size}", _range(network.values[p.delay] * second))
        for p in spec.pathways
    ]
    trained = [
        (name, f"{np.size(values)}", _range(values)) for name, values in model.parameters.items()
    ]
    trained += [(".".join(key), "computed", text) for key, text in model.expressions.items()]
    count = sum(np.size(values) for values in model.parameters.values())
    title = (
        f"EventPropModel: {_short(model.duration)} with solver='{model.solver}', "
        f"backend='{model.backend}', {count} trained values"
    )
    return Summary(
        title,
        (
            (("group", "neurons", "states", "spikes"), tuple(groups)),
            (("projection", "from → to", "synapses", "delays"), tuple(projections)),
            (("trained", "values", "range"), tuple(trained)),
        ),
    )


def _states(group) -> str:
    return ", ".join(getattr(group, "states", ())) or "-"


def _spikes(group) -> str:
    if not hasattr(group, "threshold"):
        return "given"
    return group.threshold or "none"


def _range(values) -> str:
    """Return the lowest and the highest value with their unit."""
    if not np.size(values):
        return "-"
    low, high = np.min(values), np.max(values)
    dim = getattr(values, "dim", None)
    texts = [_short(end if dim is None else quantity(end, dim)) for end in (low, high)]
    return texts[0] if low == high else " to ".join(texts)


def _short(value) -> str:
    """Return a value with four digits and the unit in which Brian2 would write it."""
    if not isinstance(value, Quantity):
        return f"{float(value):.4g}"
    unit = value.get_best_unit()
    name = "" if value.dim.is_dimensionless else f" {unit}"
    return f"{float(value / unit):.4g}{name}"
