"""A model as a function of JAX."""

import doctest

import numpy as np
import pytest
from brian2 import ms
from bridges.networks import TIMES, made, stimulated

import brian_eventprop as bep

jax = pytest.importorskip("jax")
bridge = pytest.importorskip("brian_eventprop.jax")
jnp = jax.numpy


@pytest.fixture(autouse=True)
def double_precision():
    """JAX's default is single precision."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def of(readouts):
    return sum(
        (jnp.arange(1, r.shape[1] + 1) * r).sum() for r in readouts
    )  # every neuron with a weight of its own


def test_the_same_numbers_as_the_model():
    model, f = made(), bridge.function(made())
    there = np.isfinite(TIMES)
    trials, channels = np.nonzero(there)[:2]
    data = bep.SpikeData(TIMES[there] * 1e-3, channels, trials, 2, 2)
    result = model.run(data)
    weights = [np.broadcast_to(np.arange(1, r.shape[1] + 1.0), r.shape) for r in result.readout]
    gradients = model.gradient(of=weights)
    for call in (f, jax.jit(f)):
        for one, other in zip(call(f.parameters(), TIMES), result.readout, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    found = jax.jit(jax.grad(lambda p, t: of(f(p, t)), argnums=(0, 1)))(f.parameters(), TIMES)
    for name, unit in f.units.items():
        expected = gradients.raw(name) * float(unit)
        np.testing.assert_allclose(found[0][name], expected, rtol=1e-9)
    assert f.units["s.delay"] == ms
    expected = np.zeros(TIMES.shape)
    order = np.lexsort((channels, TIMES[there], trials))
    places = np.flatnonzero(there)[order]
    expected.flat[places] = np.asarray(gradients.inputs) * 1e-3
    np.testing.assert_allclose(found[1], expected, rtol=1e-9)


def test_derivatives_agree_with_differences():
    f = bridge.function(made())
    start, step = f.parameters(), 1e-5
    gradient = jax.grad(lambda p: of(f(p, TIMES)))(start)
    for name, array in start.items():
        direction = np.random.default_rng(0).choice([-1.0, 1.0], array.shape)
        high, low = (
            of(f(start | {name: array + sign * step * direction}, TIMES)) for sign in (1, -1)
        )
        slope = (high - low) / (2 * step)
        assert float((gradient[name] * direction).sum()) == pytest.approx(float(slope), rel=1e-4)


def test_vmap_and_the_networks_own_spikes():
    f = bridge.function(made())
    start = f.parameters()
    several = {name: jnp.stack([array, 1.01 * array]) for name, array in start.items()}
    value = jax.vmap(lambda p: of(f(p)))(several)
    assert float(value[0]) == float(of(f(start))) != float(value[1])
    gradient = jax.vmap(jax.grad(lambda p: of(f(p))))(several)
    alone = jax.grad(lambda p: of(f(p)))(start)
    for name in start:
        np.testing.assert_allclose(gradient[name][0], alone[name], rtol=1e-12)


def test_optax_learns_under_jit():
    optax = pytest.importorskip("optax")
    model = made()
    f = bridge.function(model, bounds={"s.w": (0, 5)})
    optimizer = optax.adam(0.03)

    def loss(parameters):
        return (f(parameters, TIMES)[0] ** 2).mean()

    @jax.jit
    def step(parameters, state):
        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, state = optimizer.update(gradient, state)
        parameters = optax.apply_updates(parameters, updates)
        return optax.projections.projection_box(parameters, f.lower, f.upper), state, value

    parameters = f.parameters()
    state, values = optimizer.init(parameters), []
    for _ in range(15):
        parameters, state, value = step(parameters, state)
        values.append(float(value))
    assert values[-1] < 0.8 * values[0]
    f.write_back(parameters)
    synapses = next(obj for obj in model.objects if obj.name == "s")
    np.testing.assert_allclose(np.asarray(synapses.delay / ms), parameters["s.delay"], rtol=1e-9)


def test_traces_get_gradients():
    f = bridge.function(stimulated(trace_gradients=["stimulus"]))
    trace = np.random.default_rng(1).uniform(0.5, 1, (2, 6))
    gradient = jax.grad(lambda x: of(f(f.parameters(), traces={"stimulus": x})))(trace)
    direction = np.random.default_rng(2).choice([-1.0, 1.0], trace.shape)
    high, low = (
        of(f(f.parameters(), traces={"stimulus": trace + sign * 1e-6 * direction}))
        for sign in (1, -1)
    )
    slope = float(high - low) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-6)
    other = bridge.function(stimulated())
    gradient = jax.grad(lambda x: of(other(other.parameters(), traces={"stimulus": x})))(trace)
    assert np.all(np.isnan(gradient))


def test_what_does_not_fit_is_refused():
    f = bridge.function(made())
    with pytest.raises(ValueError, match="the parameters must be"):
        f({"w": 1.0})
    with pytest.raises(Exception, match=r"shape \(trials, 2\)"):
        f(f.parameters(), np.zeros((2, 3)))
    with pytest.raises(Exception, match="negative delays"):
        f(f.parameters() | {"s.delay": -f.parameters()["s.delay"]})
    model = made()
    each = bep.SpikeTimes(next(o for o in model.objects if o.name == "hidden"), which="each")
    with pytest.raises(ValueError, match="as many values as there are spikes"):
        bridge.function(
            bep.EventPropModel(
                model.objects,
                train=["s.w"],
                readouts=[each],
                duration=30 * ms,
                namespace={"tau": 10 * ms},
                solver="event",
                backend="interpreter",
            )  # fmt: skip
        )


def test_the_docstring_runs():
    jax.config.update("jax_enable_x64", False)
    assert doctest.testmod(bridge).failed == 0
