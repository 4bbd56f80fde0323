"""Arrivals that a spike sends to its own neuron without delay.

Brian2 delivers them before the reset.  The spike then maps the state y at the crossing to R(A(y)),
and its part of D is

    lambda . (R_x(A(y)) (A_y f- + A_t) + R_t - f+) + l- - l+

in which f- is the flow at y, and f+ that at R(A(y)): the slope at the crossing is carried through
the arrivals, as the state is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.groups import GroupAdjoint, rate_after_spike
from brian_eventprop.adjoint.pathways import PRE, PathwayAdjoint, is_additive, to_post
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.reverse import commute, compose
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.reading.spec import Statement

#: dl/dt's integrand at the crossing, before the arrivals.
LOSS_BEFORE = "loss_before"


def slope(state: str) -> sp.Symbol:
    """How fast a state would change, had the spike come later."""
    return symbol(f"slope.{state}")


def carried(statements: Iterable[Statement], states: Iterable[str]) -> dict[str, tuple]:
    """Return the value and the slope of each state that an arrival changes."""
    states = tuple(states)
    after = compose(statements, states)
    slopes = {
        s: sum((diff(after[s], symbol(r)) * slope(r) for r in states), diff(after[s], symbol("t")))
        for s in states
    }
    return {s: (after[s], slopes[s]) for s in states if after[s] != symbol(s)}


def rate_of_spike(adjoint: GroupAdjoint, mode: str) -> sp.Expr:
    """Return the part of D of reset and arrivals, at the state and the slopes before the reset."""
    rate = rate_after_spike(adjoint, mode == "frozen")
    rate += sum((e * slope(s) for s, e in adjoint.spike[mode].lam.items()), sp.Integer(0))
    if adjoint.loss_rate != 0:
        rate += symbol(LOSS_BEFORE) - adjoint.loss_rate
    return rate


def comes_after_reset(
    p: PathwayAdjoint, target: GroupAdjoint, at_once: Iterable[PathwayAdjoint]
) -> bool:
    """Whether an arrival may as well come after the reset and after all that arrive at once."""
    reset = reset_map(target)
    for mode in ("free", "frozen"):
        own = transition(p, mode, reset)
        maps = [reset, *(transition(q, mode, reset, "other.") for q in at_once)]
        if not all(commute(own, other) for other in maps):
            return False
    return True


def reset_map(target: GroupAdjoint) -> dict[str, sp.Expr]:
    """Return what a reset makes of each state, in the names that a pathway has for them."""
    after = compose(target.reset, target.group.states)
    return {f"post__{s}": to_post(e, target) for s, e in after.items()}


def transition(p: PathwayAdjoint, mode: str, states: Iterable[str], prefix: str = ""):
    """Return what an arrival makes of each state; names of the synapse get a prefix."""
    states = tuple(states)
    after = compose(getattr(p, mode).statements, states)
    own = {
        s: symbol(f"{prefix}{s.name}")
        for e in after.values()
        for s in e.free_symbols
        if s.name not in states and s.name != "t" and not s.name.startswith("post__")
    }
    return {s: e.xreplace(own) for s, e in after.items()}


def order_matters(system: AdjointSystem, p: PathwayAdjoint) -> bool:
    """Whether the reset's part of D is another before than after an arrival of this pathway."""
    target = system.group(p.pathway.target)
    arriving = [q for q in system.pathways if q.pathway.target == p.pathway.target]
    rules: Mapping = target.spike
    if is_additive(arriving):
        lam = symbol(f"lam.{p.increment.state}")
        if all(rule.lam.get(p.increment.state, lam) == lam for rule in rules.values()):
            return False
    states = [f"post__{s}" for s in target.group.states]
    after = {symbol(s): e for s, e in compose(p.free.statements, states).items()}
    rates = [to_post(rule.rate, target) for rule in rules.values()]
    return not all(_is_zero(rate.xreplace(after) - rate) for rate in rates)


def _is_zero(expression: sp.Expr) -> bool:
    """Whether an expression is 0 at some points; not so where SymPy knows no number."""
    rng = np.random.default_rng(0)
    names = sorted(expression.free_symbols, key=str)
    for _ in range(5):
        point = {
            name: sp.oo if name.name.endswith("__inf") else sp.Float(rng.uniform(-1.5, 1.5))
            for name in names
        }
        try:
            if expression != 0 and not abs(complex(expression.xreplace(point))) < 1e-9:
                return False
        except (TypeError, OverflowError, ZeroDivisionError):  # it may well depend on the arrival
            return False
    return True


def changes_slope_read(
    system: AdjointSystem,
    p: PathwayAdjoint,
    q: PathwayAdjoint,
    onto_itself: tuple[bool, bool] = (False, False),
) -> bool:
    """Whether an arrival by `p` changes how fast that goes on what one by `q` reads after it.

    Both come without delay from a spike of their target.  What `q` writes into its synapse, or into
    another neuron, would have grown with the slopes at the crossing, carried through `p`, had the
    spike come later; f at the states that `q` finds is something else.  ``onto_itself`` tells of
    each whether its pre-synaptic neuron is its target.
    """
    target = system.group(q.pathway.target)
    flow = {f"post__{s}": to_post(e, target) for s, e in target.flow().items()}
    written = _named(compose(q.free.statements, _written(q, flow)), onto_itself[1])
    elsewhere = [e for s, e in written.items() if s not in flow]
    if not elsewhere:
        return False
    after = _named(compose(p.free.statements, _written(p, flow)), onto_itself[0], "other.")
    after = {s: after[s] for s in flow}
    at_arrival = {symbol(s): e for s, e in after.items()}
    found = {s: e.xreplace(at_arrival) for s, e in flow.items()}
    carried_on = {
        s: sum((diff(e, symbol(r)) * f for r, f in flow.items()), diff(e, symbol("t")))
        for s, e in after.items()
    }
    errors = (
        sum(diff(e, symbol(r)).xreplace(at_arrival) * (carried_on[r] - found[r]) for r in flow)
        for e in elsewhere
    )
    return not all(_is_zero(e) for e in errors)


def _written(p: PathwayAdjoint, neuronal: Iterable[str]) -> list[str]:
    """Return the states of the neuron and all others that a pathway writes."""
    return list(dict.fromkeys([*neuronal, *(s.target for s in p.free.statements)]))


def _named(after: Mapping[str, sp.Expr], onto_itself: bool, prefix: str = "") -> dict:
    """Name states of the pre-synaptic neuron as those of the target, where it is that.

    Names that are the pathway's own get a prefix.
    """

    def name(s):
        if onto_itself and s.name.startswith(PRE):
            return symbol(f"post__{s.name.removeprefix(PRE)}")
        own = prefix and s.name != "t" and not s.name.startswith("post__")
        return symbol(f"{prefix}{s.name}") if own else s

    return {
        s: sp.sympify(e).xreplace({x: name(x) for x in e.free_symbols}) for s, e in after.items()
    }
