"""No variable of a kernel has the name of a function, whatever the groups are called."""

import ast

import pytest
from brian2 import NeuronGroup, Synapses, ms

import brian_eventprop as bep


@pytest.mark.parametrize("solver", ["clock", "event"])
@pytest.mark.parametrize("name", ["n", "m", "t", "start", "first", "take", "send"])
def test_names_of_groups(name, solver):
    neurons = NeuronGroup(
        2,
        "dv/dt = (1.4 + I*(3 - v) - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1",
        threshold="v > 1", reset="v = 0", method="euler", name=name,
    )  # fmt: skip
    s = Synapses(neurons, neurons, "w : 1", on_pre="I_post += w*(1 - I_post)", name="s")
    s.connect()
    loss = bep.Sum(bep.SpikeTimes(neurons))
    options = {"duration": 20 * ms, "solver": solver}
    model = bep.EventPropModel([neurons, s], train=[s.w], loss=loss, **options)
    tree = ast.parse(model.source)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    for function in functions:
        names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
        assigned = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        assert not assigned & {f.name for f in functions}, function.name
