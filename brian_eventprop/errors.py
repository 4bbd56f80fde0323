"""Errors that the package raises."""

from __future__ import annotations


class UnsupportedError(NotImplementedError):
    """A feature of Brian2 that has no gradient here.

    The message names the Brian2 object, the equation or statement, the reason and the way out.
    """
