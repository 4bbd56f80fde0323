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
    in_dependency,
    refused,
)
from brian_eventprop.adjoint.flow import ContinuousFlow
from brian_eventprop.adjoint.groups import GroupAdjoint
from brian_eventprop.adjoint.switches import find_switches
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading.spec import TERM, Coupling, NetworkSpec


def jumping_states(spec: NetworkSpec) -> dict[str, frozenset[str]]:
    """Return the states of each group that jump: those that resets or arrivals change.

    And those that are computed from such states.
    """
    found = {g.name: {s.target for s in g.reset} & set(g.states) for g in spec.groups}
    for pathway in spec.pathways:
        for statement in pathway.statements:
            written = pathway.symbols.get(statement.target)
            if written is not None and written.kind == "state" and written.key[0] in found:
                found[written.key[0]].add(written.variable)
    more = True
    while more:
        computed = [(c.receiver, c.state) for c in spec.couplings if _jumps(c, found)]
        more = [(group, state) for group, state in computed if state not in found[group]]
        for group, state in more:
            found[group].add(state)
    return {name: frozenset(states) for name, states in found.items()}


def _jumps(coupling: Coupling, jumps) -> bool:
    return any(state in jumps.get(group, ()) for group, state in coupling.reads)


def moving_states(coupling: Coupling, jumps: Mapping) -> dict[str, list[str]]:
    """Return the names in the term, by end, of the states that are among `jumping_states`."""
    found: dict[str, list[str]] = {"pre": [], "post": []}
    for s in coupling.symbols.values():
        if s.kind == "state" and s.variable in jumps.get(coupling.end(s.side), ()):
            found[s.side].append(end_name(s.side, s.variable))
    return found


def check_crossed(
    adjoint: CouplingAdjoint, spec: NetworkSpec, pre: np.ndarray, post: np.ndarray
) -> None:
    """Refuse neurons coupled to themselves by a product of states that jump together."""
    coupling = adjoint.coupling
    moving = moving_states(coupling, jumping_states(spec))
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
        _check_early(c.coupling)
        _check_alone(c.coupling, system)
        for moving in moving_states(c.coupling, jumps).values():
            _check_linear(c, moving)
            _check_steady(c, moving)
    for group in system.groups:
        own = [c for c in system.couplings if c.coupling.receiver == group.group.name]
        jumping = [c.coupling for c in own if c.steps or _jumps(c.coupling, jumps)]
        _check_receiver(group, jumping)


def _check_early(coupling: Coupling) -> None:
    """Refuse sums that Brian2 computes after it has updated one of the groups."""
    if coupling.late and coupling.owner != coupling.receiver:
        reason = (
            "Brian2 updates a group before it computes the sum: one with an order of its own, or, "
            "if the sum is into a Subgroup, one with a name before that of the Synapses"
        )
        way_out = "Leave orders as they are and sum into the whole group, or use solver='event'."
        raise refused(coupling, reason, way_out)


def _check_alone(coupling: Coupling, system: AdjointSystem) -> None:
    """Refuse arrivals that touch two groups and make a state jump that a coupling reads."""
    for p in system.pathways:
        if not p.touches_others:
            continue
        symbols = (p.pathway.symbols.get(s.target) for s in p.pathway.statements)
        written = {s.key for s in symbols if s is not None and s.kind == "state"}
        for owner, state in sorted(coupling.reads & written):
            reason = (
                f"it reads '{state}' of '{owner}', which '{p.pathway.text}' of "
                f"'{p.pathway.synapses}' changes together with states of another group"
            )
            way_out = "Write it as two Synapses, one for each, or use solver='event'."
            raise refused(coupling, reason, way_out)


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


def _check_steady(c: CouplingAdjoint, moving: Iterable[str]) -> None:
    """Refuse conditions in a term that change with a state that jumps at events."""
    for switch in c.steps.switches if c.steps else ():
        for name in set(moving) & set(switch.states):
            reason = f"a condition in it reads '{name.partition('__')[2]}', which jumps at events"
            raise refused(c.coupling, reason, "Let it read a state that follows them smoothly.")


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
        reason, way_out = _lacking(system.group(name), flows[name])
        if reason:
            raise _refused_together(system, name, reason, way_out)


def _lacking(group: GroupAdjoint, flow: ContinuousFlow) -> tuple[str, str]:
    """Return what a group has that one system of equations lacks, and the way out."""
    name, spec = group.group.name, group.group
    if flow.switches:
        return f"the equations of '{name}' have a condition, a step or a kink", _ON_THE_CLOCK
    if any(r.kind == "maximum" for r in group.readouts):
        reason = f"a Maximum of '{name}' would need the slopes of all neurons"
        return reason, "Use an Integral or a Value, or solver='clock'."
    if group.released is not None:
        return f"refractoriness in '{name}' ends with the states of a neuron", _ON_THE_CLOCK
    if spec.derivatives_refractory:
        return f"the equations of '{name}' are others while refractory", _ON_THE_CLOCK
    return "", ""


_ON_THE_CLOCK = "Use solver='clock'."


def _refused_together(system: AdjointSystem, name: str, reason: str, way_out: str):
    """Return the error for a group, which names what couples it to others."""
    couplings = [c.coupling for c in system.couplings]
    own = [c for c in couplings if name in (c.source, c.target)]
    pathways = [p.pathway for p in system.pathways if p.touches_others]
    touching = [p for p in pathways if name in (p.target, p.synapses, p.pre_group)]
    if own or not touching:
        return refused((own or couplings)[0], reason, way_out)
    pathway = touching[0]
    return UnsupportedError(
        f"Synapses '{pathway.synapses}': '{pathway.text}' is not supported: it touches the states "
        f"of two groups at once, so they are one system of equations, and {reason}. {way_out}"
    )
