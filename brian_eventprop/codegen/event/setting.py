"""What the code of one group takes from the rest of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.pathways import PathwayAdjoint
from brian_eventprop.adjoint.simultaneous import Arrival
from brian_eventprop.reading.spec import Symbol


@dataclass(frozen=True)
class GroupSetting:
    """A group's place in its network, and how the solver runs it.

    Attributes
    ----------
    dt
        Brian2's time step in seconds.
    arrivals
        The pathways into the group.
    readout_symbols
        The symbols in the expressions of its readouts.
    has_count_surrogate
        Whether its spike counts have a surrogate gradient.
    by_event
        Whether its component has no windows, but takes one event after the other.
    in_batches
        Whether it takes its arrivals in batches.
    coupled
        Whether neurons of its component are coupled continuously.
    trained_arrays
        The names of the timed arrays whose gradient is wanted.
    """

    dt: float
    arrivals: tuple[Arrival, ...]
    readout_symbols: tuple[Mapping[str, Symbol], ...]
    has_count_surrogate: bool
    by_event: bool
    in_batches: bool
    coupled: bool = False
    trained_arrays: frozenset[str] = frozenset()

    @property
    def at_once(self) -> tuple[PathwayAdjoint, ...]:
        """The pathways whose arrivals may come at the time of a spike that causes them."""
        return self.arrivals[0].at_once if self.by_event and self.arrivals else ()
