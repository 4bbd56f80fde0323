"""Spikes of a batch as the CUDA kernels read them."""

from __future__ import annotations

import numpy as np

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
    table = np.full((1, max(n, 1), 3), -1, np.int32)
    table[0, :n, 0], table[0, :n, 1] = given.steps, given.neurons
    final = np.full(n_trials * n_neurons, -1, np.int32)
    trials = np.repeat(np.arange(n_trials), np.diff(given.ptr))
    label = trials * n_neurons + given.neurons
    order = np.argsort(label, kind="stable")
    same = label[order[1:]] == label[order[:-1]]
    table[0, order[1:][same], 2] = order[:-1][same]
    final[label] = np.arange(n)
    return table, final.reshape(n_trials, n_neurons)


def step_pointers(given: InputSpikes, n_trials: int, n_steps: int) -> np.ndarray:
    """Return where the spikes of each trial and step begin.

    Examples
    --------
    >>> given = InputSpikes(np.array([0, 1, 3]), np.array([1, 0, 1]), np.array([0, 0, 1]), None)
    >>> step_pointers(given, 2, 2).tolist()
    [[0, 0, 1], [1, 2, 3]]
    """
    trials = np.repeat(np.arange(n_trials), np.diff(given.ptr))
    key = trials * (n_steps + 1) + np.minimum(given.steps, n_steps)
    counts = np.bincount(key, minlength=n_trials * (n_steps + 1))
    return (np.cumsum(counts) - counts).reshape(n_trials, -1).astype(np.int32)


def in_flight(trials: np.ndarray, steps: np.ndarray, longest: int) -> int:
    """Return the largest number of spikes of a trial within ``longest`` steps of each other.

    Examples
    --------
    >>> in_flight(np.array([0, 0, 0, 1]), np.array([1, 3, 9, 9]), 2)
    2
    """
    key = trials * (int(steps.max(initial=0)) + longest + 2) + steps
    return int((np.arange(len(key)) - np.searchsorted(key, key - longest)).max(initial=0)) + 1
