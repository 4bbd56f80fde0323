"""Spikes sorted by neuron, into arrays that are there already."""

from __future__ import annotations

from brian_eventprop.kernels.buffers import OPTIONS
from brian_eventprop.kernels.cache import njit


@njit(**OPTIONS)
def sort_by_neuron(neurons, begin, end, order, bound):
    """Sort spikes by neuron; those of neuron i are ``order[bound[i]:bound[i + 1]]``."""
    n_neurons = bound.shape[0] - 1
    for i in range(n_neurons + 1):
        bound[i] = 0
    for k in range(begin, end):
        bound[neurons[k] + 1] += 1
    for i in range(n_neurons):
        bound[i + 1] += bound[i]
    for k in range(begin, end):
        order[bound[neurons[k]]] = k
        bound[neurons[k]] += 1
    for i in range(n_neurons, 0, -1):
        bound[i] = bound[i - 1]
    bound[0] = 0


@njit(**OPTIONS)
def rows_of_record(order, n, steps, shift, base):
    """Find where in a tile's record the step of each of n sorted spikes begins."""
    for k in range(n):
        base[k] = steps[order[k]] << shift
