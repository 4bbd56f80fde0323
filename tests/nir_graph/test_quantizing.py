"""Delays on the grid of a chip."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep


def made(train="delay", solver="event", loss=True):
    source = SpikeGeneratorGroup(4, [0, 1, 2, 3], [1, 1, 2, 2] * ms, name="source")
    group = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact", name="group")
    s = Synapses(source, group, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    s.w, s.delay = "1 + i", np.linspace(0.2, 6.9, 8) * ms
    measured = {"loss": bep.Sum(bep.Integral(group, "v**2/ms"))}
    measured = measured if loss else {"readouts": [bep.Final(group, "v")]}
    return bep.EventPropModel(
        [source, group, s], train=[getattr(s, train)], duration=20 * ms, solver=solver, **measured
    )


@pytest.mark.parametrize("solver", ["event", "clock"])
@pytest.mark.parametrize("maximum", [4, 4 * ms])
def test_delays_are_the_nearest_steps_within_the_range(solver, maximum):
    model = made(solver=solver)
    old = model.parameters.raw("s.delay").copy() * 1e3
    loss = model.run().loss
    report = bep.quantize(model, dt=1 * ms, maximum=maximum)
    new = model.parameters.raw("s.delay") * 1e3
    np.testing.assert_allclose(new, np.minimum(np.rint(old), 4))
    np.testing.assert_allclose(report.moved["s.delay"] / ms, new - old)
    assert report.clipped == {"s.delay": int(np.sum(old > 4.5))} and report.clipped["s.delay"] > 1
    assert report.before == loss and report.after == model.run().loss != loss
    assert "clipped" in str(report) and f"{report.after:.6g} after" in str(report)


def test_losses_are_those_of_the_data_that_are_given():
    model = made()
    data = bep.SpikeData([0.004, 0.002], [0, 3], [0, 1], 2, 4)
    expected = model.run(data).loss
    report = bep.quantize(model, data, dt=0.5 * ms)
    assert report.before == expected and report.after == model.run(data).loss
    assert report.clipped == {"s.delay": 0}


def test_a_model_without_a_loss_has_none():
    report = bep.quantize(made(loss=False), dt=1 * ms)
    assert report.before is None and report.after is None and "loss" not in str(report)


def test_delays_that_are_not_trained_are_no_reason_for_silence():
    model = made(train="w")
    with pytest.raises(ValueError, match="delays of 's' are not trained"):
        bep.quantize(model, dt=1 * ms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.25 * ms}, "no whole number of the model's time steps"),
        ({"dt": 0 * ms}, "dt must be a time above 0"),
        ({"dt": 1 * ms, "maximum": 4.5 * ms}, "no whole number of steps"),
        ({"dt": 1 * ms, "maximum": 4.5}, "maximum must be a whole number"),
    ],
)
def test_arguments_are_checked(options, message):
    model = made(solver="clock")
    before = model.parameters.raw("s.delay").copy()
    with pytest.raises(ValueError, match=message):
        bep.quantize(model, **options)
    np.testing.assert_array_equal(model.parameters.raw("s.delay"), before)


def test_delays_of_axons():
    first = made()
    objects = first.objects
    s = next(obj for obj in objects if obj.name == "s")
    s.delay = "(0.4 + 1.3*i)*ms"
    group = next(obj for obj in objects if obj.name == "group")
    model = bep.EventPropModel(
        objects, train=[bep.Axonal(s.delay)], duration=20 * ms, solver="event",
        loss=bep.Sum(bep.Final(group, "v")),
    )  # fmt: skip
    bep.quantize(model, dt=1 * ms)
    np.testing.assert_allclose(model.parameters[s.delay] / ms, [0, 2, 3, 4])


def test_delays_that_are_an_expression():
    first = made()
    group, s = (next(obj for obj in first.objects if obj.name == n) for n in ("group", "s"))
    train = [bep.Expression(s.delay, "x[i]", x=[0.4, 1.7, 3, 4] * ms)]
    model = bep.EventPropModel(
        first.objects, train=train, duration=20 * ms, readouts=[bep.Final(group, "v")]
    )
    with pytest.raises(ValueError, match="delays of 's' are the expression"):
        bep.quantize(model, dt=1 * ms)
