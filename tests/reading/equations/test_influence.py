"""What cannot influence the loss is refused by name; what has a path to it is not."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms
from helpers.backends import gradient_arrays

import brian_eventprop as bep
from brian_eventprop._names import name_of
from brian_eventprop.reading import check_influence, key_of, read_network
from brian_eventprop.reading.equations.influence import influences

NAMES = {"tau": 10 * ms, "c": 2.0, "theta": 0.7}


def build():
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="inp")
    hidden = NeuronGroup(
        2,
        """dv/dt = (I - v)/tau : 1
           dI/dt = -I/tau : 1
           du/dt = (v - u)/tau : 1
           dlost/dt = (v - lost)/tau_lost : 1
           low : 1
           jump : 1
           tau_lost : second
           t_ref : second
           unused : 1""",
        threshold="v > theta",
        reset="v = low; lost += jump",
        refractory="t_ref",
        method="euler",
        name="hidden",
    )
    output = NeuronGroup(2, "dv/dt = (drive(t) - v)/tau : 1\ndz/dt = -z/tau : 1", method="euler",
                         name="output")  # fmt: skip
    hidden.tau_lost = 5 * ms
    s_in = Synapses(
        source,
        hidden,
        "w : 1\nq : 1\nx : meter",
        on_pre="scaled = w*c\nI_post += scaled",
        name="s_in",
    )
    s_out = Synapses(hidden, output, "w : 1", on_pre="v_post += w", name="s_out")
    side = Synapses(hidden, output, "w : 1", on_pre="z_post += w", name="side")
    lost = Synapses(source, hidden, "w : 1", on_pre="lost_post += w", name="lost")
    for s in (s_in, s_out, side, lost):
        s.connect()
    s_in.w = 1.0
    return [source, hidden, output, s_in, s_out, side, lost]


def found(readout):
    objects = build()
    drive = TimedArray([0.1, 0.2], dt=5 * ms)
    spec, _ = read_network(objects, [readout(*objects)], {**NAMES, "drive": drive}, 0.01)
    return spec, influences(spec)


def test_what_leads_to_a_final_value_behind_two_layers():
    _, reached = found(lambda source, hidden, output, *rest: bep.Final(output, "v"))
    own = {("hidden", name) for name in ("v", "I", "low", "t_ref")}
    synapses = {("s_in", "w"), ("s_in_pre", "delay"), ("s_out", "w"), ("s_out_pre", "delay")}
    constants = {("", "tau"), ("", "c"), ("", "theta"), ("", "drive")}
    assert reached == own | synapses | constants | {("output", "v")}


def test_what_leads_to_spike_times_and_to_a_state_that_a_reset_moves():
    _, reached = found(lambda source, hidden, *rest: bep.SpikeTimes(hidden))
    assert ("hidden", "low") in reached
    assert not {("hidden", "u"), ("output", "v"), ("s_out", "w"), ("hidden", "jump")} & reached
    _, reached = found(lambda source, hidden, *rest: bep.Final(hidden, "lost"))
    assert {("hidden", "jump"), ("hidden", "tau_lost"), ("lost", "w"), ("s_in", "w")} <= reached
    assert ("hidden", "u") not in reached


@pytest.mark.parametrize(
    "owner, name, reason",
    [
        ("s_in", "x", "no equation, threshold, reset, on_pre or readout"),
        ("s_in", "q", "no equation, threshold, reset, on_pre or readout"),
        ("hidden", "unused", "no equation, threshold, reset, on_pre or readout"),
        ("hidden", "u", "'hidden' use it, and no path"),
        ("hidden", "jump", "'hidden' use it, and no path"),
        ("side", "w", "'side_pre' use it, and no path"),
        ("side_pre", "delay", "leads from there to what the loss sees of 'output'"),
        ("lost", "w", "'lost_pre' use it, and no path"),
        ("output", "z", "'output' and 'side_pre' use it, and no path"),
    ],
)
def test_refused_by_name(owner, name, reason):
    spec, reached = found(lambda source, hidden, output, *rest: bep.Final(output, "v"))
    assert (owner, name) not in reached
    with pytest.raises(ValueError, match=f"'{name_of((owner, name))}' is in train") as error:
        check_influence([(owner, name)], spec)
    assert reason in str(error.value)


def test_a_model_refuses_positions_that_only_set_the_delays():
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    cell = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    s = Synapses(source, cell, "w : 1\nx : 1", on_pre="v_post += w", name="s")
    s.connect()
    s.w, s.x = 1, 0.3
    s.delay = "x*ms"
    with pytest.raises(ValueError, match="'s.x' is in train.*'x/c', only once"):
        bep.EventPropModel(
            [source, cell, s], train=[s.x], loss=bep.Sum(bep.Final(cell, "v")), duration=5 * ms
        )


def test_the_gradient_of_what_is_refused_is_indeed_zero():
    """Of everything that may be trained, only what has no path has a gradient of exactly 0."""
    objects = build()
    source, hidden, output, s_in, s_out, side, lost = objects
    s_in.w, s_out.w, hidden.jump, hidden.low = "2 + 0.3*i + 0.2*j", "1 + i", 0.1, 0.05
    hidden.t_ref, s_in.delay, s_out.delay = 1 * ms, 1 * ms, 2 * ms
    views = [
        s_in.w, s_in.delay, s_out.w, s_out.delay, side.w, lost.w, hidden.v, hidden.I, hidden.u,
        hidden.low, hidden.jump, hidden.t_ref, output.v, output.z, "tau", "c", "theta",
    ]  # fmt: skip
    drive = TimedArray([0.1, 0.2], dt=5 * ms)
    names = {**NAMES, "drive": drive}
    kept = (bep.Final(output, "v"),)
    # the other states weigh nothing, so that they may be trained
    everything = bep.Sum(*kept) + 0.0 * bep.Sum(
        bep.Final(output, "z"), bep.Final(hidden, "u + lost")
    )
    model = bep.EventPropModel(
        objects, train=views, loss=everything, duration=25 * ms, namespace=names, solver="event",
        threads=1,
    )  # fmt: skip
    assert len(model.run().spikes[hidden]) > 1
    gradients = gradient_arrays(model)
    spec, network = read_network(objects, kept, names, 0.025)
    reached = influences(spec)
    for view in views:
        key = key_of(view, spec, network)
        assert (key in reached) == bool(np.any(gradients[key] != 0)), key
