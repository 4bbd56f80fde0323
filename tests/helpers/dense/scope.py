"""The names of one block of a `NetworkSpec`, with numbers and derivatives behind them.

A `Scope` evaluates expressions and statements for a few neurons (or synapses) at once, and gives
the derivatives with respect to the states, the trained parameters and the time.
"""

from __future__ import annotations

import numpy as np

from helpers.dense.dual import Dual, evaluate, margin, slope_of


class Jacobian:
    """Derivatives of an expression (or several): ``x (.., S, m)``, ``p (.., P, m)``, ``t``."""

    def __init__(self, slope, states):
        self.x = slope[..., :states, :]
        self.p = slope[..., states:-1, :]
        self.t = slope[..., -1, :]


class Scope:
    """Symbols of one group, pathway or readout.

    Parameters
    ----------
    symbols : mapping of str to Symbol
    states : tuple of str
        The states of the group whose neurons the block is about, rows of ``x``.
    values : mapping of Key to array
    trained : set of Key
    side : str
        The side on which those states are ('' in a group, 'post' in a pathway).
    """

    def __init__(self, symbols, states, values, trained, dt, side=""):
        self.symbols, self.states, self.values, self.dt = symbols, states, values, dt
        self.rows = {
            name: states.index(s.variable)
            for name, s in symbols.items()
            if s.kind == "state" and s.side == side and s.variable in states
        }
        self.params = [
            name for name, s in symbols.items() if s.key in trained and s.kind != "state"
        ]

    def position(self, name, where):
        """Which entry of the symbol's array belongs to each evaluated neuron or synapse."""
        symbol = self.symbols[name]
        if self.values[symbol.key].size == 1 or symbol.kind == "shared":
            return np.zeros(len(where[""]), dtype=int)
        if symbol.kind == "synapse":
            return where["synapse"]
        return where[symbol.side]

    def names(self, x, t, where):
        """Plain numbers for every symbol; ``where`` maps a side ('', 'pre', 'post') to indices."""
        env = {}
        for name, symbol in self.symbols.items():
            if name in self.rows:
                env[name] = x[self.rows[name]]
            elif symbol.kind in ("neuron", "synapse", "shared"):
                env[name] = self.values[symbol.key][self.position(name, where)]
            elif symbol.kind == "number":
                env[name] = symbol.value
            elif symbol.kind == "index":
                # an index of the synapses is stored per synapse, one of a group per neuron
                index = where.get(symbol.key[0], where[symbol.side])
                env[name] = self.values[symbol.key][index]
            elif symbol.kind in ("t", "dt"):
                env[name] = t if symbol.kind == "t" else self.dt
        return env

    def duals(self, x, t, where):
        """The same with derivatives with respect to states, trained parameters, time."""
        env = self.names(x, t, where)
        m, k = x.shape[1], len(self.states) + len(self.params) + 1
        seeds = [(name, row) for name, row in self.rows.items()]
        seeds += [(name, len(self.states) + p) for p, name in enumerate(self.params)]
        seeds += [(name, k - 1) for name, s in self.symbols.items() if s.kind == "t"]
        for name, row in seeds:
            slope = np.zeros((k, m))
            slope[row] = 1.0
            env[name] = Dual(np.broadcast_to(np.asarray(env[name], dtype=float), (m,)), slope)
        return env

    # --- expressions ---
    def value(self, expression, x, t, where):
        """An expression, as an array ``(m,)``."""
        result = evaluate(expression, self.names(x, t, where))
        return np.broadcast_to(np.asarray(result), (x.shape[1],))

    def jacobian(self, expression, x, t, where):
        """Derivatives of an expression."""
        return self._jacobian(evaluate(expression, self.duals(x, t, where)), x)

    def margin(self, condition, x, t, where):
        """The threshold function g of a condition, as an array ``(m,)``."""
        result = margin(condition, self.names(x, t, where))
        return np.broadcast_to(np.asarray(result, dtype=float), (x.shape[1],))

    def margin_jacobian(self, condition, x, t, where):
        """Derivatives of the threshold function g of a condition."""
        return self._jacobian(margin(condition, self.duals(x, t, where)), x)

    def _jacobian(self, result, x):
        k = len(self.states) + len(self.params) + 1
        return Jacobian(slope_of(result, k, x.shape[1]), len(self.states))

    # --- statements ---
    def _execute(self, statements, env, blocked):
        """Run statements; names of the same state follow each other; blocked states stay."""
        for statement in statements:
            result = evaluate(statement.expression, env)
            row = self.rows.get(statement.target)
            if row is None:
                env[statement.target] = result
            elif self.states[row] not in blocked:
                env.update({name: result for name, r in self.rows.items() if r == row})

    def _alias(self, row):
        return next((name for name, r in self.rows.items() if r == row), None)

    def run(self, statements, x, t, where, blocked=()):
        """States ``(S, m)`` after the statements."""
        env = self.names(x, t, where)
        self._execute(statements, env, blocked)
        y = x.copy()
        for row in set(self.rows.values()):
            y[row] = env[self._alias(row)]
        return y

    def run_jacobian(self, statements, x, t, where, blocked=()):
        """Derivatives of the states after the statements: ``J.x[out, in]``, ``J.p[out, param]``."""
        env = self.duals(x, t, where)
        self._execute(statements, env, blocked)
        states, k, m = len(self.states), len(self.states) + len(self.params) + 1, x.shape[1]
        slope = np.zeros((states, k, m))
        slope[np.arange(states), np.arange(states)] = 1.0
        for row in set(self.rows.values()):
            slope[row] = slope_of(env[self._alias(row)], k, m)
        return Jacobian(slope, states)

    # --- gradients ---
    def add_gradient(self, gradients, slopes, where):
        """Add ``slopes (P, m)`` of the trained parameters to ``gradients``, key by key."""
        for name, slope in zip(self.params, slopes, strict=True):
            np.add.at(gradients[self.symbols[name].key], self.position(name, where), slope)
