"""Whether the constants of a group or pathway are numbers: said once, before the trials.

A division by 0 in one of them would make states NaN, which cross no threshold: the neuron would be
silent without a word, and the gradient NaN without a cause.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.symbolic.expressions import names, parse
from brian_eventprop.codegen.expr.scope import reads
from brian_eventprop.reading.equations.expressions import inline

_NONE: Mapping[str, str] = {}
_EXACT = (
    ": the solution that Brian2 finds for method='exact' divides by 0 where time constants "
    "coincide. "
)
_OTHER_WAYS = (
    "Use method='exponential_euler' or 'rk4', time constants that differ by 0.1 %, or "
    "solver='event', whose own solution holds there, too."
)


def divisors(adjoint) -> frozenset[str]:
    """Return the constants by which the code of a group or pathway divides."""
    found = set()
    for statement in _statements(adjoint):
        for node in ast.walk(parse(statement.expression)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                if isinstance(node.right, ast.Name):
                    found.add(node.right.id)
    for f in getattr(adjoint, "derivatives", {}).values():
        powers = (p for p in f.atoms(sp.Pow) if p.exp.is_negative and p.base.is_Symbol)
        found |= {p.base.name for p in powers}
    return frozenset(found)


def _statements(adjoint):
    own = adjoint.free.statements if hasattr(adjoint, "free") else adjoint.statements
    return (*own, *getattr(adjoint, "reset", ()))


def check_constants(binder, v: Mapping[str, np.ndarray]) -> None:
    """Refuse values that make a constant infinite or no number at all, or a divisor 0.

    Raises
    ------
    FloatingPointError
        The message names the object, the expression, the neuron or synapse and its values.
    """
    scope = binder.code.scope
    for name in (*scope.shared, *scope.per_element):
        if name not in v:
            continue
        value = v[name]
        if name in binder.divisors and not np.all(value):
            _refuse(binder, name, value == 0, v, _definitions(binder))
        # an infinite sum of finite numbers would only cost a closer look
        total = value if isinstance(value, float) else np.add.reduce(value, axis=None)
        if not math.isfinite(total):
            check_value(binder, name, value, v, _definitions(binder))


def _definitions(binder) -> dict[str, str]:
    """The expression of each constant."""
    invariants = binder.code.adjoint.invariants
    return {s.target: s.expression for s in invariants.shared + invariants.per_element}


def check_digits(binder, near, v: Mapping[str, np.ndarray]) -> None:
    """Refuse time constants so close to each other that Brian2's own solution has no digits left.

    Raises
    ------
    FloatingPointError
        The message names the group, the neuron and the values.
    """
    lost = near.lost(v)
    if lost is None:
        return
    name, bad, error = lost
    text = inline(name, _definitions(binder))
    at = int(np.argmax(bad)) if np.ndim(bad) else None
    used = [n for n in sorted(names(parse(text))) if n in binder.symbols]
    values = ", ".join(f"{n} = {_at(v[n], at)!r}" for n in used)
    where = "" if at is None else f" of neuron {at}"
    raise FloatingPointError(
        f"NeuronGroup '{binder.code.name}': the solution that Brian2 finds for method='exact' "
        f"divides by differences of rates, and those{where} are so close ({values}, in SI units) "
        f"that a coefficient is wrong by {100 * error:.2g} %. {_OTHER_WAYS}"
    )


def check_value(binder, name: str, value, v: Mapping[str, np.ndarray], definitions=_NONE) -> None:
    """Refuse a value that is not finite though all that it is made of is; NaN in any case."""
    text = inline(name, definitions)
    given = sum(np.isinf(v[n]) for n in names(parse(text)) if n in binder.symbols)
    bad = np.isnan(value) | (np.isinf(value) & (given == 0))
    if np.any(bad):
        _refuse(binder, name, bad, {**v, name: value}, definitions)


def _refuse(binder, name, bad, v, definitions):
    text = inline(name, definitions)
    at = int(np.argmax(bad)) if np.ndim(bad) else None
    adjoint = binder.code.adjoint
    group = hasattr(adjoint, "group")
    kind, one = ("NeuronGroup", "neuron") if group else ("Synapses", "synapse")
    used = [n for n in sorted(names(parse(text))) if n in binder.symbols and n != text]
    values = ", ".join(f"{n} = {_at(v[n], at):.9g}" for n in used)
    parts = [f"{kind} '{binder.owner}': '{text}' is {_at(v[name], at):g}"]
    parts += [f" for {one} {at}"] * (at is not None)
    parts += [f" ({values}, in SI units)"] * bool(values)
    raise FloatingPointError("".join([*parts, _reason(adjoint, name, text, definitions)]))


def _reason(adjoint, name, text, definitions) -> str:
    if hasattr(adjoint, "group") and adjoint.group.method == "exact" and definitions:
        used = reads(adjoint.free.statements)
        for other in list(used & definitions.keys()):
            used |= names(parse(inline(definitions[other], definitions)))
        if name in used and name != text:
            return _EXACT + _OTHER_WAYS
    return ", so its equations or statements have no value. Give it another one."


def _at(value, index):
    return float(value if np.ndim(value) == 0 or index is None else value[index])
