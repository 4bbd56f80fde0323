"""Trials over threads: a batch is cut into chunks whose number does not depend on the threads.

Sums over the chunks, taken in their order, are then the same bits on any machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

#: Largest number of chunks that a batch is cut into where something is summed over the chunks, and
#: for each thread where nothing is.
CHUNKS = 8


class Chunks:
    """Calls kernels that release the GIL, from a pool of threads.

    Parameters
    ----------
    threads
        Number of threads; by default one per core.
    """

    def __init__(self, threads: int | None = None):
        self.threads = threads or len(os.sched_getaffinity(0))
        self._pool: ThreadPoolExecutor | None = None
        self._pid = None

    def call(
        self,
        kernel,
        n_trials: int,
        arguments: Callable[[int], tuple],
        spikes: Iterable[np.ndarray] = (),
        summed: bool = True,
    ) -> list:
        """Call ``kernel(first, last, *arguments(chunk))`` for every chunk of trials.

        Trial b has the spikes ``ptr[b]:ptr[b + 1]`` of each of ``spikes``; chunks with many come
        first, so that no thread is left alone with one in the end.  If nothing is ``summed`` over
        the chunks, there are more of them for more threads.
        """
        n_chunks = min(CHUNKS if summed else CHUNKS * self.threads, n_trials)
        bounds = np.linspace(0, n_trials, n_chunks + 1).astype(np.int64)
        work = sum((np.diff(ptr[bounds]) for ptr in spikes), np.zeros(n_chunks))
        order = np.argsort(-work, kind="stable")

        def call(chunk):
            return kernel(bounds[chunk], bounds[chunk + 1], *arguments(chunk))

        # the first call compiles; doing so in several threads at once would only wait for a lock
        alone = 0 if kernel.signatures else 1
        found = [call(chunk) for chunk in order[:alone]] + self.map(call, order[alone:])
        return [found[place] for place in np.argsort(order)]

    def map(self, function: Callable, items: Iterable) -> list:
        """Call a function that releases the GIL for each item."""
        items = list(items)
        if self.threads == 1 or len(items) <= 1:
            return [function(item) for item in items]
        return list(self._executor().map(function, items))

    def _executor(self):
        """Return the pool of threads, a new one after a fork."""
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(self.threads), os.getpid()
        return self._pool
