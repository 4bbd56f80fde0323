"""Which conditions make an expression jump, and the flags that take their place."""

import numpy as np
import pytest

from brian_eventprop.adjoint.switches import find_switches, jumps
from brian_eventprop.adjoint.symbolic.expressions import to_sympy

STATES, ACTIVE = ["v", "u"], ["p"]


@pytest.mark.parametrize(
    "expression",
    [
        "0.8*int(v > 0.4 or u > 0.4) - v",
        "5*int(v > 3 and u > 2)",
        "0.4*int(t > t_on and v > 0.2)",
        "8*mV*int(v > -60*mV or u > -62*mV)",
        "int(not (v > 0.4) or (u > 0.2 and v < 0.8))",
        "int(int(v > 0.4) + int(u > 0.2) > 1)",
        "int(v > 3 and u > 2 and t > 5*ms) + int(i == 1)*0",
        "int(i == 1)*int(v > 0.4)",  # a condition that holds for few values only
        "int(i % 2)*int(v > k)",
        "0.9**int(u > 0.2)",
        "sign(v)",
        "v % 0.1",
        "floor(p*t)",
        "int(t > p)",
        "int((t - p) % T < width)",
        "int(v > 0.1*(t % T))",
        "clip(v, 0, 1)*int(v > 1)",
    ],
)
def test_what_jumps(expression):
    assert jumps(to_sympy(expression), STATES, ACTIVE)


@pytest.mark.parametrize(
    "expression",
    [
        "clip(v, 0, k) + abs(v - k)",
        "clip(v - k, low, high)*int(t > 5*ms)",
        "v*int(v > 0)",
        "(exp(v) - u)*int(exp(v) > u)",
        "sqrt(v - 0.4)*int(v > 0.4)",
        "log(5*u)*int(u > 0.2)",
        "v*(1 - v)*int(v > 0 and v < 1)",
        "v*int(v < 1) + int(v >= 1)",
        "sign(v)*v",
        "floor(t/T) + t % T + int(t % T < width)",
        "int(i > 3)*v + p*int(p > 2)",
    ],
)
def test_what_has_a_kink_at_most(expression):
    assert not jumps(to_sympy(expression), STATES, ACTIVE)


def test_flags_of_conditions_within_others_come_first():
    switches, smooth = find_switches({"v": to_sympy("int(t % T0 < width)")}, STATES, ["T0"])
    step, pulse = switches
    assert (step.kind, pulse.kind) == ("floor", "condition")
    assert pulse.inner == (step.flag,)
    # the period moves both edges: those of the steps, and those that follow them
    assert list(step.parameters) == list(pulse.parameters) == ["T0"]
    assert not {"t", "T0"} & {s.name for s in smooth["v"].free_symbols}


@pytest.mark.parametrize("relation", [">", ">=", "<", "<="])
def test_flags_are_exact_where_both_sides_are_equal(relation):
    expression = to_sympy(f"int(v {relation} 1)")
    (switch,), smooth = find_switches({"v": expression}, STATES, [])
    for v in (0.5, 1.0, 1.5):
        flag = int(float(switch.h.xreplace({s: v for s in switch.h.free_symbols})) > 0)
        found = smooth["v"].xreplace({s: flag for s in smooth["v"].free_symbols})
        assert found == eval(f"int({v} {relation} 1)")


def test_a_condition_and_its_contrary_change_together():
    switches, _ = find_switches({"v": to_sympy("2*int(v > k) + 3*int(v < k)")}, STATES, [])
    first, second = switches
    assert first.opposite == second.flag and second.opposite == first.flag
    assert np.all([s.moves for s in switches])
