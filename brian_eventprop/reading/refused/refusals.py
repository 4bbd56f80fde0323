"""Collects what is refused, so that a user sees all of it at once and not the first only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brian_eventprop.errors import UnsupportedError


class Refusals:
    """The refusals of one object, or of one network; at the end of ``with`` they are raised.

    They come before any other error, of which they may well be the cause.

    Examples
    --------
    >>> with Refusals() as refusals:
    ...     refusals.add(UnsupportedError("NeuronGroup 'G': 'xi' is not supported."))
    ...     refusals.add(UnsupportedError("Synapses 'S': 'w += 1' is not supported."))
    Traceback (most recent call last):
    ...
    brian_eventprop.errors.UnsupportedError: 2 things in the network are not supported:
    - NeuronGroup 'G': 'xi' is not supported.
    - Synapses 'S': 'w += 1' is not supported.
    """

    def __init__(self):
        self._found: list[UnsupportedError] = []
        self._other: Exception | None = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def __enter__(self) -> Refusals:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is None or issubclass(kind, Exception):
            self._keep(error)
            self.raise_found()

    def add(self, error: UnsupportedError) -> None:
        """Keep a refusal."""
        self._found.append(error)

    def check(self, function: Callable, *args, **options) -> Any:
        """Return what a function returns; None if it raises an error, which is kept."""
        try:
            return function(*args, **options)
        except Exception as error:
            self._keep(error)
            return None

    def _keep(self, error: Exception | None) -> None:
        if isinstance(error, UnsupportedError):
            self.add(error)
        elif self._other is None:
            self._other = error

    def raise_found(self) -> None:
        """Raise one error with all refusals; the first other error if there are none."""
        sentences = list(dict.fromkeys(s for error in self._found for s in error.refusals))
        if len(sentences) > 1:
            text = f"{len(sentences)} things in the network are not supported:"
            raise UnsupportedError("\n- ".join((text, *sentences)), sentences)
        if sentences:
            raise self._found[0]
        if self._other is not None:
            raise self._other
