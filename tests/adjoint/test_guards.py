"""What a threshold's guard is to the search for its crossings."""

import pytest
from brian2 import NeuronGroup, ms

import brian_eventprop as bep
from brian_eventprop.adjoint.guards import reset_changes_guard


@pytest.mark.parametrize(
    ("threshold", "reset", "changes"),
    [
        ("v > 1", "v = 0", True),
        ("v > 1", "v -= 1e-3", True),
        ("v > 1", "u += 1", False),
        ("v - u > 1", "v += 0.3*u; u = 1.3*u", False),
        ("v**2 + 2*u*v > 1 - u**2", "v = -v - 2*u", False),
        ("v > 1 and u < 5", "u = 0", True),  # where u is the larger part
        ("v > 1 and u < 5", "u = 9*int(u > 5) + u*int(u <= 5)", True),
    ],
)
def test_whether_a_reset_changes_the_guard(threshold, reset, changes):
    group = NeuronGroup(
        1, "dv/dt = -v/(10*ms) : 1\ndu/dt = -u/(5*ms) : 1", threshold=threshold, reset=reset,
        method="exact", name="group",
    )  # fmt: skip
    model = bep.EventPropModel(
        [group], train=[group.v], loss=bep.Sum(bep.Integral(group, "v")), duration=1 * ms
    )
    assert reset_changes_guard(model.system.groups[0]) == changes
