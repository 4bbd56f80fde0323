"""Trials over threads: a batch is cut into chunks whose number does not depend on the threads.

Sums over the chunks, taken in their order, are then the same bits on any machine.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np

from brian_eventprop.messages.long_work import LongWork

#: Largest number of chunks that a batch is cut into where something is summed over the chunks, and
#: for each of several threads where nothing is.
CHUNKS = 8
#: The last ``LAST`` chunks per thread are split into at most ``PIECES`` pieces each, for load
#: balancing.
LAST, PIECES = 2, 4

#: Seconds of work from which on other threads pay: they must be woken up, and waited for.
PARALLEL_SECONDS = 2e-3

#: Seconds of work from which on it is cut into pieces that take about ``PIECE_SECONDS`` where that
#: leaves all bits as they are, so that a progress bar can move.
LONG_SECONDS, PIECE_SECONDS = 2.0, 0.25

#: Chunks of the first call, of which nobody knows how long it takes, if nothing is summed.
FIRST = 16

_END = object()


class TrialPool:
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
        self.per_trial: dict = {}

    def call(
        self,
        kernel,
        n_trials: int,
        arguments: Callable[[int], tuple],
        spikes: Iterable[np.ndarray] = (),
        summed: bool = True,
        divisible: bool = False,
        title: str = "trials",
    ) -> list:
        """Call ``kernel(first, last, *arguments(chunk))`` for every chunk of trials.

        Each array ``ptr`` of ``spikes`` says that trial b has the spikes ``ptr[b]:ptr[b + 1]``;
        chunks with many spikes come first, for load balancing.  If nothing is ``summed`` over the
        chunks, their number grows with that of the threads, and one thread has one chunk.  A
        ``divisible`` chunk may pass from thread to thread: the kernel is called for a few of its
        trials at a time, one call after the other.  Returns what the kernel returned, in the order
        of the trials.  Where it takes long, a progress bar with the ``title`` is shown.
        """
        key = getattr(kernel, "key", kernel)
        expected = self.per_trial.get(key, np.inf) * n_trials
        n_threads = 1 if expected < PARALLEL_SECONDS else self.threads
        pieces = _pieces(expected)
        most = CHUNKS if summed else max(pieces, CHUNKS * n_threads if n_threads > 1 else 1)
        n_chunks = min(most, n_trials)
        if n_chunks == 1:
            return [self._alone(kernel, key, n_trials, arguments)]
        bounds = [n_trials * chunk // n_chunks for chunk in range(n_chunks + 1)]
        work = sum((np.diff(ptr[bounds]) for ptr in spikes), np.zeros(n_chunks))
        order = np.argsort(-work, kind="stable")
        undivided = n_chunks - LAST * n_threads if divisible and n_threads > 1 else n_chunks
        fewest = -(-pieces // n_chunks) if divisible and LONG_SECONDS < expected < np.inf else 1
        found: list[list] = [[] for _ in order]
        work_done = LongWork(title, n_trials, "trial")

        def job(chunk, n_pieces):
            start, size = bounds[chunk], bounds[chunk + 1] - bounds[chunk]
            n = min(n_pieces, size)
            for first, last in pairwise(start + size * piece // n for piece in range(n + 1)):
                found[chunk].append(kernel(first, last, *arguments(chunk)))
                work_done.add(last - first)
                yield

        jobs = [
            job(chunk, fewest if k < undivided else max(fewest, PIECES))
            for k, chunk in enumerate(order.tolist())
        ]
        # the first call compiles, but for plain Python; several threads would wait for a lock
        known = bool(getattr(kernel, "signatures", True))
        if not known:
            next(jobs[0])
        began = time.perf_counter()
        with work_done:
            self._work_off(jobs, n_threads)
        if known:  # else a part of the work was not timed
            seconds = (time.perf_counter() - began) * min(n_threads, n_chunks)
            self.per_trial[key] = seconds / n_trials
        return [piece for pieces in found for piece in pieces]

    def _alone(self, kernel, key, n_trials: int, arguments):
        """Call a kernel once, for all trials."""
        known = bool(getattr(kernel, "signatures", True))
        began = time.perf_counter()
        found = kernel(0, n_trials, *arguments(0))
        if known:  # else it was compiled, too
            self.per_trial[key] = (time.perf_counter() - began) / n_trials
        return found

    def function(self, compiled: Callable) -> Callable:
        """Return a function over long arrays, of `array_passes.compiled`, as it is run here."""
        return compiled

    def map(self, function: Callable, items: Iterable, alone: bool = False) -> list:
        """Call a function that releases the GIL for each item, ``alone`` in this thread only."""
        items = list(items)
        if alone or self.threads == 1 or len(items) == 1:
            return [function(item) for item in items]
        found = [None] * len(items)

        def job(place, item):
            found[place] = function(item)
            yield

        jobs = [job(*numbered) for numbered in enumerate(items)]
        self._work_off(jobs, self.threads)
        return found

    def _work_off(self, jobs: list[Iterator], n_threads: int) -> None:
        """Advance iterators to their ends, each in one thread at a time, whichever is free."""
        todo = deque(jobs)

        def take_jobs():
            while todo:
                try:
                    job = todo.popleft()
                except IndexError:  # another thread took the last one
                    return
                if next(job, _END) is not _END:
                    todo.append(job)

        # the calling thread works as well: otherwise it would have to be woken up in the end
        n_helpers = min(n_threads, len(jobs)) - 1
        if n_helpers < 1:
            take_jobs()
            return
        helpers = [self._executor().submit(take_jobs) for _ in range(n_helpers)]
        try:
            take_jobs()
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()

    def _executor(self):
        """Return the pool of threads, a new one after a fork."""
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(self.threads - 1), os.getpid()
        return self._pool


def _pieces(expected: float) -> int:
    """Return into how many pieces work of so many seconds is cut for a progress bar, 1 for none."""
    if expected <= LONG_SECONDS:
        return 1
    return FIRST if expected == np.inf else int(np.ceil(expected / PIECE_SECONDS))


def completed(first: Iterable, pairs: Sequence, arrays: Mapping) -> Callable[[Mapping], list]:
    """Return a function that completes the arguments of a kernel with arrays of a single call.

    Arguments are what comes ``first``, then the array of each of the ``pairs`` of owner and role;
    what all calls are given is looked up once.
    """
    first = list(first)
    given = [*first, *(arrays.get(pair) for pair in pairs)]
    missing = [(k, pair) for k, pair in enumerate(pairs, len(first)) if pair not in arrays]

    def complete(own):
        arguments = given.copy()
        for k, pair in missing:
            arguments[k] = own[pair]
        return arguments

    return complete
