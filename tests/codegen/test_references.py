"""Functions of the event solver that count no references hand on no arrays that they were given.

Their caller would release an array once too often, which corrupts memory.
"""

import ast

import pytest
from brian2 import NeuronGroup, Synapses, ms

import brian_eventprop as bep


def handed_on(function: ast.FunctionDef) -> set[str]:
    """Names of arguments that are returned and are arrays: indexed, or made longer by a call."""
    given = {a.arg for a in function.args.args}
    nodes = list(ast.walk(function))
    arrays = {n.value.id for n in nodes if _is_part(n)}
    for n in nodes:
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call):
            arrays |= _names(n.targets) & _names(n.value.args[:1])
    returned = [n.value for n in nodes if isinstance(n, ast.Return) and n.value]
    return _names(returned) & given & arrays


def _names(nodes) -> set[str]:
    """The names among some nodes, which may be tuples."""
    return {x.id for n in nodes for x in getattr(n, "elts", [n]) if _is_name(x)}


def _is_name(node) -> bool:
    return isinstance(node, ast.Name)


def _is_part(node) -> bool:
    return isinstance(node, ast.Subscript) and _is_name(node.value)


def test_it_finds_them():
    found = ast.parse("def f(a, b, c):\n    a = grow(a)\n    b[0] = c\n    return a, b, c")
    assert handed_on(found.body[0]) == {"a", "b"}


@pytest.mark.parametrize("drive", ["I", "I*(3 - v)", "exp(v) + I"])
@pytest.mark.parametrize("delay", [0, 1])
def test_functions_without_references(drive, delay):
    neurons = NeuronGroup(
        2,
        f"dv/dt = (1.4 + {drive} - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1",
        threshold="v > 1", reset="v = 0", method="euler",
    )  # fmt: skip
    s = Synapses(neurons, neurons, "w : 1", on_pre="I_post += w", delay=delay * ms)
    s.connect()
    loss = bep.Sum(bep.SpikeTimes(neurons))
    options = {"duration": 20 * ms, "solver": "event"}
    model = bep.EventPropModel([neurons, s], train=[s.w], loss=loss, **options)
    functions = [n for n in ast.parse(model.source).body if isinstance(n, ast.FunctionDef)]
    bare = [f for f in functions if any(_uncounted(d) for d in f.decorator_list)]
    assert len(bare) > 5
    assert not {f.name: handed_on(f) for f in bare if handed_on(f)}


def _uncounted(decorator) -> bool:
    return any(name in ast.unparse(decorator) for name in ("BARE", "INSIDE"))
