"""Equal neuron and synapse models give equal operations, whatever they are called."""

import time

import brian2 as b2
import numpy as np
import pytest
from brian2 import ms
from numba.core import event

import brian_eventprop as bep

MODELS = {
    "leaky": ("dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1", "exact", "I_post += w"),
    "saturating": ("dv/dt = (g*(2 - v) - v)/tau : 1\ndg/dt = -g/(5*ms) : 1", "rk2",
                   "g_post += w*(1 - g_post)"),
}  # fmt: skip


def network(model, layers=1, name=None):
    """Layers of one neuron model; `name` begins the names of all objects."""
    equations, method, on_pre = MODELS[model]
    b2.start_scope()
    names = {} if name is None else {"name": f"{name}_inputs"}
    groups = [b2.SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 4] * ms, **names)]
    synapses = []
    for k in range(layers):
        names = {} if name is None else {"name": f"{name}_{k}"}
        group = b2.NeuronGroup(
            3, equations, threshold="v > 0.4", reset="v = 0", method=method, **names
        )
        names = {} if name is None else {"name": f"{name}_to_{k}"}
        synapse = b2.Synapses(groups[-1], group, "w : 1", on_pre=on_pre, **names)
        synapse.connect()
        synapse.w, synapse.delay = 1.5 + 0.1 * np.arange(len(synapse)), 1 * ms
        groups.append(group)
        synapses.append(synapse)
    return bep.EventPropModel(
        [*groups, *synapses], train=[s.w for s in synapses] + [synapses[0].delay],
        loss=bep.Sum(bep.Final(groups[-1], "v")), duration=12 * ms, namespace={"tau": 10 * ms},
    )  # fmt: skip


def bodies(model):
    """What is compiled for a model: each operation without the arrays that it is given."""
    module = model.runtime.module
    phases = (*module.forward.values(), *module.backward.values())
    return {(op.name, op.body, op.lines) for ops in phases for op in ops}


@pytest.mark.parametrize("model", MODELS)
def test_names_are_no_part_of_what_is_compiled(model):
    assert bodies(network(model)) == bodies(network(model, name="other"))


@pytest.mark.parametrize("model", MODELS)
def test_more_layers_of_one_model_are_nothing_more_to_compile(model):
    assert bodies(network(model, layers=5)) == bodies(network(model, layers=3))


def test_the_same_network_built_again_compiles_nothing():
    found = []
    with event.install_recorder("numba:compile") as recorder:
        for name in (None, f"again_{time.time_ns()}"):  # no name of an earlier run
            recorder.buffer.clear()
            model = network("leaky", layers=2, name=name)
            model.run()
            found.append(model.gradient().raw(model.parameters.keys[0]))
    assert not recorder.buffer
    np.testing.assert_array_equal(*found)
