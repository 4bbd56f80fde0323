"""The networks in jaxsnn, as far as it can express them.

    python -m conformance.adapters.jaxsnn_adapter [--analytical] [NAME ...]

jaxsnn finds spike times in closed form for leaky integrate-and-fire neurons whose membrane is as
slow as the synapse, or twice as slow, in double precision here.  Weights are trained, by its
EventProp or (--analytical) by differentiating the closed forms.

Needs jaxsnn.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

from jaxsnn.event.modules import LIF, Linear, Source  # noqa: E402
from jaxsnn.event.modules.lif.lif import LIFParameters  # noqa: E402
from jaxsnn.event.topology import Topology  # noqa: E402
from jaxsnn.event.types import Spike  # noqa: E402

from conformance.adapters.reporting import report  # noqa: E402

LIF_EQUATIONS = ["dv/dt = (I - v)/tau_m : 1", "dI/dt = -I/tau_s : 1"]


class Unsupported(Exception):
    """What the package cannot express."""


def neuron(data: dict) -> LIFParameters:
    """Return jaxsnn's parameters of a group, or say why there are none."""
    values = {k: v["value"] for k, v in data["parameters"].items()}
    if data["equations"] != LIF_EQUATIONS or data["reset"] != ["v = 0"] or data["refractory"]:
        raise Unsupported("neurons other than current-based LIF")
    if any(np.ndim(v) for v in values.values()) or data["initial"]:
        raise Unsupported("parameters of single neurons, initial values")
    if not np.isclose(values["tau_m"] / values["tau_s"], [1, 2]).any():
        raise Unsupported("time constants whose ratio is neither 1 nor 2")
    if data["threshold"] not in ("v > 1", "v > vth"):
        raise Unsupported("moving thresholds, or neurons without one")
    return LIFParameters(
        tau_syn=values["tau_s"], tau_mem=values["tau_m"], v_th=values.get("vth", 1.0), v_reset=0.0
    )


def build(network: dict, method: str):
    """Return the weights, the function from (inputs, weights) to events, and the spikes' room."""
    for data in network["synapses"].values():
        if data["on_pre"] != ["I_post += w"] or data["equations"] or data["on_post"]:
            raise Unsupported("synapses that do more than add to a current")
        if np.any(np.asarray(data["delay"]) != 0):
            raise Unsupported("delays")
    if any(r["kind"] not in ("spike_times", "first_spike") for r in network["readouts"]):
        raise Unsupported("readouts other than spike times")
    nodes, edges, weights = {}, [], {}
    # a recurrent spike takes room twice, when it is sent and when it is received
    room = 10 + 2 * sum(len(s["neuron"]) for s in network["expected"]["spikes"].values())
    room += sum(len(d["neuron"]) for d in network["inputs"].values())
    for name, data in network["inputs"].items():
        nodes[name] = Source(data["size"])
    for name, data in network["groups"].items():
        nodes[name] = LIF(data["size"], room, neuron(data))
    for name, data in network["synapses"].items():
        shape = [
            (network["inputs"].get(data[end]) or network["groups"][data[end]])["size"]
            for end in ("source", "target")
        ]
        w = np.zeros(shape)
        w[data["source_index"], data["target_index"]] = data["parameters"]["w"]["value"]
        nodes[name], weights[name] = Linear(pre_weights=w), w
        edges += [(data["source"], name), (name, data["target"])]
    topology = Topology(t_max=network["duration"], backprop_method=method)
    topology.add(nodes)
    topology.connect(edges)
    initial, apply = topology.done()
    return initial(jax.random.PRNGKey(0)), apply


def inputs_of(network: dict) -> dict:
    out = {}
    for name, data in network["inputs"].items():
        zeros = np.zeros((1, len(data["neuron"])))
        out[name] = Spike(
            time=jnp.asarray(data["time"])[None],
            idx=jnp.asarray(data["neuron"])[None],
            current=jnp.asarray(zeros),
            layer_idx=jnp.asarray(zeros.astype(int)),
            internal=jnp.asarray(zeros == 0),
        )
    return out


def loss_of(network: dict, events: dict):
    """Return the loss, and times and neurons of the spikes of every group."""
    total = 0.0
    for readout in network["readouts"]:
        name = readout["of"].split("/")[1]
        if readout["expression"] != "t":
            raise Unsupported("expressions of the spike time")
        spikes, size = events[name], network["groups"][name]["size"]
        own = spikes.internal[0] & (spikes.time[0] < network["duration"])
        values = []
        for k in range(size):
            mine = own & (spikes.idx[0] == k)
            times = jnp.where(mine, spikes.time[0], 0.0)
            first = jnp.where(mine, spikes.time[0], jnp.inf).min()
            values.append(times.sum() if readout["kind"] == "spike_times" else first)
        y, spec = jnp.stack(values), readout["loss"]
        if spec["kind"] == "weighted_sum":
            total += jnp.sum(jnp.asarray(spec["weights"]) * y)
        elif spec["kind"] == "squared_error":
            total += jnp.sum((y - jnp.asarray(spec["targets"])) ** 2)
        else:
            total += -jax.nn.log_softmax(spec["scale"] * y)[spec["label"]]
    return total


def run(network: dict, method: str) -> dict:
    """Return loss, spikes and gradients by the weights, as `compare` takes them."""
    weights, apply = build(network, method)
    inputs = inputs_of(network)

    def loss(weights):
        events = apply(inputs, weights)
        return loss_of(network, events), events

    (value, events), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
    spikes = {}
    for name in network["groups"]:
        e = events[name]
        own = np.asarray(e.internal[0] & (e.time[0] < network["duration"]))
        spikes[name] = np.asarray(e.idx[0])[own], np.asarray(e.time[0])[own]
    found = {}
    for name, data in network["synapses"].items():
        path = f"synapses/{name}/parameters/w"
        if path in network["trained"]:
            found[path] = np.asarray(gradients[name])[data["source_index"], data["target_index"]]
    return {"loss": float(value), "spikes": spikes, "gradients": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--analytical", action="store_true")
    given = parser.parse_args()
    method = "analytical" if given.analytical else "eventprop"
    setting = "jaxsnn_analytical" if given.analytical else "jaxsnn"
    report("jaxsnn", setting, given.names, lambda network: run(network, method))


if __name__ == "__main__":
    main()
