"""The adjoint of one synaptic pathway: what an arrival does, backwards.

An arrival maps the state y of the target, and that of the synapse if it has one, to A(y, w).  Names
of the target group carry the prefix ``post__`` here, those of the states of the synapse ``syn__``,
because synapses and neurons may use one name for two things.

States of the pre-synaptic neuron that the code touches, or of the neuron that variables of the
synapse are linked to, have the prefix ``pre__``.

The states of a synapse change with its events only: what Brian2 integrates from one event to the
next is part of the code of the event, which reads the time of both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.groups import (
    GroupAdjoint,
    LoopInvariants,
    derive_invariants,
    partials,
    tidy,
)
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import ExactPrinter, parse, symbol, to_sympy
from brian_eventprop.adjoint.symbolic.loop_invariant import (
    PER_ELEMENT,
    TIME_VARYING,
    InvariantExtractor,
    levels_of,
)
from brian_eventprop.adjoint.symbolic.reverse import compose, lam, renamed
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.spec import Key, Pathway, Statement


@dataclass(frozen=True)
class ArrivalRule:
    """One arrival, forwards and backwards.

    ``lam`` is A_y^T lambda, ``parameters`` A_w^T lambda, ``rate`` dL/d(time of the arrival), of
    which ``time`` is lambda . A_t and ``elsewhere`` what goes by the adjoint of other states than
    the target's; ``needs_state`` tells whether any of them reads the target's state before the
    arrival.  ``lam`` has the states of the target and those of the synapse.
    """

    statements: tuple[Statement, ...]
    lam: Mapping[str, sp.Expr]
    parameters: Mapping[str, sp.Expr]
    rate: sp.Expr
    time: sp.Expr
    needs_state: bool
    elsewhere: sp.Expr = sp.Integer(0)


@dataclass(frozen=True)
class Lift:
    """The guard before and after an arrival; above 0 only after it: the arrival fires its target.

    ``spiked`` is the pair for a target that already spiked in this step and will be reset.
    """

    plain: tuple[sp.Expr, sp.Expr]
    spiked: tuple[sp.Expr, sp.Expr]


#: Before the names of the states of a synapse, and of its pre-synaptic neuron.
SYNAPTIC, PRE = "syn__", "pre__"

#: Name of the amount that an additive synapse adds, computed before the trials.
INCREMENT = "_increment"


@dataclass(frozen=True)
class Increment:
    """An arrival that adds a constant to one state, whatever that is.

    Then lambda goes through unchanged and dL/dt_a is the constant times ``rate``, which depends on
    the target neuron, the time and the target's ``read`` states, but not on the state added to
    (``rate['free']`` and ``rate['frozen']``, in the target group's own names).  Where no arrival
    changes what is read, kernels may sum arrivals before they deliver them, and look their
    adjoint up in a record of the target group.
    """

    state: str
    rate: Mapping[str, sp.Expr]
    read: frozenset[str]


@dataclass(frozen=True)
class PathwayAdjoint:
    """Everything a kernel needs to deliver a spike forwards and backwards.

    ``synaptic`` are the states of the `Synapses` object, ``pre`` those of the pre-synaptic neuron,
    or of the linked one, that it reads, without prefix; ``of_group`` tells that the synapses are a
    group with equations.

    ``freeing`` is the guard of the condition as long as which the target is refractory, before and
    after an arrival: above 0 only after it, the arrival ends that time.
    """

    pathway: Pathway
    invariants: LoopInvariants
    free: ArrivalRule
    frozen: ArrivalRule
    lift: Lift | None
    increment: Increment | None
    freeing: tuple[sp.Expr, sp.Expr] | None = None
    synaptic: tuple[str, ...] = ()
    pre: tuple[str, ...] = ()
    of_group: bool = False

    @property
    def writes_pre(self) -> tuple[str, ...]:
        """The states of the pre-synaptic neuron that it writes, without prefix."""
        written = {s.target for s in self.free.statements}
        return tuple(s for s in self.pre if f"{PRE}{s}" in written)

    @property
    def writes_others(self) -> tuple[str, ...]:
        """The groups besides the target whose states it writes."""
        return self._others(bool(self.writes_pre))

    @property
    def touches_others(self) -> tuple[str, ...]:
        """The groups besides the target whose states it reads or writes."""
        return self._others(bool(self.pre))

    @property
    def in_turn(self) -> bool:
        """Whether an arrival at one neuron matters to one at another in the same time step.

        They share a pre-synaptic neuron whose states one of them writes, or whose adjoint variables
        the other reads, or one of them is at the pre-synaptic neuron of the other.
        """
        if not self.pre or self.writes_pre:
            return bool(self.pre)
        shared = {f"{PRE}{s}" for s in self.pre}
        if self.pathway.pre_group == self.pathway.target:
            shared |= {f"post__{s}" for s in self.pre}
        written = {s.target for s in self.free.statements}
        read = set().union(*(_adjoints_read(rule, shared) for rule in (self.free, self.frozen)))
        return bool(shared & (written | read))

    def _others(self, with_pre: bool) -> tuple[str, ...]:
        return (self.pathway.pre_group,) * with_pre + (self.pathway.synapses,) * self.of_group

    @property
    def touches_target(self) -> bool:
        """Whether an arrival reads or writes a state of its target, not only of its synapse."""
        used = {name for s in self.free.statements for name in (s.target, *names(s.expression))}
        return any(name.startswith("post__") for name in used & set(self.free.lam))


def derive_pathway(
    pathway: Pathway,
    target: GroupAdjoint,
    trained: frozenset[Key],
    synaptic: tuple[str, ...] = (),
) -> PathwayAdjoint:
    """Derive the adjoint of a pathway into `target`; ``synaptic`` are states of its synapses."""
    rename = _names(pathway)
    extractor = InvariantExtractor({rename(n): v for n, v in levels_of(pathway.symbols).items()})
    statements = extractor.block(_rename(s, rename) for s in pathway.statements)
    state = _added_to(statements, target, extractor)
    if state is not None:
        statements = _add_increment(statements, state, extractor)
    symbols = {rename(n): s for n, s in pathway.symbols.items()}
    invariants = derive_invariants(extractor, symbols, trained)
    frozen_targets = {f"post__{s}" for s in target.group.frozen}
    dropped = tuple(s for s in statements if s.target not in frozen_targets)
    more = dict.fromkeys((f"{SYNAPTIC}{s}" for s in synaptic), sp.Integer(0))
    more |= {rename(n): to_sympy(parse(renamed(e, rename))) for n, e in pathway.others.items()}
    free = _arrival(statements, target, more, invariants.active, False)
    frozen = _arrival(dropped, target, more, invariants.active, True)
    elsewhere = [pathway.symbols[n] for n in pathway.others]
    pre = tuple(s.variable for s in elsewhere if s.side)
    own = tuple(s.variable for s in elsewhere if not s.side)
    lift, freeing = _lift(statements, target), _freeing(dropped, target)
    adds = state is not None and lift is None and freeing is None
    increment = _increment(state, free, frozen, target) if adds else None
    more = freeing, (*synaptic, *own), pre, bool(own)
    return PathwayAdjoint(pathway, invariants, free, frozen, lift, increment, *more)


def is_additive(arriving: Sequence[PathwayAdjoint]) -> bool:
    """Whether what arrives at a group in one step may be summed before it is delivered."""
    increments = [p.increment for p in arriving]
    if not increments or None in increments:
        return False
    return not {i.state for i in increments} & frozenset().union(*(i.read for i in increments))


def _added_to(statements, target, extractor) -> str | None:
    """Return the one state that the statements add a constant to, if that is all they do."""
    states = [f"post__{s}" for s in target.group.states]
    after = compose(statements, states)
    changed = [s for s in states if after[s] != symbol(s)]
    if len(changed) != 1 or any(s.target not in states for s in statements):
        return None
    constant = _constant(after[changed[0]], changed[0])
    fixed = all(
        extractor.levels.get(s.name, TIME_VARYING) < TIME_VARYING for s in constant.free_symbols
    )
    return changed[0] if fixed else None


def _constant(after: sp.Expr, state: str) -> sp.Expr:
    """Return what was added to a state, as it was written if possible."""
    added = after - symbol(state)
    return sp.expand(added) if added.has(symbol(state)) else added


def _add_increment(statements, state, extractor) -> tuple[Statement, ...]:
    """Give the constant a name and return the statement that adds it."""
    constant = _constant(compose(statements, [state])[state], state)
    extractor.levels[INCREMENT] = PER_ELEMENT
    extractor.moved[PER_ELEMENT].append(Statement(INCREMENT, ExactPrinter().doprint(constant)))
    return (Statement(state, f"{state} + {INCREMENT}"),)


def _increment(state, free: ArrivalRule, frozen: ArrivalRule, target) -> Increment | None:
    amount, rates, read = symbol(INCREMENT), {}, set()
    states = {f"post__{s}" for s in target.group.states}
    for mode, rule in (("free", free), ("frozen", frozen)):
        rate = diff(rule.rate, amount)
        if rate.has(amount, symbol(state)) or sp.expand(rule.rate - amount * rate) != 0:
            return None
        if any(s.name in states for e in (*rule.lam.values(), *rule.parameters.values())
               for s in e.free_symbols):  # fmt: skip
            return None
        rates[mode] = _without_post(rate)
        read |= {s.name for s in rate.free_symbols} & states
    return Increment(
        state.removeprefix("post__"), rates, frozenset(s.removeprefix("post__") for s in read)
    )


def _adjoints_read(rule: ArrivalRule, states: Collection[str]) -> set[str]:
    """Return those states whose adjoint variables tell more than what becomes of themselves."""
    found = {s.name for e in (rule.rate, *rule.parameters.values()) for s in e.free_symbols}
    for state, e in rule.lam.items():
        found |= {s.name for s in e.free_symbols} - {f"lam.{state}"}
    return {s for s in states if f"lam.{s}" in found}


def _without_post(expression: sp.Expr) -> sp.Expr:
    """Return an expression in the target group's own names."""
    rename = {}
    for s in expression.free_symbols:
        own = s.name.replace("lam.post__", "lam.").removeprefix("post__")
        rename[s] = symbol(own)
    return expression.xreplace(rename)


def _names(pathway):
    """Post-synaptic states become ``post__NAME``, others ``pre__NAME`` and ``syn__NAME``.

    'I' and 'I_post' are one variable.  Timed arrays are those of the post-synaptic neurons.
    """

    def rename(name):
        known = pathway.symbols.get(name)
        if known is not None and known.kind in ("state", "timed"):
            return f"{_PREFIX.get(known.side, PRE)}{known.variable}"
        return name

    return rename


_PREFIX = {"post": "post__", "": SYNAPTIC}


def _rename(statement, rename):
    return Statement(rename(statement.target), renamed(statement.expression, rename))


def to_post(expression: sp.Expr, group: GroupAdjoint) -> sp.Expr:
    """Put the prefix ``post__`` before the names of the target group, except for t and dt."""
    rename = {
        s: symbol(f"post__{s.name}")
        for s in expression.free_symbols
        if s.name not in ("t", "dt") and not s.name.startswith("weight.")
    }
    return expression.xreplace(rename)


def _arrival(statements, target, others, active, frozen):
    """Derive an arrival; ``others`` are the states besides the target's, and their derivatives."""
    neuronal = [f"post__{s}" for s in target.group.states]
    states = [*neuronal, *others]
    f = {f"post__{s}": to_post(e, target) for s, e in target.flow(frozen).items()} | others
    after = compose(statements, states)
    to_after = {symbol(s): e for s, e in after.items()}
    rate, elsewhere = sp.Integer(0), sp.Integer(0)
    for s in states:
        moved = sum((diff(after[s], symbol(r)) * f[r] for r in states), diff(after[s], symbol("t")))
        gain = lam(s) * tidy(moved - f[s].xreplace(to_after))
        rate += gain
        elsewhere += gain if s in others else 0
    loss = to_post(target.loss_rate, target)
    total = sum((lam(s) * e for s, e in after.items()), sp.Integer(0))
    time = sum((lam(s) * diff(e, symbol("t")) for s, e in after.items()), sp.Integer(0))
    rate += tidy(loss - loss.xreplace(to_after))
    back = {s: diff(total, symbol(s)) for s in states}
    parameters = partials(total, active)
    read = set().union(*(e.free_symbols for e in (*back.values(), *parameters.values(), rate)))
    needs_state = any(s.name in neuronal for s in read)
    return ArrivalRule(statements, back, parameters, rate, time, needs_state, elsewhere)


def _lift(statements, target):
    if target.crossing is None:
        return None
    g = to_post(target.crossing.g, target)
    states = [f"post__{s}" for s in target.group.states]
    after = {symbol(s): e for s, e in compose(statements, states).items()}
    lifted = g.xreplace(after)
    if lifted == g:
        return None
    reset = {
        symbol(f"post__{s}"): to_post(e, target)
        for s, e in compose(target.reset, target.group.states).items()
    }
    g_reset = g.xreplace(reset)
    return Lift((g, lifted), (g_reset, g_reset.xreplace(after)))


def _freeing(statements, target):
    if target.released is None or target.released.crossing is None:
        return None
    g = to_post(target.released.crossing.g, target)
    after = compose(statements, [f"post__{s}" for s in target.group.states])
    freed = g.xreplace({symbol(s): e for s, e in after.items()})
    return None if freed == g else (g, freed)
