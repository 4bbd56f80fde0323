"""Loops over synapses in dense rows: from every source onto every target, with one delay a source.

Then neighbouring synapses meet neighbouring elements of the ring and of the record, and a row is
a few vector instructions.
"""

from __future__ import annotations

import numpy as np

from brian_eventprop.kernels.buffers import OPTIONS
from brian_eventprop.kernels.cache import njit


@njit(**OPTIONS)
def scatter_rows(ring, base, width, size, row_delay, weight, row, neurons, first, last):
    """Add the rows of the spikes first..last to the steps at which they arrive."""
    columns = np.uint64(size)
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        at = np.uint64(base + row_delay[i] * width)
        begin = i * columns
        for j in range(columns):
            ring[at + j] += weight[row, begin + j]


@njit(**OPTIONS)
def write_row(history, n, values):
    """Write the arrival adjoints of step n into the history."""
    for j in range(np.uint64(values.shape[0])):
        history[n, j] = values[j]


@njit(fastmath={"reassoc"}, **OPTIONS)
def _along(history, step, weight, row, begin):
    """Return the sum of weight * arrival adjoint along a row."""
    total = history.dtype.type(0)
    for j in range(np.uint64(history.shape[1])):
        total += weight[row, begin + j] * history[step, j]
    return total


@njit(**OPTIONS)
def add_d_time_of_rows(
    d_spike_time, offset, grads, history, steps, row_delay, weight, row, neurons, first, last
):
    """Add dL/d(time) of the spikes first..last from all their arrivals, and dL/d(delay)."""
    size = np.uint64(history.shape[1])
    for q in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(neurons[q])
        d_time = _along(history, np.uint64(steps[q] + row_delay[i]), weight, row, i * size)
        d_spike_time[q - np.uint64(offset)] += d_time
        grads[i] += d_time


@njit(**OPTIONS)
def collect_rows(history, order, bound, steps, row_delay, grad_weight):
    """Sum the arrival adjoints of each synapse: the gradients of the weights."""
    size, zero = np.uint64(history.shape[1]), np.uint64(0)
    for i in range(np.uint64(bound.shape[0] - 1)):
        begin = i * size
        for e in range(np.uint64(bound[i]), np.uint64(bound[i + np.uint64(1)])):
            step = np.uint64(steps[np.uint64(order[e])] + row_delay[i])
            for j in range(zero, size):
                grad_weight[zero, begin + j] += history[step, j]
