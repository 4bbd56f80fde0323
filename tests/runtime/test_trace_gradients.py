"""Gradients in the values of timed arrays, trained ones and traces of every trial."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    ms,
    mV,
    nA,
    start_scope,
)
from helpers.backends import check_same_on_a_gpu
from helpers.cuda.emulator import Emulator

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import solver as clock_cuda

LENGTH = 8 * ms
#: Equations, integration method, threshold and reset.
NEURONS = {
    "linear": ("(I(t, i) + base(t) - v + x)/(4*ms)", "exact", "v > 1", "v = 0"),
    "nonlinear": (
        "(I(t, i)*(1 + 0.3*v) + base(t)**2 - v + x)/(4*ms)", "rk4",
        "v > 1 + 0.1*base(t)", "v = 0.1*I(t, 2 - i)",
    ),
    "condition": (
        "(I(t, i) + base(t)*int(v > 0.6*base(t)) - v + x)/(4*ms)", "euler", "v > 1", "v -= 1",
    ),
    "explosive": ("(I(t, i) + base(t) - 2 + 3*v**2 + x)/(4*ms)", "euler", "v > 3", "v = 0"),
}  # fmt: skip


def network(kind, seed=1, by_neuron=True):
    """Three neurons with random weights and delays, a current each and one in common."""
    start_scope()
    random = np.random.default_rng(seed)
    flow, method, threshold, reset = NEURONS[kind]
    flow, reset = (text if by_neuron else text.replace("I(t, i)", "I(t)") for text in (flow, reset))
    names = {
        "I": TimedArray(random.uniform(0.8, 2.5, (5, 3) if by_neuron else 5), dt=1.7 * ms),
        "base": TimedArray(random.uniform(0.1, 1, 6), dt=1.1 * ms),
    }
    G = NeuronGroup(
        3, f"dv/dt = {flow} : 1 (unless refractory)\ndx/dt = -x/(3*ms) : 1", threshold=threshold,
        reset=reset, refractory=0.6 * ms, method=method, namespace=names, name="G",
    )  # fmt: skip
    G.v = random.uniform(0, 0.4, 3)
    loop = Synapses(G, G, "w : 1", on_pre="x_post += w", name="loop")
    loop.connect("i != j")
    loop.w, loop.delay = random.normal(0, 0.4, 6), random.uniform(0.3, 2, 6) * ms
    source = SpikeGeneratorGroup(1, [0, 0], [1, 4] * ms, name="source")
    S = Synapses(source, G, "w : 1", on_pre="x_post += w", name="S")
    S.connect()
    S.w = random.normal(0.3, 0.3, 3)
    return [G, loop, source, S], names


def model_of(kind, by_neuron=True, train=("I", "base"), **options):
    objects, names = network(kind, by_neuron=by_neuron)
    G, loss = objects[0], bep.SpikeTimes(objects[0], "t/ms")
    weighted = bep.Integral(G, "v**2*base(t)/ms"), bep.Final(G, "v + x")
    loss = bep.Sum(loss, *weighted, bep.Value(G, "v*base(t)", at=5.3 * ms))
    options = {"solver": "event", "backend": "interpreter"} | options
    model = bep.EventPropModel(objects, train=list(train), loss=loss, duration=LENGTH, **options)
    return model, names


def difference(loss, values, direction, step):
    """The derivative of a loss along a direction, without the third power of the step."""

    def central(h):
        return (loss(values + h * direction) - loss(values - h * direction)) / (2 * h)

    return (4 * central(step / 2) - central(step)) / 3


def check_along(loss, values, gradient, seed=0, tolerance=1e-7, step=2e-4):
    """Compare a gradient with differences of the loss along two random directions."""
    random = np.random.default_rng(seed)
    for _ in range(2):
        direction = random.normal(size=values.shape)
        expected = difference(loss, values, direction, step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(np.sum(gradient * direction) - expected) < tolerance * scale


def check_trained(model, key, **options):
    """Compare the gradient of a trained array with differences of the loss."""
    model.run()
    gradient, start = model.gradient().raw(key), model.parameters.raw(key)

    def loss(values):
        model.parameters.set_raw(key, values)
        return model.run().loss

    check_along(loss, start, gradient, **options)
    model.parameters.set_raw(key, start)


@pytest.mark.parametrize("kind, by_neuron", [(k, True) for k in NEURONS] + [("linear", False)])
def test_in_exact_time(kind, by_neuron):
    model, _ = model_of(kind, by_neuron)
    assert len(model.run().spikes["G"]) > 2
    for name in ("I", "base"):
        check_trained(model, ("", name), step=2e-5)


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_of_every_trial(kind):
    model, names = model_of(kind, train=["loop.w"], trace_gradients=["I", "base"])
    random = np.random.default_rng(2)
    traces = names["I"].values * random.uniform(0.8, 1.2, (3, 5, 3))
    spikes = bep.SpikeData([0.001, 0.002, 0.004], [0] * 3, [0, 1, 2], 3, 1)

    def loss(values):
        return model.run(spikes, traces={"I": values}).loss

    loss(traces)
    gradients = model.gradient()
    found = gradients.traces
    assert list(gradients) == ["loop.w"]
    assert found["I"].shape == (3, 5, 3) and found["base"].shape == (1, 6)
    check_along(loss, traces, np.asarray(found["I"]), step=2e-5)


def test_shared_traces_are_the_sum_over_trials():
    model, names = model_of("linear", train=["base"], trace_gradients=[])
    model.run()
    alone = model.gradient()
    assert set(alone.traces) == {"base"}
    np.testing.assert_array_equal(alone.traces["base"], [alone["base"]])
    model, names = model_of("linear", train=[], trace_gradients="I", solver="clock")
    batch = bep.SpikeData([0.001, 0.004] * 2, [0] * 4, [0, 0, 1, 1], 2, 1)
    model.run(batch)
    shared = model.gradient().traces["I"]
    model.run(batch, traces={"I": np.stack([names["I"].values] * 2)})
    np.testing.assert_allclose(model.gradient().traces["I"].sum(axis=0), shared[0], rtol=1e-13)


def regular():
    """Jumps at fixed times, by what the array says then."""
    G = NeuronGroup(2, "dv/dt = (1.5 + base(t) - v)/(5*ms) : 1", threshold="v > 1", reset="v = 0",
                    method="exact", name="G")  # fmt: skip
    G.run_regularly("v += 0.3*I(t, 1 - i)*base(t)", dt=0.8 * ms)
    return [G]


def coupled():
    """Neurons that are one system of equations."""
    G = NeuronGroup(
        2, "dv/dt = (I(t, i) - v + gap + base(t)*v)/(2*ms) : 1\ngap : 1", threshold="v > 1.2",
        reset="v = 0.1*base(t)", method="rk2", name="G",
    )  # fmt: skip
    S = Synapses(G, G, "gap_post = 0.3*(v_pre - v_post) : 1 (summed)", name="gaps")
    S.connect("i != j")
    return [G, S]


def subexpressions():
    """What stands for the array, which is refreshed in every step of Brian2 only."""
    G = NeuronGroup(
        2, """dv/dt = (J + K - v)/(2*ms) : 1
              J = I(t, i)**2 : 1
              K = base(t) : 1 (constant over dt)""",
        threshold="v > 1 + 0.1*J", reset="v = K", method="euler", name="G",
    )  # fmt: skip
    return [G]


@pytest.mark.parametrize("make", [regular, coupled, subexpressions])
@pytest.mark.parametrize("solver", ["event", "clock"])
def test_elsewhere(make, solver):
    found = {}
    random = np.random.default_rng(4)
    I, base = random.uniform(0.9, 1.6, (4, 2)), random.uniform(0.1, 0.7, 5)
    for dt, kind in ((0.1, "event"), *([(0.02, "clock")] if solver == "clock" else [])):
        start_scope()
        defaultclock.dt = dt * ms
        names = {"I": TimedArray(I, dt=1 * ms), "base": TimedArray(base, dt=0.8 * ms)}
        objects = make()
        loss = bep.Sum(bep.SpikeTimes(objects[0], "t/ms"), bep.Integral(objects[0], "v*v/ms"))
        model = bep.EventPropModel(
            objects, train=["I", "base"], loss=loss, duration=4 * ms, namespace=names, solver=kind,
            backend="interpreter",
        )  # fmt: skip
        assert len(model.run().spikes["G"]) > 1
        gradients = model.gradient()
        found[kind] = np.concatenate([gradients.raw("I"), gradients.raw("base")])
    if solver == "event":
        for name in ("I", "base"):
            check_trained(model, ("", name), step=2e-5)
    else:
        scale = np.abs(found["event"]).max()
        np.testing.assert_allclose(found["clock"], found["event"], atol=0.06 * scale)


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
def test_without_spikes_on_the_grid(method):
    """Exact for the steps that are taken; cells of 0.35 ms begin between two of them."""
    start_scope()
    random = np.random.default_rng(3)
    names = {
        "I": TimedArray(random.uniform(0, 3, (7, 2)) * nA, dt=0.35 * ms),
        "base": TimedArray(random.uniform(0, 1, 9), dt=0.2 * ms),
    }
    G = NeuronGroup(
        2, "dv/dt = (2*mV/nA*I(t, 1 - i)*(1 + base(t)) - v*(1 + v/(9*mV)))/(2*ms) : volt",
        method=method, name="G",
    )  # fmt: skip
    G.run_regularly("v += 0.1*mV*base(t)**2", dt=0.3 * ms)
    model = bep.EventPropModel(
        [G], train=["I", names["base"]], duration=2 * ms, namespace=names, backend="interpreter",
        loss=bep.Sum(
            bep.Integral(G, "v**2/mV**2*base(t)/ms"), bep.Maximum(G, "v/mV + 0.1*base(t)"),
            bep.Value(G, "v*v/mV**2*base(t)", at=1.5 * ms),
        ),
    )  # fmt: skip
    assert model.parameters["I"].dim is nA.dim
    model.parameters["I"] = model.parameters["I"] + 0.1 * nA
    check_trained(model, ("", "base"), tolerance=1e-9)
    check_trained(model, ("", "I"), tolerance=1e-9, step=2e-13)
    assert model.gradient()["I"].shape == (7, 2)
    assert model.gradient()["I"].dim == (1 / nA).dim
    np.testing.assert_array_equal(model.gradient().raw("I").reshape(7, 2)[6], 0)


@pytest.mark.parametrize(
    "kind, left", [("nonlinear", 0.01), ("condition", 0.01), ("explosive", 0.1)]
)
def test_the_grid_converges(kind, left):
    found = []
    for dt, solver in ((0.1, "event"), (0.1, "clock"), (0.01, "clock")):
        defaultclock.dt = dt * ms
        model, _ = model_of(kind, solver=solver)
        model.run()
        found.append(np.concatenate([model.gradient().raw(n) for n in ("I", "base")]))
    exact, coarse, fine = found
    scale = np.abs(exact).max()
    assert np.abs(fine - exact).max() < left * scale
    assert np.abs(fine - exact).max() < 0.2 * np.abs(coarse - exact).max()


@pytest.mark.compiled
@pytest.mark.parametrize("solver", ["event", "clock"])
def test_the_same_bits_on_any_number_of_threads(solver):
    random = np.random.default_rng(5)
    traces = random.uniform(0.5, 2, (20, 5, 3))
    batch = bep.SpikeData([0.001] * 20, [0] * 20, range(20), 20, 1)
    found = []
    for threads in (1, 2):
        more = {"trace_gradients": ["I"], "solver": solver, "backend": "cpu", "threads": threads}
        model, _ = model_of("linear", train=["base"], **more)
        for given in ({"I": traces}, {}, {"I": traces[:, :4]}, {"I": traces}):
            model.run(batch, traces=given)
            gradients = model.gradient()
            found.append((gradients.raw("base"), np.asarray(gradients.traces["I"])))
    for one, two in zip(found[:4], found[4:], strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    np.testing.assert_array_equal(found[0][1], found[3][1])
    assert [len(traces) for _, traces in found[:4]] == [20, 1, 20, 20]


def test_on_graphics_cards(monkeypatch):
    def model(objects, **options):
        options = {"backend": "interpreter"} | options
        loss = bep.Sum(bep.Integral(objects[0], "v*v*base(t)/ms"), bep.Final(objects[0], "x"))
        train = ["I", "base", "loop.w"]
        return bep.EventPropModel(objects, train=train, loss=loss, duration=LENGTH, **options)

    emulator = lambda: monkeypatch.setattr(clock_cuda, "CudaDevice", Emulator)  # noqa: E731
    check_same_on_a_gpu(model, network("condition")[0], emulator)
    objects, names = network("linear")
    loss, found = bep.Sum(bep.SpikeTimes(objects[0], "t/ms")), []
    for backend in ("interpreter", "cuda"):
        model = bep.EventPropModel(
            objects, train=[], trace_gradients=["I"], loss=loss, duration=LENGTH, backend=backend
        )
        spikes = bep.SpikeData([0.001], [0], [1], 2, 1)
        model.run(spikes, traces={"I": names["I"].values * np.array([[[1]], [[1.2]]])})
        found.append(np.asarray(model.gradient().traces["I"]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)
    spikes, values = bep.SpikeData([0.001], [0], [1], 2, 1), []
    for backend in ("interpreter", "cuda"):
        model, _ = model_of("linear", train=["I"], solver="clock", backend=backend)
        bep.Trainer(model, bep.Adam({"I": 0.01})).fit(spikes, 2, 1, progress=False)
        values.append(model.parameters.raw("I"))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)


@pytest.mark.parametrize("by_neuron", [False, True])
def test_brian2_runs_what_was_trained(by_neuron):
    objects, names = network("linear", by_neuron=by_neuron)
    given, G = names["I"].values.copy(), objects[0]
    model = bep.EventPropModel(
        objects, train=[names["I"]], loss=bep.MeanSquaredError(bep.Integral(G, "v/ms")),
        duration=LENGTH, backend="interpreter",
    )  # fmt: skip
    before = names["I"].values
    data = bep.SpikeData([0.001, 0.004], [0, 0], [0, 0], 1, 1, targets=[[3, 3, 3]])
    history = bep.Trainer(model, bep.Adam({names["I"]: 0.02})).fit(data, 12, 1, progress=False)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    result = model.run(data)
    np.testing.assert_array_equal(before, given)  # until they are written back
    model.write_back()
    np.testing.assert_array_equal(names["I"].values, model.parameters["I"])
    assert np.any(names["I"].values != given)
    monitor = SpikeMonitor(G)
    Network(*objects, monitor).run(LENGTH)
    expected = sorted(zip(monitor.i[:], np.round(monitor.t / defaultclock.dt), strict=True))
    train = result.spikes[G]
    found = sorted(zip(train.i, np.round(train.t / defaultclock.dt), strict=True))
    assert found == expected and len(found) > 3


def test_the_trained_array_is_set_as_it_is_shaped():
    model, names = model_of("linear", solver="clock")
    parameters = model.parameters
    assert names["I"] in parameters and repr(parameters).startswith("Parameters(I: 15 values")
    parameters["I"] = np.arange(15).reshape(5, 3)
    np.testing.assert_array_equal(parameters[names["I"]], np.arange(15).reshape(5, 3))
    parameters["I"] = 2.0
    assert parameters["I"].shape == (5, 3) and np.all(parameters["I"] == 2)
    with pytest.raises(ValueError, match=r"'I' has 15 values: .* shape \(5, 3\), not \(3, 5\)"):
        parameters["I"] = np.zeros((3, 5))


def test_what_is_refused():
    objects, names = network("linear")
    loss = bep.Sum(bep.Final(objects[0], "v"))

    def model(train, **options):
        options = {"duration": LENGTH, "backend": "interpreter"} | options
        return bep.EventPropModel(objects, train=train, loss=loss, **options)

    with pytest.raises(ValueError, match="'I' is in train=.*give no traces for it"):
        model(["I"]).run(traces={"I": np.zeros((1, 5, 3))})
    with pytest.raises(ValueError, match="'I' is a TimedArray and not in train"):
        model(["base"]).parameters[names["I"]]
    with pytest.raises(ValueError, match="in no equation of the network, which has: 'I', 'base'"):
        model([TimedArray([1.0, 2.0], dt=1 * ms)])
    with pytest.raises(ValueError, match="'loop.w' is no TimedArray of the network: I, base"):
        model(["I"], trace_gradients=["loop.w"])
    with pytest.raises(ValueError, match="is empty"):
        model([], trace_gradients=())
    objects[0].namespace = {"I": names["I"], "base": names["base"]}
    G = NeuronGroup(1, "dv/dt = (I(t, 0) + J(t, 0) - v)/ms : 1", method="euler", name="twice")
    with pytest.raises(ValueError, match="called 'I' in some equations and 'J' in others"):
        bep.EventPropModel(
            [G], train=["J"], loss=bep.Sum(bep.Final(G, "v")), duration=LENGTH,
            namespace={"I": names["I"], "J": names["I"]},
        )  # fmt: skip
    G = NeuronGroup(1, "dv/dt = -v/ms : 1\ndu/dt = I(t)/ms : volt", method="euler", name="unseen",
                    namespace={"I": TimedArray([1, 2] * mV, dt=1 * ms)})  # fmt: skip
    with pytest.raises(ValueError, match="'I' is in train=.* but cannot influence the loss"):
        bep.EventPropModel([G], train=["I"], loss=bep.Sum(bep.Final(G, "v")), duration=LENGTH)
