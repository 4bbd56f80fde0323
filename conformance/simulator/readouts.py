"""What a file measures of a trial, and its loss, as duals."""

from __future__ import annotations

import numpy as np

from . import dual
from .dual import Real
from .polynomials import derivative, maxima, roots_near, value_at


class Readouts:
    """The readouts of one trial, which the simulation tells what happens."""

    def __init__(self, file, simulation):
        self.list, self.s = file["readouts"], simulation
        self.populations = [simulation.network.populations[r["of"]] for r in self.list]
        self.times = sorted(
            {Real(t) for r in self.list if r["kind"] == "value" for t in np.atleast_1d(r["at"])}
        )
        self.values = [self._empty(r, p) for r, p in zip(self.list, self.populations, strict=True)]

    def _empty(self, readout, p):
        rows = self.s.rows
        if readout["kind"] == "value":
            return np.zeros((rows, p.n, np.size(readout["at"])), dtype=Real)
        value = np.zeros((rows, p.n), dtype=Real)
        if readout["kind"] == "maximum":
            value[0] = -np.inf
        if readout["kind"] == "first_spike":
            value[0] = np.inf
        return value

    def _expression(self, k, when):
        p = self.populations[k]
        value = self.s.evaluate(p, self.list[k]["expression"], when)
        return np.broadcast_to(value, (self.s.rows, p.n))

    def sample(self, at, x) -> None:
        """Read the values that are due at a time of no event."""
        for k, readout in enumerate(self.list):
            if readout["kind"] == "value":
                for column, t in enumerate(np.atleast_1d(readout["at"])):
                    if Real(t) == at:
                        now = dual.constant(at, self.s.rows)
                        self.values[k][:, :, column] = self._expression(k, now)

    def spike(self, p, neuron, when) -> None:
        for k, readout in enumerate(self.list):
            if self.populations[k] is not p:
                continue
            if readout["kind"] == "spike_times":
                self.values[k][:, neuron] += self._expression(k, when)[:, neuron]
            if readout["kind"] == "first_spike" and np.isinf(self.values[k][0, neuron]):
                self.values[k][:, neuron] = self._expression(k, when)[:, neuron]

    def _raise(self, k, value, columns) -> None:
        best = self.values[k]
        for column in columns:
            if value[0, column] > best[0, column]:
                best[:, column] = value[:, column]

    def watch(self, now) -> None:
        """Compare the maxima with the states at an event, or at an end of the trial."""
        for k, p, _ in self.s.program.maxima:
            self._raise(k, self._expression(k, now), range(p.n))

    def maxima_within(self, h, last) -> None:
        """Compare with the maxima inside a step."""
        for k, _, node in self.s.program.maxima:
            for time, column in maxima(node.c[:last, 0], h[0, 0]):
                c = node.c[:last, :, column : column + 1]
                if dual.are_copies():
                    time = roots_near(derivative(c)[:, :, 0], time * h / h[0, 0])
                value = value_at(c, time)
                best = self.values[k]
                if value[0, 0] > best[0, column]:
                    best[:, column] = value[:, 0]

    def finish(self):
        """Return the loss as a dual (1 + directions, 1), and the values of all readouts."""
        end = dual.constant(self.s.end, self.s.rows)
        loss = np.zeros((self.s.rows, 1), dtype=Real)
        for k, readout in enumerate(self.list):
            if readout["kind"] == "integral":
                where = self.populations[k].slices[f"integral__{k}"]
                self.values[k] = self.s.x[:, where]
            if readout["kind"] == "final":
                self.values[k] = self._expression(k, end)
            loss += loss_of(readout["loss"], self.values[k].reshape(self.s.rows, -1))
        return loss, [value[0].astype(float).tolist() for value in self.values]


def loss_of(spec: dict, y: np.ndarray) -> np.ndarray:
    """Return one term of the loss of a readout's values."""
    rows = len(y)
    if spec["kind"] == "weighted_sum":
        weights = np.ravel(np.asarray(spec["weights"], dtype=Real))
        out = (y * weights)[:, weights != 0]
        return out.sum(1, keepdims=True)
    if spec["kind"] == "squared_error":
        difference = y - dual.constant(np.ravel(spec["targets"]), rows)
        return dual.multiply(difference, difference).sum(1, keepdims=True)
    if spec["kind"] == "cross_entropy":
        scaled = y * Real(spec["scale"])
        top = np.max(scaled[0])
        shifted = scaled - dual.constant(top, rows)
        total = dual.log(dual.exp(shifted).sum(1, keepdims=True))
        return total - shifted[:, spec["label"] : spec["label"] + 1]
    raise ValueError(f"no loss {spec['kind']!r}")
