"""Spikes of a batch as the CUDA kernels read them, and gradients as they leave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from brian_eventprop.kernels.cache import njit
from brian_eventprop.runtime.inputs import InputSpikes


def spike_table(given: InputSpikes) -> np.ndarray:
    """Return rows (step, neuron) for those who go through the spikes step by step.

    Examples
    --------
    >>> given = InputSpikes(np.array([0, 2]), np.array([2, 4]), np.array([1, 0]), None)
    >>> spike_table(given).tolist()
    [[[2, 1], [4, 0]]]
    """
    table = np.empty((1, max(len(given.steps), 1), 2), np.int32)
    table[0, : len(given.steps), 0], table[0, : len(given.steps), 1] = given.steps, given.neurons
    return table


def by_neuron(given: InputSpikes, n_trials: int, n_neurons: int, n_steps: int):
    """Return the steps of spikes sorted by trial and neuron, and where those of each begin.

    Examples
    --------
    >>> given = InputSpikes(np.array([0, 3]), np.array([2, 4, 9]), np.array([1, 0, 1]), None)
    >>> steps, bound = by_neuron(given, 1, 2, 8)
    >>> steps.tolist(), bound.tolist()
    ([4, 2, 8], [[0, 1, 3]])
    """
    steps = np.zeros(max(len(given.steps), 1), np.uint16 if n_steps < 2**16 else np.int32)
    bound = np.empty((n_trials, n_neurons + 1), np.int32)
    _sort(given.ptr, given.steps, given.neurons, n_steps, steps, bound)
    return steps, bound


@njit(nogil=True, cache=True)
def _sort(ptr, steps, neurons, n_steps, into, bound):
    """Sort spikes by neuron, trial by trial; their order in time stays."""
    for trial in range(len(ptr) - 1):
        own = bound[trial]
        own[:] = 0
        for k in range(ptr[trial], ptr[trial + 1]):
            own[neurons[k]] += 1
        at = ptr[trial + 1]
        for i in range(len(own) - 1, -1, -1):
            at -= own[i]
            own[i] = at
        for k in range(ptr[trial], ptr[trial + 1]):
            i = neurons[k]
            into[own[i]] = min(steps[k], n_steps)
            own[i] += 1
        for i in range(len(own) - 1, 0, -1):
            own[i] = own[i - 1]
        own[0] = ptr[trial]


def unsorted_spikes(given: InputSpikes, values: np.ndarray) -> np.ndarray:
    """Put values of spikes sorted by trial and neuron into the order of the spikes.

    Examples
    --------
    >>> given = InputSpikes(np.array([0, 3]), np.array([2, 4, 5]), np.array([1, 0, 1]), None)
    >>> unsorted_spikes(given, np.array([4.0, 2.0, 5.0])).tolist()
    [2.0, 4.0, 5.0]
    """
    trials = np.repeat(np.arange(len(given.ptr) - 1), np.diff(given.ptr))
    result = np.empty(len(given.steps))
    result[np.lexsort((given.neurons, trials))] = values[: len(given.steps)]
    return result


def step_pointers(given: InputSpikes, n_trials: int, n_steps: int) -> np.ndarray:
    """Return where the spikes of each trial and step begin.

    Examples
    --------
    >>> given = InputSpikes(np.array([0, 1, 3]), np.array([1, 0, 1]), np.array([0, 0, 1]), None)
    >>> step_pointers(given, 2, 2).tolist()
    [[0, 0, 1], [1, 2, 3]]
    """
    pointers = np.empty((n_trials, n_steps + 1), np.int32)
    _point(given.ptr, given.steps, pointers)
    return pointers


@njit(nogil=True, cache=True)
def _point(ptr, steps, pointers):
    """Fill the pointers, one step after the other."""
    for trial in range(len(ptr) - 1):
        k = ptr[trial]
        for n in range(pointers.shape[1]):
            while k < ptr[trial + 1] and steps[k] < n:
                k += 1
            pointers[trial, n] = k


def by_end(ends: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the synapses of each neuron begin in a list of them, and that list.

    Examples
    --------
    >>> first, synapses = by_end(np.array([2, 0, 2]), 4)
    >>> first.tolist(), synapses.tolist()
    ([0, 1, 1, 3, 3], [1, 0, 2])
    """
    synapses = np.argsort(ends, kind="stable")
    first = np.searchsorted(ends[synapses], np.arange(size + 1))
    return first.astype(np.int32), synapses.astype(np.int32)


def in_flight(trials: np.ndarray, steps: np.ndarray, longest: int) -> int:
    """Return the largest number of spikes of a trial within ``longest`` steps of each other.

    Examples
    --------
    >>> in_flight(np.array([0, 0, 0, 1]), np.array([1, 3, 9, 9]), 2)
    2
    """
    key = trials * (int(steps.max(initial=0)) + longest + 2) + steps
    return int((np.arange(len(key)) - np.searchsorted(key, key - longest)).max(initial=0)) + 1


def timed_gradients(groups, arrays: Mapping, get: Callable) -> dict[str, np.ndarray]:
    """Return dL/d(values) of timed arrays by name, (trials or 1, cells, columns).

    The kernels leave a sum for each trial, cell and neuron.

    Parameters
    ----------
    groups
        The code of the groups: ``timed_gradients`` has the name of the timed array by role.
    arrays
        The arrays on the device, by group and role.
    get
        Copies one to the host.
    """
    found: dict[str, np.ndarray] = {}
    for g in groups:
        for role, name in g.timed_gradients.items():
            number = int(role.removeprefix("grad_timed"))
            shape = arrays[g.name, f"timed{number}"].shape
            grads = get(arrays[g.name, role]).astype(float)
            grads = grads if shape[0] > 1 else grads.sum(axis=0, keepdims=True)
            total = found.setdefault(name, np.zeros(shape))
            column = get(arrays[g.name, "column"])[number]
            np.add.at(total, (slice(None), slice(None), column), grads)
    return found
