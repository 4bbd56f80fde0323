"""Errors that the package raises."""

from __future__ import annotations

from collections.abc import Sequence


class UnsupportedError(NotImplementedError):
    """A feature of Brian2 that has no gradient here, or several of them.

    The message names the Brian2 object, the equation or statement, the reason and the way out.

    Attributes
    ----------
    refusals : tuple of str
        One sentence for each feature, if there are several.
    """

    def __init__(self, message: str, refusals: Sequence[str] = ()):
        super().__init__(message)
        self.refusals = tuple(refusals) or (message,)


class NotPickled:
    """Base of what is bound to Brian2's objects, which cannot be pickled: says what to do instead.

    ``copy.copy`` shares all parts; a ``copy.deepcopy`` is up to the class.

    Examples
    --------
    >>> import pickle
    >>> class Model(NotPickled):
    ...     instead = "save its values with save(path)"
    >>> pickle.dumps(Model())
    Traceback (most recent call last):
    ...
    TypeError: a Model cannot be pickled, since Brian2's objects cannot: save its values with ...
    """

    #: What to do instead, the end of the message.
    instead = ""

    def __copy__(self):
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __reduce__(self):
        kind = type(self).__name__
        article = "an" if kind[:1] in "AEIO" else "a"
        raise TypeError(
            f"{article} {kind} cannot be pickled, since Brian2's objects cannot: {self.instead}"
        )
