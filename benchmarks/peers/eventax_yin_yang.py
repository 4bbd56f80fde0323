"""Yin-Yang by Eventax: neurons as JAX code, spikes found by Diffrax, weights trained.

Of its two ways to the gradient the faster one is run, its EventProp adjoint (which agrees with
differences where there are no delays).  Integration by Euler steps of 0.1 ms, its default solver.

Needs eventax (and JAX).
"""

from importlib.metadata import version

import equinox as eqx
import jax
import jax.numpy as jnp
import measuring
import numpy as np
import optax
from eventax.adjoint import EventPropAdjoint
from eventax.evnn import FFEvNN
from eventax.neuron_models import LIF

T_END = 60.0


def build(task):
    """Return how Eventax holds a batch and takes a step."""
    with np.load(task["data"]) as file:
        w_in, w_out, times = (file[name].astype("float32") for name in ("w_in", "w_out", "times"))
    n_in, n_hidden = w_in.shape
    n_neurons = n_hidden + w_out.shape[1]
    weights = np.zeros((n_neurons + n_in, n_neurons), "float32")
    weights[:n_hidden, n_hidden:] = w_out
    weights[n_neurons:, :n_hidden] = w_in
    network = FFEvNN(
        layers=[n_hidden, w_out.shape[1]], in_size=n_in, neuron_model=LIF, max_solver_time=T_END,
        key=jax.random.PRNGKey(0), solver_stepsize=0.1, max_event_steps=300,
        output_no_spike_value=T_END, adjoint=EventPropAdjoint(),
        thresh=1.0, tsyn=5.0, tmem=20.0, init_weights=jnp.asarray(weights), init_bias=0.0,
    )  # fmt: skip
    optimizer = optax.adam(5e-3)
    state = {"network": network}
    state["optimizer"] = optimizer.init(eqx.filter(network, eqx.is_inexact_array))

    def loss(network, inputs, labels):
        first = jax.vmap(network.ttfs)(inputs)
        score = jax.nn.log_softmax(-jnp.minimum(first, T_END) / 2.0)
        return -jnp.mean(jnp.take_along_axis(score, labels[:, None], 1))

    @eqx.filter_jit
    def update(network, moments, inputs, labels):
        value, bars = eqx.filter_value_and_grad(loss)(network, inputs, labels)
        updates, moments = optimizer.update(bars, moments)
        return eqx.apply_updates(network, updates), moments, value

    def prepare(events):
        return jnp.asarray(1e3 * times[:, :, None]), jnp.asarray(events.labels)

    def step(batch):
        network, moments, value = update(state["network"], state["optimizer"], *batch)
        state.update(network=network, optimizer=moments)
        facts.setdefault("loss", float(value))
        return float(value)

    facts = {"versions": {name: version(name) for name in ("eventax", "jax")}, "warm_up": "batch"}
    return prepare, step, facts


if __name__ == "__main__":
    measuring.main(build)
