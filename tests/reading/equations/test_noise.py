"""White noise in the equations, given with the batch."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    linked_var,
    ms,
    seed,
)

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

#: A variable that only the loss sees, and a current that drives a potential.
KINDS = {
    "readout": "dx/dt = -x/(5*ms) + s*ms**-0.5*xi : 1\ndv/dt = (I - v)/(6*ms) : 1",
    "coloured": "dx/dt = -x/(5*ms) + s*ms**-0.5*xi : 1\ndv/dt = (I + x - v)/(6*ms) : 1",
}
STEPS = 200


def network(kind="coloured", more="", target="x", reset="v = 0", on_pre="x += w", **options):
    defaultclock.dt = 0.1 * ms
    source = SpikeGeneratorGroup(2, [0, 1, 0], [3, 8, 16] * ms, name="source")
    options = {"threshold": "v > 1", "method": "euler", "name": "G"} | options
    G = NeuronGroup(3, f"{KINDS[kind]}\ns : 1\nI : 1\n{more}", reset=reset, **options)
    G.s, G.I = [0.1, 0.2, 0.15], [1.46, 1.5, 1.7]
    into = Synapses(source, G, "w : 1", on_pre=on_pre, name="into")
    into.connect()
    into.w = [0.2, 0.3, 0.1, 0.2, 0.25, 0.15]
    H = NeuronGroup(3, "dy/dt = -y/(7*ms) : 1", method="exact", name="H")
    out = Synapses(G, H, "a : 1", on_pre="y += a", name="out")
    out.connect(j="i")
    out.a = 0.5
    loss = bep.Sum(bep.Integral(G, "x**2"), bep.Integral(H, "y**2"))
    return [source, G, into, H, out], [into.w, G.s, G.I, out.a], loss


def draws(trials=1, number=7):
    """What Brian2's numpy target draws with that seed."""
    return np.random.RandomState(number).randn(trials, STEPS, 3)


def model_of(kind, **options):
    objects, views, loss = network(kind)
    model = bep.EventPropModel(objects, train=views, loss=loss, duration=20 * ms, **options)
    return model, views, objects


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_numbers_that_brian_draws_the_run_is_brians(kind):
    model, _, objects = model_of(kind)
    result = model.run(traces={"noise_G": draws() / np.sqrt(0.1 * ms)})
    monitor = SpikeMonitor(objects[1])
    seed(7)
    Network(*objects, monitor).run(20 * ms)
    assert len(monitor.t) > 4
    np.testing.assert_array_equal(np.asarray(result.spikes["G"].t), np.asarray(monitor.t))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_along_given_noise(kind):
    noise = {"noise_G": draws() / np.sqrt(0.1 * ms)}
    found = []
    for solver in ("event", "clock"):
        model, views, _ = model_of(kind, solver=solver)
        model.run(traces=noise)
        gradients = model.gradient()
        found.append([gradients.raw(view) for view in views])
        if solver == "event":
            for view, gradient in zip(views, found[0], strict=True):
                start, losses = model.parameters.raw(view).copy(), []
                for step in (1e-6, -1e-6):
                    moved = start.copy()
                    moved[1] += step
                    model.parameters.set_raw(view, moved)
                    losses.append(model.run(traces=noise).loss)
                model.parameters.set_raw(view, start)
                assert gradient[1] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5)
    for exact, grid in zip(*found, strict=True):
        assert np.abs(grid - exact).max() < 0.25 * np.abs(exact).max()


def test_every_trial_has_noise_of_its_own_and_none_goes_without():
    model, _, _ = model_of("coloured")
    noise = draws(trials=2) / np.sqrt(0.1 * ms)
    times = np.tile([3e-3, 8e-3, 16e-3], 2)
    spikes = bep.SpikeData(times, [0, 1, 0] * 2, [0] * 3 + [1] * 3, n_trials=2, n_channels=2)
    both = model.run(spikes, traces={"noise_G": noise}).losses
    alone = [model.run(traces={"noise_G": noise[k : k + 1]}).loss for k in (0, 1)]
    np.testing.assert_allclose(both, alone, rtol=1e-14)
    assert both[0] != both[1]
    with pytest.raises(ValueError, match="The noise 'noise_G' is not given"):
        model.run()
    with pytest.raises(ValueError, match="has 199 time steps only"):
        model.run(traces={"noise_G": noise[:, 1:]})


def linked_to_noise():
    objects, views, loss = network("readout")
    other = NeuronGroup(
        3, "dv/dt = (y - v)/(5*ms) : 1\ny : 1 (linked)", threshold="v > 1", name="other"
    )
    other.y = linked_var(objects[1], "x")
    s = Synapses(objects[0], other, "w : 1", on_pre="v += w*y", name="s")
    s.connect()
    return [*objects, other, s], views, loss


@pytest.mark.parametrize(
    ("build", "quoted"),
    [
        (lambda: network(threshold="x > 1"), "drives a variable that a threshold compares"),
        (lambda: network(threshold="v + 0.1*x > 1"), "a factor of 10 to 40"),
        (lambda: network(reset="v = 0; x = 0"), "a spike reads or replaces it"),
        (lambda: network(reset="v = 0.1*x"), "a spike reads or replaces it"),
        (lambda: network(on_pre="x += w*x"), "an arrival reads or replaces it"),
        (lambda: network(refractory="x > 2"), "refractoriness depends on it"),
        (
            lambda: network(more="dz/dt = (int(x > 0.1) - z)/(5*ms) : 1"),
            "a condition in the equations reads it",
        ),
        (
            lambda: network(more="dz/dt = -z/ms + v*ms**-0.5*xi_2 : 1"),
            "'xi_2' is multiplied by 'v'",
        ),
        (lambda: network(method="heun"), "Use method='euler'"),
        (
            lambda: network(
                more="dz/dt = -z/ms + ms**-0.5*xi_2 : 1 (unless refractory)", refractory=1 * ms
            ),
            "it stands still after a spike",
        ),
        (linked_to_noise, "'y'"),
    ],
)
def test_what_is_refused(build, quoted):
    objects, views, loss = build()
    with pytest.raises(UnsupportedError) as error:
        bep.EventPropModel(objects, train=views, loss=loss, duration=20 * ms)
    assert quoted in str(error.value)
