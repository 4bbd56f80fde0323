"""The plan of the clock solver: what becomes of the arrivals at each group."""

import dataclasses

import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep
from brian_eventprop.plan import plan_clock
from brian_eventprop.plan.layouts import Precomputed, Queue, Tiled

EQUATIONS = """dv/dt = (I + g*(2 - v) - v)/(10*ms) : 1
               dI/dt = -I/(5*ms) : 1
               dg/dt = -g/(5*ms) : 1"""


@pytest.fixture
def system():
    """Two groups; all synapses onto the first add, one onto the second multiplies."""
    inputs = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="inputs")
    first, second = (
        NeuronGroup(2, EQUATIONS, threshold="v > 1", reset="v = 0", method="rk4", name=name)
        for name in ("first", "second")
    )
    s = Synapses(inputs, first, "w : 1", on_pre="I_post += w", name="s")
    r = Synapses(first, first, "w : 1", on_pre="g_post += w", name="r", delay=1 * ms)
    q = Synapses(first, second, "w : 1", on_pre="v_post *= w", name="q", delay=1 * ms)
    for synapses in (s, r, q):
        synapses.connect()
        synapses.w = 0.5
    model = bep.EventPropModel(
        [inputs, first, second, s, r, q],
        train=[s.w, s.delay, r.w, q.w],
        loss=bep.Sum(bep.Maximum(second, "v")),
        duration=5 * ms,
    )
    return model.system


def test_arrivals_that_add_get_rings_and_others_a_queue(system):
    layouts = {"s_pre": Precomputed(), "r_pre": Tiled(), "q_pre": Queue()}
    plan = plan_clock(system, layouts)
    first, second = plan.groups["first"], plan.groups["second"]
    assert set(first.rings) == {"I", "g"} == first.tiled_states
    assert (first.in_drive, first.in_ring) == ({"I"}, {"g"})
    assert first.with_d_arrivals == {"g"}  # those of given spikes are found after the last step
    assert not first.recomputes_arrivals
    assert (second.rings, second.recomputes_arrivals) == ((), True)
    assert [m.number for m in second.arrival_maxima] == [0]
    assert [plan.pathways[name].delay_trained for name in layouts] == [True, False, False]


def test_without_layouts_every_arrival_is_queued(system):
    plan = plan_clock(system)
    assert all(p.layout == Queue() for p in plan.pathways.values())
    assert not plan.groups["first"].rings


def test_a_plan_cannot_be_changed(system):
    plan = plan_clock(system)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.groups["first"].rings = ("v",)
