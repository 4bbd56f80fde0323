"""Derivatives at the edge of a function's domain: values where they exist, never 0/0."""

import math
import types

import numpy as np
import pytest
import sympy as sp

from brian_eventprop.adjoint.symbolic.derivatives import diff, guarded
from brian_eventprop.adjoint.symbolic.expressions import parse, symbol, to_sympy
from brian_eventprop.codegen.expr.printing import (
    EDGE_FUNCTIONS,
    KernelStyle,
    NumpyStyle,
    print_sympy,
    print_tree,
)
from brian_eventprop.kernels import brian_functions as functions

INF = math.inf


class Compiled:
    """Functions of ``math`` as compiled code has them: infinity or NaN in the place of an error."""

    inf, nan = math.inf, math.nan
    exp, log, sqrt, expm1 = np.exp, np.log, np.sqrt, np.expm1
    log10, log1p, sin, cos, tan = np.log10, np.log1p, np.sin, np.cos, np.tan
    asin, acos, atan = np.arcsin, np.arccos, np.arctan
    sinh, cosh, tanh = np.sinh, np.cosh, np.tanh


NAMES = ("clip", "sign", "exprel", "dexprel", *EDGE_FUNCTIONS)
KERNEL = {"math": Compiled, "np": np}
for _name in NAMES:
    _function = getattr(functions, _name).py_func
    KERNEL[_name] = types.FunctionType(_function.__code__, {"math": Compiled, "np": np})
HOST = {"np": np, "exprel_array": functions.exprel_array, "dexprel_array": functions.dexprel_array}
STYLES = {"kernel": (KernelStyle(single=False), KERNEL), "host": (NumpyStyle(), HOST)}


def run(expression, style, values):
    """The value of an expression as a kernel or the host computes it."""
    style, space = STYLES[style]
    expression = guarded(sp.sympify(expression), moving={symbol("x")})
    text = print_sympy(expression, lambda name: name, style)
    known = {name: np.float64(value) for name, value in values.items()}
    with np.errstate(all="ignore"):
        return float(eval(text, {**space, **known}))


# expression, values, then the derivative in each name
AT_AN_EDGE = [
    ("x**p", {"x": 0, "p": 2}, {"x": 0, "p": 0}),
    ("x**p", {"x": 0, "p": 1}, {"x": 1, "p": 0}),
    ("x**p", {"x": 0, "p": 1.5}, {"x": 0, "p": 0}),
    ("x**p", {"x": 0, "p": 0.5}, {"x": INF, "p": 0}),
    ("x**p", {"x": 0, "p": 0}, {"x": 0, "p": -INF}),
    ("x**p", {"x": -2, "p": 3}, {"x": 12}),
    ("3*x**(p + 1)", {"x": 0, "p": 0}, {"x": 3, "p": 0}),
    ("x**2.5", {"x": 0}, {"x": 0}),
    ("x**(-p)", {"x": 0, "p": -2}, {"x": 0, "p": 0}),
    ("(x*k)**1.0", {"x": 0, "k": 2}, {"x": 2, "k": 0}),
    ("(x*k)**1.5", {"x": 0, "k": 2}, {"x": 0, "k": 0}),
    ("(x/k)**p", {"x": 0, "k": 2, "p": 1}, {"x": 0.5, "k": 0, "p": 0}),
    ("x**n/(x**n + k**n)", {"x": 0, "n": 3, "k": 0.5}, {"x": 0, "n": 0, "k": 0}),
    ("x**n/(x**n + k**n)", {"x": 0, "n": 1, "k": 0.5}, {"x": 2, "n": 0, "k": 0}),
    ("x**n/(x**n + k**n)", {"x": 0, "n": 0.5, "k": 0.25}, {"n": 0, "k": 0}),
    ("1/(1 + (k/x)**n)", {"x": 0, "n": 3, "k": 0.5}, {"x": 0, "n": 0, "k": 0}),
    ("1/(1 + (k/x)**n)", {"x": 0, "n": 1, "k": 0.5}, {"x": 2, "n": 0, "k": 0}),
    ("1/(1 + (k/x)**2)", {"x": 0, "k": 0.5}, {"x": 0, "k": 0}),
    ("1/(1 + k/x)", {"x": 0, "k": 0.5}, {"x": 2, "k": 0}),
    ("1/(1 + k**n/x**n)", {"x": 0, "n": 1, "k": 0.5}, {"x": 2, "n": 0, "k": 0}),
    ("(1 + k/x)**-2", {"x": 0, "k": 0.5}, {"x": 0, "k": 0}),
    ("exp(p*log(x))", {"x": 0, "p": 2}, {"x": 0, "p": 0}),
    ("exp(p*log(x))", {"x": 0, "p": 1}, {"x": 1, "p": 0}),
    ("exp(-(x/k)**p)", {"x": 0, "k": 1, "p": 2}, {"x": 0, "p": 0, "k": 0}),
    ("log(1 + x**p)", {"x": 0, "p": 1}, {"x": 1, "p": 0}),
    ("abs(x**p)", {"x": 0, "p": 2}, {"x": 0, "p": 0}),
    ("abs(log(x))", {"x": 0.5}, {"x": -2}),
    ("abs(exprel(x))", {"x": 0}, {"x": 0.5}),
    ("sqrt(x)", {"x": 0}, {"x": INF}),
    ("sqrt(clip(x, 0, inf))", {"x": -1}, {"x": 0}),
    ("sqrt(clip(x, 0, inf))", {"x": 0}, {"x": 0}),
    ("sqrt(clip(x - k, 0, inf))", {"x": 1, "k": 1}, {"x": 0, "k": 0}),
    ("sqrt(clip(x - k, 0, inf))", {"x": 5, "k": 1}, {"x": 0.25, "k": -0.25}),
    ("clip(x - k, 0, inf)**p", {"x": 0, "k": 1, "p": 0.5}, {"x": 0, "k": 0, "p": 0}),
    ("clip(x - k, 0, inf)**p", {"x": 0, "k": 1, "p": 2}, {"x": 0, "k": 0, "p": 0}),
    ("clip(x - k, 0, inf)**p", {"x": 1, "k": 1, "p": 2}, {"x": 0, "k": 0, "p": 0}),
    ("clip(x - k, 0, inf)**p", {"x": 3, "k": 1, "p": 2}, {"x": 4, "p": 4 * math.log(2)}),
    ("clip(x, 0, 1)**0.3", {"x": 2}, {"x": 0}),
    ("clip(1/x, 0, 5)", {"x": 0}, {"x": 0}),
    ("clip(log(x), -3, 0)", {"x": 0}, {"x": 0}),
    ("int(x > 0)*x**p", {"x": 0, "p": 0.5}, {"x": 0, "p": 0}),
    ("int(y > 0)*sqrt(x)", {"x": 0, "y": -1}, {"x": 0}),
    ("sqrt(x*int(x > 0))", {"x": -1}, {"x": 0}),
    ("abs(x - 0.5)**0.5", {"x": 0.5}, {"x": 0}),
    ("abs(x - 0.5)**1.5", {"x": 0.5}, {"x": 0}),
    ("(x**2 + y**2)**0.5", {"x": 0, "y": 0}, {"x": 0, "y": 0}),
    ("y*sqrt(x)", {"x": 0, "y": 0}, {"x": 0, "y": 0}),
    ("sin(x)*sqrt(x)", {"x": 0}, {"x": 0}),
    ("x*sqrt(x)", {"x": 0}, {"x": 0}),
    ("arcsin(clip(x, -1, 1))", {"x": 2}, {"x": 0}),
    ("arccos(clip(x, -1, 1))", {"x": -2}, {"x": 0}),
    ("arcsin(x)", {"x": 1}, {"x": INF}),
    ("arccos(x)", {"x": 1}, {"x": -INF}),
    ("log1p(x)", {"x": 0}, {"x": 1}),
    ("log10(1 + x)", {"x": 0}, {"x": 1 / math.log(10)}),
    ("tan(x)", {"x": 0}, {"x": 1}),
    ("sign(x)*x", {"x": 0}, {"x": 0}),
    ("exprel(x)", {"x": 0}, {"x": 0.5}),
    ("k/exprel(x)", {"x": 0, "k": 1}, {"x": -0.5, "k": 1}),
    # exponentials that overflow
    ("1/(1 + exp(-x))", {"x": -1000}, {"x": 0}),
    ("1/(1 + exp(-x))", {"x": 1000}, {"x": 0}),
    ("1/(1 + exp(-x))", {"x": -40}, {"x": math.exp(-40)}),
    ("1/(1 + exp((k - x)/p))", {"x": -10, "k": 0, "p": 0.01}, {"x": 0, "k": 0, "p": 0}),
    ("y/(1 + exp(-x))**3", {"x": -1000, "y": 2}, {"x": 0, "y": 0}),
    ("1/(1 + exp(-x))**p", {"x": -1000, "p": 2}, {"x": 0}),
    ("(10 - x)/(exp((10 - x)/10) - 1)", {"x": -8000}, {"x": 0}),
    ("1/cosh(x)", {"x": 800}, {"x": 0}),
    ("1/cosh(x)**2", {"x": -800}, {"x": 0}),
    ("tanh(x)", {"x": 800}, {"x": 0}),
    ("tanh(exp(x))", {"x": 800}, {"x": 0}),
    ("arctan(exp(x))", {"x": 800}, {"x": 0}),
    ("exp(-exp(x))", {"x": 800}, {"x": 0}),
    ("exp(-cosh(x))", {"x": 800}, {"x": 0}),
    ("1/exprel(x)", {"x": 800}, {"x": 0}),
    ("exprel(x)", {"x": -800}, {"x": 1 / 800**2}),
    ("exp(-k/x)", {"x": 0, "k": 2}, {"x": 0, "k": 0}),
    ("y*exp(-k/x**2)", {"x": 0, "y": 2, "k": 2}, {"x": 0, "y": 0, "k": 0}),
    ("1/(1 + exp(-(x - 0.4)/0.0005))", {"x": 0}, {"x": 0}),
    ("exp((x - 1)/0.001)", {"x": 0.999}, {"x": 1000 / math.e}),
    ("exp(-(x - 1)/0.001)", {"x": 1.001}, {"x": -1000 / math.e}),
]  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("expression, values, expected", AT_AN_EDGE)
def test_derivative_at_an_edge(expression, values, expected, style):
    values = {"inf": INF, **values}
    for name, derivative in expected.items():
        weighted = symbol("w") * diff(to_sympy(expression), symbol(name))
        found = run(weighted, style, {**values, "w": 2.0})
        assert found == pytest.approx(2 * derivative, rel=1e-12), name
        # what has no influence has the derivative 0, however steep the function is
        assert run(weighted, style, {**values, "w": 0.0}) == 0, name


SECOND = [
    ("x**p", {"x": 0, "p": 1}, 0),
    ("x**p", {"x": 0, "p": 2}, 2),
    ("x**p", {"x": 0, "p": 3}, 0),
    ("x**p", {"x": 0, "p": 1.5}, INF),
    ("clip(x, 0, inf)**p", {"x": 0, "p": 1.5}, 0),
    ("clip(x, 0, inf)**p", {"x": -1, "p": 2}, 0),
    ("clip(x, 0, inf)**p", {"x": 1, "p": 3}, 6),
    ("abs(x)", {"x": 0}, 0),
    ("abs(x)*x", {"x": 2}, 2),
    ("1/(1 + exp(-x))", {"x": -1000}, 0),
    ("tanh(x)", {"x": 1000}, 0),
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("expression, values, expected", SECOND)
def test_second_derivative_at_an_edge(expression, values, expected, style):
    second = diff(diff(to_sympy(expression), symbol("x")), symbol("x"))
    assert run(second, style, {"inf": INF, **values}) == pytest.approx(expected, rel=1e-12)


def test_second_derivative_in_base_and_exponent():
    x, p = symbol("x"), symbol("p")
    mixed = diff(diff(to_sympy("x**p"), x), p)
    twice = diff(diff(to_sympy("x**p"), p), p)
    for style in STYLES:
        at = {"x": 0.7, "p": 2.3}
        exact = 0.7**1.3 * (1 + 2.3 * math.log(0.7))
        assert run(mixed, style, at) == pytest.approx(exact, rel=1e-13)
        assert run(twice, style, at) == pytest.approx(0.7**2.3 * math.log(0.7) ** 2, rel=1e-13)
        assert run(twice, style, {"x": 0, "p": 2}) == run(mixed, style, {"x": 0, "p": 2}) == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("expression", sorted({e for e, _, _ in AT_AN_EDGE}))
def test_derivative_inside_the_domain_is_that_of_differences(expression, style):
    values = {"x": 0.83, "y": 0.4, "k": 0.31, "p": 1.7, "n": 2.6, "inf": INF}
    tree = parse(expression)
    for name in sorted({"x", "k", "p", "n"} & {s.name for s in to_sympy(expression).free_symbols}):
        sides = []
        for h in (1e-6, -1e-6):
            text = print_tree(tree, lambda n: n, STYLES["host"][0])
            sides.append(eval(text, {**HOST, **values, name: values[name] + h}))
        found = run(diff(to_sympy(expression), symbol(name)), style, values)
        assert found == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-6, abs=1e-8), name


def test_what_is_not_at_an_edge_is_written_as_ever():
    """Kernels of networks without such functions keep their text."""
    for expression in ("-x/(1 + x)", "x**3 - x**-2", "exp(-x/k)*y", "(x - y)**2*k", "sin(x)*y"):
        own = diff(to_sympy(expression), symbol("x"))
        assert own == sp.diff(to_sympy(expression), symbol("x"))
        assert not any(
            name in print_sympy(own, str, STYLES["kernel"][0]) for name in EDGE_FUNCTIONS
        )
