"""What tests see of objects that others use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from brian2 import Synapses
from brian2.synapses.synapses import SynapticPathway


class Call(NamedTuple):
    """What a method was given, and what it returned."""

    arguments: tuple
    returned: object


@contextmanager
def watched(obj, method: str) -> Iterator[list[Call]]:
    """The calls of a method of one object, for a while."""
    calls, real = [], getattr(obj, method)

    def watch(*arguments, **named):
        calls.append(Call(arguments, real(*arguments, **named)))
        return calls[-1].returned

    setattr(obj, method, watch)
    try:
        yield calls
    finally:
        delattr(obj, method)


def pathways_of(synapses: Synapses) -> list[SynapticPathway]:
    """The pathways of a Brian2 object, in the order in which they were made."""
    return [part for part in synapses.contained_objects if isinstance(part, SynapticPathway)]
