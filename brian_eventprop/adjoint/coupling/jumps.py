"""Events of one neuron that make states of others jump: what the time grid can make of them.

An event that makes x of a neuron jump makes S of those coupled to it jump, too, and so their f.
dL/dt of the event gets the sum of lambda . (f- - f+) over them.  In exact time f of all neurons is
computed on both sides.  On the grid it is lambda_S d(term)/dx (x- - x+), with lambda_S per time:
exact where the term is linear in what jumps, and f linear in S; elsewhere it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations_with_replacement

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.coupling.terms import (
    CouplingAdjoint,
    end_name,
    end_of,
    in_dependency,
    refused,
)
from brian_eventprop.adjoint.flow import ContinuousFlow
from brian_eventprop.adjoint.groups import GroupAdjoint
from brian_eventprop.adjoint.switches import find_switches
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.reading.spec import TERM, Coupling, NetworkSpec


def jumping_states(spec: NetworkSpec) -> dict[str, frozenset[str]]:
    """Return the states of each group that jump: those that resets or arrivals change.

    And those that are computed from such states.
    """
    found = {g.name: {s.target for s in g.reset} & set(g.states) for g in spec.groups}
    for pathway in spec.pathways:
        for statement in pathway.statements:
            written = pathway.symbols.get(statement.target)
            if written is not None and written.kind == "state":
                found[pathway.target].add(written.variable)
    more = True
    while more:
        computed = [(c.receiver, c.state) for c in spec.couplings if _jumps(c, found)]
        more = [(group, state) for group, state in computed if state not in found[group]]
        for group, state in more:
            found[group].add(state)
    return {name: frozenset(states) for name, states in found.items()}


def _jumps(coupling: Coupling, jumps) -> bool:
    return any(
        s.variable in jumps.get(end_of(coupling, s.side), ())
        for s in coupling.symbols.values()
        if s.kind == "state"
    )


def moving_states(adjoint: CouplingAdjoint, spec: NetworkSpec) -> dict[str, list[str]]:
    """Return the names in the term, by end, of the states that jump."""
    jumps, coupling = jumping_states(spec), adjoint.coupling
    found: dict[str, list[str]] = {"pre": [], "post": []}
    for s in coupling.symbols.values():
        if s.kind == "state" and s.variable in jumps.get(end_of(coupling, s.side), ()):
            found[s.side].append(end_name(s.side, s.variable))
    return found


def check_crossed(
    adjoint: CouplingAdjoint, spec: NetworkSpec, pre: np.ndarray, post: np.ndarray
) -> None:
    """Refuse neurons coupled to themselves by a product of states that jump together."""
    coupling, moving = adjoint.coupling, moving_states(adjoint, spec)
    if coupling.source != coupling.target or not np.any(pre == post):
        return
    if not all(_linear([adjoint.term], a, b) for a in moving["pre"] for b in moving["post"]):
        neuron = int(pre[np.argmax(pre == post)])
        reason = (
            f"neuron {neuron} of '{coupling.source}' is coupled to itself, and both factors of a "
            "product jump at its spikes"
        )
        raise refused(coupling, reason, "Leave it out with connect(condition='i != j').")


def check_grid(system: AdjointSystem) -> None:
    """Refuse couplings whose jumps have no gradient on the time grid."""
    jumps = jumping_states(system.spec)
    for c in system.couplings:
        for moving in moving_states(c, system.spec).values():
            _check_linear(c, moving)
    for group in system.groups:
        own = [c.coupling for c in system.couplings if c.coupling.receiver == group.group.name]
        _check_receiver(group, [c for c in own if _jumps(c, jumps)])


def _linear(expressions: Iterable[sp.Expr], a: str, b: str) -> bool:
    second = (diff(diff(e, symbol(a)), symbol(b)) for e in expressions)
    return all(e == 0 or sp.simplify(e) == 0 for e in second)


def _check_linear(c: CouplingAdjoint, moving: Iterable[str]) -> None:
    """Refuse terms that are not linear in the states of one neuron that jump at an event."""
    for a, b in combinations_with_replacement(list(moving), 2):
        if not _linear([c.term], a, b):
            reason = f"it is not linear in '{a.partition('__')[2]}', which jumps at events"
            way_out = "Let it read a state that follows the jumps smoothly, or use solver='event'."
            raise refused(c.coupling, reason, way_out)


def _check_receiver(group: GroupAdjoint, moving: list[Coupling]) -> None:
    """Refuse groups whose f or integrands are not linear in coupled states that jump."""
    rates = [*group.derivatives.values(), group.loss_rate]
    for a, b in combinations_with_replacement(moving, 2):
        if not _linear(rates, a.state, b.state):
            reason = f"the equations of '{a.receiver}' are not linear in '{a.state}', which jumps"
            way_out = "Let a state with its own equation follow the sum, or use solver='event'."
            raise refused(a, reason, way_out)
    if moving and any(r.kind == "maximum" for r in group.readouts):
        where = f"'{moving[0].receiver}'"
        reason = f"it jumps at events, which may make or end a maximum in {where}"
        raise refused(moving[0], reason, "Use an Integral or a Value.")


def _check_fixed_times(adjoint: GroupAdjoint, coupling: Coupling) -> None:
    """Refuse what would jump or spike at fixed times."""
    group, way_out = adjoint.group, "Use solver='clock'."
    if group.regular:
        reason = f"'{group.regular[0].name}' lets states of '{group.name}' jump at fixed times"
        raise refused(coupling, reason, way_out)
    timed = {t.name for t in group.timed_values}
    if adjoint.crossing is not None and timed & {s.name for s in adjoint.crossing.g.free_symbols}:
        reason = f"a TimedArray in the threshold of '{group.name}' lifts neurons at fixed times"
        raise refused(coupling, reason, way_out)


def check_exact(
    system: AdjointSystem, flows: Mapping[str, ContinuousFlow], together: Iterable[str]
) -> None:
    """Refuse what groups that are one system of equations cannot have in exact time."""
    for c in system.couplings:
        states = [end_name(s.side, s.variable) for s in c.coupling.symbols.values()
                  if s.kind == "state"]  # fmt: skip
        if find_switches({TERM: c.term}, states, c.invariants.active)[0]:
            reason = "it has a condition, a step or a kink"
            raise refused(c.coupling, reason, "Use a smooth function, or solver='clock'.")
    if in_dependency(system.couplings) is None:
        reason = "sums depend on each other in a circle, and each is that of the step before"
        way_out = "Let a state with its own equation follow one of them, or use solver='clock'."
        raise refused(system.couplings[-1].coupling, reason, way_out)
    for name in sorted(together):
        couplings = [c.coupling for c in system.couplings]
        coupling = next((c for c in couplings if name in (c.source, c.target)), couplings[0])
        if flows[name].switches:
            reason = f"the equations of '{name}' have a condition, a step or a kink"
            raise refused(coupling, reason, "Use solver='clock'.")
        _check_fixed_times(system.group(name), coupling)
        if any(r.kind == "maximum" for r in system.group(name).readouts):
            reason = f"a Maximum of '{name}' would need the slopes of all neurons"
            raise refused(coupling, reason, "Use an Integral or a Value, or solver='clock'.")
