"""Gradients that are not finite are never handed out without a word."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from brian2 import get_logger

from brian_eventprop._names import name_of
from brian_eventprop.adjoint.symbolic.expressions import names, parse
from brian_eventprop.reading.spec import Key, NetworkSpec
from brian_eventprop.reading.synapses.readouts import FINAL_OF_SYNAPSES

logger = get_logger(__name__)

#: Why a loss may be no number.
_NO_VALUE = (
    "a state or readout became infinite or has no value, as log(0), 0/0 or the root of a negative "
    "number."
)

#: Functions without a finite derivative at an edge of their domain.
_STEEP = ("sqrt", "log", "log10", "log1p", "arcsin", "arccos")


def not_finite(
    arrays: Mapping[Key, np.ndarray], spec: NetworkSpec, losses: np.ndarray | None
) -> dict[Key, str]:
    """Return what is to be said of each gradient with an entry that is infinite or NaN.

    Parameters
    ----------
    arrays
        Gradients by key.
    spec
        The network, whose expressions are looked through for the cause.
    losses
        The losses that were differentiated.
    """
    found = {}
    for key, array in arrays.items():
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            name, value = name_of(key), np.ravel(array)[bad[0]]
            found[key] = (
                f"The gradient of {name} is not finite in {len(bad)} of {np.size(array)} entries, "
                f"first in entry {bad[0]}: {value}. {_cause(spec, losses)}"
            )
    return found


def mention_no_number(arrays: Iterable[np.ndarray], what: str) -> None:
    """Warn of trials with values that are not numbers: there is nothing to learn from them.

    Parameters
    ----------
    arrays
        Values with the trials as the first axis.
    what
        What they are: 'The loss'.
    """
    for values in arrays:
        none = np.isnan(values).reshape(len(values), -1).any(axis=1)
        if none.any():
            bad = np.flatnonzero(none)
            logger.warn(
                f"{what} of {len(bad)} of {len(values)} trials is not a number, first of trial "
                f"{bad[0]}: {_NO_VALUE} The time step may be too long for the equations.",
                "nan",
                once=True,
            )


def _cause(spec, losses) -> str:
    if not np.all(np.isfinite(losses)):
        value = np.ravel(losses)[np.argmin(np.isfinite(np.ravel(losses)))]
        return f"The loss itself is {value}: {_NO_VALUE}"
    steep = list(dict.fromkeys(_steep(spec)))
    if not steep:
        return "A state or an adjoint variable became too large for its precision."
    more = f" and {len(steep) - 3} more" if len(steep) > 3 else ""
    return (
        "At the edge of its domain or beyond, there is no finite derivative of "
        f"{'; '.join(steep[:3])}{more}. Start from other values, keep the argument away from the "
        "edge (for example clip(x, 1e-9, inf)), or leave the variable out of train=[...]."
    )


def _steep(spec) -> Iterator[str]:
    """Parts of expressions that have no finite derivative somewhere, and where they stand."""
    for where, states, others, expression in _expressions(spec):
        for node in ast.walk(parse(expression)):
            inner = _edge(node)
            among = states if isinstance(getattr(node, "op", None), ast.Div) else states | others
            if inner is not None and names(inner) & among:
                yield f"'{ast.unparse(node)}' in {where}"


def _expressions(spec) -> Iterator[tuple[str, set[str], set[str], str]]:
    """Every expression: where it stands, the states and the other names that it may read."""
    for g in spec.groups:
        owner, states, others = f"NeuronGroup '{g.name}'", set(g.states), set(g.symbols)
        for state, text in g.derivatives.items():
            yield f"d{state}/dt of {owner}", states, others, text
        if g.threshold:
            yield f"the threshold of {owner}", states, others, g.threshold
        for statement in g.reset:
            yield f"the reset of {owner}", states, others, statement.expression
    for p in spec.pathways:
        states = {name for name, s in p.symbols.items() if s.kind == "state"}
        for statement in p.statements:
            owner = f"the code of Synapses '{p.synapses}'"
            yield owner, states, set(p.symbols), statement.expression
    for c in spec.couplings:
        states = {name for name, s in c.symbols.items() if s.kind == "state"}
        for statement in c.statements:
            yield f"'{c.text}' of '{c.owner}'", states, set(c.symbols), statement.expression
    for r in spec.readouts:
        if r.expression:
            states = {name for name, s in r.symbols.items() if s.kind == "state"}
            owner = "Synapses" if r.kind == FINAL_OF_SYNAPSES else "NeuronGroup"
            yield f"a readout of {owner} '{r.group}'", states, set(r.symbols), r.expression


def _edge(node) -> ast.expr | None:
    """The part of a node that must stay away from an edge; None if there is none."""
    if isinstance(node, ast.Call) and node.func.id in _STEEP:
        return node.args[0]
    if not isinstance(node, ast.BinOp):
        return None
    if isinstance(node.op, ast.Div):
        return node.right
    if isinstance(node.op, ast.Pow):
        exponent = node.right
        whole = isinstance(exponent, ast.Constant) and float(exponent.value).is_integer()
        return None if whole else node.left
    return None
