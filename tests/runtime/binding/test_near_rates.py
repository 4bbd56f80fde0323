"""Gradients of Brian2's exact solution where time constants nearly coincide."""

import mpmath
import numpy as np
import pytest
from brian2 import NeuronGroup, defaultclock, ms, second, start_scope

import brian_eventprop as bep

DURATION = 2e-3
EQUATIONS = """
dv/dt = (I - v)/tau_m : 1
dI/dt = (J - I)/tau_s : 1
dJ/dt = -J/tau_j : 1
tau_s : second
"""


@pytest.fixture(scope="module")
def network():
    """Three rates in a row; those of the second are per neuron."""
    start_scope()
    defaultclock.dt = 0.1 * ms  # the fixture of each test sets it too late for this one
    group = NeuronGroup(3, EQUATIONS, method="exact", name="G")
    group.tau_s, group.I, group.J = [3, 4, 7] * ms, 0.7, 1.3
    model = bep.EventPropModel(
        [group], train=["tau_m", group.tau_s, "tau_j"], loss=bep.Sum(bep.Final(group, "v")),
        duration=DURATION * second, namespace={"tau_m": 5 * ms, "tau_j": 20 * ms}, threads=1,
    )  # fmt: skip
    return group, model


def difference(rates, h):
    """The divided difference of exp(. h)."""
    if len(rates) == 1:
        return mpmath.exp(rates[0] * h)
    upper, lower = difference(rates[1:], h), difference(rates[:-1], h)
    return (upper - lower) / (rates[-1] - rates[0])


def potential(tau_m, tau_s, tau_j):
    """v at the end of a trial, in closed form."""
    a, b, c = -1 / tau_m, -1 / tau_s, -1 / tau_j
    h = mpmath.mpf(DURATION)
    current = 0.7 * difference([a, b], h) / tau_m
    return current + mpmath.mpf(1.3) * difference([a, b, c], h) / (tau_m * tau_s)


def gradients(tau_m, tau_s, tau_j):
    """Derivatives of v in the three time constants of a neuron, with many digits."""
    with mpmath.workdps(120):
        at = [mpmath.mpf(x) for x in (tau_m, tau_s, tau_j)]
        orders = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        return np.array([float(mpmath.diff(potential, at, n)) for n in orders])


def check(network, tau_m, tau_s, tau_j, rel):
    group, model = network
    parameters = model.parameters
    parameters["tau_m"], parameters[group.tau_s] = tau_m * second, tau_s * second
    parameters["tau_j"] = tau_j * second
    model.run()
    found = model.gradient()
    each = np.array([gradients(tau_m, t, tau_j) for t in tau_s])
    assert np.asarray(found["tau_m"]).item() == pytest.approx(each[:, 0].sum(), rel=rel)
    assert np.asarray(found[group.tau_s]) == pytest.approx(each[:, 1], rel=rel)
    assert np.asarray(found["tau_j"]).item() == pytest.approx(each[:, 2].sum(), rel=rel)


@pytest.mark.parametrize("gap", [0.3, 1e-2, 1e-4, 1e-6])
def test_two_rates_come_close_in_one_neuron(network, gap):
    # Brian2's own coefficients have errors of some 1e-13/gap
    check(network, 5e-3, np.array([5e-3 * (1 + gap), 3e-3, 8e-3]), 20e-3, rel=2e-8 + 1e-12 / gap)


@pytest.mark.parametrize("gap", [1e-4, 1e-6])
def test_two_common_rates_come_close(network, gap):
    check(network, 5e-3, np.array([4e-3, 3e-3, 8e-3]), 5e-3 * (1 - gap), rel=2e-8 + 1e-12 / gap)


def test_three_rates_come_close(network):
    # here the coefficients lose twice as many digits
    tau_s = np.array([5e-3 * 1.002, 3e-3, 8e-3])
    check(network, 5e-3, tau_s, 5e-3 * 1.005, rel=1e-6)


def test_coefficients_without_digits_are_refused(network):
    group, model = network
    model.parameters["tau_m"] = 5 * ms
    model.parameters["tau_j"] = 20 * ms
    for gap in (1e-9, 1e-12, 1e-15):
        model.parameters[group.tau_s] = [3, 5 * (1 + gap), 8] * ms
        with pytest.raises(FloatingPointError) as raised:
            model.run()
        message = str(raised.value)
        assert "NeuronGroup 'G'" in message and "of neuron 1" in message
        assert "tau_m = 0.005" in message and "solver='event'" in message
    # and once they are apart again, all is well
    check(network, 5e-3, np.array([4e-3, 3e-3, 8e-3]), 20e-3, rel=1e-9)
