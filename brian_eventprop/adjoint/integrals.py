"""Integrals over linear equations, written as states.

With u' = -k u + c.x from u = 0, exp(k t) u is the integral of exp(k t) c.x: what a group is asked
to integrate becomes a variable of its linear equations, and its flow stays in closed form.  The
event solver does so for groups with many synapses, which then need no state between two events.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import ExactPrinter, symbol, to_sympy
from brian_eventprop.reading.spec import Key, NetworkSpec, ReadoutSpec, Symbol

#: Largest exponent of a factor exp(k t) within a trial.
STEEPEST = 300.0


def integrals_as_states(
    spec: NetworkSpec,
    name: str,
    trained: Container[Key],
    values: Mapping[Key, np.ndarray],
    duration: float,
) -> NetworkSpec:
    """Return the network with the integrals of a group as final values of further states.

    Integrals of anything but sums of states times constants and exponentials of the time, or of
    what is trained, stay as they are.

    Parameters
    ----------
    spec
        The network.
    name
        The name of the group.
    trained
        Keys whose gradient is wanted.
    values, duration
        Constants by key, and the duration of a trial in seconds: exponentials that grow beyond all
        bounds stay in the integral.

    Returns
    -------
    NetworkSpec
        The network; ``spec`` itself if there is nothing to do.
    """
    group, readouts = spec.group(name), []
    for number, readout in enumerate(spec.readouts):
        found = None
        if readout.kind == "integral" and readout.group == name and not readout.timed_values:
            found = _as_final(
                group,
                readout,
                f"_integral{number}",
                trained,
                lambda rate, known=readout.symbols: _largest(rate, known, values) * duration,
            )
        if found is not None:
            group, readout = found
        readouts.append(readout)
    if group is spec.group(name):
        return spec
    groups = tuple(group if g.name == name else g for g in spec.groups)
    return replace(spec, groups=groups, readouts=tuple(readouts))


def _as_final(group, readout: ReadoutSpec, name, trained, exponent):
    """The group with the states of one integral, and its readout; None if it has no such form."""
    value = to_sympy(readout.expression)
    if value.has(sp.Piecewise) or not _plain(group, readout, value, trained):
        return None
    parts = _by_growth(value, group.states)
    if parts is None or any(exponent(growth) > STEEPEST for growth in parts):
        return None
    printer, terms = ExactPrinter(), []
    states, derivatives, symbols = list(group.states), dict(group.derivatives), {}
    for k, (growth, coupling) in enumerate(parts.items()):
        state = f"{name}_{k}"
        states.append(state)
        symbols[state] = Symbol(state, "state", state, (group.name, state))
        derivatives[state] = printer.doprint(coupling - growth * symbol(state))
        terms.append(sp.exp(growth * symbol("t")) * symbol(state))
    group = replace(
        group, states=tuple(states), derivatives=derivatives,
        symbols={**readout.symbols, **group.symbols, **symbols},
    )  # fmt: skip
    expression = printer.doprint(sp.Add(*terms))
    time = {"t": Symbol("t", "t", "t")}
    return group, replace(
        readout, kind="final", expression=expression,
        symbols={**time, **readout.symbols, **symbols},
    )  # fmt: skip


def _plain(group, readout, value, trained):
    """Whether its names mean the same in the group's equations, and none of them is trained."""
    for free in value.free_symbols:
        meant = readout.symbols.get(free.name)
        if meant is None or meant.kind in ("index", "timed"):
            return False
        if meant.kind not in ("state", "t") and meant.key in trained:
            return False
        if group.symbols.get(free.name, meant) != meant:
            return False
    return True


def _largest(rate, symbols, values):
    """The largest absolute value of a rate."""
    names = sorted(s.name for s in rate.free_symbols)
    known = [symbols[n] for n in names]
    numbers = [s.value if s.kind == "number" else values.get(s.key, np.inf) for s in known]
    found = sp.lambdify([symbol(n) for n in names], rate, "numpy")(*numbers)
    return float(np.max(np.abs(found), initial=0.0))


def _by_growth(value, states):
    """The parts of an integrand by their rate k in exp(k t); None if one has no such rate."""
    t, moving = symbol("t"), {symbol(s) for s in states}
    parts: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(value)):
        inside = term.free_symbols & moving
        growth = sp.simplify(diff(term, t) / term)
        linear = not inside or len(inside) == 1 and sp.diff(term, inside.pop(), 2) == 0
        if not linear or growth.free_symbols & {t, *moving}:
            return None
        coupling = sp.simplify(term * sp.exp(-growth * t))
        if coupling.free_symbols & {t}:
            return None
        parts[growth] = parts.get(growth, sp.Integer(0)) + coupling
    return parts or None
