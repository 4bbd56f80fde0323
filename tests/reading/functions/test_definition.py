"""A user's function becomes the expression that it computes, in the order in which it does so."""

import math

import brian2
import numpy as np
import pytest
import sympy as sp
from brian2 import NeuronGroup

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import read_network

v = sp.Symbol("v")


def of(f, *args, units=1, **options):
    return bep.function(f, *args, arg_units=[1] * units, return_unit=1, **options)


@pytest.mark.parametrize(
    ("f", "body"),
    [
        (lambda v: np.float64(2) * v - v / 3, "2.0 * v - v / 3"),
        (lambda v: (v + 1) * (v - -1.5) ** 2, "(v + 1) * (v - -1.5) ** 2"),
        (lambda v: np.exp(-v) + brian2.exp(v), "exp(-v) + exp(v)"),
        (lambda v: np.clip(v, 0, 1) + abs(v), "clip(v, 0, 1) + abs(v)"),
        (lambda v: v * (v > 0), "v * int(v > 0)"),
        (lambda v: np.where((v > 0) & ~(v >= 1), v, 0.0), "v if v > 0 and (not v >= 1) else 0.0"),
        (lambda v: np.maximum(v, np.square(v)), "v if v > v ** 2 else v ** 2"),
        (lambda v: v % 2 // 3, "v % 2 // 3"),
        (lambda v: sp.exp(-v) * sp.Rational(1, 3), "exp(-v)/3"),
    ],
)
def test_what_functions_compute(f, body):
    assert of(f).body == body


@pytest.mark.parametrize(
    "body", ["v**2 if v > 1 else 0", v**2 * sp.Heaviside(v - 1) ** 0, sp.Lambda(v, v**2)]
)
def test_a_body_of_its_own(body):
    assert of(lambda v: math.pow(v, 2), body=body).body in ("v**2 if v > 1 else 0", "v**2")


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda v: v if v > 0 else 0, "branches"),
        (lambda v: math.exp(v), "needs the value"),
        (lambda v: np.interp(v, [0, 1], [2, 3]), "interp is no expression"),
        (lambda v: np.arcsinh(v), "arcsinh is none of Brian2's functions"),
        (lambda v: v / (10 * brian2.mV), "plain numbers, in SI units"),
        (lambda v: v + np.zeros(3), "no number"),
    ],
)
def test_what_is_no_expression(f, reason):
    with pytest.raises(UnsupportedError, match=f"{reason}.*Give body="):
        of(f)


def test_wrong_use():
    for wrong, message in (
        (lambda: of(lambda v: v, (None, None)), "2 functions for the 1 argument"),
        (lambda: of(lambda v, w: v, units=3), "3 units for 2 arguments"),
        (lambda: of(lambda v: v, body="v + u"), "uses 'u', which is no argument"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
    with pytest.raises(TypeError, match="no arguments such as"):
        of(lambda *v: v)
    with pytest.raises(TypeError, match="needs a Python function"):
        of(3)


def test_units_and_implementations_of_brian2():
    @brian2.implementation("cython", "cdef double cube(double x):\n    return x*x*x")
    @brian2.check_units(x=brian2.volt, result=brian2.volt**3)
    def cube(x):
        return x**3

    found = bep.function(cube)
    assert found.body == "x ** 3" and "cython" in found.implementations
    with pytest.raises(brian2.DimensionMismatchError):
        found(3 * brian2.amp)
    G = NeuronGroup(1, "dv/dt = -cube(v)/volt**2/ms : volt", method="euler", name="G")
    spec, _ = read_network([G], [], {"cube": found})
    assert spec.groups[0].derivatives["v"] == "-v ** 3 / volt ** 2 / ms"
    with pytest.raises(UnsupportedError, match="'cube' is a function.*make it with bep.function"):
        read_network([G], [], {"cube": cube})


def test_arguments_are_put_in_all_at_once():
    G = NeuronGroup(1, "dv/dt = f(w, v)/ms : 1\ndw/dt = f(f(v, 1), w)/ms : 1", method="euler")
    f = of(lambda v, w: v - 2 * w, units=2)
    spec, _ = read_network([G], [], {"f": f})
    assert spec.groups[0].derivatives == {
        "v": "(w - 2 * v) / ms",
        "w": "(v - 2 * 1 - 2 * w) / ms",
    }
