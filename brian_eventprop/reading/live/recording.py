"""More readouts of a network that was read before: what is recorded of it, and its units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.statements import resolve
from brian_eventprop.reading.equations.symbols import Collection
from brian_eventprop.reading.readouts import read_readout
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues, ReadoutSpec
from brian_eventprop.reading.synapses.pathways import parent


@dataclass(frozen=True)
class Recording:
    """A network with what is recorded of it.

    Attributes
    ----------
    spec, values
        The network, whose readouts are those to keep and then those of what is recorded.
    dimensions
        Brian2 dimensions of what each of the latter measures.
    """

    spec: NetworkSpec
    values: NetworkValues
    dimensions: tuple[Any, ...]


def with_readouts(
    spec: NetworkSpec,
    values: NetworkValues,
    readouts: Sequence,
    objects: Iterable,
    namespace: Mapping,
    duration: float,
    keep: bool,
) -> Recording:
    """Return a network with other readouts, which are read now.

    What the network has of constants and initial values stays as it is.

    Parameters
    ----------
    spec, values
        The network as it was read before.
    readouts
        What is to be recorded.
    objects
        The Brian2 objects of the network.
    namespace
        Where external names are looked up.
    duration
        Duration of a trial in seconds.
    keep
        Whether the readouts that it has come first.
    """
    groups = {g.name: g for g in spec.groups}
    by_name = {obj.name: obj for obj in objects}
    collection = Collection(
        {g.name: g.states for g in spec.groups},
        {s.name: s.states for s in spec.synapses},
        dict(values.links),
        dict(values.values),
        dict(values.dimensions),
    )
    found = [
        read_readout(readout, groups, by_name, namespace, duration, collection)
        for readout in readouts
    ]
    dimensions = tuple(
        _dimensions(readout, by_name[parent(readout.group).name], namespace, duration)
        for readout in readouts
    )
    read = collection.freeze(values.pre, values.post, values.spikes)
    known = {timed.name for timed in spec.timed}
    more = (timed for name, (timed, _) in collection.timed.items() if name not in known)
    spec = replace(
        spec, readouts=(*(spec.readouts if keep else ()), *found), timed=(*spec.timed, *more)
    )
    read = replace(
        values,
        values=read.values,
        dimensions=read.dimensions,
        timed_values={**read.timed_values, **values.timed_values},
        timed_dimensions={**read.timed_dimensions, **values.timed_dimensions},
    )
    return Recording(spec, read, dimensions)


def _dimensions(readout, group, namespace: Mapping, duration: float):
    """Return the Brian2 dimensions of what a readout measures."""
    scope = {"T": duration * brian.second, **namespace}
    variables = resolve(group, f"_readout = {readout.expression}", scope)
    return brian.parse_expression_dimensions(readout.expression, variables)


def own_states(spec: NetworkSpec, group) -> tuple[str, ...]:
    """Return the states of a `NeuronGroup` that are numbers of its user's own."""
    found = next((g.states for g in spec.groups if g.name == group.name), ())
    own = set(group.user_equations.names) - set(group._linked_variables)
    return tuple(s for s in found if s in own and not group.variables[s].is_boolean)


def with_adjoints(
    recording: Recording, group: str, start: int, stop: int, at: tuple[float, ...], objects
) -> tuple[Recording, tuple[str, ...]]:
    """Return a network that records the adjoint variables of neurons start:stop, and their names.

    They are those of all `own_states`.
    """
    obj = next(obj for obj in objects if obj.name == group)
    states = own_states(recording.spec, obj)
    more = [ReadoutSpec("adjoint", group, start, stop, expression=s, at=at) for s in states]
    spec = replace(recording.spec, readouts=(*recording.spec.readouts, *more))
    dimensions = tuple(obj.variables[s].dim for s in states)
    return Recording(spec, recording.values, (*recording.dimensions, *dimensions)), states
