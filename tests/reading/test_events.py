"""A second kind of event besides the spikes."""

import numpy as np
import pytest
from brian2 import EventMonitor, Network, NeuronGroup, SpikeMonitor, Synapses, ms
from helpers.networks.small import three_events as network

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError


def model_of(*args, **options):
    objects, views, loss = network(**options.pop("network", {}))
    return bep.EventPropModel(objects, train=views, loss=loss, duration=40 * ms, **options), views


def test_events_are_those_of_brian():
    objects, views, loss = network()
    model = bep.EventPropModel(objects, train=views, loss=loss, duration=40 * ms)
    result = model.run()
    G = objects[1]
    monitors = [SpikeMonitor(G), EventMonitor(G, "up"), EventMonitor(G, "down")]
    Network(*objects, *monitors).run(40 * ms)
    for name, monitor in zip(("G", "G__up", "G__down"), monitors, strict=True):
        assert len(monitor.t) > 4
        np.testing.assert_array_equal(np.asarray(result.spikes[name].t), np.asarray(monitor.t))
        np.testing.assert_array_equal(result.spikes[name].i, np.asarray(monitor.i))


def test_gradient_in_exact_time():
    model, views = model_of(solver="event")
    bep.check_gradient(model, entries=1, raises=True, show=False)


def test_error_of_the_grid_falls_with_the_time_step():
    found = []
    for dt, solver in ((0.1, "clock"), (0.02, "clock"), (0.1, "event")):
        model, views = model_of(network={"dt": dt}, solver=solver)
        model.run()
        gradients = model.gradient()
        found.append([gradients.raw(view) for view in views])
    coarse, fine = (
        [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(g, found[2], strict=True)]
        for g in found[:2]
    )
    assert max(fine) < 0.1
    assert np.mean(fine) < 0.2 * np.mean(coarse)


def test_both_kinds_of_events_at_once_are_refused_if_their_order_matters():
    for up, matters in (("open = False; h += q", False), ("v = 0.3; open = False", True)):
        objects, views, loss = network(up=up)
        objects[1].v, objects[1].g, objects[1].open = 0.999, 1.3, True
        model = bep.EventPropModel(objects, train=views, loss=loss, duration=1 * ms)
        if matters:
            with pytest.raises(UnsupportedError, match="neuron 0 at 0 ms spikes in 'G' and"):
                model.run()
        else:
            model.run()
            assert set(model.run().spikes["G"].i) == set(model.run().spikes["G__up"].i) == {0, 1}


def test_synapses_that_are_rewired_bring_both_groups_their_arrivals():
    model, _ = model_of()
    model.reconnect("into", *model.connections("into"))
    model.write_back()
    with pytest.raises(ValueError, match="'G' is no Synapses object"):
        model.reconnect("G", [0, 1], [0, 1])


def with_events(model="v : 1", on_pre="v += w", equations="w : 1", refractory=False, **links):
    G = NeuronGroup(
        2, f"dv/dt = -v/ms : 1\n{model.removeprefix('v : 1')}", threshold="v > 1", reset="v = 0",
        events={"up": "v > 0.5"}, refractory=refractory, method="exact", name="G",
    )  # fmt: skip
    G.run_on_event("up", "v = 0.4")
    s = Synapses(G, G, equations, on_pre=on_pre, name="s")
    s.connect()
    return [G, s]


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        ({"refractory": 1 * ms}, "make the neurons refractory"),
        ({"on_pre": "v += w; w *= 0.9"}, "Change these by two pathways"),
        ({"on_pre": "v_pre += w"}, "may fire it"),
        (
            {"model": "v : 1\nz : 1", "equations": "w : 1\nz_post = w*v_pre : 1 (summed)"},
            "cannot be coupled",
        ),
    ],
)
def test_what_is_refused(options, quoted):
    objects = with_events(**options)
    loss = bep.Sum(bep.Integral(objects[0], "v"))
    with pytest.raises(UnsupportedError) as error:
        bep.EventPropModel(objects, train=[objects[1].w], loss=loss, duration=1 * ms)
    assert quoted in str(error.value)
