"""What forward mode returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from brian2 import Quantity, second

from brian_eventprop.forward import GivenSpikes, Run, Sums, tangents_along
from brian_eventprop.model.jvp.directions import Direction


@dataclass(frozen=True)
class Tangents:
    """The derivatives of a run in one direction of its parameters.

    Attributes
    ----------
    loss : float or None
        That of the mean loss; None if the model has no loss.
    losses : array (B,) or None
        Those of the losses of the trials.
    readout : tuple of array
        Those of the readouts, each of its readout's shape; 0 where there is no spike to measure.
    spikes : dict
        By group (or its name), those of the spike times, in the order of ``result.spikes[group]``.
    """

    loss: float | None
    losses: np.ndarray | None
    readout: tuple[np.ndarray, ...]
    spikes: Mapping[str, Quantity] = field(repr=False)


class _ByGroup(dict):
    """Looked up by the names of groups, or by the groups."""

    def __getitem__(self, group):
        return super().__getitem__(getattr(group, "name", group))


def tangents_of(
    model, forward, timed: Mapping, values: Mapping, direction: Direction, derivatives
) -> Tangents:
    """Return the tangents of a run.

    Parameters
    ----------
    model
        An `EventPropModel`.
    forward
        What its solver returned.
    timed
        The values of timed arrays in the run.
    values
        All numbers that the run computed with.
    direction
        How parameters and input spikes move.
    derivatives
        Those of the loss of each trial in the readouts; None without a loss.
    """
    spikes = {name: _trials(found) for name, found in forward.spikes.items()}
    inputs = {
        name: _input_trials(given, direction.inputs.get(name), model.spec.dt)
        for name, given in forward.inputs.items()
    }
    run = Run(
        model.spec, model.network, values, direction.values, inputs, spikes, timed,
        float(model.duration), forward.readouts, _after_resets(model), _sums(model),
    )  # fmt: skip
    readouts, moves = tangents_along(run)
    losses = None
    if derivatives is not None:
        parts = zip(derivatives, readouts, strict=True)
        losses = sum(np.sum(np.where(d == 0, 0.0, d * r), axis=_rest(r)) for d, r in parts)
    loss = None if losses is None else float(np.mean(losses))
    return Tangents(loss, losses, readouts, _ByGroup({g: m * second for g, m in moves.items()}))


def _rest(array: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, array.ndim))


def _trials(spikes) -> tuple[GivenSpikes, ...]:
    parts = [slice(*ends) for ends in zip(spikes.ptr[:-1], spikes.ptr[1:], strict=True)]
    return tuple(
        GivenSpikes(spikes.times[p], spikes.neurons[p], np.zeros(len(spikes.times[p])))
        for p in parts
    )


def _after_resets(model) -> frozenset[str] | None:
    """Return the pathways whose arrivals the clock solver has after the resets of their step."""
    if model.solver == "event":
        return None
    found, groups = set(), {g.name: g for g in model.runtime.module.groups}
    for p in model.runtime.module.pathways:
        group, adds = groups[p.target.name], p.adjoint.increment
        if group.rings and adds is not None and adds.state in group.rings_after:
            found.add(p.name)
    return frozenset(found)


def _sums(model) -> dict[str, Sums]:
    """Return, by group, the states to which the clock solver adds what arrives in a step."""
    if model.solver == "event":
        return {}
    return {
        g.name: Sums(tuple(g.rings), not g.rings_before)
        for g in model.runtime.module.groups
        if g.rings
    }


def _input_trials(given, moves: np.ndarray | None, dt: float) -> tuple[GivenSpikes, ...]:
    moves = np.zeros(len(given.original)) if moves is None else moves[given.original]
    parts = [slice(*ends) for ends in zip(given.ptr[:-1], given.ptr[1:], strict=True)]
    times, neurons = _times_of(given, dt)
    return tuple(GivenSpikes(times[p], neurons[p], moves[p]) for p in parts)


def _times_of(given, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the times and neurons of the spikes of an input as its solver has them."""
    if hasattr(given, "table"):
        return given.table[:, 0], given.table[:, 3].astype(np.int64)
    return given.steps * dt, given.neurons
