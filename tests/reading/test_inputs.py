"""Spikes that input groups hold: repeated, on a time grid of their own, and changed later."""

import numpy as np
import pytest
from brian2 import (
    Clock,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    inf,
    ms,
    second,
)
from brian2.core.base import BrianObjectException
from helpers.watch import watched

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import on_own_grid, read_network, read_spikes
from brian_eventprop.reading.spec import SpikeInput


def brian2_spikes(group, duration):
    """Neuron and time step of the spikes of Brian2's own run."""
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(duration)
    return monitor.i[:].tolist(), np.rint(monitor.t / group.clock.dt).astype(int).tolist()


@pytest.mark.parametrize("duration", [0, 3, 7.3, 20, 21.95, 70])
@pytest.mark.parametrize(
    ("times", "period", "dt"),
    [
        ([0, 0.41, 0.5, 6.25], 6.3, 0.1),
        ([0, 0, 0.1, 0.1], 0.2, 0.1),
        ([0.0999, 0.1, 6.9999, 9.0], 10, 0.5),
        ([0.05, 0.55, 1.2, 1.9], 0, 0.1),
        ([0.05, 0.55, 1.2, 1.9], inf, 0.1),
    ],
)
def test_spikes_are_repeated_as_by_brian2(times, period, dt, duration):
    group = SpikeGeneratorGroup(4, [2, 0, 1, 2], times * ms, period=period * ms, dt=dt * ms)
    indices, found = read_spikes(group, duration * 1e-3)
    steps = np.floor((found + 1e-6 * dt) / (1e-3 * dt)).astype(int)
    kept = steps * dt < duration - 1e-9
    assert np.all(kept) or period in (0, inf)
    assert (indices[kept].tolist(), steps[kept].tolist()) == brian2_spikes(group, duration * ms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": 5.05 * ms}, "period=0.00505 s.*whole number of time steps of 0.0001 s"),
        ({"period": 5 * ms, "dt": 2 * ms}, "period=0.005 s.*whole number of time steps of 0.002"),
    ],
)
def test_periods_that_brian2_refuses(options, message):
    group = SpikeGeneratorGroup(1, [0], [1] * ms, **options)
    with pytest.raises(BrianObjectException):
        brian2_spikes(group, 10 * ms)
    with pytest.raises(UnsupportedError, match=message):
        read_spikes(group, 0.01)


def network(source, delay=1):
    G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact", name="G")
    S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    S.w, S.delay = 0.5, delay * ms
    return [source, G, S]


def model_of(objects, solver="clock", train=("w",)):
    _, G, S = objects
    trained = [getattr(S, name) for name in train]
    loss = bep.Sum(bep.Integral(G, "v"))
    return bep.EventPropModel(objects, train=trained, loss=loss, duration=10 * ms, solver=solver)


def test_time_steps_that_do_not_fit():
    for dt, message in ((0.25, "dt=0.00025 s.*neither a multiple nor a part"), (0.07, "dt=7e-05")):
        with pytest.raises(UnsupportedError, match=message):
            read_network(network(SpikeGeneratorGroup(1, [0], [1] * ms, dt=dt * ms)), [], {})
    same = SpikeGeneratorGroup(1, [], [] * ms, clock=Clock(0.1 * ms))
    for other, step in ((PoissonGroup(1, 1 * Hz, dt=0.3 * ms), 0.3e-3), (same, None)):
        spec, _ = read_network(network(other), [], {})
        assert spec.inputs[0].dt == step
    G = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact", clock=Clock(0.15 * ms))
    with pytest.raises(UnsupportedError, match="no multiple of dt=0.0001 s"):
        read_network([*network(SpikeGeneratorGroup(1, [], [] * ms)), G], [], {})


def test_delays_are_counted_in_steps_of_the_source():
    source = SpikeGeneratorGroup(1, [0], [1] * ms, dt=1 * ms, name="inp")
    assert model_of(network(source, delay=2))
    message = "'S': 'inp' has a time step of its own, 0.001 s instead of 0.0001 s"
    with pytest.raises(UnsupportedError, match=f"{message}.*0.0015 s become 0.002 s there"):
        model_of(network(source, delay=1.5))
    with pytest.raises(UnsupportedError, match=f"{message}.*cannot be trained"):
        model_of(network(source), train=("w", "delay"))
    assert model_of(network(source, delay=1.5), solver="event", train=("w", "delay"))
    fine = SpikeGeneratorGroup(1, [0], [1] * ms, dt=0.05 * ms, name="fine")
    with pytest.raises(UnsupportedError, match=r"0\.00105 s become 0\.00105 s there and 0\.0011"):
        model_of(network(fine, delay=1.05))


def test_spikes_on_the_grid_of_their_group():
    data = bep.SpikeData([0.00149, 0.0025, 0.003], [0, 0, 0], [0, 0, 1], 2, 1)
    assert on_own_grid(SpikeInput("inp", 1), data, 1e-4) is data
    coarse = on_own_grid(SpikeInput("inp", 1, 1e-3), data, 1e-4)
    np.testing.assert_allclose(coarse.times, [0.001, 0.002, 0.003])
    with pytest.raises(UnsupportedError, match="'inp'.*spike at 0.00149 s falls between"):
        on_own_grid(SpikeInput("inp", 1, 2e-5), data, 1e-4)


def test_models_take_the_spikes_that_a_group_holds_now():
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="inp")
    model = model_of(network(source))
    with watched(model.runtime, "prepare") as calls:
        model.run()
        model.run()
        source.set_spikes([1, 0, 0], [3, 4, 5] * ms)
        model.run()
        source.set_spikes([1], [1] * ms, period=4 * ms)
        model.run()
    (_, first), (_, second) = (call.arguments for call in calls[:2])
    assert first is second
    steps = [call.returned.steps.tolist() for call in calls[1:]]
    assert steps == [[10, 20], [30, 40, 50], [10, 50, 90]]


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.5, 0.05])
def test_the_same_spikes_as_brian2_with_another_time_step(dt):
    rng = np.random.default_rng(3)
    times = np.unique(np.floor(rng.uniform(0, 30, 40) / 0.5) * 0.5)
    if dt > 0.1:
        times = times + rng.uniform(0, 0.49, len(times))
    indices = rng.integers(0, 3, len(times))
    source = SpikeGeneratorGroup(3, indices, times * ms, dt=dt * ms, name="inp")
    model = "dv/dt = (I - v)/(10*ms) : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1"
    G = NeuronGroup(
        4, model, threshold="v > 0.5", reset="v = 0", refractory=1 * ms, method="euler", name="G"
    )
    S = Synapses(source, G, "w : 1", on_pre="I_post += w; v_post += 0.1*w", name="S")
    S.connect()
    S.w, S.delay = rng.uniform(0.5, 1.5, len(S)), rng.integers(0, 5, len(S)) * 0.5 * ms
    loss = bep.Sum(bep.Integral(G, "v"))
    objects = [source, G, S]
    trained = bep.EventPropModel(objects, train=[S.w], loss=loss, duration=0.04 * second)
    found = trained.run().spikes[G]
    monitor = SpikeMonitor(G)
    Network(*objects, monitor).run(40 * ms)
    assert len(monitor.i) > 40
    ours = sorted(zip(np.rint(found.t / (0.1 * ms)).astype(int), found.i, strict=True))
    his = sorted(zip(np.rint(monitor.t / (0.1 * ms)).astype(int), monitor.i, strict=True))
    assert ours == his
