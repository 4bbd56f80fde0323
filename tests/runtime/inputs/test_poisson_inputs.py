"""`PoissonInput` with given numbers of spikes: Brian2's spikes, and exact gradients."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    ms,
)
from helpers.backends import arrays_of, check_equal
from helpers.brian_spikes import spikes_in_brian2, spikes_of

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

STEPS = 120
COUNTS = np.random.default_rng(3).binomial(20, 0.06, (3, STEPS, 3)).astype(np.uint8)
NAMES = {"a": 0.22}


def network(threshold="v > 1", weight="a*q*(1 + 0.1*z)"):
    """Two PoissonInputs into a part of a group that is also driven by spikes and by itself."""
    source = SpikeGeneratorGroup(1, [0, 0], [1, 6] * ms, name="source")
    G = NeuronGroup(
        4,
        """dv/dt = (I - v)/(8*ms) : 1 (unless refractory)
        dI/dt = -I/(4*ms) : 1
        dz/dt = (v - z)/(9*ms) : 1
        q : 1""",
        threshold=threshold, reset="v = 0", refractory=0.7*ms, method="euler", name="G",
    )  # fmt: skip
    S = Synapses(source, G, "w : 1", on_pre="I_post += w", name="S")
    S.connect()
    R = Synapses(G, G, "w : 1", on_pre="v_post += w", name="R", delay=0.9 * ms)
    R.connect("i != j")
    G.q, S.w, R.w = "0.5 + 0.1*i", 0.3, 0.06
    current = PoissonInput(G[1:], "I", 20, 600 * Hz, weight=weight)
    jumps = PoissonInput(G[1:], "v", 20, 600 * Hz, weight=0.02)
    return [source, G, S, R, current, jumps]


def model(objects, steps=STEPS, **options):
    G, S = objects[1:3]
    options = {"train": ["a", G.q, S.w, G.v], "backend": "interpreter"} | options
    options |= {"duration": steps * 0.1 * ms, "namespace": NAMES}
    loss = bep.Sum(bep.Integral(G, "100*(v*v + I)"), bep.SpikeTimes(G, "t/ms"))
    return bep.EventPropModel(objects, loss=loss, **options)


def given(objects, n_trials=3, steps=STEPS):
    times, trials = [0.001, 0.006] * n_trials, np.repeat(np.arange(n_trials), 2)
    if steps < STEPS:
        times, trials = [0.001], [0]
    traces = {noise: COUNTS[:n_trials, :steps] for noise in objects[-2:]}
    return bep.SpikeData(times, [0] * len(times), trials, n_trials, 1, traces=traces)


def replay(noise, counts):
    """Let Brian2's own PoissonInput take numbers that were drawn before."""
    (name,) = (name for name in noise.variables if name.startswith("poissoninput_binomial"))

    def drawn(index):
        neurons = [index[k] for k in range(len(index))]
        return counts[noise.clock.timestep[:], neurons]

    noise.variables[name].implementations.add_implementation("numpy", drawn)


def test_spikes_are_brian2s():
    objects = network()
    for noise in objects[-2:]:
        replay(noise, COUNTS[0])
    expected = spikes_in_brian2(objects, objects[1], STEPS * 0.1 * ms, NAMES)
    found = model(objects).run(given(objects))
    assert spikes_of(found, objects[1]) == expected
    assert len(expected) > 10
    counts = {objects[-2]: COUNTS, objects[-1].name: COUNTS[:1]}
    again = model(objects).run({objects[0]: bep.SpikeData([0.001], [0], [1], 3, 1)}, traces=counts)
    assert len(again.losses) == 3


def test_the_code_that_it_stands_for():
    """`run_regularly` in the same slot, with the numbers in a TimedArray, is another way."""
    objects = network(weight="0.2*i")
    G, namespace = objects[1], {**NAMES, "counts": TimedArray(COUNTS[0] + 0.0, dt=0.1 * ms)}
    found = spikes_of(model(objects, train=[G.v]).run(given(objects, 1)), G)
    G = (others := network()[:4])[1]
    G[1:].run_regularly("I += counts(t, i)*0.2*i", when="synapses")
    G[1:].run_regularly("v += int(not_refractory)*counts(t, i)*0.02", when="synapses")
    assert found == spikes_in_brian2(others, G, STEPS * 0.1 * ms, namespace)
    assert len(found) > 10


@pytest.mark.parametrize("weight", ["a*q", "a*q*(1 + 0.1*z)"])
def test_gradients_in_exact_time(weight):
    objects = network(weight=weight)
    objects[1].v = 0.7
    exact, data = model(objects, 20, solver="event"), given(objects, 1, 20)
    assert len(exact.run(data).spikes["G"]) > 2
    assert exact.gradient().inputs.shape == (1,)  # the generator's, not those of the counts
    check = bep.check_gradient(exact, data, entries=2)
    assert check, str(check)


def test_gradients_on_the_grid():
    """Without spikes they are those of the steps themselves, to rounding."""
    objects = network("v > 100")
    m, data = model(objects), given(objects)
    m.run(data)
    found = m.gradient()
    for key in m.parameters.keys:
        values, slope = m.parameters.raw(key), []
        for k in range(len(values)):
            kept, losses = values[k], []
            for sign in (1, -1):
                values[k] = kept + sign * 1e-5
                losses.append(m.run(data).loss)
            values[k] = kept
            slope.append((losses[0] - losses[1]) / 2e-5)
        np.testing.assert_allclose(found.raw(key), slope, rtol=1e-6, atol=1e-7)


def test_the_same_on_a_gpu(emulator):
    objects = network()
    found, data = [], given(objects)
    for backend in ("interpreter", "cuda"):
        if backend == "cuda":
            emulator()
        m = model(objects, backend=backend)
        result = m.run(data)
        found.append(arrays_of(result, m.gradient(), m))
    check_equal(found[1], found[0], readouts=1e-12)
    assert len(found[0]["G", "i"]) > 30


def test_a_rate_is_learned_from_counts_alone(tmp_path):
    G = NeuronGroup(2, "dI/dt = -I/(4*ms) : 1\nw : 1", method="exact", name="G")
    noise = PoissonInput(G, "I", 7, 900 * Hz, weight="w")
    m = bep.EventPropModel(
        [G, noise], train=[G.w], loss=bep.MeanSquaredError(bep.Integral(G, "I/ms")),
        duration=4 * ms, backend="interpreter",
    )  # fmt: skip
    counts = np.random.default_rng(1).binomial(7, 0.09, (12, 40, 2))
    m.parameters[G.w] = [0.3, -0.2]
    aim = m.run(targets=np.zeros((12, 2)), traces={noise: counts}).readout[0]
    m.parameters[G.w] = [0.0, 0.0]
    bep.SpikeData.from_traces({noise: counts}, targets=aim).save(tmp_path / "counts.h5")
    data = bep.SpikeData.load(tmp_path / "counts.h5")
    bep.Trainer(m, bep.Adam({G.w: 0.05})).fit(data, 40, 6, progress=False)
    m.write_back()
    np.testing.assert_allclose(G.w[:], [0.3, -0.2], atol=0.02)


def test_a_constant_is_written_back():
    G = NeuronGroup(1, "I : 1", name="G")
    noise = PoissonInput(G, "I", 1, 1 * Hz, weight="a")
    m = bep.EventPropModel([G, noise], train=["a"], loss=bep.Sum(bep.Final(G, "I")),
                           duration=0.3 * ms, namespace=NAMES, backend="interpreter")  # fmt: skip
    assert m.run(traces={noise: [[1, 0, 1]]}).loss == pytest.approx(0.44)
    assert m.gradient()["a"] == [2]
    m.parameters["a"] = 0.5
    m.write_back()
    assert G.namespace["a"] == 0.5
    with pytest.raises(ValueError, match="no Synapses object"):
        m.connections(noise)


def test_what_is_given():
    G = NeuronGroup(2, "dI/dt = -I/(4*ms) : 1", method="exact", name="G")
    noise = PoissonInput(G, "I", 5, 100 * Hz, weight=0.1)
    m = bep.EventPropModel([G, noise], train=[G.I], loss=bep.Sum(bep.Final(G, "I")),
                           duration=1 * ms, backend="interpreter")  # fmt: skip
    counts = np.ones((1, 10, 2), int)
    assert m.run(traces={noise: counts}).loss > 0
    example = r"counts = np.random.binomial\(5, rate\*dt, \(trials, 10, 2\)\)"
    for wrong, message in (
        ({}, f"PoissonInput '{noise.name}' draws .*traces=.*{example}"),
        ({noise: counts[:, 1:]}, r"shape \(trials, 10, 2\): time steps of 0.0001 s, neurons"),
        ({noise: 6 * counts}, r"must lie in 0\.\.5"),
        ({noise: -counts}, r"must lie in 0\.\.5"),
        ({noise: 0.5 * counts}, "must be whole numbers"),
        ({noise: counts * np.nan}, r"must lie in 0\.\.5"),
        ({"other": counts}, f"no TimedArray or PoissonInput .*'other'; it has: {noise.name}"),
    ):
        with pytest.raises(ValueError, match=message):
            m.run(traces=wrong)
    with pytest.raises(ValueError, match="spikes are needed for none"):
        m.run({noise: bep.SpikeData([], [], [], 1, 2)})


def test_what_is_refused():
    G = NeuronGroup(2, "dv/dt = -v/(4*ms) : 1\nx : 1\ns : 1 (shared)", threshold="v > x",
                    reset="v = 0", method="exact", refractory="x*ms", name="G")  # fmt: skip
    S = Synapses(G, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()

    def refused(message, target, variable, weight, network=(G, S), error=UnsupportedError, **more):
        noise = PoissonInput(target, variable, 5, 100 * Hz, weight=weight, **more)
        with pytest.raises(error, match=message):
            bep.EventPropModel([*network, noise], train=[G.v], duration=1 * ms,
                               loss=bep.Sum(bep.Final(G, "v")))  # fmt: skip

    refused(r"'v \+= 0.1\*v'.*depends on 'v'.*variable of its own", G, "v", "0.1*v")
    refused(r"'v \+= rand\(\)'.*random", G, "v", "rand()")
    refused(r"'w \+= 0\.1'.*'S' is no NeuronGroup", S, "w", 0.1)
    refused("shared variable", G, "s", "0.1")
    refused("runs in the slot 'start'", G, "v", "0.1", when="start")
    refused("refractory='x\\*ms'.*changed by the arrivals of 'poissoninput", G[1:], "x", "0.1")
    refused("'G', which is not part of the network", G, "v", "0.1", (NeuronGroup(1, "v : 1"),),
            ValueError)  # fmt: skip
    refused("belongs to the refractory mechanism", G, "v", "(t - lastspike)/second")
