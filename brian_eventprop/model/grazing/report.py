"""Which spikes cross the threshold with the flattest slopes, and what hangs on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, second

from brian_eventprop._names import name_of
from brian_eventprop._units import quantity
from brian_eventprop.messages.tables import text_table, titled_html
from brian_eventprop.reading.spec import Key
from brian_eventprop.runtime.readouts import GroupSpikes

#: Lines of the table that is shown.
MOST_SHOWN = 20
HEADS = ("group", "neuron", "trial", "time", "slope", "of the median")


@dataclass(frozen=True)
class Flattest:
    """A spike whose potential crosses the threshold with a small slope.

    Attributes
    ----------
    group : str
        Name of the neuron group.
    i, sample : int
        The neuron, and the trial within the batch.
    t : Quantity
        Time of the spike.
    slope : Quantity
        What the gradient of its time is divided by: how fast the potential passes the threshold.
    of_median : float
        The slope as a part of the median of its group.
    """

    group: str
    i: int
    sample: int
    t: Quantity
    slope: Quantity
    of_median: float

    def row(self) -> tuple[str, ...]:
        """Return the cells of a table."""
        slope = f"{self.slope:.4g}" if isinstance(self.slope, float) else str(self.slope)
        return (
            self.group,
            f"{self.i}",
            f"{self.sample}",
            f"{self.t}",
            slope,
            f"{self.of_median:.2g}",
        )


@dataclass(frozen=True)
class GrazingReport:
    """The flattest crossings of a run, and how much of the gradient they carry.

    Attributes
    ----------
    spikes : tuple of Flattest
        The flattest crossings, the flattest one first.
    share : dict
        By the name of each trained variable, the share of its gradient that these spikes carry:
        ``norm(G - H)/norm(G)``, where G is the gradient, and H the gradient if these spikes stayed
        at their times, whatever the parameters.  0 if nothing hangs on their times, near 1 if all
        does; above 1 if what they carry cancels with the rest.
    crossings : int
        How many spikes of the run cross a threshold; others are fired by an arrival that lifts the
        potential over it at once, and have no slope.
    medians : dict
        Median slope of each group, by its name.
    """

    spikes: tuple[Flattest, ...]
    share: dict[str, float]
    crossings: int
    medians: dict[str, Quantity]

    def __repr__(self) -> str:
        table = text_table(HEADS, self._rows()) if self.spikes else ""
        return "\n".join(part for part in (table, self._left_out(), self._title()) if part)

    def _repr_html_(self) -> str:
        return titled_html(f"{self._title()} {self._left_out()}".rstrip(), HEADS, self._rows())

    def _title(self) -> str:
        if not self.spikes:
            return "no spike crosses a threshold"
        carried = ", ".join(f"{share:.1%} of dL/d({name})" for name, share in self.share.items())
        return f"The {len(self.spikes)} flattest of {self.crossings} crossings carry {carried}."

    def _rows(self) -> list[tuple[str, ...]]:
        return [spike.row() for spike in self.spikes[:MOST_SHOWN]]

    def _left_out(self) -> str:
        left = len(self.spikes) - MOST_SHOWN
        return f"... and {left} more" if left > 0 else ""


def report_of(
    spikes: Mapping[str, GroupSpikes],
    dimensions: Mapping,
    back: Callable[[Mapping], object],
    k: int,
    keys: Sequence[Key],
) -> GrazingReport:
    """Return the report of a run.

    Parameters
    ----------
    spikes
        Of the run, by group.
    dimensions
        Of the slopes of each group.
    back
        The backward pass of the run, given the least slopes of crossings.
    k
        How many spikes are wanted.
    keys
        Of the trained variables.
    """
    found = back({})
    slopes = {name: array for name, array in found.slopes.items() if name in dimensions}
    medians = {name: np.median(s[~np.isnan(s)]) for name, s in slopes.items() if _any(s)}
    flat = _flattest(slopes, medians, k)
    held = {name: np.zeros(len(slopes[name])) for name, _ in flat}
    for name, place in flat:
        held[name][place] = np.inf  # its time does not move
    rest = back(held) if flat else found
    share = {name_of(key): _share(found.gradients[key], rest.gradients[key]) for key in keys}

    def spike(name: str, place: int) -> Flattest:
        own, slope = spikes[name], float(slopes[name][place])
        return Flattest(
            name, int(own.neurons[place]), int(own.trials[place]), own.times[place] * second,
            quantity(slope, dimensions[name]), slope / float(medians[name]),
        )  # fmt: skip

    return GrazingReport(
        tuple(spike(*one) for one in flat),
        share,
        sum(int(np.sum(~np.isnan(s))) for s in slopes.values()),
        {name: quantity(float(median), dimensions[name]) for name, median in medians.items()},
    )


def _any(slopes: np.ndarray) -> bool:
    return bool(np.any(~np.isnan(slopes)))


def _flattest(slopes: Mapping, medians: Mapping, k: int) -> list[tuple[str, int]]:
    """Return group and place of the flattest crossings, in parts of the median of their group."""
    named = [
        (float(part), name, place)
        for name, median in medians.items()
        for part, place in _smallest(slopes[name] / median, k)
    ]
    return [(name, place) for _, name, place in sorted(named)[:k]]


def _smallest(parts: np.ndarray, k: int) -> list[tuple[float, int]]:
    order = np.argsort(parts, kind="stable")[:k]  # NaN comes last
    return [(parts[place], int(place)) for place in order if not np.isnan(parts[place])]


def _share(gradient, rest) -> float:
    gradient, rest = np.asarray(gradient, float), np.asarray(rest, float)
    norm = float(np.linalg.norm(gradient))
    return float(np.linalg.norm(gradient - rest)) / norm if norm > 0 else 0.0
