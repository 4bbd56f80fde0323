"""Trials over threads: a batch is cut into chunks whose number does not depend on the threads.

Sums over the chunks, taken in their order, are then the same bits on any machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

#: Largest number of chunks that a batch is cut into.
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

    def call(self, kernel, n_trials: int, arguments: Callable[[int], tuple]) -> list:
        """Call ``kernel(first, last, *arguments(chunk))`` for every chunk of trials."""
        bounds = np.unique(np.linspace(0, n_trials, min(CHUNKS, n_trials) + 1).astype(np.int64))
        calls = [
            (first, last, *arguments(chunk))
            for chunk, (first, last) in enumerate(zip(bounds[:-1], bounds[1:], strict=True))
        ]
        if self.threads == 1 or len(calls) == 1:
            return [kernel(*call) for call in calls]
        # the first call compiles; doing so in several threads at once would only wait for a lock
        if not kernel.signatures:
            return [kernel(*calls[0]), *self._executor().map(lambda c: kernel(*c), calls[1:])]
        return list(self._executor().map(lambda call: kernel(*call), calls))

    def _executor(self):
        """Return the pool of threads, a new one after a fork."""
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(self.threads), os.getpid()
        return self._pool
