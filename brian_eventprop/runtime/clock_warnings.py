"""What the clock solver's gradient leaves out is said when the model is built."""

from __future__ import annotations

import numpy as np
import sympy as sp
from brian2 import get_logger

from brian_eventprop.adjoint.expressions import symbol
from brian_eventprop.adjoint.pathways import may_add_up, to_post
from brian_eventprop.adjoint.reverse import compose
from brian_eventprop.adjoint.switches import jumps
from brian_eventprop.adjoint.system import AdjointSystem

logger = get_logger(__name__)


def warn_of_gaps(system: AdjointSystem) -> None:
    """Warn of thresholds that jump at a time that moves.

    Where the threshold jumps over the state, the spike moves with the condition that made it jump,
    not with the potential: that part of the gradient is missing.
    """
    for g in system.groups:
        if g.crossing is not None and jumps(g.crossing.g, g.group.states, g.hoisted.active):
            logger.warn(
                f"NeuronGroup '{g.group.name}': the threshold '{g.group.threshold}' jumps where a "
                "condition changes, and the gradient on the time grid lacks the spikes that such "
                "a jump sets off. Combine conditions with 'and' and 'or', for example "
                "'v > 1 and u > 0.2', or use a smooth function in the place of the condition.",
                "jump",
            )


def warn_of_autapses(system: AdjointSystem, network) -> None:
    """Warn of autapses without delay whose arrival and the reset do not commute.

    The reset's part of D is taken at the state before the arrivals of the step, because these come
    after the crossing.  An arrival that the very spike sets off comes with the reset.
    """
    for p in system.pathways:
        pathway = p.pathway
        if pathway.source != pathway.target:
            continue
        pre, post = network.pre[pathway.name], network.post[pathway.name]
        delays = np.asarray(network.values[pathway.delay])
        steps = np.rint((delays[pre] if pathway.axonal else delays) / system.spec.dt)
        own = pre == post
        if np.any(own & (steps == 0)) and not _commute(system, p):
            logger.warn(
                f"Synapses '{pathway.synapses}': neurons of '{pathway.source}' send spikes to "
                "themselves without delay, and the order of arrival and reset matters. The "
                "gradient on the time grid takes the reset as if that arrival came later, so it is "
                "off, however small dt is. Give these synapses a delay of at least dt, connect "
                "with condition='i != j', or use solver='event'.",
                "autapses",
            )


def _commute(system: AdjointSystem, p) -> bool:
    """Whether the reset's part of D is the same before and after an arrival of this pathway."""
    target = system.group(p.pathway.target)
    arriving = [q for q in system.pathways if q.pathway.target == p.pathway.target]
    rules = target.spike.values()
    if may_add_up(arriving):
        lam = symbol(f"lam.{p.increment.state}")
        if all(rule.lam.get(p.increment.state, lam) == lam for rule in rules):
            return True
    states = [f"post__{s}" for s in target.group.states]
    after = {symbol(s): e for s, e in compose(p.free.statements, states).items()}
    rates = [to_post(rule.rate, target) for rule in rules]
    return all(_is_zero(rate.xreplace(after) - rate) for rate in rates)


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
        except (TypeError, OverflowError, ZeroDivisionError):  # rather warn than not
            return False
    return True
