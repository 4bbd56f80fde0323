"""Roots that a condition cuts off and a variable flows through, in exact time."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms, second

import brian_eventprop as bep

ROOT = """dv/dt = (1 - k*sqrt(clip(v - a, 0, inf)))/tau : 1
          a : 1 (constant)
          k : 1 (constant)
          tau : second (constant)"""


def test_a_spike_behind_the_edge_of_a_root_has_the_right_gradient():
    """From v to a the slope is 1/tau; from there on sqrt(v - a) has the slope (1/s - k)/(2*tau)."""
    v, a, k, tau = np.array([0.1, 0.25, 0]), np.array([0.3, 0.5, 0]), np.array([0.5, -2, 0.9]), 7e-3
    group = NeuronGroup(3, ROOT, threshold="v > 0.8", reset="v = -100", method="euler", name="G")
    group.v, group.a, group.k, group.tau = v, a, k, tau * second
    model = bep.EventPropModel(
        [group], train=[group.v, group.a, group.k, group.tau],
        loss=bep.Sum(bep.SpikeTimes(group, which="first")), duration=20 * ms, solver="event",
    )  # fmt: skip
    s = np.sqrt(0.8 - a)
    left = -2 * s / k - 2 / k**2 * np.log(1 - k * s)
    by_k = 2 * s / k**2 + 4 / k**3 * np.log(1 - k * s) + 2 * s / (k**2 * (1 - k * s))
    assert model.run().loss == pytest.approx(tau * np.sum(a - v + left), rel=1e-9)
    gradients = model.gradient()
    assert gradients.grazing == 0
    assert gradients.raw(("G", "v")) == pytest.approx(np.full(3, -tau), rel=1e-8)
    assert gradients.raw(("G", "a")) == pytest.approx(tau * (1 - 1 / (1 - k * s)), rel=1e-8)
    assert gradients.raw(("G", "k")) == pytest.approx(tau * by_k, rel=1e-8)
    assert gradients.raw(("G", "tau")) == pytest.approx(a - v + left, rel=1e-8)


def neurons(current, refractory=False, more="", **values):
    """Two neurons with trained constants; the loss has the states, the spikes and their times."""
    equations = f"""dv/dt = ({current} - v)/tau : 1 (unless refractory)
                    {more}
                    tau : second (constant)
                    a : 1 (constant)"""
    group = NeuronGroup(
        2, equations, threshold="v > 0.8", reset="v = 0", refractory=refractory, method="rk4",
        name="G", namespace={"A": TimedArray([0.3, 1.5, 0.2, 1.7, 1.2], dt=4 * ms)},
    )  # fmt: skip
    for name, value in ({"v": [0.1, 0.2], "a": [0.3, 0.4], "tau": 6 * ms} | values).items():
        setattr(group, name, value)
    return group


def trained(objects, arrays, integrand="v"):
    group = objects[0]
    return bep.EventPropModel(
        objects, train=[group.v, group.tau, group.a, *arrays], duration=25 * ms, solver="event",
        loss=bep.Sum(
            bep.SpikeTimes(group, "t/T"), bep.Final(group, "v"), bep.Integral(group, integrand)
        ),
    )  # fmt: skip


def through_the_edge(kind):
    match kind:
        case "abs, refractory":
            group = neurons("1.5 - 0.3*abs(v - a)**0.5", refractory=2 * ms)
        case "up and down":  # a scaled root
            current = "0.4 + 0.6*sin(t/(4*ms)) - 0.3*sqrt(clip(v - a, 0, inf)/b)"
            group = neurons(current, more="b : 1 (constant)", b=[0.7, 1.3])
            return trained([group], [group.b])
        case "an edge that moves":
            group = neurons("1.5 - 0.3*sqrt(clip(v - a - 0.1*sin(t/(2*ms)), 0, inf))")
        case "a root of the time":
            group = neurons(
                "1.5 - a*sqrt(clip(t - s, 0*ms, inf*ms)/tau)", more="s : second (constant)",
                s=[2, 4] * ms,
            )  # fmt: skip
            return trained([group], [group.s])
        case "another variable":
            group = neurons("1.5 - 0.4*sqrt(clip(u - a, 0, inf))", more="du/dt = (v - u)/tau : 1")
            return trained([group], [group.u])
        case "timed array":
            group = neurons("A(t) - 0.3*sqrt(clip(v - a, 0, inf))")
        case "integral":
            group = neurons("1.5")
            return trained([group], [], "100*sqrt(clip(v - a, 0, inf))")
        case "synapses":
            group = neurons("g - 0.3*sqrt(clip(v - a, 0, inf))", more="dg/dt = -g/(5*ms) : 1")
            source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [1, 3, 6, 9] * ms, name="source")
            synapses = Synapses(source, group, "w : 1", on_pre="g += w", name="S")
            synapses.connect()
            synapses.w, synapses.delay = [1.3, 1.4, 1.5, 1.6], [0.5, 0.7, 0.9, 1.1] * ms
            return trained([group, source, synapses], [synapses.w, synapses.delay])
        case exponent:
            group = neurons(
                "1.5 - 0.3*clip(v - a, 0, inf)**p", more="p : 1 (constant, shared)", p=exponent
            )
            return trained([group], [group.p])
    return trained([group], [])


KINDS = (
    "abs, refractory", "up and down", "an edge that moves", "a root of the time",
    "another variable", "timed array", "integral", "synapses", 0.2, 0.5, 0.8,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_edge_of_a_root_against_differences(kind):
    model = through_the_edge(kind)
    model.run()
    assert model.gradient().grazing == 0
    report = bep.check_gradient(model, tolerance=1e-6, show=False)
    assert report.ok, str(report)


def test_a_variable_that_grazes_the_edge_of_a_root_is_counted():
    """It leaves the edge at 5 ms with the slope 0."""
    group = NeuronGroup(
        1, "dv/dt = clip(t - 5*ms, 0*ms, 1*second)*(1 + sqrt(clip(v, 0, inf)))/ms**2 : 1",
        method="euler", name="G",
    )  # fmt: skip
    model = bep.EventPropModel(
        [group], train=[group.v], loss=bep.Sum(bep.Final(group, "v")), duration=6 * ms,
        solver="event",
    )  # fmt: skip
    model.run()
    assert model.gradient().grazing > 0


@pytest.mark.slow
@pytest.mark.parametrize("start, counted", [([0.1, 0.1], True), ([0.1, 0.2], False)])
def test_edges_that_are_met_at_the_same_time_are_counted(start, counted):
    rise = "d{0}/dt = (1.2 - 0.5*sqrt(clip({0} - 0.4, 0, inf)) - {0})/(5*ms) : 1"
    group = NeuronGroup(1, f"{rise.format('v')}\n{rise.format('u')}", method="euler", name="G")
    group.v, group.u = start
    model = bep.EventPropModel(
        [group], train=[group.v, group.u], loss=bep.Sum(bep.Final(group, "v*u")),
        duration=5 * ms, solver="event",
    )  # fmt: skip
    model.run()
    assert (model.gradient().grazing > 0) == counted
