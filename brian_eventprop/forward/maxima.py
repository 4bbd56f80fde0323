"""The largest values that neurons reach between and at events, and how they change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brian_eventprop.forward.code import compiled
from brian_eventprop.forward.duals import Dual
from brian_eventprop.forward.network import Network
from brian_eventprop.forward.readouts import full

#: How often a guess for the time of a maximum is made better; a handful is enough.
_TRIES = 60


class Maxima:
    """The maxima of one trial so far.

    A maximum within a piece of the flow does not change with its time.  One at an event, which
    ends a rise or makes a fall, moves with the event.
    """

    def __init__(self, network: Network):
        self.network = network
        self.codes = {
            k: compiled(r.expression)
            for k, r in enumerate(network.spec.readouts)
            if r.kind == "maximum"
        }
        sizes = {k: network.groups[network.spec.readouts[k].group].group.size for k in self.codes}
        self.best = {k: (np.full(n, -np.inf), np.zeros(n)) for k, n in sizes.items()}

    def __bool__(self) -> bool:
        return bool(self.codes)

    def see(self, t: float, y: np.ndarray, slope: np.ndarray, move: np.ndarray) -> None:
        """Look at states at an event that moves by `move`, NaN where it moves nothing.

        ``slope`` is f there.  A neuron that the event does not touch flows on, to other values.
        """
        moved = np.stack([y[0], y[1] + slope * np.nan_to_num(move)])
        for k in self.codes:
            own = self._of_neurons(k, move)
            value = self._value(k, moved, Dual(t, np.nan_to_num(own)))
            self._take(k, Dual(np.where(np.isnan(own), -np.inf, value.v), value.d))

    def between(
        self, start: float, y: np.ndarray, stop: float, end: np.ndarray, flow: Callable,
        advance: Callable,
    ) -> None:  # fmt: skip
        """Look for maxima within a piece of the flow.

        Parameters
        ----------
        start, stop
            Its times.
        y, end
            The states there.
        flow
            ``flow(t, y)`` is dy/dt.
        advance
            ``advance(t)`` returns the states at a time between.
        """
        for k in self.codes:
            rise, fall = self._rate(k, start, y, flow), self._rate(k, stop, end, flow)
            for neuron in np.flatnonzero((rise > 0) & (fall < 0)):
                ends = (start, rise[neuron]), (stop, fall[neuron])
                t, at = self._turn(k, neuron, ends, flow, advance)
                value = self._value(k, at, Dual(t))
                only = np.arange(len(value.v)) == neuron
                self._take(k, Dual(np.where(only, value.v, -np.inf), value.d))

    def _turn(self, k, neuron, ends, flow, advance):
        """Return when the rate of a neuron crosses 0, and the states there: the Illinois method."""
        (a, fa), (b, fb) = ends
        last, t, y = 0, a, advance(a)
        for _ in range(_TRIES):
            before, t = t, b - fb * (b - a) / (fb - fa)
            y = advance(t)
            rate = self._rate(k, t, y, flow)[neuron]
            if rate == 0 or abs(t - before) <= 2 * np.spacing(t):
                break
            if rate > 0:
                a, fa, fb, last = t, rate, fb * (0.5 if last > 0 else 1.0), 1
            else:
                b, fb, fa, last = t, rate, fa * (0.5 if last < 0 else 1.0), -1
        return t, y

    def _value(self, k: int, y: np.ndarray, t: Dual) -> Dual:
        names = self.network.readout_names(k, self.network.coupled(y, t), t)
        return full(self.codes[k](names), len(self.best[k][0]))

    def _rate(self, k: int, t: float, y: np.ndarray, flow: Callable) -> np.ndarray:
        """Return the slope of a readout in time."""
        along = np.stack([y[0], flow(t, y)[0]])
        names = self.network.readout_names(k, along, Dual(t, 1.0))
        names |= {n: Dual(x.v) for n, x in self.network.of_readout[k].items()}
        return full(self.codes[k](names), len(self.best[k][0])).d

    def _of_neurons(self, k: int, move: np.ndarray) -> np.ndarray:
        group, layout = self.network.spec.readouts[k].group, self.network.layout
        by_node = np.zeros(layout.node.max(initial=-1) + 1)
        by_node[layout.node] = move
        first = layout.first[group]
        return by_node[first : first + len(self.best[k][0])]

    def _take(self, k: int, value: Dual) -> None:
        best, tangent = self.best[k]
        better = value.v > best
        self.best[k] = np.where(better, value.v, best), np.where(better, value.d, tangent)
