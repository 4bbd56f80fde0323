"""Conditions and steps that make f or an integrand jump, for a time grid.

On the grid a condition changes within a step: between the state at its beginning and the one that
the state update makes of it.  The rule is that of `adjoint.switches`.  Where an arrival or a reset
changes the condition, f before and after that event has the jump already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.groups import GroupAdjoint, flow_of, slope_of, weight
from brian_eventprop.adjoint.switches import Switch, jumping
from brian_eventprop.adjoint.symbolic.expressions import symbol, to_sympy
from brian_eventprop.adjoint.symbolic.reverse import lam


@dataclass(frozen=True)
class Conditions:
    """The conditions and steps of a group, of which at least one makes f or an integrand jump.

    Attributes
    ----------
    switches
        All of them; those within others come first.
    jumping
        The flags of those that make something jump at a time that moves.
    energy
        lambda . f + l where it depends on a flag, while ``'free'`` and while ``'frozen'``.
    climbs
        The derivative of h along f of each of the jumping ones, by mode and flag.
    slopes
        The slope of each maximum readout, by mode and number.
    """

    switches: tuple[Switch, ...]
    jumping: frozenset[str]
    energy: Mapping[str, sp.Expr]
    climbs: Mapping[str, Mapping[str, sp.Expr]]
    slopes: Mapping[str, Mapping[int, sp.Expr]]


def derive_conditions(adjoint: GroupAdjoint) -> Conditions | None:
    """Derive what the changing conditions of a group move; None if nothing jumps."""
    group = adjoint.group
    rates = adjoint.flow()
    held = {("held", s): e for s, e in adjoint.held.items()}
    integrands = {
        r.number: to_sympy(r.expression) for r in adjoint.readouts if r.kind == "integral"
    }
    terms = {**rates, **held, **integrands}
    switches, smooth, jump = jumping(terms, group.states, adjoint.invariants.active)
    if not jump:
        return None
    modes = {"free": {}, "frozen": {s: smooth["held", s] for s in adjoint.held}}
    flows = {mode: flow_of(smooth, group.states, held) for mode, held in modes.items()}
    losses = sum((weight(k) * smooth[k] for k in integrands), sp.Integer(0))
    return Conditions(
        switches,
        jump,
        {mode: _flagged(_energy(f) + losses, switches) for mode, f in flows.items()},
        {
            mode: {s.flag: _climb(s, f) for s in switches if s.flag in jump}
            for mode, f in flows.items()
        },
        {
            mode: {r.number: slope_of(r, f) for r in adjoint.readouts if r.kind == "maximum"}
            for mode, f in flows.items()
        },
    )


def _energy(f):
    return sum((lam(s) * e for s, e in f.items()), sp.Integer(0))


def _climb(switch, f):
    return sum((e * f[s] for s, e in switch.states.items()), switch.time)


def _flagged(total, switches):
    """The terms of a sum that depend on a flag; the others are the same on both sides."""
    flags = {symbol(s.flag) for s in switches}
    return sp.Add(*(e for e in sp.Add.make_args(total) if e.free_symbols & flags))
