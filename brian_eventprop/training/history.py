"""The record of a training run: one row of numbers per epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping

import numpy as np

from brian_eventprop.messages.tables import titled_html

__all__ = ["History"]

#: Numbers in a `repr`.
MOST_SHOWN = 8
#: Epochs at the beginning and at the end that a notebook shows.
ENDS = 5


class History:
    """Numbers per epoch; every column is an array, epochs without a value hold NaN.

    Parameters
    ----------
    rows : iterable of dict, optional
        The numbers of each epoch, by the name of the column.

    Examples
    --------
    >>> history = History()
    >>> history.append({"epoch": 0, "loss": 1.5})
    >>> history.append({"epoch": 1, "loss": 0.5, "val_loss": 0.7})
    >>> history["loss"]
    array([1.5, 0.5])
    >>> history.columns
    ['epoch', 'loss', 'val_loss']
    """

    def __init__(self, rows=()):
        self.rows: list[dict[str, float]] = [dict(row) for row in rows]

    def append(self, row: Mapping[str, float]) -> None:
        """Add the numbers of one epoch."""
        self.rows.append(dict(row))

    @property
    def columns(self) -> list[str]:
        """Names of the numbers, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, column: str) -> np.ndarray:
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns) or 'none'}")
        return np.array([row.get(column, np.nan) for row in self.rows])

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        last = list(self.rows[-1].items()) if self.rows else []
        numbers = ", ".join(f"{name}={value:.4g}" for name, value in last[:MOST_SHOWN])
        rest = f", {len(last) - MOST_SHOWN} more" if len(last) > MOST_SHOWN else ""
        return f"History({len(self)} epochs{'; ' if last else ''}{numbers}{rest})"

    def _repr_html_(self) -> str:
        """Return a table of a few epochs: the first and the last ones."""
        rows, columns = self.rows, self.columns[:MOST_SHOWN]
        shown = rows if len(rows) <= 2 * ENDS else [*rows[:ENDS], {}, *rows[-ENDS:]]
        cells = [
            [f"{row[name]:.4g}" if name in row else "" if row else "..." for name in columns]
            for row in shown
        ]
        return titled_html(f"History: {len(rows)} epochs", columns, cells)

    def to_csv(self, path) -> None:
        """Write all rows to a file."""
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def plot(self, axes=None):
        """Draw the learning curves; see `brian_eventprop.plotting.learning_curves`."""
        from brian_eventprop.plotting import learning_curves

        return learning_curves(self, axes)
