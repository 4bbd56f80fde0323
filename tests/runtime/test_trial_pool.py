"""Trials over threads: which chunks, in which order, and passes over long arrays."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from brian_eventprop.runtime.array_passes import LONG, ArrayPasses
from brian_eventprop.runtime.trial_pool import (
    CHUNKS,
    FIRST,
    PARALLEL_SECONDS,
    PIECE_SECONDS,
    TrialPool,
)


class Recorder:
    """A kernel that notes the trials that it is called for."""

    signatures = (None,)

    def __init__(self):
        self.calls = []

    def __call__(self, first, last, chunk):
        self.calls.append((int(first), int(last)))
        return int(first), int(chunk)


def test_chunks_with_most_spikes_come_first_and_results_stand_in_order():
    kernel = Recorder()
    counts = np.ones(2 * CHUNKS, int)
    counts[[5, -1]] = 30, 50
    ptr = np.append(0, np.cumsum(counts))
    found = TrialPool(1).call(kernel, len(counts), lambda chunk: (chunk,), [ptr, ptr])
    assert kernel.calls[:3] == [(2 * CHUNKS - 2, 2 * CHUNKS), (4, 6), (0, 2)]
    assert found == [(2 * chunk, chunk) for chunk in range(CHUNKS)]


def test_fewer_trials_than_chunks():
    assert TrialPool(2).call(Recorder(), 2, lambda chunk: (chunk,)) == [(0, 0), (1, 1)]


def test_more_threads_have_more_chunks_unless_something_is_summed():
    n_trials = 3 * CHUNKS
    for threads, summed, expected in (
        (2, True, CHUNKS), (2, False, 2 * CHUNKS), (1, True, CHUNKS), (1, False, 1),
    ):  # fmt: skip
        kernel, pool = Recorder(), TrialPool(threads)
        pool.per_trial[kernel] = 0.01
        pool.call(kernel, n_trials, lambda chunk: (chunk,), summed=summed)
        assert len(kernel.calls) == expected
        covered = [trial for first, last in sorted(kernel.calls) for trial in range(first, last)]
        assert covered == list(range(n_trials))


def test_where_nothing_is_summed_there_are_chunks_enough_for_a_progress_bar():
    pool, n_trials = TrialPool(1), 3 * FIRST
    for per_trial, expected in ((np.inf, FIRST), (0.01, 1), (PIECE_SECONDS / 4, n_trials // 4)):
        kernel = Recorder()
        pool.per_trial[kernel] = per_trial
        pool.call(kernel, n_trials, lambda chunk: (chunk,), summed=False)
        assert len(kernel.calls) == expected


def test_the_last_chunks_go_from_thread_to_thread_but_each_in_the_order_of_its_trials():
    n_trials = 6 * CHUNKS + 1
    for threads in (1, 2, 3, CHUNKS, 2 * CHUNKS):
        kernel, at_work = Recorder(), set()

        def arguments(chunk, at_work=at_work):
            assert chunk not in at_work
            at_work.add(chunk)
            return (chunk,)

        def slow(first, last, chunk, kernel=kernel, at_work=at_work):
            time.sleep(1e-4 * (chunk % 3))  # chunks take turns in other orders
            found = kernel(first, last, chunk)
            at_work.remove(chunk)
            return *found, int(last)

        slow.signatures = (None,)
        found = TrialPool(threads).call(slow, n_trials, arguments, divisible=True)
        calls = {chunk: [] for _, chunk, _ in found}
        for first, chunk, last in found:
            calls[chunk].append((first, last))
        covered = [trial for first, _, last in found for trial in range(first, last)]
        assert covered == list(range(n_trials))  # what is returned stands in order
        assert (len(found) > CHUNKS) == (threads > 1)
        for own in calls.values():  # and was called in order
            assert [call for call in kernel.calls if call in own] == own


def test_little_work_wakes_no_other_thread():
    seen = set()

    def kernel(first, last, wait):
        seen.add(threading.get_ident())
        time.sleep(wait)  # as kernels do, it lets other threads run

    kernel.signatures = (None,)
    pool, me = TrialPool(2), {threading.get_ident()}
    # how long a trial takes is known from the call before
    for wait, per_trial, alone in (
        (0.01, np.inf, False),
        (0.0, 0.1 * PARALLEL_SECONDS / CHUNKS, True),
    ):
        seen.clear()
        pool.per_trial[kernel] = per_trial
        pool.call(kernel, CHUNKS, lambda chunk, wait=wait: (wait,))
        assert (seen == me) == alone
        assert wait < pool.per_trial[kernel] < np.inf


def test_an_error_in_any_thread_is_raised():
    def fail(item):
        if item == 5:
            raise ValueError("the fifth")
        return item

    for threads in (1, 2, 4):
        with pytest.raises(ValueError, match="the fifth"):
            TrialPool(threads).map(fail, range(9))
        assert TrialPool(threads).map(fail, range(5)) == list(range(5))


def test_passes_cover_every_entry_once_with_any_number_of_threads():
    for threads in (1, 2, 3):
        seen = SimpleNamespace(long=np.zeros(LONG + 1, int), short=np.zeros(3, int))
        lock = threading.Lock()

        def count(first, last, array, lock=lock):
            with lock:
                array[first:last] += 1

        passes = ArrayPasses(TrialPool(threads))
        passes.add(count, len(seen.long), seen.long)
        passes.add(count, 3, seen.short)
        passes.run()
        passes.run()  # nothing is left to do
        assert np.all(seen.long == 1) and np.all(seen.short == 1)
