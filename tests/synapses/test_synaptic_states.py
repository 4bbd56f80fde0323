"""Synapses with states: event-driven variables, plasticity, weights that the loss reads."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, defaultclock, ms, us
from helpers.derivatives import Along
from helpers.networks.synapses import RULES, errors, plastic, reference

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

CASES = ("short_term_plasticity", "stdp")


@pytest.mark.parametrize("name", CASES)
def test_event_solver_finds_the_gradient_of_an_independent_simulation(name):
    data, model, train = reference(name, solver="event")
    # the differences themselves are good to 1e-7
    assert max(errors(data, model, train).values()) < 1e-6
    result = model.run()
    assert result.loss == pytest.approx(data["expected"]["loss"], rel=1e-10)
    for group, expected in data["expected"]["spikes"].items():
        assert len(result.spikes[group]) == len(expected["t"])
        np.testing.assert_allclose(np.asarray(result.spikes[group].t), expected["t"], rtol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_error_of_the_clock_solver_falls_with_the_time_step(name):
    coarse = errors(*reference(name, dt=100 * us))
    fine = errors(*reference(name, dt=10 * us))
    assert np.mean(list(fine.values())) < 0.3 * np.mean(list(coarse.values()))


@pytest.mark.parametrize("refractory", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_gradient_in_exact_time_is_that_of_differences(rule, refractory):
    model, _, _ = plastic(rule, refractory, solver="event")
    Along(model, seed=2).assert_slope()


def test_check_gradient_compares_states_of_synapses():
    model, _, _ = plastic("voltage", True, solver="event")
    report = bep.check_gradient(model, entries=1, raises=True, show=False)
    assert "first.w" in str(report)


@pytest.mark.parametrize("refractory", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_spikes_and_final_weights_are_those_of_brian(rule, refractory):
    model, _, objects = plastic(rule, refractory)
    result = model.run()
    monitor = SpikeMonitor(objects[1])
    Network([*objects, monitor]).run(50 * ms)
    assert len(monitor.t) > 5
    np.testing.assert_array_equal(np.asarray(result.spikes["group"].t), np.asarray(monitor.t))
    np.testing.assert_array_equal(result.spikes["group"].i, np.asarray(monitor.i))
    np.testing.assert_allclose(result.readout[1][0], np.asarray(objects[2].w), rtol=1e-12)
    np.testing.assert_allclose(result.readout[2][0], np.asarray(objects[3].w) / 2, rtol=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("options", [{}, {"precision": "float32"}, {"solver": "event"}])
def test_compiled_kernels_do_what_the_interpreter_does(options):
    rng = np.random.default_rng(0)
    times, channels = rng.uniform(0, 0.045, 100), rng.integers(0, 4, 100)
    data = bep.SpikeData(times, channels, rng.integers(0, 7, 100), n_trials=7, n_channels=4)
    found = []
    for backend in ({"backend": "interpreter"}, {"threads": 1}, {"threads": 2}):
        model, views, _ = plastic("voltage", True, **backend, **options)
        result = model.run(data)
        gradients = model.gradient()
        found.append((result.losses, [np.asarray(gradients[view]) for view in views]))
    for losses, gradients in found[1:]:
        # single precision rounds products that machine code fuses
        rtol = 1e-3 if "precision" in options else 1e-9
        np.testing.assert_allclose(losses, found[0][0], rtol=rtol)
        for gradient, first in zip(gradients, found[0][1], strict=True):
            np.testing.assert_allclose(gradient, first, rtol=rtol, atol=rtol * np.abs(first).max())
    for gradient, other in zip(found[1][1], found[2][1], strict=True):
        np.testing.assert_array_equal(gradient, other)


def test_a_constant_weight_may_be_read_at_the_end():
    """Final of synapses without any state: a penalty on weights."""
    group = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", method="exact")
    s = Synapses(group, group, "w : 1", on_pre="v_post += w")
    s.connect()
    s.w = [1.0, 2.0, -1.0, 0.5]
    loss = bep.Sum(bep.Final(s, "w**2"))
    model = bep.EventPropModel([group, s], train=[s.w], loss=loss, duration=5 * ms)
    assert model.run().loss == pytest.approx(np.sum(np.asarray(s.w) ** 2))
    np.testing.assert_allclose(np.asarray(model.gradient()[s.w]), 2 * np.asarray(s.w))


def test_trained_weights_that_plasticity_changes_go_back_to_brian():
    model, views, objects = plastic("triplet", True)
    first = objects[2]
    weights = np.asarray(first.w).copy()
    model.parameters[first.w] = 1.1 * weights
    loss = model.run().loss
    model.write_back()
    np.testing.assert_array_equal(np.asarray(first.w), 1.1 * weights)
    monitor = SpikeMonitor(objects[1])
    Network([*objects, monitor]).run(50 * ms)
    assert len(monitor.t) == len(model.run().spikes["group"])
    assert loss == model.run().loss


def two_groups(on_pre="I_post += w", on_post=None, model="w : 1", **options):
    a, b = (
        NeuronGroup(
            2, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1\nx : 1", threshold="v > 1",
            reset="v = 0", method="exact", name=name,
        )
        for name in "ab"
    )  # fmt: skip
    s = Synapses(a, b, model, on_pre=on_pre, on_post=on_post, name="s")
    s.connect()
    return bep.EventPropModel(
        [a, b, s], train=[s.w], loss=bep.Sum(bep.Final(b, "v")), duration=5 * ms, **options
    )


@pytest.mark.parametrize(
    ("code", "quoted"),
    [
        ({"on_pre": "v_pre += w; I_post += w"}, "may fire it"),
        ({"on_pre": "q += 1; I_post += w*q", "model": "w : 1\nq : 1 (shared)"}, "is shared"),
        (
            {"on_pre": "a += w", "model": "w : 1\nda/dt = -a*v_post/(5*ms) : 1"},
            "'v_post' of the neurons",
        ),
    ],
)
def test_what_is_refused(code, quoted):
    with pytest.raises(UnsupportedError, match="'s'") as error:
        two_groups(**code)
    assert quoted in str(error.value)


def onto_themselves(dt, **options):
    """Two neurons with depressed synapses onto themselves, without delay, just before the reset."""
    defaultclock.dt = dt * ms
    group = NeuronGroup(
        2, "dv/dt = (1.6 + 0.3*i - v - (1.5 + v)*g)/(20*ms) : 1\ndg/dt = -g/(7*ms) : 1",
        threshold="v > 1", reset="v = 0.1*v; g *= 0.9", method="exponential_euler",
    )  # fmt: skip
    group.v = [0.1, 0.3]
    on_pre = """x = 1 - (1 - x)*exp(-(t - last)/(25*ms))
    g_post += w*x*U*(1 + 0.3*v_post)
    x -= U*x
    last = t"""
    s = Synapses(group, group, "w : 1\nU : 1\nx : 1\nlast : second", on_pre=on_pre)
    s.connect(i=[0, 0, 1, 1], j=[0, 1, 0, 1])
    s.w, s.U, s.x = [0.5, 0.3, 0.2, 0.6], [0.4, 0.3, 0.5, 0.35], 1
    s.delay = [0, 1.3, 2.1, 0] * ms
    loss = bep.Sum(bep.Integral(group, "v**2"), bep.Integral(group, "g"))
    views = [s.w, s.U, s.x, group.v]
    return bep.EventPropModel(
        [group, s], train=views, loss=loss, duration=60 * ms, **options
    ), views


def test_synapses_of_a_neuron_onto_itself_without_delay():
    model, _ = onto_themselves(0.1, solver="event")
    bep.check_gradient(model, entries=1, raises=True, show=False)
    found = []
    for dt, options in ((0.1, {"solver": "event"}), (0.1, {}), (0.02, {})):
        model, views = onto_themselves(dt, **options)
        model.run()
        gradients = model.gradient()
        found.append([np.asarray(gradients[view]) for view in views])
    for exact, coarse, fine in zip(*found, strict=True):
        assert np.abs(coarse - exact).max() < 0.2 * np.abs(exact).max()
        assert np.abs(fine - exact).max() < 0.3 * np.abs(coarse - exact).max()
