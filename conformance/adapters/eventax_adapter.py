"""The networks in Eventax, as far as it can express them.

    python -m conformance.adapters.eventax_adapter [NAME ...]

Eventax takes neurons as JAX code, so a file's equations become one neuron model for all groups;
synapses are a matrix of weights and one of delays.  Settings are its most exact ones: double
precision, Dopri8 with tight tolerances and short steps, the root of the threshold to 1e-13, and
derivatives through every step (`RecursiveCheckpointAdjoint`), or those of its own EventProp adjoint
(--eventprop).  Nearly all the time is JAX's compilation; with XLA_FLAGS
--xla_backend_optimization_level=0 there is a bit less of it.

Needs eventax.
"""

from __future__ import annotations

import argparse
import re

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from eventax.adjoint import EventPropAdjoint
from eventax.evnn import EvNN
from eventax.neuron_models import NeuronModel

from conformance.adapters.reporting import report
from conformance.reader import at

jax.config.update("jax_enable_x64", True)
FUNCTIONS = {n: getattr(jnp, n) for n in ("exp", "log", "sin", "cos", "tanh", "sqrt", "cosh")}
FUNCTIONS |= {"exprel": lambda x: jnp.expm1(x) / x, "max": jnp.maximum, "min": jnp.minimum}
EQUATION = re.compile(r"\s*d(\w+)/dt\s*=\s*(.*?)\s*:")
SUBEXPRESSION = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*:")
STATEMENT = re.compile(r"\s*(\w+)\s*([-+*/]?)=\s*(.*)$")
#: The longest step: where a spike lies is found on the solver's interpolation within a step, and
#: digits of spike times and gradients grow as it shrinks (at 1 ms, two fewer than at 0.25 ms).
LONGEST_STEP = 2e-4
#: Between two events the package takes no more steps than a trial has of these.
FIRST_STEP = 2e-5
#: How far from the threshold a spike may be found.  Where a potential explodes it moves farther
#: than the first of these in one unit in the last place of the time, and the next one is tried.
ROOTS = (1e-13, 1e-8, 1e-5)


class Unsupported(Exception):
    """What the package, or this adapter, cannot express."""


def evaluate(expression: str, names: dict):
    return eval(expression, {"__builtins__": {}}, FUNCTIONS | names)


def with_subexpressions(names: dict, sub: dict) -> dict:
    """Return names and the values of subexpressions, which may read each other in any order."""
    names, waiting = dict(names), dict(sub)
    while waiting:
        ready = [
            name for name, expression in waiting.items() if not waiting.keys() & words(expression)
        ]
        names |= {name: evaluate(waiting.pop(name), names) for name in ready}
    return names


def words(expression: str) -> set:
    return set(re.findall(r"[A-Za-z_]\w*", expression))


class Layout:
    """Where groups, states and pathways lie in Eventax's arrays; plain data without numbers.

    ``fixed_thresholds``: Eventax's EventProp takes no derivative by what is in a threshold.
    """

    def __init__(self, network: dict, fixed_thresholds: bool = False):
        self.network, self.groups, first = network, {}, 0
        self.fixed_thresholds = fixed_thresholds
        for name, data in network["groups"].items():
            if data["refractory"]:
                raise Unsupported("refractory periods (the adapter does not map its wrapper)")
            self.groups[name] = self._group(name, data, first)
            first += data["size"]
        self.n = first
        self.columns = max(len(g["states"]) for g in self.groups.values())
        self.sources, self.in_size = {}, 0
        for name, data in network["synapses"].items():
            self._pathway(name, data)

    def _group(self, name, data, first):
        states, sub = {}, {}
        for line in data["equations"]:
            if found := EQUATION.match(line):
                states[found[1]] = found[2]
            elif found := SUBEXPRESSION.match(line):
                sub[found[1]] = found[2]
            else:
                raise Unsupported("(summed) variables")
        for k, readout in enumerate(self.network["readouts"]):
            if readout["kind"] == "integral" and readout["of"] == f"groups/{name}":
                states[f"integral__{k}"] = readout["expression"]
        if self.fixed_thresholds and self._trains_threshold(name, data, sub):
            raise Unsupported("trained thresholds (its EventProp takes no derivative by them)")
        rows = slice(first, first + data["size"])
        return {"states": states, "sub": sub, "rows": rows, "data": data}

    def _trains_threshold(self, name, data, sub) -> bool:
        read = words(data["threshold"] or "")
        while read & sub.keys():
            for other in read & sub.keys():
                read = read - {other} | words(sub[other])
        return any(f"groups/{name}/parameters/{p}" in self.network["trained"] for p in read)

    def _pathway(self, name, data):
        target = re.fullmatch(r"(\w+)_post \+= w", "".join(data["on_pre"]))
        if not target or data["equations"] or data["on_post"]:
            raise Unsupported("synapses that do more than add a weight")
        pairs = list(zip(data["source_index"], data["target_index"], strict=True))
        if len(set(pairs)) < len(pairs):
            raise Unsupported("several synapses between two neurons")
        column = list(self.groups[data["target"]]["states"]).index(target[1])
        if data["source"] in self.network["inputs"]:  # every pathway has inputs of its own
            first = self.n + self.in_size
            self.in_size += self.network["inputs"][data["source"]]["size"]
        else:
            first = self.groups[data["source"]]["rows"].start
        rows = first + np.asarray(data["source_index"])
        columns = self.groups[data["target"]]["rows"].start + np.asarray(data["target_index"])
        for other in self.sources.values():
            taken = set(zip(other["rows"].tolist(), other["columns"].tolist(), strict=True))
            if taken & set(zip(rows.tolist(), columns.tolist(), strict=True)):
                raise Unsupported("several synapses between two neurons")
        self.sources[name] = {"rows": rows, "columns": columns, "state": column, "first": first}

    def spikes(self) -> int:
        """Return room for the spikes of all neurons together; Eventax stops at the last."""
        expected = self.network["expected"]["spikes"].values()
        return 10 + sum(len(s["neuron"]) for s in expected)

    def events(self, without_delays: bool) -> int:
        """Return room for all events: every loop of JAX has a length that is known beforehand."""
        spikes = self.network["expected"]["spikes"]
        spikes = [n for s in spikes.values() for n in s["neuron"]]
        sent = 1 if without_delays else 1 + self.n
        inputs = sum(len(d["neuron"]) for d in self.network["inputs"].values())
        values = sum(np.size(r.get("at", 0)) for r in self.network["readouts"])
        return 5 + (len(spikes) + inputs) * sent + values

    def of_synapses(self, numbers: dict, what: str):
        """Return the matrix (neurons and inputs, neurons) of weights or delays."""
        out = jnp.zeros((self.n + self.in_size, self.n))
        for name, s in self.sources.items():
            out = out.at[s["rows"], s["columns"]].set(numbers[f"synapses/{name}/{what}"])
        return out


class FileModel(NeuronModel):
    """All groups of a file as one Eventax neuron model."""

    numbers: dict
    weights: jax.Array
    layout: Layout = eqx.field(static=True)
    state_of: np.ndarray = eqx.field(static=True)

    def __init__(self, key, n_neurons, in_size, wmask, layout, numbers, dtype):
        super().__init__(dtype=dtype)
        self.layout, self.numbers = layout, numbers
        self.weights = layout.of_synapses(numbers, "parameters/w")
        where = np.zeros((layout.n + layout.in_size, layout.n), int)
        for s in layout.sources.values():
            where[s["rows"], s["columns"]] = s["state"]
        self.state_of = tuple(map(tuple, where.tolist()))

    def names(self, name, y, t, numbers=None):
        group, numbers = self.layout.groups[name], numbers or self.numbers
        part = y[group["rows"]]
        out = {"t": t, "T": self.layout.network["duration"]}
        out |= {p: numbers[f"groups/{name}/parameters/{p}"] for p in group["data"]["parameters"]}
        out |= {s: part[:, k] for k, s in enumerate(group["states"])}
        return with_subexpressions(out, group["sub"])

    def init_state(self, n_neurons):
        y = jnp.zeros((n_neurons, self.layout.columns))
        for name, group in self.layout.groups.items():
            for k, state in enumerate(group["states"]):
                if state in group["data"]["initial"]:
                    y = y.at[group["rows"], k].set(self.numbers[f"groups/{name}/initial/{state}"])
        return y

    def dynamics(self, t, y, args):
        out = jnp.zeros_like(y)
        for name, group in self.layout.groups.items():
            names = self.names(name, y, t)
            for k, expression in enumerate(group["states"].values()):
                out = out.at[group["rows"], k].set(evaluate(expression, names))
        return out

    def spike_condition(self, t, y, **kwargs):
        out = -jnp.ones(self.layout.n)
        numbers = all_numbers(self.layout.network) if self.layout.fixed_thresholds else None
        for name, group in self.layout.groups.items():
            if group["data"]["threshold"]:
                left, right = group["data"]["threshold"].split(">")
                names = self.names(name, y, t, numbers)
                out = out.at[group["rows"]].set(evaluate(f"({left}) - ({right})", names))
        return out

    def input_spike(self, y, from_idx, to_idx, valid_mask):
        added = self.weights[from_idx, to_idx] * valid_mask
        return y.at[to_idx, jnp.asarray(self.state_of)[from_idx, to_idx]].add(added)

    def reset_spiked(self, y, spiked_mask):
        for name, group in self.layout.groups.items():
            mask = spiked_mask[group["rows"]]
            for line in group["data"]["reset"]:
                target, operator, expression = STATEMENT.match(line).groups()
                code = f"{target} {operator} ({expression})" if operator else expression
                column = list(group["states"]).index(target)
                new = evaluate(code, self.names(name, y, 0.0))
                old = y[group["rows"], column]
                y = y.at[group["rows"], column].set(jnp.where(mask, new, old))
        return y


def input_times(layout: Layout, numbers: dict):
    """Return Eventax's array of input spike times (inputs, spikes), inf where there are fewer."""
    network = layout.network
    most = max((np.bincount(d["neuron"]).max() for d in network["inputs"].values()), default=1)
    times = jnp.full((layout.in_size, int(most)), jnp.inf)
    for name, s in layout.sources.items():
        source = network["synapses"][name]["source"]
        if source in network["inputs"]:
            neurons = np.asarray(network["inputs"][source]["neuron"])
            slot = np.array([np.sum(neurons[:k] == n) for k, n in enumerate(neurons)])
            rows = s["first"] - layout.n + neurons
            times = times.at[rows, slot].set(numbers[f"inputs/{source}/time"])
    return times


def net_of(layout: Layout, numbers: dict, adjoint, root: float):
    """Return the network; its numbers are put into it anew within JAX's transformations."""
    given = layout.network["synapses"].values()
    without = all(np.all(np.asarray(d["delay"]) == 0) for d in given)
    mask = np.zeros((layout.n + layout.in_size, layout.n))
    for s in layout.sources.values():
        mask[s["rows"], s["columns"]] = 1
    return EvNN(
        FileModel, layout.n, layout.network["duration"], layout.in_size,
        key=jax.random.PRNGKey(0), wmask=jnp.asarray(mask),
        init_delays=None if without else layout.of_synapses(numbers, "delay"),
        buffer_capacity=None if without else 400,
        max_event_steps=layout.events(without), solver_stepsize=FIRST_STEP,
        output_no_spike_value=jnp.inf, root_finder=optx.Newton(1e-13, root, optx.rms_norm),
        stepsize_controller=dfx.PIDController(rtol=1e-12, atol=1e-13, dtmax=LONGEST_STEP),
        solver=dfx.Dopri8(), adjoint=adjoint, dtype=jnp.float64, layout=layout, numbers=numbers,
    )  # fmt: skip


def with_numbers(net, layout: Layout, numbers: dict):
    net = eqx.tree_at(
        lambda n: (n.neuron_model.numbers, n.neuron_model.weights),
        net,
        (numbers, layout.of_synapses(numbers, "parameters/w")),
    )
    if net.use_delays:
        net = eqx.tree_at(lambda n: n.delays, net, layout.of_synapses(numbers, "delay"))
    return net


def losses(net, layout: Layout, numbers: dict):
    """Return the loss, and the spikes of all neurons, as functions of JAX."""
    net = with_numbers(net, layout, numbers)
    inputs = input_times(layout, numbers)
    network, total = layout.network, 0.0
    inert = jax.lax.stop_gradient(net), jax.lax.stop_gradient(inputs)
    if any(r["kind"] in ("spike_times", "first_spike") for r in network["readouts"]):
        inert = net, inputs  # else spikes are only compared, and JAX has less to compile
    spikes = inert[0].spikes_until_t(inert[1], network["duration"], layout.spikes())
    for k, readout in enumerate(network["readouts"]):
        if not readout["of"].startswith("groups"):
            raise Unsupported("readouts of synapses")
        name = readout["of"].split("/")[1]
        total += loss_of(readout["loss"], read(k, readout, name, layout, net, inputs, spikes))
    return total, spikes


def read(k, readout, name, layout, net, inputs, spikes):
    rows, kind = layout.groups[name]["rows"], readout["kind"]
    if kind in ("spike_times", "first_spike"):
        times = spikes[rows]
        safe = jnp.where(jnp.isfinite(times), times, 0.0)
        names = net.neuron_model.names(name, net.init_state(), safe.T)
        values = jnp.where(jnp.isfinite(times), evaluate(readout["expression"], names).T, 0.0)
        return values.sum(1) if kind == "spike_times" else values[:, 0]
    if kind == "maximum":
        raise Unsupported("maxima")
    when = jnp.atleast_1d(jnp.asarray(readout.get("at", layout.network["duration"] * (1 - 1e-15))))
    y = net.state_at_t(inputs, when)  # (neurons, times, states)
    out = []
    for column, t in enumerate(when):
        names = net.neuron_model.names(name, y[:, column], t)
        expression = f"integral__{k}" if kind == "integral" else readout["expression"]
        out.append(evaluate(expression, names) * jnp.ones(rows.stop - rows.start))
    values = jnp.stack(out, 1)
    return values if np.ndim(readout.get("at", 0.0)) else values[:, 0]


def loss_of(spec, y):
    if spec["kind"] == "weighted_sum":
        return jnp.sum(jnp.asarray(spec["weights"]) * y)
    if spec["kind"] == "squared_error":
        return jnp.sum((y - jnp.asarray(spec["targets"])) ** 2)
    return -jax.nn.log_softmax(spec["scale"] * y)[spec["label"]]


def all_numbers(network: dict) -> dict:
    out = {}
    for kind in ("groups", "synapses"):
        for name, data in network[kind].items():
            for part in ("parameters", "initial"):
                for key in data[part]:
                    out[f"{kind}/{name}/{part}/{key}"] = at(network, f"{kind}/{name}/{part}/{key}")
            if kind == "synapses":
                out[f"synapses/{name}/delay"] = data["delay"]
    out |= {f"inputs/{name}/time": data["time"] for name, data in network["inputs"].items()}
    return {key: jnp.asarray(value, float) for key, value in out.items()}


def run(network: dict, adjoint) -> dict:
    """Return loss, spikes and gradients of a file, as `compare` takes them."""
    layout = Layout(network, fixed_thresholds=isinstance(adjoint, EventPropAdjoint))
    for root in ROOTS:
        try:
            return run_with(layout, adjoint, root)
        except Exception as error:
            if "nonlinear solver" not in str(error) or root == ROOTS[-1]:
                raise


def run_with(layout: Layout, adjoint, root: float) -> dict:
    network, numbers = layout.network, all_numbers(layout.network)
    trained = {path: numbers[path] for path in network["trained"]}
    net = net_of(layout, numbers, adjoint, root)

    def loss(trained):
        return losses(net, layout, numbers | trained)

    (value, spikes), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(trained)
    found = {}
    for name, group in layout.groups.items():
        if group["data"]["threshold"]:
            times = np.asarray(spikes)[group["rows"]]
            neurons, slots = np.nonzero(np.isfinite(times))
            found[name] = neurons, times[neurons, slots]
    return {"loss": float(value), "spikes": found, "gradients": gradients}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--eventprop", action="store_true", help="Eventax's own EventProp adjoint")
    given = parser.parse_args()
    exact = {"solver": dfx.Dopri8(), "stepsize_controller": dfx.PIDController(1e-12, 1e-13)}
    adjoint = EventPropAdjoint(**exact) if given.eventprop else dfx.RecursiveCheckpointAdjoint()
    setting = "eventax_eventprop" if given.eventprop else "eventax"
    report("eventax", setting, given.names, lambda network: run(network, adjoint))


if __name__ == "__main__":
    main()
