"""What users read is in Brian2's words, and means what it says."""

import math

import numpy as np
import pytest
from brian2 import NeuronGroup, ms, start_scope

import brian_eventprop as bep
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.display import as_latex, as_text
from brian_eventprop.adjoint.symbolic.expressions import symbol, to_sympy

SPACE = {name: getattr(np, name) for name in ("exp", "sqrt", "floor", "ceil", "arcsin", "clip")} | {
    "int": lambda x: float(int(x)), "abs": abs, "sign": np.sign, "log": np.log,
    "exprel": lambda x: math.expm1(x) / x if x else 1.0, "inf": math.inf,
}  # fmt: skip

EXPRESSIONS = [
    "t % T0", "int(t % T0 < 2)", "(t - u) % 0.7 + v", "t // T0", "floor(t/T0)*v", "int(3*v)",
    "ceil(v/T0)", "sign(v - 1)", "abs(v - 0.4)**0.5", "clip(v, 0, 1)", "clip(v - u, 0, inf)**p",
    "sqrt(clip(v, 0, 1))*u", "int(v > 1 and u < 2)", "int(not (v > 0.3) or u > 1)", "arcsin(v/9)",
    "exprel(v)", "exp((v - 1)/0.001)", "int(u < 1.5)*v", "v**p", "clip(clip(v, 0, 1)*2, 0, u)",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_text_has_the_words_of_brian2_and_the_same_value(expression):
    form = to_sympy(expression)
    text = as_text(form)
    assert "_(" not in text and "Piecewise" not in text
    for values in ({"t": 7.9, "v": 0.8, "u": 0.3}, {"t": 3.1, "v": 1.7, "u": 1.2}):
        values = {**values, "T0": 2.6, "p": 1.5}
        expected = eval(expression, {**SPACE, **values})
        assert eval(text, {**SPACE, **values}) == pytest.approx(expected, rel=1e-9)
    for wrt in ("v", "u"):
        derivative = as_text(diff(form, symbol(wrt)))
        assert "_(" not in derivative and "Piecewise" not in derivative
    assert "_(" not in as_latex(form).replace(r"\_", "")


@pytest.mark.parametrize(
    "expression, text",
    [
        ("t % T0", "(t % T0)"),
        ("int(t % T0 < 2)", "int((t % T0) < 2)"),
        ("(t - v) % T0", "((t - v) % T0)"),
        ("u % 0.1", "(u % 0.1)"),
        ("clip(v - u, 0, inf)**p", "clip(-u + v, 0, inf)**p"),
        ("int(3*v)", "int(3*v)"),
    ],
)
def test_operators_are_put_back(expression, text):
    assert as_text(to_sympy(expression)) == text


def test_equations_and_refusals_are_in_the_words_of_the_user():
    start_scope()
    group = NeuronGroup(
        1, "dv/dt = (sqrt(clip(v, 0, inf)) + t % T0/ms - v)/tau : 1\nT0 : second (constant)",
        threshold="v > 1 + 0.1*floor(v)", reset="v = 0.2*int(v > 2)", method="euler", name="G",
    )  # fmt: skip
    group.T0 = 5 * ms
    given = {"train": [group.v, "tau"], "loss": bep.Sum(bep.Final(group, "v"))}
    given |= {"duration": 5 * ms, "namespace": {"tau": 10 * ms}}
    model = bep.EventPropModel([group], solver="clock", **given)
    text = str(model.equations)
    assert "clip(v, 0, inf)" in text and "floor(v)" in text and "_(" not in text
    assert "_(" not in model.equations.latex().replace(r"\_", "")
    with pytest.raises(bep.UnsupportedError) as raised:
        bep.EventPropModel([group], solver="event", **given)
    assert "floor(v)" in str(raised.value)
    for internal in ("_(", "_common", "_each"):
        assert internal not in str(raised.value)
