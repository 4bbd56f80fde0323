"""From Brian2 objects to the specification of a network: the entry to this package."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2 import get_logger

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.regular import runs_regularly
from brian_eventprop.reading.equations.symbols import Collection
from brian_eventprop.reading.events import name_of_event, other_events, with_other_events
from brian_eventprop.reading.groups import (
    GroupCode,
    build_group,
    check_period,
    event_states,
    read_group_code,
)
from brian_eventprop.reading.inputs import INPUTS, read_input, read_spikes
from brian_eventprop.reading.poisson_inputs import (
    build_poisson_pathway,
    check_steps,
    counted_input,
    poisson_ends,
    read_poisson_code,
)
from brian_eventprop.reading.readouts import read_readout
from brian_eventprop.reading.refused.ignored import check_ignored, ignored_objects
from brian_eventprop.reading.refused.noise import check_noise
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Group, NetworkSpec, NetworkValues
from brian_eventprop.reading.start import check_start
from brian_eventprop.reading.synapses.couplings import (
    add_coupled_states,
    all_linked_neurons,
    build_couplings,
    check_constant_synapses,
    in_order,
    read_links,
    read_summed_code,
    with_copies,
)
from brian_eventprop.reading.synapses.groups import (
    build_synapse_group,
    is_group,
    read_by_equations,
    read_synapse_group_code,
)
from brian_eventprop.reading.synapses.pathways import (
    PathwayCode,
    build_pathway,
    connections,
    parent,
    read_synapses_code,
    synaptic_states,
    written_states,
)
from brian_eventprop.reading.synapses.timed_arrays import with_timed_values
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
    ignore: Sequence = (),
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
    ignore
        Objects, or their names, that are no part of the dynamics.

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
    ignored = ignored_objects(network_objects(objects), ignore)
    kept = [obj for obj in network_objects(objects) if id(obj) not in ignored]
    check_ignored(kept, ignored.values(), readouts)
    with Refusals() as refusals:
        active, refused = _active(kept, ignored, refusals)
        dt = refusals.check(check_clocks, (o for o in active if not isinstance(o, INPUTS)))
        neurons = [o for o in active if isinstance(o, brian.NeuronGroup)]
        inputs = [o for o in active if isinstance(o, INPUTS)]
        noises = [o for o in active if isinstance(o, brian.PoissonInput)]
        synapses = [o for o in active if isinstance(o, brian.Synapses)]
        _check_ends(synapses, neurons + inputs + synapses + refused, refusals)
        for readout in readouts:
            use = f"{type(readout).__name__} measures it"
            refusals.check(_check_active, parent(readout.group), use)
            _check_readout(readout, synapses)
        _check_names(active)
        for noise in noises:
            refusals.check(check_steps, noise, dt)
        code = _read_code(neurons, synapses, noises, level_namespace, ignored, refusals)
    code = code.sorted()
    collection, plastic = _collection(code, dt)
    with Refusals() as refusals:
        made = _build_groups(code, level_namespace, collection, refusals)
        built, events, couplings, coupled = made
        spec_inputs = [refusals.check(read_input, group, dt, ignored) for group in inputs]
        spec_inputs += [counted_input(noise) for noise in code.noises]
        pathways = _build_pathways(code, collection, built, refusals)
        built = with_timed_values(built, pathways)
        given = built, {g.name: g for g in neurons}, level_namespace, duration, collection
        spec_readouts = [
            refusals.check(read_readout, readout, *given)
            for readout in readouts
            if built.get(parent(readout.group).name, readout) is not None
        ]
    spec = NetworkSpec(
        groups=tuple(built.values()),
        inputs=tuple(spec_inputs),
        pathways=tuple(pathways),
        readouts=tuple(spec_readouts),
        dt=dt,
        timed=tuple(timed for timed, _ in collection.timed.values()),
        synapses=tuple(plastic.values()),
        couplings=couplings,
    )
    check_noise(spec)
    check_start(objects, active, spec)
    _mention_precision(neurons + synapses)
    ends = {p.pathway.name: connections(p.synapses) for p in code.pathways} | coupled
    spec, ends = with_other_events(spec, events, collection, ends)
    ends |= {noise.pathway: poisson_ends(noise) for noise in code.noises}
    return spec, collection.freeze(
        pre={name: pre for name, (pre, _) in ends.items()},
        post={name: post for name, (_, post) in ends.items()},
        spikes={group.name: read_spikes(group, duration) for group in (*inputs, *noises)},
    )


@dataclass(frozen=True)
class _Code:
    """The code of all objects, before it is known which variables events write."""

    groups: list
    events: list
    pathways: list
    of_synapses: list
    summed: list
    links: list
    noises: list

    def sorted(self) -> _Code:
        """Return it in Brian2's order of execution."""
        by_order = sorted(self.pathways, key=lambda code: (code.pathway.order, code.pathway.name))
        groups = in_order(self.groups) if self.summed or self.links else self.groups
        return replace(self, pathways=by_order, groups=groups)


def _read_code(
    neurons: Iterable,
    synapses: Iterable,
    noises: Iterable,
    namespace: Mapping,
    ignored: Container[int],
    refusals: Refusals,
) -> _Code:
    """Read the code of neurons, Synapses and PoissonInputs, as far as it is not refused."""
    names = {group.name for group in neurons}
    ends = {end.name for s in synapses for end in (s.source, s.target)}
    alone = [s for s in synapses if is_group(s) or s.name in ends or runs_regularly(s, ignored)]
    links = [refusals.check(read_links, group) for group in neurons]  # others are errors below
    links += [refusals.check(read_links, s, read_by_equations(s)) for s in alone]
    groups = [refusals.check(read_group_code, group, namespace, ignored) for group in neurons]
    events = {id(group): refusals.check(other_events, group, synapses) for group in neurons}
    events = [
        refusals.check(read_group_code, group, namespace, ignored, event)
        for group in neurons
        for event in events[id(group)] or ()
    ]
    pathways = [refusals.check(read_synapses_code, s, namespace, ignored) for s in synapses]
    summed = [refusals.check(read_summed_code, s, namespace) for s in synapses]
    return _Code(
        groups=groups,
        events=events,
        pathways=[code for found in pathways for code in found or ()],
        of_synapses=[refusals.check(read_synapse_group_code, s, namespace, ignored) for s in alone],
        summed=[code for found in summed for code in found or ()],
        links=[link for found in links for link in found or ()],
        noises=[refusals.check(read_poisson_code, n, namespace, names, ignored) for n in noises],
    )


def _collection(code: _Code, dt: float) -> tuple[Collection, dict]:
    """Return an empty collection that knows all states, and the states of synapses by name."""
    plastic = synaptic_states(code.pathways)
    states = _states(code)
    for group in code.of_synapses:
        name = group.synapses.name
        written = plastic.pop(name).states if name in plastic else ()
        states[name] = tuple(dict.fromkeys((*group.states, *states.get(name, ()), *written)))
    known = {group.synapses.name: states[group.synapses.name] for group in code.of_synapses}
    synaptic = {n: s.states for n, s in plastic.items()} | known
    return Collection(states, synaptic, all_linked_neurons(code.links), dt=dt), plastic


def _build_groups(
    code: _Code, namespace: Mapping, collection: Collection, refusals: Refusals
) -> tuple[dict, dict, tuple, dict]:
    """Return the groups and those of other events by name, the couplings, and what they connect."""

    def build(c: GroupCode) -> Group | None:
        states = collection.states[c.group.name]
        return refusals.check(build_group, c, states, namespace, collection)

    built = {c.group.name: build(c) for c in code.groups}
    built |= {
        c.synapses.name: refusals.check(build_synapse_group, c, collection)
        for c in code.of_synapses
    }
    events = {name_of_event(c.group, c.event): build(c) for c in code.events}
    _check_sources(code.pathways, {**built, **events}, refusals)
    refusals.check(_check_periods, code)
    by_name = {c.group.name: c for c in (*code.groups, *code.of_synapses)}
    of_synapses = {c.synapses.name for c in code.of_synapses}
    refusals.check(check_constant_synapses, code.summed, code.pathways, of_synapses)
    if refusals:
        return built, {}, (), {}
    found = refusals.check(build_couplings, code.summed, code.links, by_name, collection)
    couplings, coupled = found or ((), {})
    by_group: dict[str, list] = {}
    for c in code.events:
        by_group.setdefault(c.group.name, []).append(events[name_of_event(c.group, c.event)])
    return with_copies(built, couplings), by_group, couplings, coupled


def _build_pathways(code: _Code, collection: Collection, built: Mapping, refusals: Refusals):
    """Return the pathways in Brian2's order of execution, those of PoissonInputs among them."""
    found = [
        ((p.pathway.order, p.pathway.name), refusals.check(build_pathway, p, collection, built))
        for p in code.pathways
    ]
    found += [
        ((n.noise.order, n.noise.name), refusals.check(build_poisson_pathway, n, collection))
        for n in code.noises
    ]
    return [pathway for _, pathway in sorted(found, key=lambda place: place[0])]


def _active(
    objects: Iterable, ignored: Container[int], refusals: Refusals
) -> tuple[list[Any], list[Any]]:
    """Return the objects to read and those that are refused; drop monitors and what is off."""
    active, refused, objects = [], [], list(objects)
    names = {obj.name for obj in objects}
    for obj in objects:
        if isinstance(obj, brian.MONITORS + (brian.Subgroup,)):
            refusals.check(check_parts, obj, ignored)
            if isinstance(obj, brian.Subgroup) and obj.contained_objects:
                refusals.check(_check_part_of, obj, names)
        elif not obj.active:
            refusals.check(check_inactive, obj, ignored)
        else:
            known = refusals.check(check_object, obj) is not None
            (active if known else refused).append(obj)
    if not any(isinstance(obj, brian.NeuronGroup) for obj in active):
        raise ValueError("The network has no NeuronGroup, so there is nothing to train.")
    return active, refused


def _check_part_of(part, names: Container[str]) -> None:
    """Raise an error for a Subgroup that does something where its group is missing."""
    if part.source.name not in names:
        raise ValueError(
            f"'{part.contained_objects[0].name}' changes neurons of '{part.source.name}', which is "
            "not part of the network. Add it to the Network or to the list of objects."
        )


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


def _check_ends(synapses: Iterable, present: Iterable, refusals: Refusals) -> None:
    names = {obj.name for obj in present}
    for s in synapses:
        for end in (s.source, s.target):
            refusals.check(_check_active, parent(end), f"Synapses '{s.name}' connect it")
            known = parent(end).name in names
            if not known:
                raise ValueError(
                    f"Synapses '{s.name}' connect '{parent(end).name}', which is not part of the "
                    "network. Add it to the Network or to the list of objects."
                )


def _check_sources(
    pathways: Iterable[PathwayCode], groups: Mapping[str, Group | None], refusals: Refusals
) -> None:
    for code in pathways:
        source = groups.get(code.source)
        if source is not None and source.threshold is None:
            reason = f"no neuron of '{source.name}' ever spikes, so it does nothing"
            way_out = f"Set {code.synapses.name}.active = False, or change the threshold."
            refusals.add(unsupported(code.synapses, code.code, reason, way_out))


def _check_periods(code: _Code) -> None:
    """Refuse refractory periods that arrivals change."""
    by_name = {group.group.name: group for group in code.groups}
    for group, variable, by in _written(code):
        if group in by_name:  # not synapses, which have no period
            check_period(by_name[group], [variable], by)


def _check_readout(readout, synapses: Iterable) -> None:
    if isinstance(readout.group, brian.Synapses) and readout.group not in synapses:
        raise ValueError(f"The Synapses of {readout!r} are not part of the network: add them.")


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


def _states(code: _Code) -> dict[str, tuple[str, ...]]:
    """Return each group's states: differential equations first, then what events write.

    Last come those that are computed from other neurons at every step.
    """
    states: dict[str, dict] = {}
    for group in (*code.groups, *code.events):
        equations = group.group.user_equations.values()
        own = [eq.varname for eq in equations if _is_differential(eq)]
        states.setdefault(group.group.name, {}).update(dict.fromkeys(own + event_states(group)))
    for group, name, _ in _written(code):
        states.setdefault(group, {})[name] = None
    found = {name: tuple(own) for name, own in states.items()}
    add_coupled_states(found, code.summed, code.links)
    return found


def _written(code: _Code) -> list[tuple[str, str, str]]:
    """Return the variables that arrivals write: group, variable, and by what."""
    found = [(*written, p.pathway.name) for p in code.pathways for written in written_states(p)]
    return found + [(*noise.written, noise.noise.name) for noise in code.noises]


def _is_differential(equation) -> bool:
    return equation.type == brian.DIFFERENTIAL_EQUATION
