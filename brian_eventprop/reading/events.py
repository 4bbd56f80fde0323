"""A second kind of event of a `NeuronGroup`, by a group that has the same neurons once more.

Neurons have one threshold, one reset and one kind of spikes here.  An event besides the spikes is
therefore the spike of another group, called ``GROUP__EVENT``.  It has the equations, parameters and
initial values of the first one, and everything that changes the states of one group changes those
of the other: arrivals come to both, and what a spike of one does to its own states its arrival does
to the other's, without delay.  So both are in the same state at all times, and the derivatives are
those of the chain rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.equations.symbols import Collection
from brian_eventprop.reading.spec import Coupling, Group, NetworkSpec, Pathway, Symbol
from brian_eventprop.reading.unsupported import event_of, unsupported

Ends = dict[str, tuple[np.ndarray, np.ndarray]]


def name_of_event(group, event: str) -> str:
    """Return the name of the group whose spikes an event is.

    >>> from brian2 import NeuronGroup
    >>> G = NeuronGroup(1, "v : 1", threshold="v > 1", events={"up": "v > 0.5"}, name="G")
    >>> name_of_event(G, "spike"), name_of_event(G, "up")
    ('G', 'G__up')
    """
    return group.name if event == event_of(group) else f"{group.name}__{event}"


def other_events(group, synapses: Iterable) -> list[str]:
    """Return the events besides the spikes that do something, in Brian2's order.

    Raises
    ------
    UnsupportedError
        If spikes make the neurons refractory: other events do not.
    """
    following = {
        pathway.event
        for s in synapses
        for pathway in s._pathways
        for end in (s.source if pathway.prepost == "pre" else s.target,)
        if getattr(end, "source", end) is group and pathway.active
    }
    own = event_of(group)
    found = [e for e in group.events if e != own and (e in group.event_codes or e in following)]
    if found and group._refractory is not False and own == "spike":
        reason = (
            f"'{found[0]}' is a custom event besides the spikes, which make the neurons refractory"
        )
        way_out = "Leave out the refractory period, or let a variable of your own stand for it."
        raise unsupported(group, f"{found[0]}: {group.events[found[0]]}", reason, way_out)
    return sorted(found, key=lambda e: _place(group.resetter.get(e)))


def _place(resetter) -> tuple[int, str]:
    return (resetter.order, resetter.name) if resetter is not None else (0, "")


def with_other_events(
    spec: NetworkSpec,
    events: Mapping[str, list[Group]],
    collection: Collection,
    ends: Ends,
) -> tuple[NetworkSpec, Ends]:
    """Return a network with groups for events besides the spikes.

    Parameters
    ----------
    spec
        The network without them.
    events
        By the name of a group those of its other events.
    collection
        Takes the delays of the new pathways.
    ends
        The neurons that the synapses of each pathway connect.
    """
    ends = dict(ends)
    for name, others in events.items():
        members = [spec.group(name), *others]
        _check_couplings(name, spec.couplings)
        pathways = []
        for pathway in spec.pathways:
            copies = _copies(pathway, members)
            ends |= {copy.name: ends[pathway.name] for copy in copies}
            pathways += [pathway, *copies]
        for sender, receiver in permutations(members, 2):
            if sender.reset:
                pathways.append(_reset_of(name, sender, receiver, collection))
                ends[pathways[-1].name] = (np.arange(sender.size),) * 2
        at = spec.groups.index(members[0]) + 1
        groups = (*spec.groups[:at], *others, *spec.groups[at:])
        exclusive = (*spec.exclusive, *_exclusive(members))
        spec = replace(spec, groups=groups, pathways=tuple(pathways), exclusive=exclusive)
    return spec, ends


def _check_couplings(name: str, couplings: Iterable[Coupling]) -> None:
    for coupling in couplings:
        if name in (coupling.source, coupling.target):
            raise UnsupportedError(
                f"'{coupling.owner}': '{coupling.text}' is not supported: '{name}' has an event "
                "besides its spikes, and neurons with several kinds of events cannot be coupled by "
                "(summed) or linked variables. Let a group of its own have the event."
            )


def _copies(pathway: Pathway, members: list[Group]) -> list[Pathway]:
    """Return a pathway into a group once more for each of its other events."""
    name, others = members[0].name, members[1:]
    written = [pathway.symbols[s.target] for s in pathway.statements if _is_state(pathway, s)]
    elsewhere = [s for s in written if s.side != "post"]
    own = [s for s in written if s.side == "post"] if pathway.target == name else []
    pre = [s for s in elsewhere if s.side and pathway.pre_group == name]
    if not own and not pre:
        return []
    what = f"Synapses '{pathway.synapses}': '{pathway.text}' is not supported: it changes states of"
    if elsewhere:
        raise UnsupportedError(
            f"{what} '{name}', which has an event besides its spikes, and '{elsewhere[0].name}'. "
            "Change these by two pathways."
        )
    read = [s for s in pathway.symbols.values() if s.kind == "state" and not s.side]
    if read and not all(g.reset for g in members):
        raise UnsupportedError(
            f"{what} '{name}', which has an event without code of its own, and reads "
            f"'{read[0].name}', which events change. Give the event code, with run_on_event."
        )
    return [replace(pathway, name=f"{pathway.name}__{g.name}", target=g.name) for g in others]


def _is_state(pathway: Pathway, statement) -> bool:
    symbol = pathway.symbols.get(statement.target)
    return symbol is not None and symbol.kind == "state"


def _reset_of(group: str, sender: Group, receiver: Group, collection: Collection) -> Pathway:
    """Return what the spikes of one group do to the same neurons of the other one."""
    used = {n for s in sender.reset for n in (s.target, *names(s.expression))}
    symbols = {n: _at_target(sender, s) for n, s in sender.symbols.items() if n in used}
    name = f"{sender.name}__to_{receiver.name}"
    return Pathway(
        name=name,
        synapses=group,
        source=sender.name,
        target=receiver.name,
        size=sender.size,
        symbols=symbols,
        statements=sender.reset,
        delay=collection.add((name, "delay"), 0.0, brian.second.dim),
        of_event=True,
        text="; ".join(f"{s.target} = {s.expression}" for s in sender.reset),
    )


def _at_target(group: Group, symbol: Symbol) -> Symbol:
    if symbol.kind == "timed" or symbol.side:
        what = "a TimedArray" if symbol.kind == "timed" else "a linked variable"
        raise UnsupportedError(
            f"NeuronGroup '{group.name}': '{symbol.name}' is not supported: what an event does "
            f"reads {what}, and there is another kind of event. Use a parameter of the group."
        )
    return replace(symbol, side="post") if symbol.kind in ("state", "neuron", "index") else symbol


def _exclusive(members: list[Group]) -> list[tuple[str, str]]:
    """Return the groups whose neurons must not spike at once, as the order would matter."""
    found = []
    for one, other in combinations(members, 2):
        written = [{s.target for s in g.reset} & set(g.states) for g in (one, other)]
        read = [{n for s in g.reset for n in names(s.expression)} for g in (one, other)]
        if written[0] & (written[1] | read[1]) or written[1] & read[0]:
            found.append((one.name, other.name))
    return found


def check_exclusive(spec: NetworkSpec, spikes: Mapping) -> None:
    """Refuse a run in which two events of a neuron happen at once, if their order matters.

    Examples
    --------
    >>> from types import SimpleNamespace as Trains
    >>> spec = NetworkSpec((), (), (), (), 1e-4, exclusive=(("G", "G__up"),))
    >>> trains = Trains(trials=[0, 0], neurons=[1, 1], times=[0.1, 0.2])
    >>> apart, together = (Trains(trials=[0], neurons=[1], times=[t]) for t in (0.15, 0.2))
    >>> check_exclusive(spec, {"G": trains, "G__up": apart})
    >>> check_exclusive(spec, {"G": trains, "G__up": together})
    Traceback (most recent call last):
    ...
    brian_eventprop.errors.UnsupportedError: Two kinds of events of a neuron at once, ...
    """
    for pair in spec.exclusive:
        first, second = (_all_events(spikes[name]) for name in pair)
        both = sorted(first & second)
        if both:
            _, neuron, time = both[0]
            raise UnsupportedError(
                "Two kinds of events of a neuron at once, whose order matters, are not supported: "
                f"neuron {neuron} at {1e3 * time:g} ms spikes in '{pair[0]}' and in '{pair[1]}'. "
                "Use a smaller dt or solver='event', or let neither change what the other one "
                "reads or changes."
            )


def _all_events(trains) -> set[tuple[int, int, float]]:
    columns = [np.asarray(c).tolist() for c in (trains.trials, trains.neurons, trains.times)]
    return set(zip(*columns, strict=True))
