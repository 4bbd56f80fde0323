"""The key behind what a user names: a Brian2 view, an external constant, or a key itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from brian_eventprop.reading import brian
from brian_eventprop.reading.live.timed_arrays import timed_name
from brian_eventprop.reading.spec import Key, NetworkSpec, NetworkValues

_FOR_EXAMPLE = "Give a Brian2 view such as synapses.w, synapses.delay, group.tau or group.v."


def key_of(item, spec: NetworkSpec, values: NetworkValues) -> Key:
    """Return the key of a trainable variable.

    Parameters
    ----------
    item : `VariableView`, `TimedArray`, str or Key
        ``s.w``, ``s.delay``, ``s.pre.delay``, ``G.tau``; ``G.v`` for the initial values of a
        state; a timed array; the name of it or of an external constant; or a key.
    spec, values
        The network, as read by `read_network`.

    Examples
    --------
    >>> from brian2 import NeuronGroup, ms
    >>> from brian_eventprop.reading import read_network
    >>> G = NeuronGroup(2, "dv/dt = (b - v)/tau : 1\\nb : 1", method="euler", name="G")
    >>> network = read_network([G], [], {"tau": 10*ms})
    >>> key_of(G.b, *network), key_of("tau", *network)
    (('G', 'b'), ('', 'tau'))
    """
    if isinstance(item, tuple) and len(item) == 2 and all(isinstance(part, str) for part in item):
        key = item
    elif isinstance(item, str):
        key = _named_key(item, spec, values)
    elif isinstance(item, brian.VariableView):
        key = view_key(item)
    elif isinstance(item, brian.TimedArray):
        key = "", timed_name(item, values)
    else:
        raise TypeError(
            f"{_short(item)} names no variable. {_FOR_EXAMPLE} (Without an index: group.v[:] is "
            "an array of numbers.)"
        )
    _check_key(key, item, spec, values)
    return key


def _short(item) -> str:
    text = repr(item)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _named_key(name: str, spec: NetworkSpec, values: NetworkValues) -> Key:
    """Return the key of an external constant, or of 'owner.variable'."""
    if ("", name) in values.values:
        return "", name
    owner, _, variable = name.rpartition(".")
    owner = owner.replace(".", "_")  # s.pre.delay
    if owner and (owner, variable) in values.values:
        return owner, variable
    if variable == "delay" and (f"{owner}_pre", "delay") in values.values:
        return f"{owner}_pre", "delay"  # which is what Brian2 means by it
    if variable == "delay":
        delays = [p.delay for p in spec.pathways if p.synapses == owner]
        if len(delays) == 1:
            return delays[0]
        if delays:
            labels = ", ".join(f"'{pathway}.delay'" for pathway, _ in delays)
            raise ValueError(f"'{name}' stands for several delays: say which ones, of {labels}.")
    found = [key for key in values.values if key[1] == name]
    if len(found) == 1:
        return found[0]
    if found:
        owners = ", ".join(f"'{owner}.{name}'" for owner, _ in found)
        raise ValueError(f"'{name}' stands for several variables: say which one, of {owners}.")
    known = ", ".join(sorted(name for owner, name in values.values if not owner))
    labels = [f"{o}.{n}" for o, n in values.values if o]
    close = difflib.get_close_matches(name, [*labels, *known.split(", ")], n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    if owner:
        raise ValueError(
            f"'{name}' names no variable of the network: there is none of that name, such "
            f"as 'synapses.w' or 'synapses.delay'.{hint}"
        )
    raise ValueError(
        f"No external constant '{name}' is used in the network ({known or 'it has none'}), and no "
        f"variable has that name, which would be written 'owner.variable' as in 'synapses.w'.{hint}"
    )


def view_key(view) -> Key:
    """Return the key of a Brian2 view, whatever network it belongs to."""
    group, variable = view.group, view.variable
    if isinstance(variable, brian.Subexpression):
        raise ValueError(
            f"'{view.name}' of '{view.group_name}' is a subexpression, which follows from other "
            "variables. Train one of these."
        )
    if _is_part(group):
        raise ValueError(
            f"'{view.name}' of the Subgroup '{view.group_name}' is part of a variable of "
            f"'{variable.owner.name}'. Name the whole, {variable.owner.name}.{variable.name}."
        )
    if view.name == "delay":  # the variable itself has another name from Brian2 2.11 on
        return view.group_name, "delay"
    if isinstance(group, brian.Synapses) and variable.owner.name != view.group_name:
        raise ValueError(
            f"'{view.name}' of '{view.group_name}' belongs to '{variable.owner.name}'. "
            f"Name it there, {variable.owner.name}.{variable.name}."
        )
    return variable.owner.name, variable.name


def _is_part(group) -> bool:
    """Whether a view's group is a Subgroup; only a Subgroup may be gone before its parent."""
    try:
        return isinstance(group, brian.Subgroup)
    except ReferenceError:
        return True


def _check_key(key: Key, item, spec: NetworkSpec, values: NetworkValues) -> None:
    owner, name = key
    label = f"{owner}.{name}" if owner else name
    if key not in values.values and not owner and name in values.timed_arrays:
        raise ValueError(f"'{name}' is a TimedArray and not in train=[...]: its values are given.")
    if key not in values.values:
        known = sorted({o for o, n in values.values if n == name and o})
        hint = f" '{name}' exists in: {', '.join(known)}." if known else ""
        raise ValueError(f"'{label}' is no variable of the network.{hint} {_FOR_EXAMPLE}")
    if any(symbol.kind == "index" and symbol.key == key for symbol in _symbols(spec)):
        what = "an index" if name in ("i", "j") else "a number of synapses"
        raise ValueError(f"'{label}' is {what} and cannot be trained.")
    if isinstance(item, brian.VariableView) and item.variable.is_integer:
        raise ValueError(f"'{label}' holds integers and cannot be trained.")
    if isinstance(item, brian.VariableView) and item.variable.is_boolean:
        raise ValueError(f"'{label}' is true or false and cannot be trained.")


def _symbols(spec: NetworkSpec) -> Iterable:
    for part in (*spec.groups, *spec.pathways, *spec.couplings, *spec.readouts):
        yield from part.symbols.values()
