"""The adjoint of `(summed)` and linked variables: continuous coupling between neurons.

Where f of neuron i reads S_i, a sum over synapses of ``term(x_pre, x_post, w)``, lambda of every
neuron in the sum gets lambda_S d(term)/dx at every step.  An event that makes x of one neuron jump
makes S of others jump, too, so that its time matters to them; see `adjoint.coupling.jumps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.coupling.steps import CouplingSteps, find_steps
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
    steps
        The conditions and steps that make the term jump, if there are any.
    """

    coupling: Coupling
    invariants: LoopInvariants
    statements: tuple[Statement, ...]
    pre: Mapping[str, sp.Expr]
    post: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    steps: CouplingSteps | None = None

    @property
    def term(self) -> sp.Expr:
        """What a synapse adds."""
        return compose(self.statements, [TERM])[TERM]

    @property
    def name(self) -> str:
        """The name of the coupling."""
        return self.coupling.name


#: lambda_S of the neuron that has the state.
ADJOINT = lam(TERM)


def end_name(side: str, state: str) -> str:
    """Return what a state of one end is called in the code of a coupling."""
    return f"{side}__{state}"


def read_by_others(spec: NetworkSpec, group: str) -> tuple[str, ...]:
    """Return the states of a group that couplings read."""
    read = frozenset().union(*(c.reads for c in spec.couplings))
    return tuple(s for s in spec.group(group).states if (group, s) in read)


def derive_couplings(
    spec: NetworkSpec, groups: Mapping[str, GroupAdjoint], trained: frozenset[Key]
) -> tuple[CouplingAdjoint, ...]:
    """Derive the adjoints of all couplings of a network."""
    found = []
    for coupling in spec.couplings:
        _check_readers(coupling, spec)
        _check_conditions(coupling, groups[coupling.receiver])
        _check_regular(coupling, spec)
        found.append(_derive(coupling, trained))
    return tuple(found)


def _derive(coupling: Coupling, trained: frozenset[Key]) -> CouplingAdjoint:
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
    steps = find_steps(term, [*ends["pre"], *ends["post"]], invariants.active)
    _check_steps(coupling, steps)
    back = {
        side: {s: ADJOINT * d for s in states if (d := diff(term, symbol(end_name(side, s)))) != 0}
        for side, states in read.items()
    }
    parameters = {n: ADJOINT * e for n, e in partials(term, invariants.active).items()}
    back = back["pre"], back["post"]
    return CouplingAdjoint(coupling, invariants, statements, *back, parameters, steps)


def in_dependency(couplings: Iterable[CouplingAdjoint]) -> tuple[CouplingAdjoint, ...] | None:
    """Return couplings such that each reads states that are computed before; None if none is so."""
    left, found = list(couplings), []
    while left:
        waiting = {(c.coupling.receiver, c.coupling.state) for c in left}
        ready = [c for c in left if not c.coupling.reads & waiting]
        if not ready:
            return None
        found += ready
        left = [c for c in left if c not in ready]
    return tuple(found)


def refused(coupling: Coupling, reason: str, way_out: str) -> UnsupportedError:
    """Return the error for a coupling that is not supported."""
    return UnsupportedError(
        f"'{coupling.owner}': '{coupling.text}' is not supported: {reason}. {way_out}"
    )


def _check_steps(coupling: Coupling, steps: CouplingSteps | None) -> None:
    """Refuse terms that jump where a condition within another one changes."""
    if steps is not None and any(switch.inner for switch in steps.switches):
        reason = "a condition in it has another one within it"
        raise refused(coupling, reason, "Write them side by side.")


def _check_readers(coupling: Coupling, spec: NetworkSpec) -> None:
    """Refuse on_pre code and readouts that read a coupled state where its slope would count."""
    for pathway in spec.pathways:
        read = {n for s in pathway.statements for n in (s.target, *names(s.expression))}
        symbols = [pathway.symbols[n] for n in read & set(pathway.symbols)]
        keys = {s.key for s in symbols if s.kind == "state"}
        if (coupling.receiver, coupling.state) in keys:
            reason = (
                f"the code of '{pathway.synapses}' reads '{coupling.state}' when a spike arrives"
            )
            raise refused(coupling, reason, "Let it drive a differential equation only.")
    for readout in spec.readouts:
        if readout.group != coupling.receiver or not readout.expression:
            continue
        read = coupling.state in names(readout.expression)
        if read and coupling.owner == coupling.receiver:
            reason = f"the readout '{readout.expression}' reads '{coupling.state}'"
            way_out = f"Measure the variable of '{coupling.source}' that it is linked to."
            raise refused(coupling, reason, way_out)
        if read and readout.kind == "maximum":
            reason = f"the largest '{readout.expression}' depends on its slope"
            raise refused(coupling, reason, "Use an Integral or a Value.")


def _check_regular(coupling: Coupling, spec: NetworkSpec) -> None:
    """Refuse code that runs regularly and changes what is coupled, or reads the result.

    In Brian2 it runs before the sums of its step, in the middle of what is one step here.
    """
    way_out = "Let a TimedArray in the equations do what runs regularly."
    for group in spec.groups:
        for regular in group.regular:
            if coupling.reads & {(group.name, s.target) for s in regular.statements}:
                reason = f"'{regular.name}' changes at fixed times what it reads of '{group.name}'"
                raise refused(coupling, reason, way_out)
            used = {n for s in regular.statements for n in names(s.expression)}
            if group.name == coupling.receiver and coupling.state in used:
                reason = f"'{regular.name}' reads '{coupling.state}' of the step before"
                raise refused(coupling, reason, way_out)


def _check_conditions(coupling: Coupling, group: GroupAdjoint) -> None:
    """Refuse conditions in the equations that read a coupled state."""
    terms = {s: e for s, e in group.derivatives.items() if e.has(symbol(coupling.state))}
    switches, _, jump = jumping(terms, group.group.states, group.invariants.active)
    if any(s.flag in jump and coupling.state in s.states for s in switches):
        reason = f"a condition in the equations of '{coupling.receiver}' reads it"
        raise refused(coupling, reason, "Let conditions read states with equations.")
