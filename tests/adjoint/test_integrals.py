"""Integrals over linear equations as states: which ones, and what becomes of them."""

import numpy as np
import pytest
from brian2 import NeuronGroup, ms

import brian_eventprop as bep
from brian_eventprop.adjoint.integrals import integrals_as_states
from brian_eventprop.reading import read_network

NAMES = {"tau": 20 * ms, "c": 3}
DURATION = 0.1


def convert(expression, trained=()):
    """Return the group and the readout of `expression`, before and after."""
    group = NeuronGroup(
        2,
        """dv/dt = (I - v)/tau : 1
           dI/dt = -I/(5*ms) : 1
           b : 1""",
        method="exact",
        name="group",
    )
    spec, network = read_network([group], [bep.Integral(group, expression)], NAMES, DURATION)
    made = integrals_as_states(spec, "group", trained, network.values, DURATION)
    return spec, made


@pytest.mark.parametrize(
    ("expression", "states"),
    [
        ("v", 1),
        ("c*v - b", 1),
        ("v*exp(-t/T)", 1),
        ("(v + 2*I)*exp(-t/T)/T + I/T", 2),
        ("exp(-t/tau)*(b + v) + v*exp(-t/T)", 2),
    ],
)
def test_linear_integrals(expression, states):
    """The derivative of the final value along the equations is the integrand, at any time."""
    spec, made = convert(expression)
    group, readout = made.group("group"), made.readouts[0]
    assert readout.kind == "final"
    assert len(group.states) == len(spec.group("group").states) + states
    rng = np.random.default_rng(0)
    names = {s: rng.normal() for s in group.states}
    names |= {"t": 0.03, "T": DURATION, "tau": 0.02, "c": 3.0, "b": 0.7, "exp": np.exp, "ms": 1e-3}

    def value(shift):
        """The readout a moment later, along the derivatives of the new states."""
        moved = dict(names, t=names["t"] + shift)
        for s in group.states:
            if s not in spec.group("group").states:
                moved[s] += shift * eval(group.derivatives[s], {}, names)
        return eval(readout.expression, {}, moved)

    h = 1e-6
    integrand = eval(expression, {}, names)
    # central differences: the error is of the order of h**2/T**3
    assert (value(h) - value(-h)) / (2 * h) == pytest.approx(integrand, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize(
    ("expression", "trained"),
    [
        ("v**2", ()),
        ("v*I", ()),
        ("v*exp(-(t/T)**2)", ()),
        ("v*t/T", ()),
        ("clip(v, 0, 1)", ()),
        ("b*v", {("group", "b")}),
        ("v*exp(-t/(0.1*ms))", ()),  # would overflow, run backwards
    ],
)
def test_others_stay(expression, trained):
    spec, made = convert(expression, trained)
    assert made is spec
