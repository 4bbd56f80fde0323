"""Copies of the neuron that is fitted: a member for each start, a trial for each recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Equations, NeuronGroup, Quantity, TimedArray
from brian2.equations.equations import DIFFERENTIAL_EQUATION, Expression, SingleEquation

from brian_eventprop.model.model import EventPropModel


@dataclass(frozen=True)
class Cell:
    """The neuron that is fitted, as arguments of a `NeuronGroup`.

    ``arguments`` has its threshold, reset, refractoriness, method and time step; ``initial`` values
    of variables that are not fitted.
    """

    equations: Equations
    arguments: Mapping
    namespace: Mapping
    initial: Mapping

    def group(self, n: int, fitted: Mapping[str, Quantity]) -> NeuronGroup:
        """Return a group of copies."""
        group = NeuronGroup(
            n, self.equations, namespace=dict(self.namespace), name="fit*", **self.arguments
        )
        for name, value in {**self.initial, **fitted}.items():
            setattr(group, name, value)
        return group

    def coupled_to(self, variable: str, target: TimedArray, rate: TimedArray) -> Cell:
        """Return a cell of which a variable is drawn to a recording, at a rate that is given."""
        names = f"{variable}_target", f"{variable}_coupling"
        parts = []
        for eq in self.equations.values():
            expression = eq.expr
            if eq.varname == variable:
                pull = f"{names[1]}(t)*({names[0]}(t) - {variable})"
                expression = Expression(f"{eq.expr.code} + {pull}")
            parts.append(
                SingleEquation(eq.type, eq.varname, eq.dim, eq.var_type, expression, list(eq.flags))
            )
        space = {**self.namespace, names[0]: target, names[1]: rate}
        return Cell(Equations(parts), self.arguments, space, self.initial)

    def is_state(self, variable: str) -> bool:
        """Whether a variable has a differential equation."""
        return any(
            eq.varname == variable and eq.type == DIFFERENTIAL_EQUATION
            for eq in self.equations.values()
        )


class Copies:
    """A model of copies of a cell, whose parameters are set for each run.

    Parameters
    ----------
    cell
        What is copied.
    n : int
        How many copies.
    fitted : dict
        A value of each fitted variable, for the start.
    readouts
        Returns the readouts of the group.
    options : dict
        More arguments of the model.
    """

    def __init__(self, cell: Cell, n: int, fitted: Mapping, readouts: Callable, options: Mapping):
        group = cell.group(n, fitted)
        self.n, self.group = n, group
        self.views = [getattr(group, name) for name in fitted]
        self.model = EventPropModel(
            [group],
            train=self.views,
            readouts=readouts(group),
            namespace=dict(cell.namespace),
            **options,
        )

    def run(self, values: np.ndarray, traces: Mapping) -> tuple[np.ndarray, ...]:
        """Return the readouts, given values (n, n_parameters) in SI units."""
        each = np.broadcast_to(values, (self.n, len(self.views))).T
        for view, own in zip(self.views, each, strict=True):
            self.model.parameters.set_raw(view, own)
        return self.model.run(traces=dict(traces)).readout

    def gradient(self, of, per_recording: bool = False) -> np.ndarray:
        """Return the gradient of a sum over the readouts (n, n_parameters).

        ``per_recording`` puts one more axis first.
        """
        found = self.model.gradient(of=list(of), per_trial=per_recording)
        return np.stack([np.asarray(found[view]) for view in self.views], axis=-1)
