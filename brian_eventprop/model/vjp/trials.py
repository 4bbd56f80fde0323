"""Gradients of each trial of a batch on its own, and the Jacobian of the readouts.

A trial is run alone for them: its spikes and states are those that it has in its batch, and the
backward pass takes no time for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from brian_eventprop.reading.spec import Key
from brian_eventprop.runtime.solver import Backward, ForwardRun

#: Returns the backward pass of a run, given dL/d(value) of each readout.
Back = Callable[[ForwardRun, tuple], Backward]


def single_trials(data: Mapping, timed: Mapping, n_trials: int) -> Iterator[tuple[dict, dict]]:
    """Yield the spikes of each trial, and its values of timed arrays, as a batch of one trial."""
    for b in range(n_trials):
        spikes = {name: own[[b]] for name, own in data.items()}
        yield spikes, {name: a[b : b + 1] if len(a) > 1 else a for name, a in timed.items()}


def per_trial(
    alone: Iterable[ForwardRun], weights: Sequence[np.ndarray], back: Back, keys: Sequence[Key]
) -> Backward:
    """Return the gradients of all trials, with the trials as the first axis.

    Parameters
    ----------
    alone
        The run of each trial.
    weights
        dL/d(value) of the readouts of the whole batch.
    back
        The backward pass.
    keys
        Of the trained variables.
    """
    rows, inputs, traces, slopes, grazing = [], [], [], [], 0
    for b, forward in enumerate(alone):
        shapes = [own.shape for own in forward.readouts]
        found = back(
            forward, tuple(_of_trial(w, b, s) for w, s in zip(weights, shapes, strict=True))
        )
        rows.append({key: np.array(found.gradients[key]) for key in keys})
        inputs.append(found.inputs)
        traces.append(found.traces)
        slopes.append(found.slopes)
        grazing += found.grazing
    gradients = {key: np.stack([row[key] for row in rows]) for key in keys}
    joined = _joined(slopes)
    return Backward(gradients, _joined(inputs), grazing, _joined(traces), slopes=joined)


def _joined(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def jacobians(
    alone: Iterable[ForwardRun],
    values: Sequence[np.ndarray],
    back: Back,
    shapes: Mapping[Key, tuple[int, ...]],
) -> tuple[list[dict[Key, np.ndarray]], list[int]]:
    """Return the derivatives of every value of each readout, and how many spikes graze in each.

    The arrays have the shape of the readout, then that of the variable.  A value that is infinite,
    since a spike is missing, depends on nothing.
    """
    found = [{key: np.zeros(v.shape + shape) for key, shape in shapes.items()} for v in values]
    grazing = np.zeros(len(values), int)
    for b, forward in enumerate(alone):
        for k, own in enumerate(forward.readouts):
            most = 0
            for place in map(tuple, np.argwhere(np.isfinite(own[0]))):
                weights = [np.zeros_like(other) for other in forward.readouts]
                weights[k][(0, *place)] = 1.0
                backward = back(forward, tuple(weights))
                most = max(most, backward.grazing)
                for key, array in found[k].items():
                    array[(b, *place)] = backward.gradients[key]
            grazing[k] += most
    return found, grazing.tolist()


def _of_trial(weight: np.ndarray, b: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the part of a batch's weights that belongs to a trial run alone.

    The other trials may have more spikes of a neuron, and the batch so a longer last axis.
    """
    own = weight[b : b + 1]
    return own[:, :, : shape[2]] if own.ndim == 3 else own
