"""One line per refusal: the message names the object, quotes the statement and says what to do."""

import re

import brian2
import numpy as np
import pytest
from brian2 import (
    Clock,
    Network,
    NetworkOperation,
    NeuronGroup,
    SpatialNeuron,
    Synapses,
    TimedArray,
    linked_var,
    ms,
    um,
)
from brian2.devices.device import reset_device

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

LIF = "dv/dt = -v/tau : 1"


@brian2.check_units(x=1, result=1)
def cube(x):
    return x**3


NAMES = dict(tau=10 * ms, cube=cube, I=TimedArray(np.zeros(3), dt=1 * ms), ref=2 * ms)


def neurons(model=LIF, **options):
    options = {"threshold": "v > 1", "reset": "v = 0", "method": "euler", "name": "G"} | options
    return [NeuronGroup(2, model, **options)]


def synapses(on_pre="v_post += w", model="w : 1", groups=None, **options):
    groups = groups or neurons(LIF + "\ng : 1")
    s = Synapses(groups[0], groups[-1], model, on_pre=on_pre, name="S", **options)
    s.connect()
    return [*groups, s]


def with_run_regularly():
    (group,) = neurons()
    group.run_regularly("v += 0.1", dt=1 * ms, when="end")
    return [group]


def with_linked_variable(variable, threshold="v > 1", own=False, outside=False):
    (a,) = neurons(LIF + "\ns = 2*v : 1")
    a.active = not outside
    for part in a.contained_objects:
        part.active = not outside
    (b,) = neurons("dv/dt = (y - v)/tau : 1\ny : 1 (linked)", threshold=threshold, name="H")
    b.y = linked_var(b if own else a, variable)
    return [a, b]


SUMMED = "w : 1\ng_post = w*v_pre : 1 (summed)"


def summed(groups=None, **options):
    return synapses(None, SUMMED, groups or neurons(LIF + "\ng : 1", **options))


def summed_twice():
    group, first = summed()
    second = Synapses(group, group, SUMMED, name="S2")
    second.connect()
    return [group, first, second]


def with_schedule(part, **schedule):
    (group,) = neurons()
    runner = {"resetter": group.resetter["spike"], "thresholder": group.thresholder["spike"]}[part]
    for name, value in schedule.items():
        setattr(runner, name, value)
    return [group]


def with_custom_event():
    (group,) = neurons(events={"up": "v > 0.5"}, refractory=1 * ms)
    group.run_on_event("up", "v = 0.1")
    return [group]


def spiked_before():
    (group,) = neurons(refractory=1 * ms)
    group.lastspike = 1 * ms
    return [group]


def spatial():
    morphology = brian2.Soma(diameter=30 * um)
    return [SpatialNeuron(morphology, "Im = 0*amp/meter**2 : amp/meter**2", name="G")]


def two_clocks():
    return neurons() + neurons(name="H", clock=Clock(0.15 * ms))


RANDOM = "random numbers"
CASES = {
    # NeuronGroup
    "xi": (lambda: neurons("dv/dt = -v/tau + xi*tau**-0.5 : 1"), "G", "dv/dt", "'xi'"),
    "rand in equations": (
        lambda: neurons("dv/dt = -v/tau + r/tau : 1\nr = randn() : 1 (constant over dt)"),
        "G",
        "r = randn()",
        RANDOM,
    ),
    "rand in a subexpression": (
        lambda: neurons("dv/dt = (r - v)/tau : 1\nr = rand() : 1"),
        "G",
        "r = rand()",
        RANDOM,
    ),
    "rand in a synaptic subexpression": (
        lambda: synapses("v_post += r", "w : 1\nr = w*rand() : 1"),
        "S",
        "r = w*rand()",
        RANDOM,
    ),
    "poisson in equations": (
        lambda: neurons("dv/dt = (k - v)/tau : 1\nk = poisson(3) : 1 (constant over dt)"),
        "G",
        "poisson",
        RANDOM,
    ),
    "rand in threshold": (lambda: neurons(threshold="rand() < 0.1"), "G", "rand() < 0.1", RANDOM),
    "randn in reset": (lambda: neurons(reset="v = 0\nv += randn()"), "G", "v += randn()", RANDOM),
    "rand in refractory": (
        lambda: neurons(refractory="rand()*ms"),
        "G",
        "rand()*ms",
        RANDOM,
    ),
    "run_regularly": (with_run_regularly, "G", "v += 0.1", "when='start'"),
    "linked to a subexpression": (
        lambda: with_linked_variable("s"),
        "H",
        "y (linked)",
        "Link to the variables",
    ),
    "linked to its own group": (
        lambda: with_linked_variable("v", own=True),
        "H",
        "y (linked)",
        "Use a (summed) variable",
    ),
    "linked to a group outside": (
        lambda: with_linked_variable("v", outside=True),
        "H",
        "y (linked)",
        "Add the group",
    ),
    "linked variable in the threshold": (
        lambda: with_linked_variable("v", threshold="v > 1 + y"),
        "H",
        "v > 1 + y",
        "Let it drive",
    ),
    "custom event": (with_custom_event, "G", "up: v > 0.5", "Leave out the refractory period"),
    "refractory of a state": (lambda: neurons(refractory="v*ms"), "G", "v*ms", "changing"),
    "refractory of the time": (lambda: neurons(refractory="t"), "G", "'t'", "goes on changing"),
    "arrivals at a refractory period": (
        lambda: synapses(
            "v_post += w; rest_post += 1*ms",
            groups=neurons(LIF + "\nrest : second", refractory="2*ms + rest"),
        ),
        "G",
        "'rest'",
        "arrivals of 'S_pre'",
    ),
    "timed array": (
        lambda: synapses("v_post += w*I(t - ref)"),
        "S",
        "I(t - ref)",
        "Call it with t",
    ),
    "user function": (
        lambda: neurons("dv/dt = -cube(v)/tau : 1"),
        "G",
        "cube(v)",
        "Write it as an expression",
    ),
    "gsl": (lambda: neurons(method="gsl_rk2"), "G", "gsl_rk2", "exponential_euler"),
    "milstein": (lambda: neurons(method="milstein"), "G", "milstein", "exponential_euler"),
    "number into a boolean": (
        lambda: neurons(LIF + "\non : boolean", reset="v = 0; on = 1"),
        "G",
        "on = 1",
        "on = x != 0",
    ),
    "fraction into an integer": (
        lambda: neurons(LIF + "\nk : integer", reset="v = 0; k += 0.5"),
        "G",
        "k += 0.5",
        "k = int(...)",
    ),
    "shared state": (
        lambda: synapses("k_post += w", groups=neurons(LIF + "\nk : 1 (shared)")),
        "S",
        "k_post += w",
        "shared",
    ),
    "lastspike in on_pre": (
        lambda: synapses(
            "v_post += w*exp(-(t - lastspike_post)/(5*ms))",
            groups=neurons(reset="v = 0.1*exp(-(t - lastspike)/ms)", refractory=1 * ms),
        ),
        "S",
        "lastspike_post",
        "last = t",
    ),
    "spiked before": (spiked_before, "G", "lastspike", "lastspike = -1e4*second"),
    "resetter elsewhere": (
        lambda: with_schedule("resetter", when="after_resets"),
        "G",
        "G_spike_resetter",
        "after_resets",
    ),
    "thresholder off": (
        lambda: with_schedule("thresholder", active=False),
        "G",
        "G_spike_thresholder",
        "not active",
    ),
    "timestep function": (
        lambda: neurons("dv/dt = -v*timestep(t, dt)/tau : 1"),
        "G",
        "timestep(t, dt)",
        "derivative is not known",
    ),
    # Synapses
    "summed and written by events": (
        lambda: synapses("g_post += w", SUMMED),
        "S",
        "g_post = w*v_pre (summed)",
        "Use two variables",
    ),
    "summed twice": (
        summed_twice,
        "S2",
        "g_post = w*v_pre (summed)",
        "Use a variable for each",
    ),
    "summed in the threshold": (
        lambda: summed(threshold="v > g"),
        "G",
        "v > g",
        "Let it drive",
    ),
    "summed in the reset": (
        lambda: summed(reset="v -= g"),
        "G",
        "v -= g",
        "Let it drive",
    ),
    "synaptic constant over dt": (
        lambda: synapses("v_post += a", "w : 1\na = 2*w : 1 (constant over dt)"),
        "S",
        "a = 2*w",
        "constant over dt",
    ),
    "rand in on_pre": (
        lambda: synapses("v_post += w; v_post *= rand()"),
        "S",
        "v_post *= rand()",
        RANDOM,
    ),
    "user function in on_pre": (lambda: synapses("v_post += cube(w)"), "S", "cube(w)", "cube"),
    "shared synaptic state": (
        lambda: synapses("q += 1; v_post += w*q", "w : 1\nq : 1 (shared)"),
        "S",
        "q += 1",
        "shared",
    ),
    "fires the sender": (lambda: synapses("v_pre += w"), "S", "v_pre += w", "may fire it"),
    "a source that never spikes": (
        lambda: synapses(groups=[*neurons(threshold="v > 1 and False"), *neurons(name="H")]),
        "S",
        "v_post += w",
        "S.active = False",
    ),
    "internal variable": (
        lambda: synapses("g_post += t_in_timesteps"),
        "S",
        "t_in_timesteps",
        "internal",
    ),
    "post refractoriness": (
        lambda: synapses("v_post += int(not_refractory_post)", groups=neurons(refractory=1 * ms)),
        "S",
        "not_refractory_post",
        "last = t",
    ),
    "order of arrivals": (
        lambda: synapses("g_post += w; v_post += g_post"),
        "S",
        "v_post += g_post",
        "order of arrivals",
    ),
    "order of arrivals at a counter": (
        lambda: synapses("n_post += 1; v_post += w*n_post", groups=neurons(LIF + "\nn : integer")),
        "S",
        "v_post += w*n_post",
        "order of arrivals",
    ),
    "two names": (lambda: synapses("v_post += w*v"), "S", "v_post += w*v", "order of arrivals"),
    "stale subexpression": (
        lambda: synapses("v_post += w*g_post; g_post += x", model="w : 1\nx = w*v_post : 1"),
        "S",
        "g_post += x",
        "reads 'v_post' after it was written",
    ),
    "synaptic event": (
        lambda: synapses(
            groups=neurons(events={"up": "v > 0.5"}, refractory=1 * ms), on_event="up"
        ),
        "G",
        "up: v > 0.5",
        "variable of your own",
    ),
    # everything else
    "network operation": (
        lambda: [*neurons(), NetworkOperation(lambda: None, name="op")],
        "op",
        "network_operation",
        "equations",
    ),
    "spatial neuron": (spatial, "G", "SpatialNeuron", "point neurons"),
    "several clocks": (two_clocks, "H", "dt=0.00015 s", "same dt"),
}


@pytest.mark.parametrize("case", CASES)
def test_refusal(case):
    build, name, statement, remedy = CASES[case]
    objects = build()
    with pytest.raises(UnsupportedError) as error:
        read_network(objects, [], NAMES)
    message = str(error.value)
    # Brian2 numbers a name of its own while an object of an earlier test lives
    assert re.search(rf"'{re.escape(name)}(_\d+)?'", message)
    assert statement in message
    assert remedy in message
    assert message.endswith((".", ")"))


def test_schedule():
    net = Network(neurons())
    net.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
    with pytest.raises(UnsupportedError, match="schedule"):
        read_network(net, [], NAMES)


def test_device():
    brian2.set_device("cpp_standalone", build_on_run=False)
    try:
        objects = neurons()
        with pytest.raises(UnsupportedError, match="CPPStandaloneDevice"):
            read_network(objects, [], NAMES)
    finally:
        reset_device()


def test_legacy_refractory_timing():
    brian2.prefs.legacy.refractory_timing = True
    try:
        with pytest.raises(UnsupportedError, match="refractory_timing"):
            read_network(neurons(refractory=1 * ms), [], NAMES)
    finally:
        brian2.prefs.legacy.refractory_timing = False


def test_units_are_checked_when_the_network_is_read():
    wrong = [
        neurons("dv/dt = -v/tau : volt", threshold="v > 1", reset=""),
        neurons("dv/dt = -v : 1"),
        neurons(reset="v = 1*nS"),
        neurons(refractory="2*tau/ms"),
        synapses("v_post += w*ms"),
    ]
    for objects in wrong:
        with pytest.raises(brian2.DimensionMismatchError):
            read_network(objects, [], NAMES)


def test_wrong_input():
    with pytest.raises(KeyError, match="nowhere.*code of G"):
        read_network(neurons(threshold="v > nowhere"), [], NAMES)
    with pytest.raises(TypeError, match="not a condition"):
        read_network(neurons(threshold="v"), [], NAMES)
    with pytest.raises(ValueError, match="'G', which is not part of"):
        read_network([neurons(name="H")[0], synapses()[-1]], [], NAMES)
    with pytest.raises(ValueError, match="no NeuronGroup"):
        read_network([], [], NAMES)
    group = neurons()[0]
    unconnected = Synapses(group, group, on_pre="v_post += 1", name="S")
    with pytest.raises(ValueError, match=r"call S\.connect"):
        read_network([group, unconnected], [], NAMES)


def test_accepted_although_close_to_a_refusal():
    pair = synapses("g_post += w*(1 - g_post)")
    pair[-1].pre.order = -3
    pair[0].resetter["spike"].order = 2
    spec, _ = read_network(pair, [], NAMES)
    assert spec.pathways[0].statements[-1].target == "g_post"
    off = synapses("w += 1")
    off[-1].active = False
    assert read_network(off, [], NAMES)[0].pathways == ()
    # Brian2 adds it to every threshold of a group with a refractory period
    redundant = neurons(threshold="v > 1 and not_refractory", refractory=1 * ms)
    assert read_network(redundant, [], NAMES)[0].groups[0].threshold == "v > 1"
    # nothing follows this event
    idle = neurons(events={"up": "v > 0.5"})
    assert read_network(idle, [], NAMES)[0].groups[0].threshold == "v > 1"
