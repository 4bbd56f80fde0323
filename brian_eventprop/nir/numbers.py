"""Equations as numbers: what a model's expressions are with the values that it has now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.reading.spec import Key, Symbol

#: What a neuron or a synapse has as a number; see `brian_eventprop.reading.spec.KINDS`.
_CONSTANT = {"neuron", "synapse", "shared", "number", "index"}

#: Why names of other kinds are no numbers.
_REASONS = {
    "state": "it depends on the state variable '{}'",
    "t": "it depends on the time",
    "dt": "it depends on the time step",
    "timed": "it depends on the TimedArray '{}'",
}


class NoNumber(Exception):
    """Why an expression is not a constant number for each neuron or synapse."""


@dataclass(frozen=True)
class Numbers:
    """The numbers behind the names of one block of code.

    Parameters
    ----------
    symbols
        What the names stand for.
    values
        Of all keys, SI units.
    size
        How many neurons or synapses there are.
    ends
        Of synapses: the index of the neuron at the end 'pre' and 'post' of each.
    """

    symbols: Mapping[str, Symbol]
    values: Mapping[Key, np.ndarray]
    size: int
    ends: Mapping[str, np.ndarray] | None = None

    def __call__(self, expression: sp.Expr) -> np.ndarray:
        """Return the values of an expression, one for each neuron or synapse.

        Raises
        ------
        NoNumber
            If it has none that stay the same during a trial.
        """
        names = sorted(s.name for s in sp.sympify(expression).free_symbols)
        arrays = [self._array(name) for name in names]
        try:
            function = sp.lambdify([symbol(name) for name in names], expression, "numpy")
            found = np.asarray(function(*arrays), dtype=float)
        except (NameError, TypeError):
            raise NoNumber(f"'{expression}' is not plain arithmetic") from None
        if not np.all(np.isfinite(found)):
            raise NoNumber(f"'{expression}' is not finite")
        return np.broadcast_to(found, self.size).copy()

    def _array(self, name: str) -> np.ndarray:
        found = self.symbols[name]
        if found.kind not in _CONSTANT:
            raise NoNumber(_REASONS[found.kind].format(found.variable))
        if found.value is not None:
            return np.asarray(found.value)
        if found.side.startswith("link"):
            raise NoNumber(f"'{found.variable}' is a linked variable")
        array = np.asarray(self.values[found.key], dtype=float)
        if found.kind == "neuron" and self.ends is not None and array.size > 1:
            array = array[self.ends[found.side]]
        return array


def linear(expression: sp.Expr, states: Iterable[str]) -> tuple[dict[str, sp.Expr], sp.Expr]:
    """Return an expression that is linear in states as their coefficients and what is left.

    Raises
    ------
    NoNumber
        If it is not linear.

    Examples
    --------
    >>> v, I, tau = symbol("v"), symbol("I"), symbol("tau")
    >>> linear((1 - v + 2*I)/tau, ["v", "I"])
    ({'v': -1/tau, 'I': 2/tau}, 1/tau)
    """
    symbols = {name: symbol(name) for name in states}
    expanded = sp.expand(expression)
    coefficients = {name: sp.simplify(sp.diff(expanded, s)) for name, s in symbols.items()}
    for name, coefficient in coefficients.items():
        if coefficient.free_symbols & set(symbols.values()) or coefficient.has(sp.Derivative):
            raise NoNumber(f"it is not linear in '{name}'")
    return coefficients, sp.simplify(expanded.subs(dict.fromkeys(symbols.values(), 0)))
