"""Objects that the user says are no part of the dynamics: ``ignore=[...]``.

A progress bar in a `network_operation` has no derivative and needs none.  What others depend on
cannot be left out: they would read or change something that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brian_eventprop.reading import brian
from brian_eventprop.reading.unsupported import objects_below, own_parts


def ignored_objects(objects: Iterable, ignore) -> dict[int, object]:
    """Return the objects to ignore by their identity.

    Parameters
    ----------
    objects
        The objects of the network; what they contain, at any depth, can be ignored as well.
    ignore
        Brian2 objects or their names.

    Raises
    ------
    ValueError
        If one is not part of the network.

    Examples
    --------
    >>> from brian2 import NeuronGroup, network_operation
    >>> G = NeuronGroup(1, "v : 1", name="G")
    >>> @network_operation(name="bar")
    ... def bar():
    ...     print(".")
    >>> [obj.name for obj in ignored_objects([G, bar], ["bar"]).values()]
    ['bar']
    >>> ignored_objects([G], ["baz"])
    Traceback (most recent call last):
    ...
    ValueError: ignore=['baz'] names nothing in the network, which has: ...
    """
    if isinstance(ignore, str | brian.BrianObject):
        ignore = [ignore]
    if not isinstance(ignore, Iterable):
        raise TypeError(f"ignore must be a list such as ['progress_bar'], not {ignore!r}")
    known = {o.name: o for whole in objects for o in (whole, *objects_below(whole))}
    found = {}
    for item in ignore:
        if not isinstance(item, str | brian.BrianObject):
            raise TypeError(f"ignore=[...] holds Brian2 objects or their names, not {item!r}")
        name = item if isinstance(item, str) else item.name
        obj = known.get(name)
        if obj is None or not (isinstance(item, str) or item is obj):
            names = ", ".join(f"'{n}'" for n in sorted(known))
            raise ValueError(f"ignore=['{name}'] names nothing in the network, which has: {names}")
        found[id(obj)] = obj
    return found


def check_ignored(objects: Iterable, ignored: Iterable, readouts: Iterable) -> None:
    """Raise an error where something that is kept depends on what is ignored.

    Parameters
    ----------
    objects
        What is kept of the network.
    ignored
        What is left out.
    readouts
        What the loss sees.
    """
    out = {obj.name for obj in ignored}
    for obj in objects:
        for need, name in _needs(obj):
            if name in out:
                raise ValueError(
                    f"ignore=['{name}'] is not possible: {type(obj).__name__} '{obj.name}' {need}. "
                    f"Ignore '{obj.name}', too, or keep '{name}'."
                )
    for readout in readouts:
        group = readout.group
        name = (group.source if isinstance(group, brian.Subgroup) else group).name
        if name in out:
            raise ValueError(
                f"ignore=['{name}'] is not possible: {type(readout).__name__} measures it. Take "
                f"the readout out of the loss, or keep '{name}'."
            )


def _needs(obj) -> Iterator[tuple[str, str]]:
    """Yield the names of what an object cannot do without, each after a word on what for."""
    if isinstance(obj, brian.Synapses):
        for end in (obj.source, obj.target):
            yield "connects it", (end.source if isinstance(end, brian.Subgroup) else end).name
    for name in getattr(obj, "_linked_variables", ()):
        if name in obj.variables:
            yield f"links '{name}' to it", obj.variables[name].owner.name
    for name, _ in own_parts(obj).values():
        yield "is made of it", name
