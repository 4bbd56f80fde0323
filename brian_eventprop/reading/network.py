"""From Brian2 objects to the specification of a network: the entry to this package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from brian2 import get_logger

from brian_eventprop.reading import brian
from brian_eventprop.reading.couplings import (
    LinkCode,
    SummedCode,
    add_coupled_states,
    build_couplings,
    check_constant_synapses,
    in_order,
    linked_neurons,
    read_links,
    read_summed_code,
    with_copies,
)
from brian_eventprop.reading.equations.symbols import Collection
from brian_eventprop.reading.groups import GroupCode, build_group, event_states, read_group_code
from brian_eventprop.reading.inputs import INPUTS, read_input, read_spikes
from brian_eventprop.reading.readouts import read_readout
from brian_eventprop.reading.spec import Group, NetworkSpec, NetworkValues
from brian_eventprop.reading.start import check_start
from brian_eventprop.reading.synapses import (
    PathwayCode,
    build_pathway,
    connections,
    parent,
    read_synapses_code,
    written_states,
)
from brian_eventprop.reading.unsupported import (
    WHOLE,
    check_clocks,
    check_inactive,
    check_network,
    check_object,
    check_parts,
    objects_below,
    unsupported,
)

logger = get_logger(__name__)


def network_objects(network) -> list[Any]:
    """Return the Brian2 objects of a `Network`, or of nested containers, once each.

    Lists keep their order; sets, of which a `Network` is one, are sorted by name.  Objects that
    belong to another one, such as a group's thresholder, are left out, but not groups and Synapses
    that another object contains: Brian2 runs them with it.

    Examples
    --------
    >>> from brian2 import Network, NeuronGroup
    >>> a, b = (NeuronGroup(1, "v : 1", name=name) for name in "ab")
    >>> [obj.name for obj in network_objects(Network(b, a))]
    ['a', 'b']
    """
    if isinstance(network, brian.Network):
        return network_objects(set(network.objects))
    if isinstance(network, brian.BrianObject):
        return [network, *(part for part in objects_below(network) if isinstance(part, WHOLE))]
    if isinstance(network, Mapping):
        network = network.values()
    elif isinstance(network, set | frozenset):
        network = sorted(network, key=lambda obj: obj.name)
    elif not isinstance(network, Iterable) or isinstance(network, str):
        raise TypeError(f"A Network or a list of Brian2 objects is needed, not {network!r}.")
    objects = {id(obj): obj for item in network for obj in network_objects(item)}
    return list(objects.values())


def is_monitor(obj) -> bool:
    """Whether an object only records."""
    return isinstance(obj, brian.MONITORS)


def left_out(objects: Iterable, visible: Iterable) -> list[str]:
    """Return the visible objects that act on groups among some objects and are not among them.

    Brian2's own ``run()`` takes all that are visible; a list of objects may lack some by mistake.

    Examples
    --------
    >>> from brian2 import NeuronGroup, PoissonInput, Hz
    >>> G = NeuronGroup(2, "v : 1", name="G")
    >>> noise = PoissonInput(G[:1], "v", 10, 5*Hz, weight=0.1)
    >>> left_out([G], [G, noise]) == [f"PoissonInput '{noise.name}'"]
    True
    """
    names = {obj.name for obj in objects}
    found = []
    for obj in visible:
        ends = []
        if isinstance(obj, brian.PoissonInput):
            ends = [obj.group]
        elif isinstance(obj, brian.Synapses) and (obj._pathways or obj.summed_updaters):
            ends = [obj.source, obj.target]
        inside = ends and all(parent(end).name in names for end in ends)
        if inside and obj.active and obj.name not in names:
            found.append(f"{type(obj).__name__} '{obj.name}'")
    return sorted(found)


def read_network(
    objects,
    readouts: Sequence,
    level_namespace: Mapping[str, Any],
    duration: float | None = None,
) -> tuple[NetworkSpec, NetworkValues]:
    """Read Brian2 objects without compiling, running or changing them.

    Parameters
    ----------
    objects
        A Brian2 `Network` or a list of Brian2 objects.  Monitors are ignored.
    readouts
        What the loss sees.
    level_namespace
        Where external names are looked up, as in ``Network.run(namespace=...)``.
    duration
        Duration of a trial in seconds, the ``T`` of readouts.

    Returns
    -------
    spec, values
        The network as frozen data, and the numbers that go with it.

    Raises
    ------
    UnsupportedError
        For every feature of Brian2 that has no gradient here.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> G = NeuronGroup(2, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0",
    ...                 method="euler", name="G")
    >>> spec, values = read_network([G], [], {"tau": 10*ms})
    >>> spec.group("G").derivatives["v"], float(values.values["", "tau"][0])
    ('-v / tau', 0.01)
    """
    check_network(objects)
    active = _active(network_objects(objects))
    dt = check_clocks(o for o in active if not isinstance(o, INPUTS))
    neurons = [o for o in active if isinstance(o, brian.NeuronGroup)]
    inputs = [o for o in active if isinstance(o, INPUTS)]
    synapses = [o for o in active if isinstance(o, brian.Synapses)]
    _check_ends(synapses, neurons + inputs)
    for readout in readouts:
        _check_active(parent(readout.group), f"{type(readout).__name__} measures it")
    _check_names(active)

    links = [link for group in neurons for link in read_links(group)]
    groups = [read_group_code(group, level_namespace) for group in neurons]
    pathways = [code for s in synapses for code in read_synapses_code(s, level_namespace)]
    pathways.sort(key=lambda code: (code.pathway.order, code.pathway.name))
    summed = [code for s in synapses for code in read_summed_code(s, level_namespace)]
    groups = in_order(groups) if summed or links else groups
    states = _states(groups, pathways, summed, links)
    collection = Collection(states=states, links=linked_neurons(links))

    built = {
        code.group.name: build_group(
            code, collection.states[code.group.name], level_namespace, collection
        )
        for code in groups
    }
    _check_sources(pathways, built)
    codes = {code.group.name: code for code in groups}
    couplings, coupled = build_couplings(summed, links, codes, collection)
    check_constant_synapses(summed, pathways)
    built = with_copies(built, couplings)
    spec = NetworkSpec(
        groups=tuple(built.values()),
        inputs=tuple(read_input(group, dt) for group in inputs),
        pathways=tuple(build_pathway(code, collection) for code in pathways),
        readouts=tuple(
            read_readout(
                readout, built, {g.name: g for g in neurons}, level_namespace, duration, collection
            )
            for readout in readouts
        ),
        dt=dt,
        couplings=couplings,
    )
    spec = replace(spec, timed=tuple(timed for timed, _ in collection.timed.values()))
    check_start(objects, active, spec)
    _mention_precision(neurons + synapses)
    ends = {code.pathway.name: connections(code.synapses) for code in pathways} | coupled
    return spec, collection.freeze(
        pre={name: pre for name, (pre, _) in ends.items()},
        post={name: post for name, (_, post) in ends.items()},
        spikes={group.name: read_spikes(group, duration) for group in inputs},
    )


def _active(objects: Iterable) -> list[Any]:
    """Drop monitors, Subgroups and what the user switched off; refuse unknown objects."""
    active = []
    for obj in objects:
        if isinstance(obj, brian.MONITORS + (brian.Subgroup,)):
            check_parts(obj)
            continue
        if not obj.active:
            check_inactive(obj)
            continue
        check_object(obj)
        active.append(obj)
    if not any(isinstance(obj, brian.NeuronGroup) for obj in active):
        raise ValueError("The network has no NeuronGroup, so there is nothing to train.")
    return active


def _mention_precision(objects: Iterable) -> None:
    """Say which variables Brian2 rounds to single precision."""
    found = []
    for obj in objects:
        for owner in (obj, *getattr(obj, "_pathways", ())):
            names = ["delay"] if owner is not obj else obj.equations.names
            for name in sorted(set(names) & set(owner.variables)):
                if getattr(owner.variables[name], "dtype", None) == np.float32:
                    found.append(f"'{name}' of '{owner.name}'")
    if found:
        logger.warn(
            f"Brian2 holds {', '.join(found)} in single precision and rounds them in its runs, but "
            "a model begins with these values in double precision and computes as precision=... "
            "says, so spikes may differ from those of Brian2. Leave dtype and "
            "prefs.core.default_float_dtype as they are for the same spikes.",
            "precision",
            once=True,
        )


def _check_ends(synapses: Iterable, present: Iterable) -> None:
    names = {obj.name for obj in present}
    for s in synapses:
        for end in (s.source, s.target):
            if not isinstance(end, brian.Synapses):
                _check_active(parent(end), f"Synapses '{s.name}' connect it")
            known = parent(end).name in names or isinstance(end, brian.Synapses)
            if not known:
                raise ValueError(
                    f"Synapses '{s.name}' connect '{parent(end).name}', which is not part of the "
                    "network. Add it to the Network or to the list of objects."
                )


def _check_sources(pathways: Iterable[PathwayCode], groups: Mapping[str, Group]) -> None:
    for code in pathways:
        source = groups.get(parent(code.synapses.source).name)
        if source is not None and source.threshold is None:
            reason = f"no neuron of '{source.name}' ever spikes, so it does nothing"
            way_out = f"Set {code.synapses.name}.active = False, or change the threshold."
            raise unsupported(code.synapses, code.code, reason, way_out)


def _check_active(group, use: str) -> None:
    """Refuse a group that Brian2 does not run: its neurons stand still."""
    if not group.active:
        reason = f"Brian2 does not run the group, but {use}"
        way_out = f"Set {group.name}.active = True, or leave both out of the network."
        raise unsupported(group, "active = False", reason, way_out)


def _check_names(objects: Iterable) -> None:
    """Every key starts with the name of an object, so names must tell objects apart."""
    seen = set()
    for obj in objects:
        for part in (obj, *getattr(obj, "_pathways", ())):
            if part.name in seen:
                raise ValueError(f"Two objects of the network have the name '{part.name}'.")
            seen.add(part.name)


def _states(
    groups: list[GroupCode],
    pathways: list[PathwayCode],
    summed: list[SummedCode],
    links: list[LinkCode],
) -> dict[str, tuple[str, ...]]:
    """Return each group's states: differential equations first, then what events write.

    Last come those that are computed from other neurons at every step.
    """
    states = {
        code.group.name: dict.fromkeys(
            [eq.varname for eq in code.group.user_equations.values() if _is_differential(eq)]
            + event_states(code)
        )
        for code in groups
    }
    for code in pathways:
        target, written = written_states(code)
        states.setdefault(target, {}).update(dict.fromkeys(written))
    found = {name: tuple(own) for name, own in states.items()}
    add_coupled_states(found, summed, links)
    return found


def _is_differential(equation) -> bool:
    return equation.type == brian.DIFFERENTIAL_EQUATION
