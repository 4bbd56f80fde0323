"""Batched arrivals give what arrivals one by one give: spikes, losses and all gradients."""

import numpy as np
import pytest
from brian2 import Hz, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep
from brian_eventprop.runtime.event import batched

EI = """dv/dt = (v0 + I_e - I_i - v)/tau_m : 1 (unless refractory)
        dI_e/dt = -I_e/tau_e : 1
        dI_i/dt = -I_i/tau_i : 1
        v0 : 1
        theta : 1
        t_ref : second"""
CHAIN = """dv/dt = (I - v)*rate : 1
           dI/dt = (x - I)/tau_e : 1
           dx/dt = -x/tau_i : 1"""
CONSTANTS = {"tau_m": 20 * ms, "tau_e": 3 * ms, "tau_i": 7 * ms, "rate": 60 * Hz}


def connect(rng, source, target, on_pre, low, high, delays, p=0.7, n=1):
    name = f"{source.name}_{target.name}"  # fixed names: every seed has the same kernels
    synapses = Synapses(source, target, "w : 1", on_pre=on_pre, name=name)
    synapses.connect(p=p, n=n)
    synapses.w = rng.uniform(low, high, len(synapses))
    synapses.delay = rng.uniform(*delays, len(synapses)) * ms
    return synapses


def populations(rng):
    """Excitation and inhibition in a loop, refractory, soft reset, with biases and thresholds."""
    inputs = SpikeGeneratorGroup(6, [], [] * ms, name="inputs")
    e, i = (
        NeuronGroup(
            n,
            EI,
            threshold="v > theta",
            reset="v -= theta",
            refractory="t_ref",
            method="exact",
            name=name,
        )  # fmt: skip
        for n, name in ((5, "e"), (3, "i"))
    )
    for group in (e, i):
        group.v0, group.theta = rng.uniform(0, 0.3, group.N), rng.uniform(0.8, 1.2, group.N)
        group.t_ref, group.v = 2.5 * ms, rng.uniform(0, 0.5, group.N)
    e.v[0] = 2.0  # fires at once
    parts = [
        connect(rng, inputs, e, "I_e_post += w", 1, 6, (0, 20)),
        connect(rng, inputs, i, "I_e_post += w", 1, 3, (0, 20), n=2),
        connect(rng, e, i, "I_e_post += w", 0, 3, (0.1, 0.7)),
        connect(rng, i, e, "I_i_post += w", 0, 3, (0.8, 90)),
        connect(rng, e, e, "I_e_post += w", -1, 1, (0.8, 9)),
    ]
    mean = bep.Integral(i, "(v + 2*I_e)*exp(-t/T)/T + I_i/T")
    loss = bep.Sum(bep.SpikeTimes(e, "t/second"), bep.SpikeTimes(i, "exp(-t/T)"), mean)
    train = [view for s in parts for view in (s.w, s.delay)] + [e.theta, e.v, i.t_ref, i.I_e]
    return [inputs, e, i, *parts], train, loss


def layers(rng):
    """A feed-forward net of synapses with two stages, read out all the time."""
    inputs = SpikeGeneratorGroup(6, [], [] * ms, name="inputs")
    one = NeuronGroup(4, CHAIN, threshold="v > 1", reset="v = 0", method="exact", name="one")
    last = NeuronGroup(2, CHAIN, method="exact", name="last")
    parts = [
        connect(rng, inputs, one, "x_post += w", 4, 16, (0, 5)),
        connect(rng, one, last, "x_post -= w", -1, 1, (0, 70)),
    ]
    one.x = rng.uniform(0, 9, 4)
    loss = bep.CrossEntropy(bep.Integral(last, "(v*exp(-t/T) + x)/T"))
    return (
        [inputs, one, last, *parts],
        [view for s in parts for view in (s.w, s.delay)] + [one.x],
        loss,
    )


def spikes(rng, n_trials=3, n=24):
    """Input on a grid, so that many arrivals are simultaneous; the last trial has none."""
    trials = np.sort(rng.integers(0, n_trials - 1, n))
    return bep.SpikeData(
        rng.integers(0, 30, n) * 0.5e-3,
        rng.integers(0, 6, n),
        trials,
        n_trials,
        6,
        targets=rng.integers(0, 2, n_trials),
    )


def solve(make, busy, seed, monkeypatch):
    monkeypatch.setattr(batched, "DENSE_ENOUGH", busy)
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    defaultclock.dt = 0.1 * ms
    objects, train, loss = make(rng)
    model = bep.EventPropModel(
        objects, train=train, loss=loss, duration=20 * ms, solver="event", namespace=CONSTANTS
    )
    result = model.run(spikes(rng))
    groups = [o for o in objects if isinstance(o, NeuronGroup) and o in result.spikes]
    return model, result, [result.spikes[g] for g in groups], model.gradient()


SLOW = pytest.mark.slow


@pytest.mark.parametrize("seed", [pytest.param(0, marks=SLOW), 1, 2])
@pytest.mark.parametrize("make", [pytest.param(layers, marks=SLOW), populations])
def test_batched_and_one_by_one(make, seed, monkeypatch):
    """The same network both ways: synapses in sets, as lists, and with many short epochs.

    Tolerances: sums of the same numbers in another order, along some tens of spikes that each
    magnify a difference (measured: 1e-13 s, 1e-12 of the largest entry).
    """
    monkeypatch.setattr(batched, "RECENT", 0 if seed == 1 else 250)
    monkeypatch.setattr(batched, "EPOCH", 0 if seed == 2 else 100)
    model, a, trains, gradient = solve(make, 0, seed, monkeypatch)
    assert len(model.runtime.batched) == 2
    other, b, others, plain = solve(make, 10**9, seed, monkeypatch)
    assert not other.runtime.batched
    np.testing.assert_allclose(a.losses, b.losses, rtol=1e-11)
    for mine, theirs in zip(trains, others, strict=True):
        order = np.lexsort((mine.i, mine.sample))
        reference = np.lexsort((theirs.i, theirs.sample))
        np.testing.assert_array_equal(mine.i[order], theirs.i[reference])
        np.testing.assert_allclose(
            np.asarray(mine.t)[order], np.asarray(theirs.t)[reference], atol=1e-11
        )
    for mine, theirs in zip(_arrays(gradient), _arrays(plain), strict=True):
        assert np.max(np.abs(mine - theirs)) <= 1e-9 * np.max(np.abs(theirs), initial=1e-12)
    assert sum(map(len, trains)) > 10


def test_many_in_one_window(monkeypatch):
    """More spikes and more arrivals in a window than there is room for at first."""
    inputs, group, synapses = pair(150)
    rng = np.random.default_rng(0)
    synapses.w, synapses.delay = rng.uniform(30, 50, 450), rng.uniform(0, 0.3, 450) * ms
    group.tau_m, group.tau_s = 20 * ms, 3 * ms
    data = bep.SpikeData(np.full(150, 5e-3), np.arange(150), np.zeros(150, int), 1, 150)
    found = []
    for busy in (0, 10**9):
        monkeypatch.setattr(batched, "DENSE_ENOUGH", busy)
        model = times_of([inputs, group, synapses], 10 * ms)
        times = np.sort(np.asarray(model.run(data).spikes[group].t))
        found.append((times, *_arrays(model.gradient())))
        assert bool(model.runtime.batched) == (busy == 0)
    assert len(found[0][0]) > 1000
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-11)
    for mine, theirs in zip(*found, strict=True):  # sums over more than 1000 spikes
        assert np.max(np.abs(mine - theirs)) <= 1e-9 * np.max(np.abs(theirs))


def pair(n):
    """Inputs, and neurons with time constants of their own."""
    inputs = SpikeGeneratorGroup(n, [], [] * ms, name="senders")
    group = NeuronGroup(
        3,
        """dv/dt = (I - v)/tau_m : 1
           dI/dt = -I/tau_s : 1
           tau_m : second
           tau_s : second""",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="receivers",
    )
    synapses = Synapses(inputs, group, "w : 1", on_pre="I_post += w", name="synapses_to_them")
    synapses.connect()
    return inputs, group, synapses


def times_of(objects, duration):
    """A model of all spike times."""
    return bep.EventPropModel(
        objects,
        train=[objects[2].w],
        loss=bep.Sum(bep.SpikeTimes(objects[1])),
        duration=duration,
        solver="event",
    )


def _arrays(gradient):
    return [np.asarray(value) for _, value in gradient.items()]


def test_values_decide(monkeypatch):
    """Time constants that differ between neurons, or nearly agree, go one by one."""
    monkeypatch.setattr(batched, "DENSE_ENOUGH", 0)
    defaultclock.dt = 0.1 * ms
    inputs, group, synapses = pair(2)
    synapses.w = 8
    data = bep.SpikeData([0.001, 0.004], [0, 1], [0, 0], 1, 2)
    times = {}
    for name, tau_m, tau_s in (
        ("apart", 20.0, 5.0),
        ("close", 5.0005, 5.0),
        ("different", np.array([20.0, 21.0, 22.0]), 5.0),
    ):
        group.tau_m, group.tau_s = tau_m * ms, tau_s * ms
        model = times_of([inputs, group, synapses], 50 * ms)
        times[name] = np.asarray(model.run(data).spikes[group].t)
        assert bool(model.runtime.batched) == (name == "apart")
    assert len(times["different"]) > 0
