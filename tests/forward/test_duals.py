"""Dual numbers against complex steps, which share nothing with them."""

import numpy as np
import pytest

from brian_eventprop.forward.code import comparisons, compiled, has_edges
from brian_eventprop.forward.duals import Dual

#: Expressions that NumPy evaluates for complex numbers, too.
SMOOTH = [
    "x**2 + 1/x - 3*x/(1 + y)", "x**y + y**x + x**3 - 2**x", "exp(-x)*log(1 + y**2)",
    "sin(x)*cos(y) + tan(x/3)", "sinh(x) - cosh(y)*tanh(x*y)", "arctan(x) + sqrt(x + y)",
    "arcsin(x/9) - arccos(y/9)", "log10(x) + log1p(y) + expm1(x*y/9)", "(exp(x) - 1)/x",
]  # fmt: skip


@pytest.mark.parametrize("text", SMOOTH)
def test_a_tangent_is_the_derivative(text):
    x, y = np.array([0.3, 1.7, 4.1]), np.array([2.2, 0.4, 1.1])
    dx, dy = np.array([1.0, -0.4, 0.3]), np.array([0.2, 1.3, -2.0])
    found = compiled(text)({"x": Dual(x, dx), "y": Dual(y, dy)})
    names = {"x": x + 1e-50j * dx, "y": y + 1e-50j * dy}
    stepped = eval(text, {name: getattr(np, name, None) for name in dir(np)}, names)
    np.testing.assert_allclose(found.v, stepped.real, rtol=1e-15)
    np.testing.assert_allclose(found.d, 1e50 * stepped.imag, rtol=1e-13)  # a few roundings


def test_exprel_is_smooth_at_0():
    """Its slope where the quotient would cancel, by the integral of u exp(u x) from 0 to 1."""
    x = np.array([-2.0, -0.4, -1e-9, 0.0, 1e-5, 0.49, 0.51, 3.0])
    found = compiled("exprel(x)")({"x": Dual(x, np.ones(8))})
    nodes, weights = np.polynomial.legendre.leggauss(30)
    u = 0.5 * (nodes + 1)
    slopes = 0.5 * np.exp(np.outer(x, u)) @ (weights * u)
    np.testing.assert_allclose(found.d, slopes, rtol=1e-14)


def test_functions_have_the_derivative_of_the_branch_that_is_taken():
    x = Dual(np.array([-2.5, 0.5, 2.5]), np.ones(3))
    for text, slopes in {
        "clip(x, -1, 1)": [0, 1, 0], "abs(x)": [-1, 1, 1], "floor(x)": [0, 0, 0],
        "x % 2": [1, 1, 1], "x*int(x > 0)": [0, 1, 1], "sign(x)": [0, 0, 0],
        "x if x > 1 else 3*x": [3, 3, 1], "ceil(x) + int(x)": [0, 0, 0],
    }.items():  # fmt: skip
        tangent = np.broadcast_to(getattr(compiled(text)({"x": x}), "d", 0.0), 3)
        np.testing.assert_array_equal(tangent, slopes, err_msg=text)


@np.errstate(all="ignore")
def test_an_infinite_slope_times_0_is_0():
    """At the edge of a domain, as docs/gradient.md has it."""
    x = Dual(np.array([-1.0, 0.0]), np.ones(2))
    assert np.all(compiled("sqrt(clip(x - 1, 0, 5))")({"x": x}).d == 0)
    assert np.all(compiled("1/(1 + exp(x*1000))")({"x": Dual(np.array([5.0]), 1.0)}).d == 0)
    np.testing.assert_array_equal(compiled("x**2 + x**1")({"x": Dual(0.0, 1.0)}).d, 1.0)


def test_conditions():
    assert [c.text for c in comparisons("0 < v < w or not n >= 3")] == ["0 - v", "v - w", "n - 3"]
    names = {"v": Dual(np.array([0.0, 1.0, 2.0])), "n": Dual(5.0)}
    found = compiled("0 < v < 2 and (n > 9 or not n > 9)")(names)
    np.testing.assert_array_equal(found, [False, True, False])
    assert has_edges("3*v + clip(v, 0, 1)") == "clip(v, 0, 1)" and not has_edges("exp(v)/tau")
