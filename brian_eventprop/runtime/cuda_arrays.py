"""Spikes of a batch as the CUDA kernels read them."""

from __future__ import annotations

import numpy as np
from numba import njit

from brian_eventprop.runtime.inputs import InputSpikes


def spike_table(given: InputSpikes, n_trials: int, n_neurons: int):
    """Return rows (step, neuron, row of the neuron's spike before), and each neuron's last row.

    Examples
    --------
    >>> given = InputSpikes(np.array([0, 3]), np.array([2, 4, 5]), np.array([1, 0, 1]), None)
    >>> table, final = spike_table(given, 1, 2)
    >>> table[0].tolist(), final.tolist()
    ([[2, 1, -1], [4, 0, -1], [5, 1, 0]], [[1, 2]])
    """
    n = len(given.steps)
    table = np.empty((1, max(n, 1), 3), np.int32)
    final = np.full((n_trials, n_neurons), -1, np.int32)
    _link(given.ptr, given.steps, given.neurons, table[0], final)
    return table, final


@njit(nogil=True, cache=True)
def _link(ptr, steps, neurons, table, final):
    """Fill the table, one spike after the other."""
    for trial in range(len(ptr) - 1):
        for k in range(ptr[trial], ptr[trial + 1]):
            i = neurons[k]
            table[k, 0], table[k, 1], table[k, 2] = steps[k], i, final[trial, i]
            final[trial, i] = k


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


def in_flight(trials: np.ndarray, steps: np.ndarray, longest: int) -> int:
    """Return the largest number of spikes of a trial within ``longest`` steps of each other.

    Examples
    --------
    >>> in_flight(np.array([0, 0, 0, 1]), np.array([1, 3, 9, 9]), 2)
    2
    """
    key = trials * (int(steps.max(initial=0)) + longest + 2) + steps
    return int((np.arange(len(key)) - np.searchsorted(key, key - longest)).max(initial=0)) + 1
