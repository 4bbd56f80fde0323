"""Errors that the package raises."""

from __future__ import annotations

from collections.abc import Sequence


class UnsupportedError(NotImplementedError):
    """A feature of Brian2 that has no gradient here, or several of them.

    The message names the Brian2 object, the equation or statement, the reason and the way out.

    Parameters
    ----------
    message : str
        What the error says.
    refusals : sequence of str, optional
        One sentence for each feature, if there are several.

    Attributes
    ----------
    refusals : tuple of str
        One sentence for each feature, if there are several.
    """

    def __init__(self, message: str, refusals: Sequence[str] = ()):
        super().__init__(message)
        self.refusals: tuple[str, ...] = tuple(refusals) or (message,)
