"""Counters and flags: spikes as Brian2's, exact gradients past them, none through them."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs
from helpers.brian_spikes import spikes_in_brian2, spikes_of
from helpers.derivatives import assert_gradient

import brian_eventprop as bep

RESETS = (
    "n += 1", "n = (n + 1) % 3", "m = int(z*4)", "m += n", "flag = not flag", "flag = n > m",
    "flag = flag and n < 3", "n = int(n/2) + 1", "m = n//2",
)  # fmt: skip
DRIVES = ("0.2*n", "0.4*int(flag)", "0.3*int(not flag)", "0.1*m", "0.3*int(flag and n > 1)")
CONDITIONS = ("n < 4", "not flag", "flag", "m >= 1", "n == 0", "n != 2")
ARRIVALS = ("m_post += 1", "flag_post = not flag_post", "n_post = (n_post + i) % 4")


def network(seed):
    """A random network of two groups with counters and flags."""
    rng = np.random.default_rng(seed)

    def some(texts, number):
        return rng.choice(texts, number, replace=False).tolist()

    source = SpikeGeneratorGroup(3, np.arange(24) % 3, np.arange(24) * 1.3 * ms + 1 * ms)
    first, second = some(CONDITIONS, 2)
    condition = f"v > 1 and ({first} or {second} or z > 0.7)"
    G = NeuronGroup(
        3,
        f"""dv/dt = (k + {" - ".join(some(DRIVES, 2))} - v)/(8*ms) : 1
        dz/dt = ({" + ".join(some(DRIVES, 2))} - z)/(5*ms) : 1
        k : 1
        n : integer
        m : integer
        flag : boolean""",
        threshold=condition,
        reset="\n".join(["v = 0.1*int(flag)", *some(RESETS, 3), "z += 0.1*n"]),
        method=["euler", "rk4", "exponential_euler"][seed % 3],
    )
    S = Synapses(
        source,
        G,
        "w : 1\non : boolean",
        on_pre=f"v_post += w*(1 + int(flag_post))*int(on)\n{some(ARRIVALS, 1)[0]}",
    )
    S.connect()
    G.k, S.w = rng.uniform(1.2, 2.2, 3), rng.uniform(0.05, 0.35, 9)
    G.flag, G.n = rng.random(3) < 0.5, rng.integers(0, 3, 3)
    S.on, S.delay = rng.random(9) < 0.7, rng.uniform(0.2, 2, 9) * ms
    return source, G, S


def model(objects, **options):
    _, G, S = objects
    loss = bep.Sum(bep.Integral(G, "v*v + z + 0.05*n*int(not flag)"), bep.Final(G, "z + m"))
    options = {"duration": 30 * ms, "backend": "interpreter"} | options
    return bep.EventPropModel(objects, train=[S.w, G.k], loss=loss, **options)


@pytest.fixture(autouse=True)
def numpy_target():
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = before


@pytest.mark.parametrize("seed", range(9))
def test_spikes_are_brian2s(seed):
    objects = network(seed)
    expected = spikes_in_brian2(objects, objects[1], 30 * ms)
    assert spikes_of(model(objects).run(), objects[1]) == expected
    assert len(expected) > 1


def test_the_same_on_a_gpu(emulator):
    objects = network(5)
    expected = model(objects, duration=12 * ms)
    emulator()
    found = model(objects, duration=12 * ms, backend="cuda")
    assert found.run().loss == pytest.approx(expected.run().loss, rel=1e-12)
    for item, gradient in expected.gradient().items():
        np.testing.assert_allclose(found.gradient()[item], gradient, rtol=1e-9)


SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in (0, 1, 3, 4)]


@pytest.mark.parametrize("seed", [2, 5, *SLOW])
def test_gradients_in_exact_time(seed):
    objects = network(seed)
    exact = model(objects, solver="event", duration=20 * ms)
    exact.run()
    assert_gradient(exact)


def test_gradients_on_the_grid():
    """They differ from those in exact time by what the time step makes of them."""
    before, defaultclock.dt = defaultclock.dt, 0.02 * ms
    source, G, S = objects = network(5)
    try:
        on_grid, exact = (model(objects, solver=solver, duration=15 * ms)
                          for solver in ("clock", "event"))  # fmt: skip
        assert len(on_grid.run().spikes[G]) == len(exact.run().spikes[G]) > 2
        found, expected = on_grid.gradient(), exact.gradient()
    finally:
        defaultclock.dt = before
    for item in (S.w, G.k):
        assert np.allclose(found[item], expected[item], rtol=0.03, atol=0.01 * max(expected[item]))
