"""Compiled passes over the long arrays around the kernels, each shared by the threads of a solver.

NumPy goes over an array once per operation and in one thread, which takes long in comparison with
kernels on several threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brian_eventprop.kernels.cache import njit
from brian_eventprop.runtime.trial_pool import TrialPool

#: Fewest entries for which a compiled pass, or another thread, is faster.
LONG = 2**14

#: Compile a function that goes over long arrays; those for `ArrayPasses` go over ``first..last``.
compiled = njit(nogil=True, error_model="numpy", cache=True, no_cfunc_wrapper=True)


class ArrayPasses:
    """Collects passes over arrays, which `run` makes in any order.

    Parameters
    ----------
    trial_pool
        The threads.
    """

    def __init__(self, trial_pool: TrialPool):
        self.trial_pool = trial_pool
        self._calls: list[tuple[Callable, tuple]] = []
        self._long = False

    def add(self, function: Callable, size: int, *arguments) -> None:
        """Call ``function(first, last, *arguments)`` later, for parts of a range."""
        self._long |= size >= LONG
        function = self.trial_pool.function(function)
        parts = self.trial_pool.threads if size >= LONG else 1
        bounds = [size * part // parts for part in range(parts + 1)]
        for first, last in zip(bounds[:-1], bounds[1:], strict=True):
            self._calls.append((function, (first, last, *arguments)))

    def run(self) -> None:
        """Make all passes."""
        calls, self._calls = self._calls, []
        self.trial_pool.map(lambda call: call[0](*call[1]), calls, alone=not self._long)


@compiled
def gather(first, last, into, values, order):
    """Fill in values in an order, and 0 where the order is negative."""
    for k in range(np.uint64(first), np.uint64(last)):
        at = order[k]
        into[k] = values[np.uint64(at)] if at >= 0 else 0


@compiled
def fill_offsets(first, last, offsets, delays, dt, order, n_steps, scale, place):
    """Fill in ``delay * scale + place``, the delay in steps as Brian2 rounds it.

    Without an ``order`` the synapses stand as they are.  No delay is beyond the end.
    """
    for k in range(np.uint64(first), np.uint64(last)):
        at = order[k] if order.shape[0] > 0 else np.int64(k)
        late = np.int64(delays[np.uint64(at)] / dt + 0.5) if at >= 0 else 0
        offsets[k] = min(late, n_steps) * scale + place[k]


@compiled
def join_spikes(first, last, chunk, at, dt, all_chunks, neurons, times):
    """Put the spikes of a chunk of trials, which begin at ``at`` there, among those of all chunks.

    Both are (steps, neurons, states); ``neurons`` and ``times`` are what users read.
    """
    to_steps, to_neurons, to_states = all_chunks
    from_steps, from_neurons, from_states = chunk
    for k in range(np.uint64(first), np.uint64(last)):
        place = np.uint64(at) + k
        to_steps[place], to_neurons[place] = from_steps[k], from_neurons[k]
        neurons[place], times[place] = from_neurons[k], from_steps[k] * dt
        for s in range(np.uint64(from_states.shape[1])):
            to_states[place, s] = from_states[k, s]
