"""Backward pass of the dense oracle: one neuron and one arrival at a time.

Within a step, backwards: [A] resets, [B] arrivals, [C] spikes, [D] state update and readouts.
"""

from __future__ import annotations

import numpy as np

from brian_eventprop.adjoint import derive
from brian_eventprop.adjoint.pathways import is_additive
from helpers.dense.maxima import ArrivalMaxima
from helpers.dense.oracle import DenseOracle, DenseResult, single_values
from helpers.dense.upstrokes import DenseUpstrokes

GRAZING = 0.1  # slopes below this fraction of the secant count as grazing


class DenseAdjoint:
    """Gradient of a loss whose derivatives with respect to the readouts are given."""

    def __init__(self, oracle: DenseOracle, readout_gradients):
        self.o, self.spec, self.dt = oracle, oracle.spec, oracle.dt
        slopes = [np.asarray(g, dtype=float) for g in readout_gradients]
        self.readouts = []
        for gbar, readout, scope in zip(
            slopes, self.spec.readouts, oracle.readout_scopes, strict=True
        ):
            if isinstance(readout.at, tuple):
                each = zip(np.moveaxis(gbar, -1, 0), single_values(readout), strict=True)
                self.readouts += [(weight, single, scope) for weight, single in each]
            else:
                self.readouts.append((gbar, readout, scope))
        self.maxima = {}
        self.lam = {name: np.zeros_like(g.x) for name, g in oracle.groups.items()}
        self.d_release = {name: np.zeros(g.size) for name, g in oracle.groups.items()}
        self.d_caused = {name: {} for name in oracle.groups}
        self.gradients = {key: np.zeros_like(oracle.values[key]) for key in oracle.keys}
        self.inputs = {name: np.zeros(n) for name, n in oracle.input_sizes.items()}
        self.constant, driven = _derived(oracle)
        self.upstrokes = DenseUpstrokes(self, driven)
        self.arrival_maxima = ArrivalMaxima(self, self.constant)
        self.grazing = self.immediate = self.dropped = 0
        self.spiked = set()

    def run(self):
        """Go back through the trial; the gradients are then in ``self.gradients``."""
        o = self.o
        for gbar, readout, scope in self.readouts:
            if readout.kind == "final":
                x = o.groups[readout.group].x
                self._add_readout(gbar, readout, scope, x, o.steps)
        firsts = self._first_spikes()
        for n in reversed(range(o.steps)):
            spikes = o.spikes_at[n]
            self.behind, self.raised = {}, {}
            self.spiked = {(s.source, s.neuron) for s in spikes}
            for spike in spikes:
                self.upstrokes.begin(spike, n)
            partial = [self._undo_reset(spike, n) for spike in reversed(spikes)][::-1]
            for arrival in reversed(o.arrivals_at[n]):
                self._undo_arrival(arrival, n)
            taken, self.d_caused = self.d_caused, {name: {} for name in o.groups}
            for spike, d in zip(spikes, partial, strict=True):
                d += taken[spike.source].pop(spike.neuron, 0.0)
                self._undo_spike(spike, n, d + self._readout_time_slope(spike, firsts))
            self.dropped += sum(len(v) for v in taken.values())
            for group in o.groups.values():
                self._undo_update(group, n)
        for name, group in o.groups.items():
            for row, state in enumerate(group.states):
                if (name, state) in self.gradients:
                    self.gradients[name, state] += self.lam[name][row]
        return self

    # ------------------------------------------------------------------ Hamiltonian
    def ham(self, group, k, lam, x, t, free):
        """lam . f(x) + sum of gbar * l(x) for one neuron; ``lam, x (S, 1)``."""
        total = float(np.sum(lam * group.slopes(x, t, [k], [free])))
        for gbar, readout, scope in self.readouts:
            inside = readout.group == group.name and readout.start <= k < readout.stop
            if readout.kind == "integral" and inside:
                density = scope.value(readout.expression, x, t, {"": np.array([k])})
                total += float(gbar[k - readout.start] * density[0])
        return total

    # ------------------------------------------------------------------ [A]
    def _undo_reset(self, spike, n):
        group, k, t = self.o.groups[spike.source], spike.neuron, n * self.dt
        where = group.where([k])
        after = self.lam[group.name][:, [k]].copy()
        jacobian = group.scope.run_jacobian(group.spec.reset, spike.before, t, where)
        self.lam[group.name][:, [k]] = np.einsum("oim,om->im", jacobian.x, after)
        kept = jacobian.x[:, :, 0] == np.eye(len(after))
        self.behind[group.name, k] = after, kept.all(axis=0) & kept.all(axis=1)
        self.raised[group.name, k] = group.scope.run(group.spec.reset, spike.before, t, where)
        self.raised[group.name, k] = self.raised[group.name, k] - spike.before
        group.scope.add_gradient(self.gradients, np.einsum("opm,om->pm", jacobian.p, after), where)
        return self._d_reset(group, k, after, group.updated[n][:, [k]], t)

    def _d_reset(self, group, k, after, y, t):
        """What a later reset costs, at the state of the crossing: before the step's arrivals."""
        where, reset = group.where([k]), group.spec.reset
        jacobian = group.scope.run_jacobian(reset, y, t, where)
        before = np.einsum("oim,om->im", jacobian.x, after)
        free_next = group.refractory_steps is None or group.refractory_steps[k] <= 1
        return (
            float(np.sum(after * jacobian.t))
            + self.ham(group, k, before, y, t, True)
            - self.ham(group, k, after, group.scope.run(reset, y, t, where), t, free_next)
            + self._made_maxima(group, k, group.scope.run(reset, y, t, where), t, free_next)
        )

    def _made_maxima(self, group, k, x, t, free):
        """What maxima that a reset makes gain by its coming later: they only fall from there."""
        n = round(t / self.dt)
        slopes = self._weighted_slopes(group, k, n + 1, x, t, free, self.arrival_maxima.jump_up)
        return sum(weight * slope for weight, slope in slopes if slope < 0)

    # ------------------------------------------------------------------ [B]
    def _undo_arrival(self, arrival, n):
        pathway, k, t = arrival.pathway, arrival.target, n * self.dt
        group, scope = self.o.groups[pathway.target], self.o.path_scopes[pathway.name]
        where, free = self.o.place_of(pathway, arrival.synapse), group.free_after[n][k]
        after = self.lam[group.name][:, [k]].copy()
        jacobian = scope.run_jacobian(
            pathway.statements, arrival.before, t, where, group.blocked(k, n)
        )
        before = np.einsum("oim,om->im", jacobian.x, after)
        self.lam[group.name][:, [k]] = before
        costs, states = [before, after], [arrival.before, arrival.after]
        behind, kept = self.behind.get((group.name, k), (None, None))
        changed = (arrival.before != arrival.after)[:, 0]
        if behind is not None and group.name in self.constant and np.all(kept[changed]):
            costs = [behind, behind]  # the reset of this step and the arrival commute
            at, reset = group.where([k]), group.spec.reset
            states = [group.scope.run(reset, x, t, at) for x in states]
        d_time = self.ham(group, k, costs[0], states[0], t, free) - self.ham(
            group, k, costs[1], states[1], t, free
        )
        d_time += float(np.sum(after * jacobian.t)) + self.arrival_maxima.of(arrival, n, free)
        if k in self.d_caused[group.name] and self._responsible(arrival, group, t):
            d_time += self.d_caused[group.name].pop(k)
        scope.add_gradient(self.gradients, np.einsum("opm,om->pm", jacobian.p, after), where)
        if pathway.delay in self.gradients:
            full = self.gradients[pathway.delay]
            full[arrival.synapse if full.size > 1 else 0] += d_time
        arrival.spike.d_arrivals += d_time
        if arrival.spike.index >= 0:
            self.inputs[arrival.spike.source][arrival.spike.index] += d_time

    def _responsible(self, arrival, group, t):
        def height(x):
            where = group.where([arrival.target])
            if (group.name, arrival.target) in self.spiked:
                x = group.scope.run(group.spec.reset, x, t, where)
            return group.scope.margin(group.spec.threshold, x, t, where)[0]

        return height(arrival.after) > 0 >= height(arrival.before)

    # ------------------------------------------------------------------ [C]
    def _undo_spike(self, spike, n, d):
        group, k, t = self.o.groups[spike.source], spike.neuron, n * self.dt
        where, threshold = group.where([k]), group.spec.threshold
        d += spike.d_arrivals + self.d_release[group.name][k]
        self.d_release[group.name][k] = 0.0
        stretch = self.upstrokes.open.get((group.name, k))
        if stretch is None:
            self._undo_crossing(spike, n, d)
        else:
            self.upstrokes.cross(spike, n, d)
        surrogate = sum(
            gbar[k - r.start] / r.scale
            for gbar, r, _ in self.readouts
            if r.scale is not None and r.group == group.name and r.start <= k < r.stop
        )
        if stretch is not None:
            stretch.count = surrogate
            return
        jacobian = group.scope.margin_jacobian(threshold, group.updated[n][:, [k]], t, where)
        self.lam[group.name][:, [k]] += jacobian.x * surrogate
        group.scope.add_gradient(self.gradients, jacobian.p * surrogate, where)

    def _undo_crossing(self, spike, n, d):
        group, k, t = self.o.groups[spike.source], spike.neuron, n * self.dt
        where, threshold = group.where([k]), group.spec.threshold
        start, y = group.history[n][:, [k]], group.updated[n][:, [k]]
        height = group.scope.margin(threshold, start, t - self.dt, where)[0]  # the test before
        d += self._d_maxima(group, k, n, height > 0)
        if height > 0:
            self.immediate += 1
            self._hand_on(group, k, n, d)
            return
        jacobian = group.scope.margin_jacobian(threshold, y, t, where)
        slope = float(np.sum(jacobian.x * group.slopes(y, t, [k], [True])) + jacobian.t[0])
        secant = (group.scope.margin(threshold, y, t, where)[0] - height) / self.dt
        self.grazing += slope < GRAZING * secant
        slope = max(slope, secant)
        self.lam[group.name][:, [k]] -= jacobian.x * d / slope
        group.scope.add_gradient(self.gradients, -jacobian.p * d / slope, where)

    def _d_maxima(self, group, k, n, at_once):
        """What maxima that this spike ends gain by its coming later."""
        slopes = self._weighted_slopes(group, k, n, group.updated[n][:, [k]], n * self.dt, True)
        return sum(weight * (slope if at_once else max(slope, 0.0)) for weight, slope in slopes)

    def _weighted_slopes(self, group, k, n, x, t, free, but=None):
        """The derivative of the loss in each maximum at step n, and the maximum's slope in time."""
        for gbar, r, scope in self.readouts:
            if r.kind != "maximum" or r.group != group.name or not r.start <= k < r.stop:
                continue
            if self.maximum_steps(r, scope)[k - r.start] == n:
                if but is not None and but(group, k, r, scope, n - 1, free):
                    continue
                jacobian = scope.jacobian(r.expression, x, t, {"": np.array([k])})
                slope = group.slopes(x, t, [k], [free])
                yield gbar[k - r.start], float(np.sum(jacobian.x * slope) + jacobian.t[0])

    def _hand_on(self, group, k, n, d):
        """A spike without a crossing: what moves it is a release or an arrival of step n - 1."""
        if n == 0:
            return
        if not group.free_after[n - 1][k]:
            self.d_release[group.name][k] += d
            self._add_refractory(group, k, d)
        else:
            self.d_caused[group.name][k] = d

    def _add_refractory(self, group, k, d):
        where = group.where([k])
        jacobian = group.scope.jacobian(group.spec.refractory, group.x[:, [k]], 0.0, where)
        group.scope.add_gradient(self.gradients, jacobian.p * d, where)

    # ------------------------------------------------------------------ [D]
    def _undo_update(self, group, n):
        t, inside = n * self.dt, self.upstrokes.inside(group)
        x = self.upstrokes.tamed(group, group.history[n])
        kept = self.lam[group.name]
        lam = np.where(inside, 0.0, kept)
        free, scope = group.free[n], group.scope
        jacobian = scope.run_jacobian(group.spec.update, x, t, group.everyone)
        jx, jp = jacobian.x, jacobian.p
        if group.refractory_steps is not None and not free.all():
            other = scope.run_jacobian(group.spec.update_refractory, x, t, group.everyone)
            jx, jp = np.where(free, jx, other.x), np.where(free, jp, other.p)
        scope.add_gradient(self.gradients, np.einsum("opm,om->pm", jp, lam), group.everyone)
        self.lam[group.name] = np.einsum("oim,om->im", jx, lam)
        for gbar, readout, readout_scope in self.readouts:
            if readout.group != group.name:
                continue
            outside = ~inside[readout.start : readout.stop]
            if readout.kind == "integral":
                self._add_readout(gbar * self.dt * outside, readout, readout_scope, x, n)
            elif readout.kind == "maximum":
                here = self.maximum_steps(readout, readout_scope) == n
                self._add_readout(gbar * here * outside, readout, readout_scope, x, n)
        self.upstrokes.undo(group, n, kept)
        for gbar, readout, readout_scope in self.readouts:
            here = readout.kind == "value" and n == round(readout.at / self.dt)
            if here and readout.group == group.name:
                late = self.upstrokes.is_late(group, n)[readout.start : readout.stop]
                self.grazing += int(np.sum(late & (gbar != 0)))
                self._add_readout(gbar * ~late, readout, readout_scope, group.history[n], n)
        if n > 0:
            self._undo_release(group, n)

    def _undo_release(self, group, n):
        t, everyone = n * self.dt, np.arange(group.size)
        x, lam = group.history[n], self.lam[group.name]
        for k in np.flatnonzero(group.free[n] & ~group.free[n - 1]):
            frozen = group.slopes(x[:, [k]], t, [k], [False])
            free = group.slopes(x[:, [k]], t, [k], [True])
            d_time = float(np.sum(lam[:, [k]] * (frozen - free)))
            slopes = self._weighted_slopes(group, k, n, x[:, [k]], t, True)
            d_time += sum(weight * slope for weight, slope in slopes if slope < 0)
            self.d_release[group.name][k] += d_time
            self._add_refractory(group, everyone[k], d_time)

    # ------------------------------------------------------------------ readouts
    def _add_readout(self, weight, readout, scope, x, n):
        neurons = np.arange(readout.start, readout.stop)
        where = {"": neurons}
        jacobian = scope.jacobian(readout.expression, x[:, neurons], n * self.dt, where)
        self.lam[readout.group][:, neurons] += weight * jacobian.x
        scope.add_gradient(self.gradients, weight * jacobian.p, where)

    def maximum_steps(self, readout, scope):
        """The first step at which each neuron's expression is largest."""
        if id(readout) not in self.maxima:
            history = self.o.groups[readout.group].history
            series = [self.o.measure(readout, scope, x, m) for m, x in enumerate(history)]
            self.maxima[id(readout)] = np.argmax(series, axis=0)
        return self.maxima[id(readout)]

    def _first_spikes(self):
        firsts = {}
        for step in self.o.spikes_at:
            for spike in step:
                firsts.setdefault((spike.source, spike.neuron), spike)
        return firsts

    def _readout_time_slope(self, spike, firsts):
        """Derivative of the spike-time readouts with respect to this spike's time."""
        total = 0.0
        for gbar, readout, scope in self.readouts:
            k = spike.neuron - readout.start
            if readout.kind != "spike_times" or readout.group != spike.source:
                continue
            if not 0 <= k < readout.stop - readout.start:
                continue
            if readout.which == "first" and firsts[spike.source, spike.neuron] is not spike:
                continue
            jacobian = self.o.at_spike(readout, scope, spike)
            total += gbar[k] * float(jacobian.t[0])
            scope.add_gradient(self.gradients, gbar[k] * jacobian.p, {"": np.array([spike.neuron])})
        return total


def _derived(oracle):
    """What the derivation decides: where arrivals are summed, and which upstrokes may be explosive.

    The first are the groups at which all arrivals add constants, whatever the states are: to which
    states.  The second the variables of thresholds that drive themselves.
    """
    system = derive(oracle.spec, oracle.keys)
    pathways = system.pathways
    arriving = {g: [p for p in pathways if p.pathway.target == g] for g in oracle.groups}
    constant = {g: {p.increment.state for p in ps} for g, ps in arriving.items() if is_additive(ps)}
    return constant, {g.group.name: g.upstroke.driven for g in system.groups if g.upstroke}


def dense_gradient(spec, values, keys, duration, spikes=None, loss=None, targets=None):
    """Run a trial forward and backward.

    ``loss(readouts, targets)`` returns the losses of a batch and their derivatives with respect to
    the readouts, as the package's losses do; without it the loss is the sum of all readouts.

    Returns
    -------
    DenseResult
    """
    oracle = DenseOracle(spec, values, keys, duration, spikes)
    readouts = oracle.forward()
    if loss is None:
        total, slopes = sum(float(r.sum()) for r in readouts), [np.ones_like(r) for r in readouts]
    else:
        losses, slopes = loss(tuple(r[np.newaxis] for r in readouts), targets)
        total, slopes = float(losses[0]), [s[0] for s in slopes]
    adjoint = DenseAdjoint(oracle, slopes).run()
    return DenseResult(
        spikes=oracle.spike_trains(),
        readouts=readouts,
        loss=total,
        gradients=adjoint.gradients,
        inputs=adjoint.inputs,
        grazing=adjoint.grazing,
        immediate=adjoint.immediate,
        dropped=adjoint.dropped,
    )
