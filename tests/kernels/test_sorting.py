"""Spikes sorted by neuron."""

import numba
import numpy as np

from brian_eventprop.kernels.sorting import rows_of_record, sort_by_neuron


@numba.njit
def both(neurons, begin, end, order, bound, steps, shift, base):
    sort_by_neuron(neurons, begin, end, order, bound)
    rows_of_record(order, end - begin, steps, shift, base)


def test_spikes_of_a_neuron_stay_in_their_order():
    rng = np.random.default_rng(0)
    for _ in range(20):
        n_neurons, n = rng.integers(1, 9), rng.integers(0, 40)
        begin = int(rng.integers(0, n + 1))
        neurons = rng.integers(0, n_neurons, n).astype(np.int32)
        steps = np.sort(rng.integers(0, 50, n)).astype(np.int32)
        order = np.full(n + 3, -1, np.int32)
        bound, base = np.full(n_neurons + 1, 77, np.int32), np.zeros(n + 3, np.uint32)
        both(neurons, begin, n, order, bound, steps, 3, base)
        expected = begin + np.argsort(neurons[begin:], kind="stable")
        np.testing.assert_array_equal(order[: n - begin], expected)
        counts = np.bincount(neurons[begin:], minlength=n_neurons)
        np.testing.assert_array_equal(np.diff(bound), counts)
        assert bound[0] == 0
        np.testing.assert_array_equal(base[: n - begin], steps[expected] * 8)
