"""Sums of synaptic states, and arrivals that touch two groups: one system of equations in time."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
)
from helpers.derivatives import Along, assert_gradient

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError

#: Equations of the synapses, on_pre, on_post; all have a weight w and a constant c.
KINDS = {
    # NMDA-like: what is summed follows the jumps smoothly
    "saturating sum": (
        "ds/dt = -s/(12*ms) + 500*Hz*x*(1 - s) : 1 (clock-driven)\n"
        "dx/dt = -x/(2*ms) : 1 (clock-driven)\ng_post = w*s*(1.5 - v_post) : 1 (summed)",
        "x += c",
        None,
    ),
    "sum that jumps": (
        "ds/dt = -s/(8*ms) : 1 (clock-driven)\ng_post = w*s*(1.5 - v_post) : 1 (summed)",
        "s += c",
        None,
    ),
    "sum and current": (
        "ds/dt = -s/(8*ms) : 1 (clock-driven)\ng_post = w*s*(1.5 - v_post) : 1 (summed)",
        "s += c\nI_post += 0.2*c*s",
        None,
    ),
    "state of the target": (
        "da/dt = -a/(10*ms) : 1 (clock-driven)",
        "I_post += w*a\na += c*(1 + v_post)",
        None,
    ),
    "state of the source": ("", "I_post += w*q_pre\nq_pre *= 1 - 0.2*c", None),
    "depression": (
        "du/dt = (c - u)/(30*ms) : 1 (event-driven)\ndx/dt = (1 - x)/(25*ms) : 1 (event-driven)",
        "u += c*(1 - u)\nI_post += w*u*x\nx -= u*x",
        None,
    ),
    "plasticity": (
        "dap/dt = -ap/(15*ms) : 1 (event-driven)\ndaq/dt = -aq/(20*ms) : 1 (event-driven)",
        "I_post += w\nap += 0.1*c\nw = clip(w - aq, 0, 5)",
        "aq += 0.05\nw = clip(w + ap, 0, 5)",
    ),
}

#: Those that the clock solver can do, too.
ON_THE_GRID = [kind for kind in KINDS if kind != "sum and current"]


def network(*kinds: str, dt=0.1, **options):
    """Three neurons that spike, with Synapses of each kind among them."""
    defaultclock.dt = dt * ms
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(1, 25, (4, 3)), axis=1).ravel() * ms
    source = SpikeGeneratorGroup(4, np.repeat(np.arange(4), 3), times, name="source")
    sums = [f"g{k}" for k in range(len(kinds))]
    declared = "\n".join(f"{name} : 1" for name in sums)
    a = NeuronGroup(
        3,
        f"""dv/dt = (1.2*I - v + gap + {" + ".join(sums)})/(10*ms) : 1 (unless refractory)
        dI/dt = -I/(5*ms) : 1
        dq/dt = (1 - q)/(20*ms) : 1
        gap : 1
        {declared}""",
        threshold="v > 1", reset="v = 0.1", refractory=1 * ms, method="euler", name="a",
    )  # fmt: skip
    a.v, a.q = rng.uniform(0, 0.5, 3), 0.8
    first = Synapses(source, a, "w : 1", on_pre="I_post += w", name="first")
    first.connect()
    first.w, first.delay = rng.uniform(0.3, 0.9, 12), rng.uniform(0.3, 2, 12) * ms
    gap = Synapses(a, a, "k : 1\ngap_post = k*(v_pre - v_post) : 1 (summed)", name="gap")
    gap.connect("i != j")
    gap.k = 0.1
    objects, views = [source, a, first, gap], [first.w, first.delay, a.v, gap.k]
    loss = bep.Sum(bep.Integral(a, "v**2/second"))
    for number, kind in enumerate(kinds):
        model, on_pre, on_post = KINDS[kind]
        model = model.replace("g_post", f"g{number}_post")
        s = Synapses(
            a, a, f"w : 1\nc : 1\n{model}", on_pre=on_pre, on_post=on_post, method="euler",
            name=f"s{number}",
        )  # fmt: skip
        s.connect("i != j")
        s.w, s.c, s.delay = rng.uniform(0.1, 0.4, 6), 0.4, rng.uniform(0.3, 2, 6) * ms
        objects.append(s)
        views += [s.w, s.c, s.delay]
        if kind == "plasticity":
            loss = loss + bep.Sum(bep.Final(s, "w**2"))
    model = bep.EventPropModel(objects, train=views, loss=loss, duration=30 * ms, **options)
    return model, views, objects


def test_a_sum_and_a_current_of_one_state_in_exact_time():
    model, _, _ = network("sum and current", solver="event")
    assert len(model.run().spikes["a"].t) > 5
    Along(model).assert_slope()


def test_spikes_are_those_of_brian():
    model, _, objects = network(*ON_THE_GRID)
    result = model.run()
    monitor = SpikeMonitor(objects[1])
    Network([*objects, monitor]).run(30 * ms)
    assert len(monitor.t) > 5
    np.testing.assert_array_equal(np.asarray(result.spikes["a"].t), np.asarray(monitor.t))


@pytest.mark.compiled
def test_gradient_in_exact_time_is_that_of_differences_and_the_grid_tends_to_it():
    model, views, _ = network(*ON_THE_GRID, solver="event")
    assert len(model.run().spikes["a"].t) > 5
    exact = model.gradient()
    exact = [np.asarray(exact[view]) for view in views]
    assert_gradient(model)
    # wider steps swap an arrival and a spike that are 0.4 us apart
    model, views, _ = network(*ON_THE_GRID, dt=0.0005)
    model.run()
    found = model.gradient()
    for view, expected in zip(views, exact, strict=True):
        error = np.abs(np.asarray(found[view]) - expected).max()
        assert error < 0.01 * np.abs(expected).max()


def test_the_grid_refuses_a_sum_of_what_jumps_together_with_a_neuron():
    with pytest.raises(UnsupportedError, match=r"changes together with states of another group"):
        network("sum and current")


def test_exact_time_refuses_neurons_that_are_both_ends():
    group = NeuronGroup(
        2, "dv/dt = -v/(10*ms) : 1\ndx/dt = -x/(5*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="group",
    )  # fmt: skip
    s = Synapses(group, group, on_pre="v_post += x_pre", name="s")
    s.connect()
    with pytest.raises(UnsupportedError, match=r"connect a neuron to itself.*i != j"):
        bep.EventPropModel(
            [group, s], train=[group.v], loss=bep.Sum(bep.Integral(group, "v")), duration=1 * ms,
            solver="event",
        )  # fmt: skip


def test_exact_time_refuses_what_one_system_lacks():
    group = NeuronGroup(
        2, "dv/dt = -v/(10*ms) : 1\ndx/dt = -x/(5*ms) : 1", threshold="v > 1", reset="v = 0",
        refractory="v > 0.5", method="exact", name="group",
    )  # fmt: skip
    s = Synapses(group, group, on_pre="v_post += x_pre", name="s")
    s.connect("i != j")
    reason = "touches the states of two groups.*ends with the states of a neuron"
    with pytest.raises(UnsupportedError, match=reason):
        bep.EventPropModel(
            [group, s], train=[group.v], loss=bep.Sum(bep.Integral(group, "v")), duration=9 * ms,
            solver="event",
        )  # fmt: skip


def through_glia(dt=0.1, **options):
    """Synapses that are coupled, both ways, to cells that do not spike."""
    defaultclock.dt = dt * ms
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [2, 5, 11, 16] * ms, name="source")
    a = NeuronGroup(
        2, "dv/dt = (I - v)/(9*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1",
        reset="v = 0.2", method="euler", name="a",
    )  # fmt: skip
    glia = NeuronGroup(
        2, "dz/dt = (y - z)/(12*ms) : 1\ny : 1\nscale : 1", method="euler", name="glia"
    )
    glia.scale = [0.7, 1.2]
    s = Synapses(
        source, a,
        "w : 1\nm : 1\ndr/dt = -r*(1 + m)/(15*ms) : 1 (clock-driven)",
        on_pre="r += 1; I_post += w*r", method="euler", name="s",
    )  # fmt: skip
    s.connect()
    s.w, s.delay = [1.9, 2.1, 2.3, 2.2], [1, 1.7, 2.3, 3.1] * ms
    up = Synapses(s, glia, "k : 1\ny_post = k*r_pre : 1 (summed)", name="up")
    up.connect(i=[0, 1, 2, 3], j=[0, 0, 1, 1])
    up.k = [0.5, 0.6, 0.7, 0.8]
    down = Synapses(glia, s, "m_post = scale_pre*z_pre : 1 (summed)", name="down")
    down.connect(i=[0, 0, 1, 1], j=[0, 1, 2, 3])
    views = [s.w, s.delay, up.k, glia.scale, glia.z]
    objects = [source, a, glia, s, up, down]
    model = bep.EventPropModel(
        objects, train=views, loss=bep.Sum(bep.Integral(a, "v**2/second")), duration=25 * ms,
        **options,
    )  # fmt: skip
    return model, views, objects


def test_sums_from_and_into_synapses_in_exact_time():
    model, _, _ = through_glia(solver="event")
    assert len(model.run().spikes["a"].t) >= 4
    Along(model).assert_slope()


def test_sums_of_what_jumps_with_a_neuron_are_refused_on_the_grid_through_synapses_too():
    with pytest.raises(UnsupportedError, match=r"changes together with states of another group"):
        through_glia()
