"""What was made of some arrays, taken again while they hold the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from brian_eventprop.reading.spec import Key

#: Most bytes that are compared; with more, making the result again costs little beside the kernels.
MOST = 2**15


class Remembered:
    """The last result of a function of some arrays.

    Values may be changed in place, so they are compared bit by bit.  What raises an error is not
    remembered: it is raised again at every call.

    Parameters
    ----------
    keys
        Of the arrays that the function may look up; those which a call's values lack are left out.

    Examples
    --------
    >>> values = {("G", "tau"): np.array([1.0, 2.0])}
    >>> total = Remembered([("G", "tau")])
    >>> def add_up(values):
    ...     return [float(values["G", "tau"].sum())]
    >>> first = total(add_up, values)
    >>> total(add_up, values) is first
    True
    >>> values["G", "tau"][1] = 3.0
    >>> total(add_up, values)
    [4.0]
    """

    def __init__(self, keys: Iterable[Key]):
        self.keys = tuple(dict.fromkeys(keys))
        self._bits, self._made = None, None

    def __call__(self, function: Callable, values: Mapping[Key, np.ndarray], *more):
        """Return what a function makes of some values, or made of the same ones before.

        Parameters
        ----------
        function
            The same at every call.  It is given copies of the arrays, which nobody changes, and
            what else the call is given: ``function(values, *more)``.
        values
            Arrays by key.
        more
            Numbers that are compared, too.
        """
        arrays = [(key, values[key]) for key in self.keys if key in values]
        if sum([array.nbytes for _, array in arrays]) > MOST:
            return function(values, *more)
        bits = [more, *[(array.dtype, array.shape, array.tobytes()) for _, array in arrays]]
        if bits != self._bits:
            self._bits = None
            self._made = function({key: array.copy() for key, array in arrays}, *more)
            self._bits = bits
        return self._made
