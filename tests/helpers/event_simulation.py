"""An event-driven simulation of a reference case, for gradients by central differences.

It integrates the whole network with DOP853 between events and finds every crossing by bisection
with the integrator's dense output.  It knows nothing of adjoints, time grids or Brian2.
``python tests/helpers/event_simulation.py CASE.json`` writes the case's ``expected`` numbers.
"""

from __future__ import annotations

import copy
import heapq
import json
import re
import sys
from pathlib import Path

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.dense.dual import evaluate, margin  # noqa: E402

TOLERANCE = 1e-12
LONGEST_STEP = 2e-4


def _statements(code):
    for line in filter(None, re.split(r"[\n;]", code or "")):
        target, operator, expression = re.match(r"\s*(\w+)\s*([-+*/]?)=\s*(.*)", line).groups()
        yield target, f"{target} {operator} ({expression})" if operator else expression


class _Group:
    def __init__(self, data, offset):
        self.size, self.refractory = data["N"], data.get("refractory") or 0.0
        equations = [line.split(":") for line in data["model"].splitlines() if line.strip()]
        self.states = [re.match(r"\s*d(\w+)/dt", eq[0]).group(1) for eq in equations]
        self.rhs = [eq[0].split("=", 1)[1].strip() for eq in equations]
        self.frozen = np.array(["unless refractory" in eq[1] for eq in equations])
        self.threshold, self.reset = data["threshold"], list(_statements(data["reset"]))
        self.params = {k: np.asarray(v, dtype=float) for k, v in data["params"].items()}
        self.rows = slice(offset, offset + len(self.states) * self.size)
        self.initial = np.array(
            [np.broadcast_to(data.get("init", {}).get(s, 0.0), self.size) for s in self.states]
        )
        self.free = np.ones(self.size, dtype=bool)

    def names(self, state, t):
        return {**self.params, **dict(zip(self.states, state, strict=True)), "t": t}

    def neuron(self, state, k, t):
        params = {p: v if v.ndim == 0 else v[k] for p, v in self.params.items()}
        return {**params, **dict(zip(self.states, state[:, k], strict=True)), "t": t}


class EventSimulation:
    """One trial of a case; ``loss`` and ``spikes`` are there after construction."""

    def __init__(self, case):
        self.case, self.T = case, case["duration"]
        self.groups, offset = {}, 0
        for name, data in case["groups"].items():
            self.groups[name] = _Group(data, offset)
            offset = self.groups[name].rows.stop
        self.integrals = case["loss"].get("integral", {})
        self.x = np.concatenate([g.initial.ravel() for g in self.groups.values()] + [[0.0]])
        self.queue, self.count = [], 0
        self.spikes = {name: ([], []) for name in self.groups}
        for name, data in case["inputs"].items():
            for i, t in zip(data["i"], data["t"], strict=True):
                self._send(name, i, t)
        self._run()
        self.loss = self._loss()

    def _state(self, group, x=None):
        x = self.x if x is None else x
        return x[group.rows].reshape(len(group.states), group.size)

    def _push(self, t, *event):
        self.count += 1
        heapq.heappush(self.queue, (t, self.count, event))

    def _send(self, source, neuron, t):
        for name, s in self.case["synapses"].items():
            if s["pre"] == source:
                for k, (i, delay) in enumerate(zip(s["i"], s["delay"], strict=True)):
                    if i == neuron:
                        self._push(t + delay, "arrival", name, k)

    def _names(self, t, x):
        """What each group's expressions may read, `(summed)` variables among it."""
        names = {n: g.names(self._state(g, x), t) for n, g in self.groups.items()}
        sums = {}
        for s in self.case["synapses"].values():
            for variable, expression in s.get("summed", {}).items():
                known = {"w": np.asarray(s["w"]), **s.get("params", {})}
                for end, index in (("pre", s["i"]), ("post", s["j"])):
                    for n, value in names.get(s[end], {}).items():
                        known[f"{n}_{end}"] = value if np.ndim(value) == 0 else value[index]
                terms = np.broadcast_to(evaluate(expression, known), len(s["j"]))
                sums[s["post"], variable] = np.bincount(s["j"], terms, self.groups[s["post"]].size)
        for (group, variable), value in sums.items():
            names[group][variable] = value
        return names

    def _rhs(self, t, x):
        dx, everything = np.zeros_like(x), self._names(t, x)
        for name, group in self.groups.items():
            names = everything[name]
            part = dx[group.rows].reshape(len(group.states), group.size)
            for row, expression in enumerate(group.rhs):
                part[row] = evaluate(expression, names)
                if group.frozen[row]:
                    part[row] *= group.free
            if name in self.integrals:
                dx[-1] += np.sum(evaluate(self.integrals[name], names))
        return dx

    def _margins(self, group, x, t):
        return margin(group.threshold, group.names(self._state(group, x), t)) * np.ones(group.size)

    def _crossing(self, solver):
        """First upward crossing within the solver's last step, ``(t, group, neuron)``."""
        dense, first = solver.dense_output(), None
        for name, group in self.groups.items():
            if group.threshold is None:
                continue
            before = self._margins(group, dense(solver.t_old), solver.t_old)
            after = self._margins(group, solver.y, solver.t)
            for k in np.flatnonzero(group.free & (before <= 0) & (after > 0)):
                t = brentq(
                    lambda s, group=group, k=k: self._margins(group, dense(s), s)[k],
                    solver.t_old,
                    solver.t,
                    xtol=1e-17,
                    rtol=1e-15,
                )
                if first is None or t < first[0]:
                    first = t, name, k
        return first, dense

    def _flow(self, t, end):
        """Integrate to ``end`` or to the first crossing, and fire there; return the time."""
        if t >= end:
            return end
        solver = DOP853(
            self._rhs, t, self.x, end, max_step=LONGEST_STEP, rtol=TOLERANCE, atol=1e-14
        )
        while solver.status == "running":
            solver.step()
            crossing, dense = self._crossing(solver)
            if crossing is not None:
                t, name, k = crossing
                self.x = dense(t)
                self._fire(name, k, t)
                return t
        self.x = solver.y
        return end

    def _fire(self, name, k, t):
        group = self.groups[name]
        self.spikes[name][0].append(int(k))
        self.spikes[name][1].append(float(t))
        self._send(name, k, t)
        state = self._state(group)
        for target, expression in group.reset:
            state[group.states.index(target), k] = evaluate(expression, group.neuron(state, k, t))
        if group.refractory:
            group.free[k] = False
            self._push(t + group.refractory, "release", name, k)

    def _fire_at_once(self, name, k, t):
        group = self.groups[name]
        if group.threshold and group.free[k]:
            if margin(group.threshold, group.neuron(self._state(group), k, t)) > 0:
                self._fire(name, k, t)

    def _arrive(self, name, synapse, t):
        s = self.case["synapses"][name]
        group, k = self.groups[s["post"]], s["j"][synapse]
        state = self._state(group)
        for target, expression in _statements(s["on_pre"]):
            row = group.states.index(target.removesuffix("_post"))
            if group.frozen[row] and not group.free[k]:
                continue
            names = group.neuron(state, k, t)
            names |= {f"{state_name}_post": names[state_name] for state_name in group.states}
            state[row, k] = evaluate(expression, {**names, "w": s["w"][synapse]})
        self._fire_at_once(s["post"], k, t)

    def _run(self):
        t = 0.0
        while t < self.T:
            end = min(self.queue[0][0], self.T) if self.queue else self.T
            t = self._flow(t, end)
            while self.queue and self.queue[0][0] <= t < self.T:
                _, _, event = heapq.heappop(self.queue)
                if event[0] == "arrival":
                    self._arrive(event[1], event[2], t)
                else:
                    self.groups[event[1]].free[event[2]] = True
                    self._fire_at_once(event[1], event[2], t)

    def _loss(self):
        loss = self.x[-1] if self.integrals else 0.0
        for name, weights in self.case["loss"].get("spike_time", {}).items():
            i, t = self.spikes[name]
            loss += np.sum(np.asarray(weights)[i] * np.asarray(t)) if i else 0.0
        names = self._names(self.T, self.x)
        for name, expression in self.case["loss"].get("final", {}).items():
            loss += np.sum(evaluate(expression, names[name]))
        return float(loss)


def _shifted(case, path, index, change):
    """The loss with one number of the case changed."""
    case = copy.deepcopy(case)
    kind, owner, name = path
    if kind == "synapses":
        case["synapses"][owner][name][index] += change
    elif name == "refractory":
        case["groups"][owner]["refractory"] += change
    else:
        case["groups"][owner]["params"][name] += change
    simulation = EventSimulation(case)
    return simulation.loss, {name: i for name, (i, _) in simulation.spikes.items()}


def _derivative(case, path, index, expected, step):
    """Central differences at two steps, combined; spikes must stay in their order."""
    estimates = []
    for h in (step, step / 2):
        values = []
        for change in (h, -h):
            loss, spikes = _shifted(case, path, index, change)
            if spikes != expected:
                raise RuntimeError(f"a step of {h} in {path}[{index}] changes the spikes")
            values.append(loss)
        estimates.append((values[0] - values[1]) / (2 * h))
    return (4 * estimates[1] - estimates[0]) / 3


def expect(case):
    """The ``expected`` numbers of a case."""
    simulation = EventSimulation(case)
    order = {name: i for name, (i, _) in simulation.spikes.items()}
    gradients = {}
    for path in case["grads"]:
        kind, owner, name = path
        scale = 1e-6 if name == "delay" or name == "refractory" else None
        if kind == "synapses":
            numbers = case["synapses"][owner][name]
            gradients["/".join(path)] = [
                _derivative(case, path, k, order, scale or 1e-4) for k in range(len(numbers))
            ]
        else:
            value = case["groups"][owner]["params"].get(name, 1.0)
            gradients["/".join(path)] = _derivative(case, path, 0, order, scale or 1e-4 * value)
    spikes = {name: {"i": i, "t": t} for name, (i, t) in simulation.spikes.items()}
    return {"loss": simulation.loss, "spikes": spikes, "grads": gradients}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        content = json.loads(Path(argument).read_text())
        content["expected"] = expect(content)
        Path(argument).write_text(json.dumps(content, indent=1) + "\n")
