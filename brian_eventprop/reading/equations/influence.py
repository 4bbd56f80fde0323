"""What can influence the loss: backwards from the readouts through states, spikes and synapses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brian_eventprop._names import name_of
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.spec import Group, Key, NetworkSpec, Statement, Symbol

#: Stands for the spikes of a group among the keys.
_SPIKES = "spikes of"


def check_influence(keys: Iterable[Key], spec: NetworkSpec) -> None:
    """Refuse to train what no readout depends on, in whatever way: its gradient is 0 for ever.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> import brian_eventprop as bep
    >>> from brian_eventprop.reading import read_network
    >>> G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1\\nb : 1", method="exact", name="G")
    >>> spec, _ = read_network([G], [bep.Final(G, "v")], {})
    >>> check_influence([("G", "v")], spec)
    >>> check_influence([("G", "b")], spec)
    Traceback (most recent call last):
    ...
    ValueError: 'G.b' is in train=[...] but influences nothing: no equation, threshold, ...
    """
    influential = influences(spec)
    for key in keys:
        if key in influential:
            continue
        label = name_of(key)
        users = _users(key, spec)
        if not users:
            raise ValueError(
                f"'{label}' is in train=[...] but influences nothing: no equation, threshold, "
                "reset, on_pre or readout of the network uses it. (Brian2 evaluates a string that "
                "is assigned, such as s.delay = 'x/c', only once.) Write it into the equations, "
                "train what was computed from it, or take it out of train=[...]."
            )
        raise ValueError(
            f"'{label}' is in train=[...] but cannot influence the loss: {users} use it, and no "
            f"path of states, spikes and synapses leads from there to {_measured(spec)}. Add the "
            "missing synapses or readout, or take it out of train=[...]."
        )


def influences(spec: NetworkSpec) -> set[Key]:
    """Return the keys of all variables that some readout depends on."""
    found: set[Key] = set()
    while True:
        before = len(found)
        for readout in spec.readouts:
            if readout.expression:
                found |= _keys(names(readout.expression), readout.symbols)
            if readout.timed_values:
                group = spec.group(readout.group)
                found |= _keys(_columns(readout.timed_values), {**group.symbols, **readout.symbols})
            if readout.kind in ("spike_times", "spike_count"):
                found.add((_SPIKES, readout.group))
        for group in spec.groups:
            found |= _of_group(group, found)
        for pathway in spec.pathways:
            used = _of_block(pathway.statements, pathway.symbols, found)
            if used:
                found |= used | {pathway.delay, (_SPIKES, pathway.source)}
        for coupling in spec.couplings:
            if (coupling.receiver, coupling.state) in found:
                used = {name for s in coupling.statements for name in names(s.expression)}
                found |= _keys(used, coupling.symbols)
        if len(found) == before:
            return {key for key in found if key[0] != _SPIKES}


def _of_group(group: Group, found: set[Key]) -> set[Key]:
    """Return what the influential states and spikes of a group depend on."""
    spikes, used = (_SPIKES, group.name), set()
    for state in group.states:
        if (group.name, state) not in found:
            continue
        if state in group.derivatives:
            used |= _keys(names(group.derivatives[state]), group.symbols)
        if state in group.derivatives_refractory:
            used |= _keys(names(group.derivatives_refractory[state]), group.symbols) | {spikes}
        if state in group.frozen:
            used.add(spikes)
    if by_reset := _of_block(group.reset, group.symbols, found):
        used |= by_reset | {spikes}
    for regular in group.regular:
        used |= _of_block(regular.statements, group.symbols, found)
    if spikes in found | used and group.threshold is not None:
        used |= _keys(names(group.threshold), group.symbols)
        for text in (group.refractory, group.refractory_condition):
            used |= _keys(names(text) if text else (), group.symbols)
    return used | _keys(_columns(group.timed_values), group.symbols)


def _of_block(
    statements: Iterable[Statement], symbols: Mapping[str, Symbol], found: set[Key]
) -> set[Key]:
    """Return what the influential states that a block writes depend on."""
    live: set[str] = set()
    while True:
        more = {
            name
            for s in statements
            if s.target in live or _keys([s.target], symbols) & found
            for name in {s.target} | names(s.expression)
        }
        if more <= live:
            return _keys(live, symbols)
        live |= more


def _keys(used: Iterable[str], symbols: Mapping[str, Symbol]) -> set[Key]:
    return {symbols[n].key for n in used if n in symbols and symbols[n].key is not None}


def _columns(timed_values) -> set[str]:
    return {
        name
        for timed_value in timed_values
        if timed_value.column
        for name in names(timed_value.column)
    }


def _users(key: Key, spec: NetworkSpec) -> str:
    """Return the objects whose code uses a variable, in words."""
    found = []
    for group in spec.groups:
        texts = [*group.derivatives.values(), *group.derivatives_refractory.values()]
        texts += [group.threshold, group.refractory]
        texts += [group.refractory_condition]
        texts += [s.expression for s in group.reset]
        texts += [s.expression for regular in group.regular for s in regular.statements]
        used = {name for text in texts if text for name in names(text)} | set(group.states)
        if key in _keys(used, group.symbols) or key[0] == group.name and key[1] in group.states:
            found.append(f"'{group.name}'")
    for pathway in spec.pathways:
        used = {n for s in pathway.statements for n in {s.target} | names(s.expression)}
        if key == pathway.delay or key in _keys(used, pathway.symbols):
            found.append(f"'{pathway.name}'")
    for coupling in spec.couplings:
        used = {name for s in coupling.statements for name in names(s.expression)}
        if key in _keys(used, coupling.symbols):
            found.append(f"'{coupling.owner}'")
    return " and ".join(dict.fromkeys(found))


def _measured(spec: NetworkSpec) -> str:
    of = dict.fromkeys(f"'{readout.group}'" for readout in spec.readouts)
    return f"what the loss sees of {', '.join(of)}"
