"""The unit in which the potential of a group rises over its threshold."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.statements import resolve
from brian_eventprop.reading.spec import Group


def slope_dimensions(spec: Group, group, namespace: Mapping):
    """Return the dimensions of the slope of a threshold's crossing: of what it compares, per time.

    Parameters
    ----------
    spec, group
        The group that was read, and Brian2's own.
    namespace
        Where external names are looked up.
    """
    tree = ast.parse(spec.threshold, mode="eval")
    side = next(ast.unparse(n.left) for n in ast.walk(tree) if isinstance(n, ast.Compare))
    variables = resolve(group, f"_side = {side}", namespace)
    return brian.parse_expression_dimensions(side, variables) / brian.second.dim
