"""Brian2's functions have the derivatives that differences find; conditions become guards."""

import numpy as np
import pytest
import sympy as sp

from brian_eventprop.adjoint.symbolic.expressions import guard, names, parse, symbol, to_sympy
from brian_eventprop.codegen.expr.printing import NumpyStyle, print_sympy, print_tree
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.kernels.brian_functions import dexprel_array, exprel_array

SPACE = {"np": np, "exprel_array": exprel_array, "dexprel_array": dexprel_array}

EXPRESSIONS = [
    "exp(-x/y)", "log(x + y)", "log10(x)", "log1p(x)", "expm1(x*y)", "exprel(x)", "sqrt(x)",
    "sin(x)*cos(y)", "tan(x)", "arcsin(x/3)", "arccos(x/3)", "arctan(x)", "sinh(x)", "cosh(y*x)",
    "tanh(x)", "abs(x - 2)", "sign(x)*x", "floor(x)*x", "ceil(x)*y*x", "clip(x, 0.5, 2)*x",
    "int(x > 1)*x**2", "int(x)*x", "x**3 - x**-2", "x**y", "x % 0.7", "x // 0.7 + x", "-x/(1 + x)",
    "(x - 1)*int(x > 0.1 and not y > 5)",
    "1/(1 + exp((0.4 - x)/0.1))", "x*1e-3 + 2.5e2*x",
]  # fmt: skip


def value(expression, x, y):
    """The value of a Brian2 expression, in its own order of operations."""
    code = print_tree(parse(expression), lambda name: name, NumpyStyle())
    return float(eval(code, {**SPACE, "x": x, "y": y}))


def derivative(expression, x, y):
    """The derivative in x that SymPy finds, as printed code."""
    code = print_sympy(sp.diff(to_sympy(expression), symbol("x")), lambda name: name, NumpyStyle())
    return float(eval(code, {**SPACE, "x": x, "y": y}))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_derivative_is_that_of_differences(expression):
    x, y, h = 1.237, 0.61, 1e-6
    difference = (value(expression, x + h, y) - value(expression, x - h, y)) / (2 * h)
    # central differences with this step are good to about 1e-9 of the function's size
    assert derivative(expression, x, y) == pytest.approx(difference, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_sympy_form_has_the_same_value(expression):
    code = print_sympy(to_sympy(expression), lambda name: name, NumpyStyle())
    assert float(eval(code, {**SPACE, "x": 1.237, "y": 0.61})) == pytest.approx(
        value(expression, 1.237, 0.61), rel=1e-13
    )


def test_exprel_and_its_derivative_are_finite_at_zero():
    assert value("exprel(x)", 0.0, 1.0) == 1.0
    assert derivative("exprel(x)", 0.0, 1.0) == 0.5
    assert derivative("exprel(x)", 1e-2 - 1e-9, 1.0) == pytest.approx(
        derivative("exprel(x)", 1e-2 + 1e-9, 1.0), rel=1e-8
    )


@pytest.mark.parametrize(
    "condition, expected",
    [
        ("v > 1", "v - 1"),
        ("v >= vt + 2", "v - vt - 2"),
        ("1 < v", "v - 1"),
        ("not v <= th", "v - th"),
    ],
)
def test_guard_is_the_difference_of_the_two_sides(condition, expected):
    assert sp.expand(guard(condition) - to_sympy(expected)) == 0


@pytest.mark.parametrize(
    "condition",
    [
        "v > 1 and u > 2",
        "v > 1 or u > 2",
        "not (v <= 1 or u < 2)",
        "0 < v < u",
        "not (v > 1 and u > 2)",
    ],
)
def test_guard_is_positive_where_the_condition_holds(condition):
    g = sp.lambdify([symbol("v"), symbol("u")], guard(condition))
    for v, u in np.random.default_rng(1).uniform(-1, 4, (200, 2)):
        holds = eval(condition, {"v": v, "u": u})
        assert (g(v, u) > 0) == holds


@pytest.mark.parametrize("condition", ["v", "v == 1", "fired"])
def test_condition_without_a_crossing_is_refused(condition):
    with pytest.raises(UnsupportedError, match="threshold"):
        guard(condition)


def test_unknown_function_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"erf\(x\)"):
        to_sympy("1 + erf(x)")


def test_names_are_those_of_variables():
    assert names(parse("exp(-t/tau)*clip(v, 0, b)")) == {"t", "tau", "v", "b"}


@pytest.mark.parametrize(
    "source",
    ["int(v - a < a - u)", "int(0.5*v - 1.2 < 1.2 - 0.5*u)", "int(a*v - b >= b - a*u)",
     "clip(v - a, 0, a - u)", "int(v - a < a - u and a - v > u - b)"],
)  # fmt: skip
def test_comparisons_whose_sides_sympy_swaps_to_and_fro(source):
    values = {"v": 0.83, "u": 0.41, "a": 0.7, "b": 0.6}
    v, after = symbol("v"), 0.1588 * symbol("v") - 1.16824
    space = {"int": int, "clip": lambda x, low, high: min(max(x, low), high)}
    for u in (0.41, 0.6, -2.0):
        at = {symbol(n): x for n, x in {**values, "u": u}.items()}
        form = to_sympy(source)
        expected = eval(source, space, {**values, "u": u})
        assert float(form.xreplace(at)) == pytest.approx(expected)
        expected = eval(source, space, {**values, "u": u, "v": float(after.subs(v, 0.83))})
        assert float(form.xreplace({v: after}).xreplace(at)) == pytest.approx(expected)
