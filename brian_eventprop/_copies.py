"""Copies of what is bound to Brian2's objects, which can be neither pickled nor deep-copied."""

from __future__ import annotations

from copy import deepcopy

from brian2 import BrianObject
from brian2.core.variables import VariableView


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


def copied(value, memo: dict):
    """Return a deep copy; Brian2's objects, and what cannot be copied, are shared.

    Parameters
    ----------
    value
        What is copied; lists, tuples and dicts are looked through.
    memo
        That of ``__deepcopy__``.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> group = NeuronGroup(1, "v : 1")
    >>> given = [(group.v, [1])]
    >>> ((view, numbers),) = copied(given, {})
    >>> view is given[0][0], numbers is given[0][1]
    (True, False)
    """
    if isinstance(value, BrianObject | VariableView):
        return value
    if type(value) in (list, tuple):
        return type(value)(copied(item, memo) for item in value)
    if type(value) is dict:
        return {key: copied(item, memo) for key, item in value.items()}
    own = dict(memo)  # what is left in it by a copy that fails is of no use
    try:
        twin = deepcopy(value, own)
    except (TypeError, ReferenceError):  # Brian2 keeps variables of objects that are gone
        return value
    alive = own.pop(id(own), [])  # what must not be freed while a memo knows it by its address
    memo.update(own)
    memo.setdefault(id(memo), []).extend(alive)
    return twin
