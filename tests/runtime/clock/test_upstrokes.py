"""Spikes of explosive upstrokes (AdEx, EIF, Izhikevich, QIF) on the time grid."""

import numpy as np
import pytest
from brian2 import NeuronGroup, defaultclock, ms, start_scope
from helpers.backends import arrays_of, check_equal
from helpers.dense.adjoint import dense_gradient
from helpers.networks import upstroke as upstroke_networks
from scipy.integrate import solve_ivp

import brian_eventprop as bep
from brian_eventprop.codegen.clock import upstrokes


def exact_times(kind, neuron, name, change):
    """The spike times (ms) of one neuron with one of its numbers changed, in exact time."""
    _, _, _, start, names, values, duration = upstroke_networks.NEURONS[kind]
    p = {n: values[n][neuron] for n in names}
    p[name] += change
    # of AdEx, the rest takes less than 1e-8 ms
    top = {"izhikevich": 30.0, "qif": p.get("peak")}.get(kind)
    top = min(p["cut"], -50 + 20 * p["D"]) if kind == "adex" else top

    def rate(_, x):
        v = x[0]
        if kind == "adex":
            up = -(v + 70) + p["D"] * np.exp((v + 50) / p["D"]) - x[1] + p["I"]
            return [up / 10, (0.3 * (v + 70) - x[1]) / 50]
        if kind == "izhikevich":
            return [0.04 * v**2 + 5 * v + 140 - x[1] + p["I"], p["a"] * (0.2 * v - x[1])]
        return [(v**2 + p["I"]) / 10]

    def crossed(_, x):
        return x[0] - top

    crossed.terminal, crossed.direction = True, 1
    t, x, times = 0.0, np.array(list(start.values())), []
    while True:
        run = solve_ivp(
            rate, (t, duration), x, method="DOP853", rtol=1e-11, atol=1e-11, events=crossed
        )
        if run.status != 1:
            return np.array(times)
        t, x = run.t[-1], run.y[:, -1]
        times.append(t)
        if kind == "adex":
            x = np.array([-58.0, x[1] + p["b"]])
        else:
            x = np.array([p["c"], x[1] + p["d"]]) if kind == "izhikevich" else np.array([p["low"]])


def exact(kind, neuron, name, spikes):
    """d(sum of the first spike times)/d(number) by central differences."""
    h = 1e-4
    above, below = (exact_times(kind, neuron, name, change) for change in (h, -h))
    assert min(len(above), len(below)) >= spikes
    return (above[:spikes].sum() - below[:spikes].sum()) / (2 * h)


@pytest.mark.parametrize(
    "kind, method, tolerance",
    [
        ("adex", "euler", 0.06),
        pytest.param("adex", "rk2", 0.05, marks=pytest.mark.slow),
        pytest.param("izhikevich", "euler", 0.1, marks=pytest.mark.slow),
        pytest.param("izhikevich", "rk4", 0.05, marks=pytest.mark.slow),
        pytest.param("qif", "euler", 0.1, marks=pytest.mark.slow),
        pytest.param("qif", "rk4", 0.01, marks=pytest.mark.slow),
    ],
)
def test_gradients_are_near_those_of_exact_time(kind, method, tolerance):
    defaultclock.dt = 0.1 * ms
    model = upstroke_networks.neurons(kind, method)
    counts = np.bincount(next(iter(model.run().spikes.values())).i)
    gradients = model.gradient()
    for view in model.parameters.keys:
        found, name = gradients.raw(view), view[1]
        expected = np.array([exact(kind, k, name, n) for k, n in enumerate(counts)])
        if name in ("cut", "peak"):  # of late crossings no difference tells the derivative
            known = np.abs(expected) > 1e-6
            found, expected = found[known], expected[known]
        np.testing.assert_allclose(found, expected, rtol=tolerance, err_msg=f"{kind} {name}")
    assert gradients.grazing == 0
    assert counts.sum() > len(counts)


@pytest.mark.parametrize("method", ["euler", pytest.param("rk2", marks=pytest.mark.slow)])
def test_arrivals_within_an_upstroke_against_the_dense_oracle(method, monkeypatch):
    monkeypatch.setattr(upstrokes, "STEP", 0.02)
    defaultclock.dt = 0.1 * ms
    model = upstroke_networks.network(method=method)
    result = model.run()
    gradients = model.gradient()
    keys = model.parameters.keys
    trial = dense_gradient(
        model.spec, model.network, keys, float(model.duration), None, loss=model.loss
    )
    assert len(result.spikes["cells"].i) > 12
    np.testing.assert_allclose(result.loss, trial.loss, rtol=1e-9)
    for key in keys:
        scale = np.abs(trial.gradients[key]).max()
        np.testing.assert_allclose(
            gradients.raw(key), trial.gradients[key], rtol=0, atol=1e-6 * scale, err_msg=str(key)
        )
    assert scale > 0
    if method == "euler":  # other methods may spoil a step of s, which the oracle does not count
        assert gradients.grazing == trial.grazing == 0


@pytest.mark.parametrize(
    "precision, tolerance",
    [("float64", 1e-10), pytest.param("float32", 2e-3, marks=pytest.mark.slow)],
)
def test_cuda_gives_what_the_cpu_gives(precision, tolerance, emulator):
    defaultclock.dt = 0.1 * ms
    host = upstroke_networks.network()
    expected = arrays_of(host.run(), host.gradient(), host)
    emulator()
    device = upstroke_networks.network("cuda", precision)
    found = arrays_of(device.run(), device.gradient(), device)
    readouts = 1e-4 if precision == "float32" else 0.0
    check_equal(found, expected, readouts, tolerance)


def test_the_same_gradient_twice():
    defaultclock.dt = 0.1 * ms
    model = upstroke_networks.network()
    model.run()
    first, second = (model.gradient() for _ in range(2))
    for key in model.parameters.keys:
        np.testing.assert_array_equal(first.raw(key), second.raw(key))


@pytest.mark.slow
def test_steps_that_overflow_are_counted():
    # some of Brian2's own neurons are at infinity or not a number where they should spike
    defaultclock.dt = 0.1 * ms
    model = upstroke_networks.neurons("adex", "rk4")
    counts = np.bincount(next(iter(model.run().spikes.values())).i, minlength=10)
    gradients = model.gradient()
    for key in model.parameters.keys:
        assert np.all(np.isfinite(gradients.raw(key)))
    current = gradients.raw(next(k for k in model.parameters.keys if k[1] == "I"))
    silent = counts == 0
    assert gradients.grazing >= silent.sum() > 0
    assert np.all(current[silent] == 0)
    expected = [exact("adex", k, "I", counts[k]) for k in np.flatnonzero(~silent)]
    np.testing.assert_allclose(current[~silent], expected, rtol=0.05)


def test_only_neurons_that_may_explode_have_the_code():
    start_scope()
    tame = NeuronGroup(
        1, "dv/dt = (g*(1 - v) - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1",
        threshold="v > 0.5", reset="v = 0", method="euler", name="tame",
    )  # fmt: skip
    model = bep.EventPropModel(
        [tame], train=[tame.v], duration=1 * ms, loss=bep.Sum(bep.Final(tame, "v"))
    )
    assert "upstroke" not in model.source
    assert "upstroke" in upstroke_networks.neurons("qif", "euler").source
