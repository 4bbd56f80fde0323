"""Calls of a `TimedArray` in ``on_pre`` and ``on_post``: the value at the time of the event.

The post-synaptic neurons have it, as they have the arrays in their own equations, so it may depend
on them, but not on the synapse or its pre-synaptic neuron.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import replace

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names
from brian_eventprop.reading.equations.symbols import Collection
from brian_eventprop.reading.equations.timed_arrays import TimedValueReader
from brian_eventprop.reading.spec import Group, Pathway, Symbol
from brian_eventprop.reading.unsupported import unsupported


class ArrivalTimedValues(TimedValueReader):
    """Replaces the calls of timed arrays in the code of a pathway.

    Parameters
    ----------
    synapses, variables, indices
        The `Synapses`, the variables behind the names of the code, and whose they are.
    collection
        What has been read so far.
    """

    def __init__(self, synapses, variables: Mapping, indices: Mapping, collection: Collection):
        target, part = synapses.target, None
        if isinstance(target, brian.Subgroup):
            target, part = target.source, (target.start, target.stop)
        super().__init__(target, variables, collection, part, synapses)
        self.indices = indices

    def _own_names(self) -> dict[str, str]:
        """Return what constants of the post-synaptic neurons are called in their own group."""
        found = {"j": "i", "i_post": "i"}
        for name, variable in self.variables.items():
            if name not in self.owner.variables and isinstance(variable, brian.Constant):
                found[name] = name
            elif getattr(variable, "owner", None) == self.group:
                whose = self.indices.get(name)
                if whose == "_postsynaptic_idx" or whose == "0":
                    found.setdefault(name, variable.name)
        constants = self._constants()
        return {name: own for name, own in found.items() if own in constants}

    def _known(self) -> set[str]:
        return set(self._own_names())

    def _column(self, text: str, call: ast.Call) -> str:
        known = self._own_names()
        for name in sorted(names(text) - set(known)):
            reason = (
                f"which column of '{call.func.id}' it reads must depend on constants of the "
                f"post-synaptic neuron, and '{name}' is none"
            )
            way_out = "Use 'j', or a parameter of the post-synaptic neurons."
            raise unsupported(self.owner, ast.unparse(call), reason, way_out)
        return inline(text, {name: own for name, own in known.items() if name != own})


def of_target(symbols: Mapping[str, Symbol]) -> dict[str, Symbol]:
    """Return the symbols of timed arrays as those of the post-synaptic neurons."""
    return {name: replace(symbol, variable=name, side="post") for name, symbol in symbols.items()}


def with_timed_values(
    groups: Mapping[str, Group | None], pathways: Iterable[Pathway | None]
) -> dict[str, Group]:
    """Return the groups with the timed arrays that are read when something arrives at them."""
    groups = dict(groups)
    for pathway in pathways:
        group = groups.get(pathway.target) if pathway is not None else None
        if group is not None and pathway.timed_values:
            known = dict.fromkeys((*group.timed_values, *pathway.timed_values))
            symbols = ((t.array, pathway.symbols[t.name]) for t in pathway.timed_values)
            own = {s.name: replace(s, variable=array, side="") for array, s in symbols}
            groups[group.name] = replace(
                group, timed_values=tuple(known), symbols={**group.symbols, **own}
            )
    return groups
