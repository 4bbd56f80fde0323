"""The adjoint of `(summed)` and linked variables: continuous coupling between neurons.

Where f of neuron i reads S_i, a sum over synapses of ``term(x_pre, x_post, w)``, lambda of every
neuron in the sum gets lambda_S d(term)/dx at every step.  An event that makes x of one neuron jump
makes S of others jump, too, so that its time matters to them: dL/dt of the event gets
lambda_S d(term)/dx (x- - x+), with lambda_S per time.  That is exact where the term is linear in
what jumps, and f linear in S; elsewhere it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import sympy as sp

from brian_eventprop.adjoint.groups import GroupAdjoint, LoopInvariants, derive_invariants, partials
from brian_eventprop.adjoint.switches import jumping
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import (
    TIME_VARYING,
    InvariantExtractor,
    levels_of,
)
from brian_eventprop.adjoint.symbolic.reverse import compose, lam, renamed
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.spec import TERM, Coupling, Key, NetworkSpec, Statement


@dataclass(frozen=True)
class CouplingAdjoint:
    """What a synapse adds to a state of a neuron at every step, forwards and backwards.

    Names of the states that are read are ``pre__NAME`` and ``post__NAME``.

    Attributes
    ----------
    coupling
        Of the specification.
    invariants
        What is computed before the trials.
    statements
        The last one assigns `TERM`.
    pre, post
        lambda_S d(term)/dx for the states of each end, by their names in its group.
    parameters
        lambda_S d(term)/dp.
    crossed
        Whether an event of a neuron may change both ends of a product, if it is coupled to itself.
    """

    coupling: Coupling
    invariants: LoopInvariants
    statements: tuple[Statement, ...]
    pre: Mapping[str, sp.Expr]
    post: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    crossed: bool

    @property
    def name(self) -> str:
        """The name of the coupling."""
        return self.coupling.name


#: lambda_S of the neuron that has the state.
ADJOINT = lam(TERM)


def end_name(side: str, state: str) -> str:
    """Return what a state of one end is called in the code of a coupling."""
    return f"{side}__{state}"


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


def read_by_others(spec: NetworkSpec, group: str) -> tuple[str, ...]:
    """Return the states of a group that couplings read."""
    read = {
        s.variable
        for c in spec.couplings
        for s in c.symbols.values()
        if s.kind == "state" and _end(c, s.side) == group
    }
    return tuple(s for s in spec.group(group).states if s in read)


def derive_couplings(
    spec: NetworkSpec, groups: Mapping[str, GroupAdjoint], trained: frozenset[Key]
) -> tuple[CouplingAdjoint, ...]:
    """Derive the adjoints of all couplings of a network."""
    if not spec.couplings:
        return ()
    jumps = jumping_states(spec)
    for coupling in spec.couplings:
        _check_readers(coupling, spec)
    found = tuple(_derive(c, groups, jumps, trained) for c in spec.couplings)
    for group in groups.values():
        _check_receiver(group, [c.coupling for c in found], jumps)
    return found


def _derive(coupling: Coupling, groups, jumps, trained) -> CouplingAdjoint:
    def rename(name):
        known = coupling.symbols.get(name)
        if known is not None and known.kind == "state":
            return end_name(known.side, known.variable)
        return name

    levels = {rename(n): v for n, v in levels_of(coupling.symbols).items()}
    extractor = InvariantExtractor({**levels, TERM: TIME_VARYING})
    statements = extractor.block(
        Statement(s.target, renamed(s.expression, rename)) for s in coupling.statements
    )
    symbols = {rename(n): s for n, s in coupling.symbols.items()}
    invariants = derive_invariants(extractor, symbols, trained)
    term = compose(statements, [TERM])[TERM]
    read = {
        side: sorted({s.variable for s in coupling.symbols.values() if (s.kind, s.side) == state})
        for side in ("pre", "post")
        for state in [("state", side)]
    }
    ends = {side: [end_name(side, s) for s in states] for side, states in read.items()}
    _check_smooth(coupling, term, [*ends["pre"], *ends["post"]], invariants.active)
    moving = {
        side: [end_name(side, s) for s in states if s in jumps.get(_end(coupling, side), ())]
        for side, states in read.items()
    }
    for own in moving.values():
        _check_linear(coupling, term, own)
    back = {
        side: {s: ADJOINT * d for s in states if (d := diff(term, symbol(end_name(side, s)))) != 0}
        for side, states in read.items()
    }
    parameters = {n: ADJOINT * e for n, e in partials(term, invariants.active).items()}
    crossed = any(
        diff(diff(term, symbol(a)), symbol(b)) != 0 for a in moving["pre"] for b in moving["post"]
    )
    return CouplingAdjoint(
        coupling, invariants, statements, back["pre"], back["post"], parameters, crossed
    )


def _end(coupling: Coupling, side: str) -> str:
    return coupling.source if side == "pre" else coupling.target


def _refused(coupling: Coupling, reason: str, way_out: str) -> UnsupportedError:
    return UnsupportedError(
        f"'{coupling.owner}': '{coupling.text}' is not supported: {reason}. {way_out}"
    )


def _check_smooth(coupling: Coupling, term: sp.Expr, states: Sequence[str], active) -> None:
    """Refuse terms with a condition or a step whose time moves."""
    if jumping({TERM: term}, states, active)[2]:
        reason = "a condition or a step makes it jump"
        raise _refused(coupling, reason, "Write it as a smooth function of the states.")


def _check_linear(coupling: Coupling, term: sp.Expr, moving: Iterable[str]) -> None:
    """Refuse terms that are not linear in the states of one neuron that jump at an event."""
    for a, b in combinations_with_replacement(list(moving), 2):
        if sp.simplify(diff(diff(term, symbol(a)), symbol(b))) != 0:
            name = a.partition("__")[2]
            reason = f"it is not linear in '{name}', which jumps at events"
            way_out = (
                "Let it read a state that follows the jumps smoothly, or write the function into "
                "the equations of the group that is read."
            )
            raise _refused(coupling, reason, way_out)


def _check_readers(coupling: Coupling, spec: NetworkSpec) -> None:
    """Refuse on_pre code and readouts that read a coupled state where its slope would count."""
    state = "state", coupling.state
    for pathway in spec.pathways:
        used = {(s.kind, s.variable) for s in pathway.symbols.values()}
        if pathway.target == coupling.receiver and state in used:
            reason = (
                f"the code of '{pathway.synapses}' reads '{coupling.state}' when a spike arrives"
            )
            raise _refused(coupling, reason, "Let it drive a differential equation only.")
    for readout in spec.readouts:
        if readout.group != coupling.receiver or not readout.expression:
            continue
        read = coupling.state in names(readout.expression)
        if read and coupling.owner == coupling.receiver:
            reason = f"the readout '{readout.expression}' reads '{coupling.state}'"
            way_out = f"Measure the variable of '{coupling.source}' that it is linked to."
            raise _refused(coupling, reason, way_out)
        if read and readout.kind == "maximum":
            reason = f"the largest '{readout.expression}' depends on its slope"
            raise _refused(coupling, reason, "Use an Integral or a Value.")


def _check_receiver(group: GroupAdjoint, couplings: Sequence[Coupling], jumps) -> None:
    """Refuse groups whose f or integrands are not linear in coupled states that jump."""
    own = [c for c in couplings if c.receiver == group.group.name]
    moving = [c for c in own if _jumps(c, jumps)]
    rates = [*group.derivatives.values(), group.loss_rate]
    for a, b in combinations_with_replacement(moving, 2):
        if any(sp.simplify(diff(diff(e, symbol(a.state)), symbol(b.state))) != 0 for e in rates):
            reason = f"the equations of '{a.receiver}' are not linear in '{a.state}', which jumps"
            way_out = (
                "Sum the function of each neuron instead, or let a state with its own equation "
                "follow the sum."
            )
            raise _refused(a, reason, way_out)
    for coupling in moving:
        if any(r.kind == "maximum" for r in group.readouts):
            reason = f"it jumps at events, which may make or end a maximum in '{coupling.receiver}'"
            raise _refused(coupling, reason, "Use an Integral or a Value.")
    for coupling in own:
        terms = {s: e for s, e in group.derivatives.items() if e.has(symbol(coupling.state))}
        switches, _, jump = jumping(terms, group.group.states, group.invariants.active)
        if any(s.flag in jump and coupling.state in s.states for s in switches):
            reason = f"a condition in the equations of '{coupling.receiver}' reads it"
            raise _refused(coupling, reason, "Let conditions read states with equations.")


def _jumps(coupling: Coupling, jumps) -> bool:
    return any(
        s.variable in jumps.get(_end(coupling, s.side), ())
        for s in coupling.symbols.values()
        if s.kind == "state"
    )
