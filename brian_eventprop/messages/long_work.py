"""A progress bar for work of which nobody knows beforehand whether it takes long."""

from __future__ import annotations

import threading
import time

from brian_eventprop.messages.wanted import watched

#: Seconds of work after which a bar appears, and that it must be expected to last then.
AFTER, REMAINING = 3.0, 1.0


class LongWork:
    """Parts of a whole that are done; a bar appears if they take more than a few seconds.

    It does so only where somebody looks: in a terminal or a notebook.

    Parameters
    ----------
    title : str
        What is done.
    total : int, optional
        How many parts there are.
    unit : str
        What they are.

    Examples
    --------
    >>> with LongWork("forward pass", 100, "trial") as work:
    ...     work.add(50)
    """

    def __init__(self, title: str, total: int | None, unit: str):
        self._title, self._total, self._unit = title, total, unit
        self._began, self._done, self._lock = time.perf_counter(), 0, threading.Lock()
        self._bar = None

    def __enter__(self) -> LongWork:
        return self

    def __exit__(self, *error) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, parts: int) -> None:
        """Note that some more parts are done; may be called by any thread."""
        with self._lock:
            self._done += parts
            if self._bar is not None:
                self._bar.update(parts)
            elif self._is_long() and watched():
                self._bar = self._new_bar()

    def _is_long(self) -> bool:
        seconds = time.perf_counter() - self._began
        if seconds < AFTER:
            return False
        left = None if self._total is None else self._total - self._done
        return left is None or left * seconds / self._done > REMAINING

    def _new_bar(self):
        from tqdm.auto import tqdm

        bar = tqdm(
            desc=self._title, total=self._total, unit=self._unit, leave=False, dynamic_ncols=True
        )
        bar.start_t = bar.last_print_t = self._began
        bar.update(self._done)
        return bar
