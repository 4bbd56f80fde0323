"""How far forward and reverse mode are apart, in every direction at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import DIMENSIONLESS

import brian_eventprop as bep

#: Rounding: both modes have sums of thousands of terms, of 1e-16 each, and integrate to 1e-13.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Agreement:
    """What both modes say of a model along one direction in all trained arrays and input times.

    Attributes
    ----------
    reverse
        The sum of gradients times tangents, one for each array.
    forward
        The tangent of the loss.
    grazing
        How many spikes have an uncertain gradient.
    """

    reverse: dict
    forward: float
    grazing: int

    @property
    def error(self) -> float:
        """The difference relative to the sizes of the parts, which may cancel."""
        sizes = [abs(part) for part in self.reverse.values()]
        return abs(sum(self.reverse.values()) - self.forward) / (sum(sizes) or 1.0)


def direction(model, seed: int = 0) -> dict:
    """A random direction: each entry by a share of its size, delays of 0 not at all."""
    rng, found = np.random.default_rng(seed), {}
    for key in model.parameters.keys:
        value = model.parameters[key]
        raw = np.asarray(value)
        size = np.abs(raw) if key[1] == "delay" else np.abs(raw) + 0.1 * np.mean(np.abs(raw))
        size = np.where(size == 0, float(key[1] != "delay" and np.all(raw == 0)), size)
        dimension = getattr(value, "dim", DIMENSIONLESS)
        found[key] = Quantity(size * rng.normal(size=raw.shape), dim=dimension)
    return found


def agreement(model, *batch, seed: int = 0) -> Agreement:
    """Run a model forward and in both modes."""
    model.run(*batch)
    gradients = model.gradient()
    along = direction(model, seed)
    parts = {k: np.sum(np.asarray(gradients[k]) * np.asarray(d)) for k, d in along.items()}
    rng = np.random.default_rng([seed, 1])
    names = [i.name for i in model.spec.inputs if not i.most]
    by_input = gradients.inputs
    by_input = by_input if isinstance(by_input, dict) else {names[0]: by_input}
    for name, array in by_input.items():
        along[name] = 1e-3 * rng.normal(size=len(array)) * second
        parts[name] = np.sum(np.asarray(array) * np.asarray(along[name]))
    return Agreement(parts, model.jvp(along).loss, gradients.grazing)


def conditioning(model, *batch, seed: int = 0, step: float = 1e-10) -> float:
    """How many times larger than that of the parameters a relative change of the gradient is.

    Of the parts that `agreement` compares: what an integration step is wrong by, relative to the
    states, both modes may be apart by this many times.
    """
    start = {key: np.array(model.parameters.raw(key)) for key in model.parameters.keys}
    along, changes = direction(model, seed), []

    def parts():
        model.run(*batch)
        gradients = model.gradient()
        return np.array(
            [np.sum(np.asarray(gradients[k]) * np.asarray(d)) for k, d in along.items()]
        )

    at_start = parts()
    for trial in range(3):
        rng = np.random.default_rng([seed, trial])
        for key, value in start.items():
            model.parameters.set_raw(key, value * (1 + step * rng.normal(size=value.shape)))
        changes.append(np.sum(np.abs(parts() - at_start)) / np.sum(np.abs(at_start)) / step)
    for key, value in start.items():
        model.parameters.set_raw(key, value)
    return max(changes)


def by_part(model, seed: int = 0) -> dict:
    """What both modes say of each array alone, to find the one in which they differ."""
    gradients, along = model.gradient(), direction(model, seed)
    return {
        key: (np.sum(np.asarray(gradients[key]) * np.asarray(d)), model.jvp({key: d}).loss)
        for key, d in along.items()
    }


def redraw(model, seed: int, channels: int, duration: float = 0.028, count: int = 18):
    """Give a model other parameters, by a tenth of their size, and return other input spikes.

    No two spikes are in one time step of the grid.
    """
    rng = np.random.default_rng(seed)
    for key, value in drawn_from(model).items():
        model.parameters.set_raw(key, value * rng.uniform(0.9, 1.1, value.shape))
    steps = rng.choice(np.arange(3, int(duration / 1e-4)), count, replace=False)
    times, neurons = 1e-4 * (steps + rng.uniform(0.1, 0.9, count)), rng.integers(0, channels, count)
    return bep.SpikeData(times, neurons, np.zeros(count, int), 1, channels)


def drawn_from(model) -> dict:
    """The parameters with which a model was made."""
    first = model.network.values
    return {key: np.array(first[key], float) for key in model.parameters.keys}
