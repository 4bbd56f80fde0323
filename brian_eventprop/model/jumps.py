"""Expressions with a condition or a step that changes at a time which moves with the parameters."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator

from brian_eventprop.adjoint.symbolic.expressions import names, parse
from brian_eventprop.adjoint.system import SPIKE_READOUTS
from brian_eventprop.reading.spec import Key, NetworkSpec

_STEPS = frozenset({"floor", "ceil", "int", "sign", "clip", "abs"})


def jumping_expressions(spec: NetworkSpec, trained: Iterable[Key]) -> Iterator[str]:
    """Go through the equations, readouts and statements that may jump, or have a kink.

    What depends on the time alone, as ``int(t > 5*ms)`` in the equations, does not move; in what
    happens at a spike or an arrival the time itself moves.
    """
    trained = frozenset(trained)
    code = [(e, g.symbols, False) for g in spec.groups for e in g.derivatives.values()]
    code += [(r.expression, r.symbols, r.kind in SPIKE_READOUTS) for r in spec.readouts]
    code += [(s.expression, p.symbols, True) for p in spec.pathways for s in p.statements]
    code += [(s.expression, c.symbols, False) for c in spec.couplings for s in c.statements]
    for expression, symbols, at_events in code:
        used = (names(node) for node in _steps(expression))
        if any(_moves(symbols.get(name), trained, at_events) for name in itertools.chain(*used)):
            yield expression


def _steps(expression: str) -> Iterator[ast.AST]:
    """Go through the conditions and steps in an expression; a count of spikes has none."""
    for node in ast.walk(parse(expression)) if expression else ():
        if isinstance(node, ast.Call):
            found = getattr(node.func, "id", "") in _STEPS
        else:
            operator = getattr(node, "op", None)
            found = isinstance(node, ast.Compare) or isinstance(operator, ast.Mod)
        if found:
            yield node


def _moves(symbol, trained: frozenset[Key], at_events: bool) -> bool:
    """Whether a name takes other values if a parameter changes; temporaries are no symbols."""
    if symbol is None or symbol.kind == "state" or symbol.key in trained:
        return True
    return symbol.kind == "t" and at_events
