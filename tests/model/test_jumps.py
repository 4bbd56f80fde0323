"""Conditions that move with the parameters, and those of the time alone."""

import pytest
from brian2 import NeuronGroup, ms

import brian_eventprop as bep
from brian_eventprop.model.jumps import jumping_expressions


@pytest.mark.parametrize("condition", ["int(t > 5*ms)", "int(v > 0.5)"])
@pytest.mark.parametrize(
    "readout",
    [bep.Integral, bep.Final, bep.Maximum, lambda g, e: bep.Value(g, e, at=3 * ms)],
)
def test_readouts_of_states_are_taken_at_times_that_do_not_move(readout, condition):
    cells = NeuronGroup(1, "dv/dt = -v/(5*ms) : 1", method="exact", name="cells")
    model = bep.EventPropModel(
        [cells], train=[cells.v], loss=bep.Sum(readout(cells, f"v*{condition}")), duration=10 * ms
    )
    found = list(jumping_expressions(model.spec, model.parameters.keys))
    assert found == [f"v * {condition}"] * ("v >" in condition)
