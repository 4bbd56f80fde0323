"""Code that runs for a Subgroup, in the names of the group that it is a part of.

``i`` and ``N`` are those of the Subgroup there; what its subexpressions read of the group has names
that Brian2 makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline
from brian_eventprop.reading.equations.statements import resolve
from brian_eventprop.reading.spec import Statement


def part_of(group) -> tuple[int, int] | None:
    """Return the first and the last neuron (excluded) of a Subgroup; None for a whole group."""
    return (group.start, group.stop) if isinstance(group, brian.Subgroup) else None


def resolve_in_part(target, code: str, namespace: Mapping, extra: Mapping | None = None) -> dict:
    """Return what `resolve` does; the index of a Subgroup, an expression, stands for itself."""
    variables = resolve(target, code, namespace, extra)
    if "i" in variables and isinstance(target, brian.Subgroup):
        variables["i"] = target.source.variables["i"]
    return variables


def own_names(part: tuple[int, int]) -> dict[str, str]:
    """Return what the index and the number of neurons of a part are called.

    >>> own_names((2, 5))
    {'i': 'i_of_2_5', 'N': 'N_of_2_5'}
    """
    return {name: f"{name}_of_{part[0]}_{part[1]}" for name in "iN"}


def in_group(
    statements: Iterable[Statement], group, variables: Mapping, part: tuple[int, int]
) -> list[Statement]:
    """Return statements of a part of a group with names that the group knows."""
    names = {
        name: variable.name
        for name, variable in variables.items()
        if name not in group.variables and getattr(variable, "owner", None) == group
    }
    own = own_names(part)
    return [Statement(s.target, inline(inline(s.expression, own), names)) for s in statements]
