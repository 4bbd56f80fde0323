"""Yin-Yang by jaxsnn: event-driven leaky integrate-and-fire neurons, EventProp for the weights.

jaxsnn has closed-form spike times only where the membrane is as slow as the synapse or twice as
slow: its membrane time constant is 10 ms here instead of 20 ms, and its weights are scaled so that
hidden neurons spike as often.  It has no trained delays.

Needs jaxsnn (and JAX).
"""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import measuring
import numpy as np
import optax
from jaxsnn.event.loss import first_spike
from jaxsnn.event.modules import LIF, Linear, Source
from jaxsnn.event.modules.lif.lif import LIFParameters
from jaxsnn.event.topology import Topology
from jaxsnn.event.types import Spike

SCALE = 0.70
#: Events that a layer has room for: inputs and own spikes.  Time grows with them.
ROOM = 165, 230


def network(task, w_in, w_out):
    """Return the weights and the function from (events, weights) to events."""
    neuron = LIFParameters(tau_syn=5e-3, tau_mem=10e-3, v_th=1.0, v_reset=0.0)
    n_in, n_hidden = w_in.shape
    builder = Topology(t_max=60e-3, backprop_method="eventprop")
    builder.add(
        {
            "inp": Source(n_in),
            "lif1": LIF(n_hidden, ROOM[0], neuron),
            "lif2": LIF(w_out.shape[1], ROOM[1], neuron),
            "syn1": Linear(pre_weights=SCALE * w_in),
            "syn2": Linear(pre_weights=SCALE * w_out),
        }
    )
    builder.connect([("inp", "syn1"), ("syn1", "lif1"), ("lif1", "syn2"), ("syn2", "lif2")])
    initial, apply = builder.done()
    return initial(jax.random.PRNGKey(0)), apply


def build(task):
    """Return how jaxsnn holds a batch and takes a step."""
    with np.load(task["data"]) as file:
        w_in, w_out, times = (file[name].astype("float32") for name in ("w_in", "w_out", "times"))
    weights, apply = network(task, w_in, w_out)
    optimizer = optax.adam(5e-3)
    state = {"weights": weights, "optimizer": optimizer.init(weights)}

    def loss(weights, inputs, labels):
        events = apply({"inp": inputs}, weights)
        first = jax.vmap(first_spike, in_axes=(0, None))(events["lif2"], w_out.shape[1])
        score = jax.nn.log_softmax(-jnp.minimum(first, 60e-3) / 2e-3)
        spikes = [jnp.sum(events[name].internal, axis=1) for name in ("lif1", "lif2")]
        return -jnp.mean(jnp.take_along_axis(score, labels[:, None], 1)), spikes

    @jax.jit
    def update(weights, moments, inputs, labels):
        (value, spikes), bars = jax.value_and_grad(loss, has_aux=True)(weights, inputs, labels)
        updates, moments = optimizer.update(bars, moments)
        return optax.apply_updates(weights, updates), moments, value, spikes

    def prepare(events):
        order = np.argsort(times, axis=1, kind="stable")
        zeros = np.zeros_like(times)
        inputs = Spike(
            time=jnp.asarray(np.take_along_axis(times, order, 1)),
            idx=jnp.asarray(order),
            current=jnp.asarray(zeros),
            layer_idx=jnp.asarray(zeros.astype(int)),
            internal=jnp.asarray(zeros == 0),
        )
        return inputs, jnp.asarray(events.labels)

    facts = {"versions": {name: version(name) for name in ("jaxsnn", "jax")}, "warm_up": "batch"}

    def step(batch):
        weights, moments, value, spikes = update(state["weights"], state["optimizer"], *batch)
        state.update(weights=weights, optimizer=moments)
        value.block_until_ready()
        if "spikes per trial" not in facts:
            facts["spikes per trial"] = [float(s.mean()) for s in spikes]
            if int(spikes[0].max()) + w_in.shape[0] >= ROOM[0]:
                raise RuntimeError("hidden spikes were cut: ROOM is too small")
            facts["loss"] = float(value)
        return float(value)

    return prepare, step, facts


if __name__ == "__main__":
    measuring.main(build)
