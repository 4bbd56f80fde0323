"""Groups and Synapses whose own dt is a multiple of the network's: Brian2's spikes, gradients."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    linked_var,
    ms,
)
from helpers.backends import check_same_on_a_gpu
from helpers.brian_spikes import spikes_of

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

NAMES = {"a": 0.7, "drive": TimedArray([0.1, 0.5, 0.4, 0.2], dt=5 * ms)}


def slow_group(method="rk4", linked=True, threshold="v > 1", dt=0.5, extra="dt*0"):
    """Cells with a coarse dt, driven by the spikes of neurons that read them."""
    source = SpikeGeneratorGroup(2, np.arange(8) % 2, np.arange(8) * 1.4 * ms + 1.05 * ms)
    square = "0.3*y" if method == "exact" else "y*y"
    A = NeuronGroup(
        2,
        f"dx/dt = (drive(t) + a - x + y)/(6*ms) : 1\ndy/dt = (x - y)/(9*ms) - {square}/(5*ms) : 1",
        method=method, dt=dt * ms, name="A",
    )  # fmt: skip
    A.run_regularly(f"y *= 0.9 + {extra}/ms", dt=2 * ms)
    G = NeuronGroup(
        2, f"dv/dt = (2*k + I - v)/(8*ms) : 1\ndI/dt = -I/(5*ms) : 1\nk : 1{' (linked)' * linked}",
        threshold=threshold, reset="v = 0", refractory=2 * ms, method="euler", name="G",
    )  # fmt: skip
    G.k = linked_var(A, "x") if linked else 0.6
    S = Synapses(source, G, "w : 1", on_pre="I_post += w", name="S")
    S.connect()
    T = Synapses(G, A, "w : 1", on_pre="x_post += w", name="T", delay=0.3 * ms)
    T.connect()
    A.y, S.w, T.w = [0.2, 0.4], [0.5, 0.3, 0.4, 0.2], 0.05
    return [source, A, G, S, T]


def slow_synapses(threshold="v > 1"):
    """Synapses whose equations have a coarse dt; spikes arrive at any step."""
    source = SpikeGeneratorGroup(2, np.arange(8) % 2, np.arange(8) * 1.4 * ms + 1.05 * ms)
    G = NeuronGroup(2, "dv/dt = (I - v)/(8*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold=threshold,
                    reset="v = 0", method="exact", name="G")  # fmt: skip
    S = Synapses(
        source, G, "w : 1\ndx/dt = (a - x - x*x)/(6*ms) : 1 (clock-driven)", method="rk2",
        on_pre="x += w\nI_post += x", dt=0.5 * ms, name="S",
    )  # fmt: skip
    S.connect()
    S.w, S.delay = "0.9 + 0.1*i + 0.05*j", "(0.3 + 0.2*i)*ms"
    S.run_regularly("x *= 0.9", dt=1.5 * ms)
    return [source, G, S]


CASES = {
    "exact": lambda **o: slow_group("exact", **o),
    "linked": lambda **o: slow_group("rk4", **o),
    "alone": lambda **o: slow_group("rk4", linked=False, **o),
    "own dt": lambda **o: slow_group("euler", linked=False, extra="dt*10", **o),
    "synapses": slow_synapses,
}


def model(objects, **options):
    G = next(o for o in objects if o.name == "G")
    S = next(o for o in objects if o.name == "S")
    slow = objects[1] if objects[1].name == "A" else S
    train = [S.w, (slow.name, "x"), "a"]
    loss = bep.Sum(bep.Integral(G, "v*v/ms"), bep.Final(slow, "x"), bep.SpikeTimes(G, "t/ms"),
                   *([bep.Integral(slow, "x/ms")] if slow is not S else []))  # fmt: skip
    options = {"train": train, "backend": "interpreter", "duration": 12 * ms} | options
    return bep.EventPropModel(objects, loss=loss, namespace=NAMES, **options)


@pytest.mark.parametrize("case", CASES)
def test_spikes_and_states_are_brian2s(case):
    objects = CASES[case]()
    m = model(objects)
    G = next(o for o in objects if o.name == "G")
    slow = objects[1] if case != "synapses" else objects[2]
    monitors = SpikeMonitor(G), StateMonitor(slow, "x", record=True)
    Network(objects, monitors).run(12 * ms, namespace=NAMES)
    expected = sorted(zip(monitors[0].i, np.round(monitors[0].t_ / 1e-4).astype(int), strict=True))
    result = m.run()
    assert spikes_of(result, G) == expected and len(expected) > 2
    np.testing.assert_allclose(result.readout[1][0], slow.x[:], rtol=1e-12)
    if case != "synapses":  # what a monitor records, times its dt
        np.testing.assert_allclose(result.readout[3][0], monitors[1].x.sum(axis=1) * 0.5)


@pytest.mark.parametrize("case", CASES)
def test_gradients_on_the_grid(case):
    """Without spikes they are those of the steps themselves, to rounding."""
    m = model(CASES[case](threshold="v > 100"))
    m.run()
    found = m.gradient()
    for key in m.parameters.keys:
        values, slope = m.parameters.raw(key), []
        for k in range(len(values)):
            kept, losses = values[k], []
            for sign in (1, -1):
                values[k] = kept + sign * 1e-5
                losses.append(m.run().loss)
            values[k] = kept
            slope.append((losses[0] - losses[1]) / 2e-5)
        np.testing.assert_allclose(found.raw(key), slope, rtol=1e-6, atol=1e-7)


def test_gradients_fall_with_dt():
    """The difference to exact time does, which has no time steps at all."""
    found = []
    for solver, dt in (("event", 0.1), ("clock", 0.05), ("clock", 0.01)):
        defaultclock.dt = dt * ms
        objects = slow_group("euler", linked=False, dt=5 * dt)
        m = model(objects, solver=solver, train=[objects[4].w, objects[1].x, "a"])
        assert len(m.run().spikes["G"]) > 1
        found.append(np.concatenate([m.gradient().raw(key) for key in m.parameters.keys]))
    exact, coarse, fine = found
    assert np.abs(fine - exact).max() < 0.4 * np.abs(coarse - exact).max()


def test_the_same_on_a_gpu(emulator):
    check_same_on_a_gpu(model, slow_group(linked=False), emulator)


def test_exact_time_has_no_time_steps():
    """Nor do neurons that spike."""
    found = []
    for slow in (1, 3):
        source = SpikeGeneratorGroup(1, [0, 0], [1, 4] * ms, name="source")
        G = NeuronGroup(1, "dv/dt = (1.3 - v)/(5*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="euler", dt=slow * 0.1 * ms, name="G")  # fmt: skip
        H = NeuronGroup(1, "dv/dt = -v/(4*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="euler", name="H")  # fmt: skip
        S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
        R = Synapses(G, H, "w : 1", on_pre="v_post += w", name="R", delay=0.25 * ms)
        for synapses in (S, R):
            synapses.connect()
            synapses.w = 0.1
        options = {"loss": bep.Sum(bep.Final(H, "v")), "duration": 15 * ms, "train": [S.w, R.w]}
        exact = bep.EventPropModel([source, G, H, S, R], **options, solver="event",
                                   backend="interpreter")  # fmt: skip
        exact.run()
        found.append([exact.gradient().raw(key) for key in exact.parameters.keys])
        if slow > 1:
            with pytest.raises(UnsupportedError, match=r"'G': 'dt=0.0003 s'.*its neurons spike"):
                bep.EventPropModel([source, G, H, S, R], **options)
    np.testing.assert_array_equal(found[0], found[1])
    assert np.all(found[0])


def test_synapses_have_the_steps_of_their_source():
    """Their own clock does not matter where spikes alone run their code."""
    source = SpikeGeneratorGroup(1, [0], [1] * ms, dt=0.5 * ms, name="source")
    G = NeuronGroup(1, "v : 1", dt=0.5 * ms, name="G")
    S = Synapses(source, G, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    spec, _ = read_network([source, G, S], [], {})
    assert spec.dt == 5e-4 and spec.inputs[0].dt is None and spec.groups[0].every == 1
    T = Synapses(source, G, "ds/dt = -s/ms : 1 (event-driven)", on_pre="s += 1; v_post += s",
                 name="T")  # fmt: skip
    T.connect()
    assert read_network([source, G, T], [], {})[0].dt == 5e-4
    T = Synapses(source, G, "ds/dt = -s/ms : 1 (event-driven)", on_pre="s += 1; v_post += s",
                 dt=1 * ms, name="T")  # fmt: skip
    T.connect()
    with pytest.raises(UnsupportedError, match=r"it reads 't' of the Synapses.*dt of 'source'"):
        read_network([source, G, T], [], {})


def test_what_is_refused():
    H = NeuronGroup(1, "dv/dt = -v/(9*ms) : 1", method="euler", name="H")

    def refused(message, *objects, **options):
        with pytest.raises(UnsupportedError, match=message):
            bep.EventPropModel([H, *objects], train=[H.v], loss=bep.Sum(bep.Final(H, "v")),
                               duration=1 * ms, **options)  # fmt: skip

    G = NeuronGroup(1, "dv/dt = -v/(9*ms) : 1", method="euler", dt=0.25 * ms, name="G")
    refused("'G': 'dt=0.00025 s'.*no multiple of dt=0.0001 s of 'H'", G)
    G = NeuronGroup(1, "dv/dt = -v/(9*ms) + int(v > 0.5)/ms : 1", method="euler", dt=0.2 * ms,
                    name="G")  # fmt: skip
    refused(
        "'G': 'dt=0.0002 s' .*solver='clock'.*has a condition or a step".replace("has", "have"), G
    )
    G = NeuronGroup(1, "dv/dt = -v/(9*ms) : 1\ny : 1", method="euler", dt=0.2 * ms, name="G")
    S = Synapses(H, G, "y_post = v_pre : 1 (summed)", name="S")
    S.connect()
    refused("Synapses 'S'.*have several time steps", G, S)
    refused("counts time steps of 0.0002 s", G, PoissonInput(G, "y", 3, 5 * Hz, weight=1))
