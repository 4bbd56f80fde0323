"""Execute a specification step by step in plain numpy, as Brian2's clock would.

It knows nothing of Brian2's groups: all it uses is what `read_network` returned, so that it
shows whether that is complete.
"""

import numpy as np
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.parsing.rendering import NumpyNodeRenderer

FUNCTIONS = {name: function.pyfunc for name, function in DEFAULT_FUNCTIONS.items()}
FUNCTIONS |= {
    "int": lambda x: np.asarray(x).astype(int),
    "logical_not": np.logical_not,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
}


class Code:
    """Expressions, compiled once."""

    def __init__(self):
        self.known = {}

    def __call__(self, expression, env):
        if expression not in self.known:
            text = NumpyNodeRenderer(auto_vectorise=set()).render_expr(expression, {}).strip()
            self.known[expression] = compile(text, expression, "eval")
        return eval(self.known[expression], {"__builtins__": {}}, env)


def steps_of(period, dt):
    return np.asarray((np.asarray(period) + 1e-3 * dt) / dt).astype(int)


class Interpreter:
    """Run ``spec`` for some steps; afterwards ``spikes`` and ``trace`` hold what happened.

    ``trace[group][state]`` has one row per step, the state at the start of it; ``spikes[group]``
    lists (step, neuron).
    """

    def __init__(self, spec, values, inputs=None):
        self.spec, self.values, self.code = spec, values, Code()
        self.dt = spec.dt
        self.state = {
            g.name: {s: values.values[g.name, s].copy() for s in g.states} for g in spec.groups
        }
        for g in spec.groups:  # shared states do not exist
            assert all(len(x) == g.size for x in self.state[g.name].values())
        self.free_from = {g.name: np.zeros(g.size, int) for g in spec.groups}
        self.inputs = {
            i.name: (inputs or {}).get(i.name) or values.spikes[i.name] for i in spec.inputs
        }
        self.input_steps = {i.name: i.dt or spec.dt for i in spec.inputs}
        self.queue = {p.name: {} for p in spec.pathways}
        self.spikes = {g.name: [] for g in spec.groups}
        self.trace = {g.name: {s: [] for s in g.states} for g in spec.groups}

    def run(self, steps):
        for n in range(steps):
            self.step(n)
        for states in self.trace.values():
            for name, rows in states.items():
                states[name] = np.array(rows)

    def step(self, n):
        now = {}
        for group in self.spec.groups:
            for name, value in self.state[group.name].items():
                self.trace[group.name][name].append(value.copy())
            self.update(group, n)
            now[group.name] = self.fire(group, n)
        for name, (index, times) in self.inputs.items():
            dt = self.input_steps[name]
            now[name] = index[steps_of(steps_of(times, dt) * dt, self.dt) == n]
        for pathway in self.spec.pathways:
            self.deliver(pathway, now[pathway.source], n)
        for group in self.spec.groups:
            if len(now[group.name]):
                self.reset(group, now[group.name], n)

    def environment(self, symbols, n, state=None, at=None):
        """Bind every symbol; ``at`` maps a side to the index of one neuron or synapse."""
        env = dict(FUNCTIONS)
        for name, symbol in symbols.items():
            if symbol.kind == "number":
                env[name] = symbol.value
            elif symbol.kind in ("t", "dt"):
                env[name] = self.dt if symbol.kind == "dt" else n * self.dt
            elif symbol.kind == "state":
                owner = symbol.key[0]
                env[name] = self.state[owner][symbol.variable]
            else:
                env[name] = self.values.values[symbol.key]
            if symbol.kind == "shared":
                env[name] = env[name][0]
        return env

    def run_block(self, group, statements, env):
        for s in statements:
            value = self.code(s.expression, env)
            env[s.target] = (
                np.broadcast_to(value, (group.size,)) if s.target in group.states else value
            )
        return {s: np.array(env[s], dtype=float) for s in group.states}

    def update(self, group, n):
        free = self.free_from[group.name] <= n
        env = self.environment(group.symbols, n)
        result = self.run_block(group, group.update, dict(env))
        if group.refractory is not None:
            held = self.run_block(group, group.update_refractory, dict(env))
            result = {s: np.where(free, result[s], held[s]) for s in result}
        self.state[group.name] = result

    def fire(self, group, n):
        if group.threshold is None:
            return np.zeros(0, int)
        env = self.environment(group.symbols, n)
        fired = np.broadcast_to(self.code(group.threshold, env), (group.size,))
        fired = np.flatnonzero(fired & (self.free_from[group.name] <= n))
        self.spikes[group.name] += [(n, int(i)) for i in fired]
        if group.refractory is not None:
            period = np.broadcast_to(self.code(group.refractory, env), (group.size,))
            # Frozen from the threshold on: no arrival of this step is let in.
            self.free_from[group.name][fired] = n + np.maximum(steps_of(period, self.dt), 1)[fired]
        return fired

    def deliver(self, pathway, fired, n):
        values, queue = self.values, self.queue[pathway.name]
        pre = values.pre[pathway.name]
        delay = (values.values[pathway.delay] / self.dt + 0.5).astype(int)
        delay = np.broadcast_to(delay, pre.shape)
        for i in fired:
            for synapse in np.flatnonzero(pre == i):
                queue.setdefault(n + delay[synapse], []).append(synapse)
        for synapse in queue.pop(n, []):
            self.arrive(pathway, synapse, n)

    def arrive(self, pathway, synapse, n):
        group = self.spec.group(pathway.target)
        index = {
            "pre": self.values.pre[pathway.name][synapse],
            "post": self.values.post[pathway.name][synapse],
        }
        env = self.environment(pathway.symbols, n)
        for name, symbol in pathway.symbols.items():
            if symbol.kind == "synapse" or (
                symbol.kind == "index" and symbol.key[0] == pathway.synapses
            ):
                env[name] = env[name][synapse]
            elif symbol.side:
                env[name] = env[name][index[symbol.side]]
        refractory = group.refractory is not None and self.free_from[group.name][index["post"]] > n
        for s in pathway.statements:
            value = self.code(s.expression, env)
            symbol = pathway.symbols.get(s.target)
            if symbol is not None:
                if refractory and symbol.variable in group.frozen:
                    continue
                self.state[group.name][symbol.variable][index["post"]] = value
            env[s.target] = value

    def reset(self, group, fired, n):
        env = self.environment(group.symbols, n)
        result = self.run_block(group, group.reset, env)
        for name, value in result.items():
            self.state[group.name][name][fired] = value[fired]
