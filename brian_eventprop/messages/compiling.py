"""One line when kernels are compiled, since that may take longer than all the rest.

Numba tells when it compiles, and for how long; machine code from the disk is no such event.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from brian_eventprop.messages.wanted import wanted, watched

#: Seconds of compiling from which on there is something to say.
LEAST = 1.0

#: Seconds after which the line is written anew where somebody looks at it.
EVERY = 1.0

#: Who tells of what, if it is in use: Numba, and its extension for GPUs.
_EVENTS = {
    "numba.core.event": "numba:compile",
    "numba.cuda.core.event": "numba-cuda:compiler_lock",
}
_heard: set[str] = set()
_lock = threading.Lock()
_at_work: _Line | None = None


@contextmanager
def compiling_announced(what: Callable[[], str]) -> Iterator[None]:
    """Say what is compiled within the block, in one line, if that takes more than a second.

    Parameters
    ----------
    what
        Returns what is compiled, and is called only if it is needed.
    """
    line = _begin(what)
    if line is None:  # a block around this one has the line, or nobody wants it
        yield
        return
    try:
        _listen()
        yield
    finally:
        _end()
        line.close()


def announces_compiling(part: str) -> Callable:
    """Return a decorator for methods of a model that say so when they compile a part of it."""

    def decorated(method: Callable) -> Callable:
        @wraps(method)
        def announcing(model, *given, **named):
            with compiling_announced(lambda: part_of(model, part)):
                return method(model, *given, **named)

        return announcing

    return decorated


def part_of(model, part: str = "kernels") -> str:
    """Return what is compiled for a model."""
    n = len(model.spec.groups)
    return f"the {part} of {n} neuron group{'' if n == 1 else 's'}"


def _begin(what) -> _Line | None:
    global _at_work
    with _lock:
        if _at_work is not None or not wanted():
            return None
        _at_work = _Line(what)
        return _at_work


def _end() -> None:
    global _at_work
    with _lock:
        _at_work = None


class _Listener:
    """Passes events on to the line of the block that is at work."""

    def notify(self, event) -> None:
        """Note an event."""
        if (line := _at_work) is not None:
            line.note(event.is_start)


def _listen() -> None:
    """Have all that compile and are in use tell of it, from now on."""
    for name in _EVENTS.keys() - _heard:
        if module := sys.modules.get(name):
            module.Listener.register(_Listener)
            module.register(_EVENTS[name], _Listener())
            _heard.add(name)


class _Line:
    """Counts the seconds of compiling, and shows them."""

    def __init__(self, what: Callable[[], str]):
        self._what, self._lock, self._over = what, threading.Lock(), threading.Event()
        self._depth, self._before, self._since = 0, 0.0, 0.0
        self._clock: threading.Thread | None = None
        self._shown = None

    def note(self, is_start: bool) -> None:
        """Note that compiling begins or ends; compiling a function compiles others."""
        now = time.perf_counter()
        with self._lock:
            if is_start:
                self._depth += 1
                self._since = now if self._depth == 1 else self._since
            elif self._depth:
                self._depth -= 1
                self._before += now - self._since if self._depth == 0 else 0.0
        if self._clock is None:
            self._clock = threading.Thread(target=self._count, daemon=True)
            self._clock.start()

    def close(self) -> None:
        """End the line, if there is one."""
        self._over.set()
        if self._clock is not None:
            self._clock.join()
        if self._shown is not None or self._seconds() >= LEAST:
            self._show(f": {self._seconds():.0f} s", refresh=False).close()

    def _seconds(self) -> float:
        with self._lock:
            now = time.perf_counter() - self._since if self._depth else 0.0
            return self._before + now

    def _count(self) -> None:
        while not self._over.wait(EVERY):
            if self._seconds() >= LEAST and (self._shown is None or watched()):
                self._show(f": {self._seconds():.0f} s so far" if watched() else " ...")

    def _show(self, end: str, refresh: bool = True):
        # of tqdm, since it also keeps other bars in their places
        from tqdm.std import tqdm

        text = f"Compiling {self._what()}, once{end}"
        if self._shown is None:
            self._shown = tqdm(desc=text, bar_format="{desc}", leave=True, dynamic_ncols=True)
        else:
            self._shown.set_description_str(text, refresh)
        return self._shown
