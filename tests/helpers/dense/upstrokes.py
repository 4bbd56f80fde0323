"""Explosive upstrokes in the dense oracle: the true flow by DOP853, sensitivities forwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

MILD, TAME, LOOKBACK, LATER = 0.03, 0.1, 128, 10
PRECISION = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-14}


@dataclass
class Stretch:
    """The steps of one spike's upstroke: from ``first``; the threshold is reached in ``hit``."""

    first: int
    hit: int
    spike_step: int
    passed: float
    states: dict  # at the beginning of each step
    crossing: np.ndarray
    jump: np.ndarray
    count: float = 0.0


class DenseUpstrokes:
    """The upstrokes of a `DenseAdjoint`."""

    def __init__(self, adjoint, driven):
        self.a, self.o, self.dt, self.driven = adjoint, adjoint.o, adjoint.dt, driven
        self.open = {}

    # ---- the flow ----
    def _parts(self, group, k, x, t):
        """f, f_x and f_p of one neuron."""
        x = np.reshape(x, (-1, 1))
        f = group.slopes(x, t, [k], [True])[:, 0]
        jx, jp = np.zeros((len(f), len(f))), np.zeros((len(f), len(group.scope.params)))
        for row, state in enumerate(group.states):
            if state in group.spec.derivatives:
                found = group.scope.jacobian(group.spec.derivatives[state], x, t, group.where([k]))
                jx[row], jp[row] = found.x[:, 0], found.p[:, 0]
        return f, jx, jp

    def _growth(self, group, k, x, t):
        jx = self._parts(group, k, x, t)[1]
        rows = [group.states.index(s) for s in self.driven[group.name]]
        return self.dt * max(jx[r, r] for r in rows)

    def _guard(self, group, x, t):
        k = self.k
        return group.scope.margin(
            group.spec.threshold, np.reshape(x, (-1, 1)), t, group.where([k])
        )[0]

    def _flow(self, group, k, x, t, span):
        """Follow f for a time or to the threshold; return the time that passed and the state."""
        self.k = k
        if self._guard(group, x, t) > 0:
            return True, 0.0, x

        def crossed(s, y):
            return self._guard(group, y, t + s)

        crossed.terminal, crossed.direction = True, 1
        found = solve_ivp(
            lambda s, y: group.slopes(y[:, None], t + s, [k], [True])[:, 0],
            (0.0, span), x, events=crossed, **PRECISION,
        )  # fmt: skip
        return found.status == 1, found.t[-1], found.y[:, -1]

    # ---- forwards, from the last tame state ----
    def begin(self, spike, n):
        """Find where the true flow crosses, and put its states in the place of the grid's."""
        group, k = self.o.groups[spike.source], spike.neuron
        if group.name not in self.driven:
            return
        grid = [h[:, k].copy() for h in group.history]
        updated = [u[:, k].copy() for u in group.updated]
        ends = self._growth(group, k, grid[n], n * self.dt)
        if ends <= MILD and self._growth(group, k, updated[n], (n + 1) * self.dt) <= MILD:
            return
        height = group.scope.margin(
            group.spec.threshold, grid[n][:, None], (n - 1) * self.dt, group.where([k])
        )[0]
        if height > 0:
            group.updated[n][:, k] = grid[n]
            return
        first = self._first(group, k, n, grid)
        self._follow(group, spike, n, first, grid, updated)

    def _first(self, group, k, n, grid):
        earlier = [
            m for m in range(n) for s in self.o.spikes_at[m]
            if s.source == group.name and s.neuron == k
        ]  # fmt: skip
        lowest = max(n - LOOKBACK, 0)
        if earlier:
            after = 1
            if group.refractory_steps is not None:
                after = group.refractory_steps[k] + bool(group.spec.frozen)
            lowest = max(lowest, earlier[-1] + after)
        m = n
        while m > lowest and self._growth(group, k, grid[m], m * self.dt) > TAME:
            m -= 1
        return m

    def _follow(self, group, spike, n, first, grid, updated):
        k, x, states, i = spike.neuron, grid[first], {}, first
        while True:
            states[i] = x
            span = self.dt if i < n else (n - first + LATER) * self.dt
            crossed, passed, x = self._flow(group, k, x, i * self.dt, span)
            self._deliver(group, k, i, x)
            if crossed or i == n:
                break
            x = x + grid[i + 1] - updated[i]
            i += 1
            group.history[i][:, k] = x
        assert crossed, "the oracle knows no spikes that the true flow does not have"
        for later in range(i + 1, n + 1):
            group.history[later][:, k] = x
            self._deliver(group, k, later, x)
        spike.before[:, 0] += x - updated[n]
        rows = [group.states.index(s) for s in self.driven[group.name]]
        spike.before[rows, 0] = x[rows]
        group.updated[n][:, k] = x
        jump = np.zeros(len(x))
        self.open[group.name, k] = Stretch(first, i, n, passed, states, x, jump)

    def _deliver(self, group, k, step, x):
        """Let the arrivals of a step meet the states of the true flow."""
        x = x[:, None].copy()
        for arrival in self.o.arrivals_at[step]:
            pathway = arrival.pathway
            if pathway.target == group.name and arrival.target == k:
                arrival.before = x
                x = self.o.path_scopes[pathway.name].run(
                    pathway.statements, x, step * self.dt,
                    self.o.place_of(pathway, arrival.synapse), group.blocked(k, step),
                )  # fmt: skip
                arrival.after = x

    def tamed(self, group, x):
        """The states with those of neurons within a stretch replaced by finite ones."""
        x = x.copy()
        for (name, k), stretch in self.open.items():
            if name == group.name:
                x[:, k] = stretch.states[stretch.first]
        return x

    # ---- backwards ----
    def inside(self, group):
        """Which neurons are within a stretch."""
        return np.array([(group.name, k) in self.open for k in range(group.size)])

    def is_late(self, group, n):
        """Which neurons have their true spike before step n, and that of the grid after it."""
        stretches = [self.open.get((group.name, k)) for k in range(group.size)]
        return np.array([s is not None and n > s.hit for s in stretches])

    def cross(self, spike, n, d):
        """The jump of lambda at the crossing, to be added where the flow goes back to it."""
        group, k = self.o.groups[spike.source], spike.neuron
        stretch, where = self.open[group.name, k], group.where([k])
        x, t = stretch.crossing[:, None], stretch.hit * self.dt + stretch.passed
        jacobian = group.scope.margin_jacobian(group.spec.threshold, x, t, where)
        slope = float(np.sum(jacobian.x * group.slopes(x, t, [k], [True])) + jacobian.t[0])
        stretch.jump -= jacobian.x[:, 0] * d / slope
        group.scope.add_gradient(self.a.gradients, -jacobian.p * d / slope, where)

    def undo(self, group, n, lam):
        """Take lambda of the neurons within a stretch back over step n."""
        for (name, k), stretch in list(self.open.items()):
            if name != group.name:
                continue
            if n <= stretch.hit:
                self._back(group, k, n, stretch, lam[:, k])
            else:
                self.a.lam[name][:, k] = lam[:, k]
            if n == stretch.first:
                self._tame(group, k, n, stretch)
                del self.open[name, k]

    def _back(self, group, k, n, stretch, lam):
        size, count = len(group.states), len(group.scope.params)
        span = self.dt
        if n == stretch.hit:
            span, lam = stretch.passed, lam + stretch.jump
        weights = [
            (gbar[k - r.start], r, scope)
            for gbar, r, scope in self.a.readouts
            if r.kind == "integral" and r.group == group.name and r.start <= k < r.stop
        ]

        def rhs(passed, y):
            t = n * self.dt + passed
            y = y.reshape(-1, 1 + size + count)
            x = y[:-1, 0]
            f, jx, jp = self._parts(group, k, x, t)
            out = np.zeros_like(y)
            out[:-1, 0] = f
            out[:-1, 1:] = jx @ y[:-1, 1:]
            out[:-1, 1 + size :] += jp
            for weight, readout, scope in weights:
                found = scope.jacobian(readout.expression, x[:, None], t, group.where([k]))
                out[-1, 1:] += weight * (found.x[:, 0] @ y[:-1, 1:])
                out[-1, 1 + size :] += weight * self._own(group, scope, found)
            return out.ravel()

        y = np.zeros((size + 1, 1 + size + count))
        y[:-1, 0], y[:-1, 1 : 1 + size] = stretch.states[n], np.eye(size)
        if span > 0:
            found = solve_ivp(rhs, (0.0, span), y.ravel(), **PRECISION)
            y = found.y[:, -1].reshape(y.shape)
        moved = np.append(lam, 1.0) @ y[:, 1:]
        self.a.lam[group.name][:, k] = moved[:size]
        group.scope.add_gradient(self.a.gradients, moved[size:, None], group.where([k]))

    @staticmethod
    def _own(group, scope, found):
        """The derivatives in the group's parameters."""
        values = dict(zip((scope.symbols[n].key for n in scope.params), found.p[:, 0], strict=True))
        return np.array([values.get(group.scope.symbols[n].key, 0.0) for n in group.scope.params])

    def _tame(self, group, k, n, stretch):
        """Where the steps of the grid take over: Euler's follow f - dt/2 f_x f."""
        lam = self.a.lam[group.name]
        x = stretch.states[n]
        if group.spec.method == "euler":
            jx = self._parts(group, k, x, n * self.dt)[1]
            lam[:, k] = lam[:, k] + self.dt / 2 * jx.T @ lam[:, k]
        if stretch.count:
            where = group.where([k])
            jacobian = group.scope.margin_jacobian(
                group.spec.threshold, x[:, None], n * self.dt, where
            )
            lam[:, k] += jacobian.x[:, 0] * stretch.count
            group.scope.add_gradient(self.a.gradients, jacobian.p * stretch.count, where)
