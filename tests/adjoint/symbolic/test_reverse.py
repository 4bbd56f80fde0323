"""The reverse of a block of statements is the transpose of its Jacobian."""

import ast

import numpy as np
import pytest

from brian_eventprop.adjoint.symbolic.expressions import parse
from brian_eventprop.adjoint.symbolic.loop_invariant import (
    PER_ELEMENT,
    SHARED,
    TIME_VARYING,
    InvariantExtractor,
)
from brian_eventprop.adjoint.symbolic.reverse import reverse
from brian_eventprop.codegen.expr.printing import NumpyStyle, print_sympy, print_tree
from brian_eventprop.kernels.brian_functions import dexprel_array, exprel_array
from brian_eventprop.reading.spec import Statement

SPACE = {"np": np, "exprel_array": exprel_array, "dexprel_array": dexprel_array}


def block(text):
    """Statements from lines of code."""
    pairs = (line.split("=", 1) for line in text.strip().splitlines())
    return tuple(Statement(target.strip(), value.strip()) for target, value in pairs)


BLOCKS = {
    "exact": "_a = exp(-dt/tau)\n_v = _a*v + (1 - _a)*I\nv = _v\nI = 0.9*I",
    "overwritten": "v = v*I\nv = v + I*tau\nI = v*v\nv = sin(v)",
    "runge_kutta": """
        k1 = (I - v*v)/tau
        k2 = (I - (v + dt*k1/2)**2)/tau
        k3 = (I - (v + dt*k2/2)**2)/tau
        k4 = (I - (v + dt*k3)**2)/tau
        v = v + dt*(k1 + 2*k2 + 2*k3 + k4)/6
        I = I*exp(-dt/tau) + clip(v, -1, 1)""",
    "gates": "m = m + dt*(exprel(v) - m)/tau\nv = v + dt*m**3*(I - v)\nI = I - dt*I*int(v > 0)",
    "unread": "u = v*3\nv = v + I",
}


def evaluate(statements, values):
    """Run a block in Python."""
    v = dict(values)
    for s in statements:
        code = print_tree(parse(s.expression), lambda name: f'v["{name}"]', NumpyStyle())
        v[s.target] = eval(code, {**SPACE, "v": v})
    return v


def vjp(adjoint, values, lam):
    """Run the lines of an adjoint in Python."""
    v = dict(values) | {f"lam.{name}": value for name, value in lam.items()}

    def ref(name):
        return f'v["{name}"]'

    for line in adjoint.forward + adjoint.reverse:
        tree = isinstance(line.value, ast.AST)
        code = (print_tree if tree else print_sympy)(line.value, ref, NumpyStyle())
        value = eval(code, {**SPACE, "v": v})
        value = np.sum(value) if line.total else value
        v[line.target] = v[line.target] + value if line.add else value
    return {
        name: eval(print_sympy(e, ref, NumpyStyle()), {**SPACE, "v": v})
        for name, e in adjoint.results.items()
    }


@pytest.mark.parametrize("name", BLOCKS)
def test_reverse_is_the_transposed_jacobian(name):
    rng = np.random.default_rng(3)
    statements = block(BLOCKS[name])
    states = ["v", "I"] + (["m"] if name == "gates" else [])
    values = dict(zip("vIm", rng.uniform(0.2, 0.9, 3), strict=True)) | {"tau": 1.7, "dt": 0.1}
    active = [*states, "tau"]
    found = vjp(
        reverse(statements, states, active),
        values,
        lam := dict(zip(states, rng.normal(size=3), strict=False)),
    )
    for wrt in active:
        h = 1e-6
        up = evaluate(statements, values | {wrt: values[wrt] + h})
        down = evaluate(statements, values | {wrt: values[wrt] - h})
        expected = sum(lam[s] * (up[s] - down[s]) for s in states) / (2 * h)
        assert found.get(wrt, 0.0) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_values_per_neuron_are_summed_for_common_parameters():
    statements = block("a = exp(-dt/tau)\nb = a*r + tau")
    level = {"a": SHARED, "tau": SHARED, "dt": SHARED, "b": PER_ELEMENT, "r": PER_ELEMENT}
    adjoint = reverse(statements, ["a", "b", "tau"], ["tau", "a", "b", "r"], level)
    values = {"tau": 1.3, "dt": 0.2, "r": np.array([1.0, 2.0, 4.0])}
    lam = {"a": 0.5, "tau": 0.25, "b": np.array([1.0, -1.0, 3.0])}
    a = np.exp(-0.2 / 1.3)
    slope = a * 0.2 / 1.3**2
    found = vjp(adjoint, values, lam)
    assert found["tau"] == pytest.approx(0.25 + 0.5 * slope + 11.0 * slope + 3.0, rel=1e-12)
    np.testing.assert_allclose(found["r"], a * lam["b"])


def test_extraction_changes_no_value_and_leaves_only_what_changes():
    levels = {
        "v": TIME_VARYING,
        "I": TIME_VARYING,
        "t": TIME_VARYING,
        "tau": PER_ELEMENT,
        "dt": SHARED,
        "b": SHARED,
    }
    statements = block(
        "_l = exp(-dt/tau)\n_m = b*dt\nv = v*_l + (1 - exp(-dt/tau))*I + _m*_m\nI = I*(b - 1)/tau"
    )
    extractor = InvariantExtractor(dict(levels))
    kept = extractor.block(statements)
    moved = [*extractor.moved[SHARED], *extractor.moved[PER_ELEMENT]]
    values = {"v": 0.3, "I": 1.1, "t": 0.0, "tau": 1.9, "dt": 0.1, "b": 3.3}
    plain, split = evaluate(statements, values), evaluate((*moved, *kept), values)
    assert plain["v"] == split["v"] and plain["I"] == split["I"]
    assert [s.target for s in kept] == ["v", "I"]
    assert not any("exp" in s.expression or "b" in s.expression for s in kept)
