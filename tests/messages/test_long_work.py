"""A progress bar that appears only where work takes long and somebody looks."""

import io
import sys
import time

import pytest

from brian_eventprop.messages import long_work
from brian_eventprop.messages.long_work import LongWork
from brian_eventprop.messages.wanted import silent
from brian_eventprop.runtime import trial_pool
from brian_eventprop.runtime.trial_pool import TrialPool


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(long_work, "AFTER", 0.1)
    monkeypatch.setattr(long_work, "REMAINING", 0.03)


def stderr(monkeypatch, stream):
    """Have what is written; in the test itself, before which pytest puts a stream of its own."""
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def work(seconds: float, total: int | None = 10) -> None:
    with LongWork("evaluation", total, "batch") as bar:
        for _ in range(10):
            time.sleep(seconds / 10)
            bar.add(1)


@pytest.mark.parametrize("total, last", [(10, "10/10"), (None, "10batch")])
def test_a_bar_appears_in_work_that_takes_long(monkeypatch, total, last):
    terminal = stderr(monkeypatch, Terminal())
    work(0.5, total)
    shown = terminal.getvalue()
    assert "evaluation: " in shown and last in shown
    assert shown.endswith("\r")  # and is gone in the end


def test_no_bar_for_little_work_for_nobody_or_against_the_wish(monkeypatch):
    terminal = stderr(monkeypatch, Terminal())
    work(0.05)
    with silent():
        work(0.3)
    assert terminal.getvalue() == ""
    log = stderr(monkeypatch, io.StringIO())
    work(0.3)
    assert log.getvalue() == ""


def test_a_batch_of_a_model_has_one(monkeypatch):
    terminal = stderr(monkeypatch, Terminal())

    def kernel(first, last):
        time.sleep(0.01 * (last - first))

    kernel.signatures = (None,)
    TrialPool(1).call(kernel, 64, lambda chunk: (), summed=False, title="forward pass")
    assert "forward pass: " in terminal.getvalue()


def test_work_that_takes_long_is_cut_finer_with_each_chunk_as_before():
    calls = []

    def kernel(first, last, chunk):
        calls.append((int(chunk), int(first), int(last)))

    kernel.signatures, pool = (None,), TrialPool(1)
    for per_trial in (1e-3, 1.0):
        calls.clear()
        pool.per_trial[kernel] = per_trial
        pool.call(kernel, 80, lambda chunk: (chunk,), divisible=True)
        assert len(calls) == (trial_pool.CHUNKS if per_trial < 1 else 80)
        for chunk in range(trial_pool.CHUNKS):
            own = sorted((first, last) for number, first, last in calls if number == chunk)
            assert (own[0][0], own[-1][1]) == (10 * chunk, 10 * chunk + 10)
