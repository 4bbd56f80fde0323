"""The neuron besides the target whose states the code of a pathway touches.

It is the pre-synaptic one, or that to which variables of the synapse are linked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from brian_eventprop.reading.equations.expressions import inline, names
from brian_eventprop.reading.spec import Group, Symbol
from brian_eventprop.reading.unsupported import line_with, unsupported


def other_neuron(code, symbols: Mapping[str, Symbol]) -> tuple[str, str]:
    """Return the side of the other neuron whose states a pathway touches, and its group.

    It is the pre-synaptic one, or that of linked variables.
    """
    found = {
        (s.side, s.key[0]): name
        for name, s in symbols.items()
        if s.kind == "state" and s.side not in ("", "post")
    }
    if len(found) > 1:
        both = " and ".join(f"'{name}'" for name in sorted(found.values()))
        reason = f"it reads {both}, states of two neurons besides the post-synaptic one"
        way_out = "Link variables to one neuron, or read one of them in Synapses of their own."
        raise unsupported(code.synapses, code.code, reason, way_out)
    return next(iter(found), ("pre", ""))


def other_flow(code, symbols: dict[str, Symbol], group: Group, side: str) -> dict[str, str]:
    """Return how the states of another neuron that a pathway touches change between events.

    All that their equations read gets names of its own, which are added to `symbols`.
    """
    found: dict[str, str] = {}
    names_of = {s.variable: n for n, s in symbols.items() if s.kind == "state" and s.side == side}
    waiting = list(names_of)
    while waiting:
        variable = waiting.pop(0)
        derivative = group.derivatives.get(variable, "0")
        for name in sorted(names(derivative) - set(names_of) - {"t", "dt"}):
            symbol = group.symbols[name]
            _check_other(code, variable, group, symbol)
            names_of[name] = f"_pre_{name}"
            own = side if symbol.kind in ("state", "neuron", "index") else ""
            symbols[f"_pre_{name}"] = replace(symbol, name=f"_pre_{name}", side=own)
            waiting += [name] * (symbol.kind == "state")
        if group.may_be_refractory and variable in group.frozen:
            _refuse_frozen(code, variable, group, side)
        found[names_of[variable]] = inline(derivative, names_of)
    return found


def _check_other(code, variable: str, group: Group, symbol: Symbol) -> None:
    if symbol.kind == "timed":
        reason = f"'{variable}' of '{group.name}' follows a TimedArray and is read at an arrival"
        way_out = "Read a state of the post-synaptic group."
        raise unsupported(code.synapses, code.code, reason, way_out)


def _refuse_frozen(code, variable: str, group: Group, side: str):
    whose = "the pre-synaptic" if side == "pre" else "a linked"
    reason = (
        f"it touches '{variable}' of {whose} neuron, which stands still while "
        f"'{group.name}' is refractory"
    )
    way_out = "Read a variable without the flag '(unless refractory)'."
    raise unsupported(code.synapses, line_with(code.code, [f"{variable}_pre"]), reason, way_out)
