"""What a search has found so far: the best parameters of every start, with their metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from brian2 import Quantity

from brian_eventprop._units import quantity
from brian_eventprop.fit.space import Space


class Track:
    """The best of each start.

    Parameters
    ----------
    space
        What is searched.
    n : int
        Number of starts.
    callback : callable, 'text' or None
        Called after each round with ``(params, errors, best_params, best_error, index)``; the
        search stops if it returns True.
    dimensions : dict
        Brian2's dimensions of each metric.
    """

    def __init__(self, space: Space, n: int, callback, dimensions: Mapping):
        self.space, self.dimensions = space, dimensions
        self.callback = _text if callback == "text" else callback
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback is 'text', a function or None, not {callback!r}")
        self.rounds = 0
        self.x = np.full((n, len(space.names)), 0.5)
        self.metrics = {name: np.full(n, np.inf) for name in dimensions}

    def start_again(self) -> None:
        """Forget the errors, of another loss, but not the parameters."""
        self.metrics = {name: np.full(len(self.x), np.inf) for name in self.metrics}

    def keep_best_of(self, x: np.ndarray, metrics: Mapping[str, np.ndarray]) -> None:
        """Keep the best points of any number for the starts."""
        order = np.argsort(_ranked(metrics["error"]), kind="stable")[: len(self.x)]
        self.x = x[order]
        self.metrics = {name: metrics[name][order] for name in self.metrics}

    def take(self, x: np.ndarray, metrics: Mapping[str, np.ndarray]) -> bool:
        """Note the errors of a round; return whether the search shall stop."""
        better = _ranked(metrics["error"]) < _ranked(self.metrics["error"])
        self.x = np.where(better[:, None], x, self.x)
        for name, own in self.metrics.items():
            self.metrics[name] = np.where(better, metrics[name], own)
        self.rounds += 1
        if self.callback is None:
            return False
        tested = [self.space.with_units(values) for values in self.space.values(x)]
        errors = Quantity(metrics["error"], dim=self.dimensions["error"])
        return self.callback(tested, errors, *self.best(), self.rounds - 1) is True

    def best(self) -> tuple[dict[str, Quantity], Quantity]:
        """Return the best parameters and their error."""
        k = int(np.argmin(_ranked(self.metrics["error"])))
        error = quantity(self.metrics["error"][k], self.dimensions["error"])
        return self.space.with_units(self.space.values(self.x[k])), error

    def rows(self) -> list[dict]:
        """Return parameters and metrics of every start, the best one first."""
        order = np.argsort(_ranked(self.metrics["error"]), kind="stable")
        values = self.space.values(self.x)
        return [
            self.space.with_units(values[k])
            | {name: Quantity(own[k], dim=self.dimensions[name]) for name, own in self._each()}
            for k in order
        ]

    def _each(self):
        return self.metrics.items()


def _ranked(errors: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(errors), errors, np.inf)


def _text(params, errors, best_params, best_error, index):
    shown = ", ".join(f"{name}={value}" for name, value in best_params.items())
    print(f"Round {index}: best parameters {shown} (error {best_error})")


#: What a user may give to hear of every round.
Callback = Callable[[list, Quantity, dict, Quantity, int], object]
