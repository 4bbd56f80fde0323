"""The event solver's kernels: a text per component, in which nothing tells where it stands."""

from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope

import brian_eventprop as bep

EQUATIONS = """dv/dt = (I - v)/(20*ms) : 1
               dI/dt = -I/(5*ms) : 1"""


def components(layers=2, edited=None, alive=None):
    """The components of a chain of groups, the equations of one of which may be edited.

    Brian2 gives the names of objects that are no more to others: `alive` keeps these.
    """
    start_scope()
    objects = [SpikeGeneratorGroup(3, [0, 1, 2], [1, 2, 3] * ms)]
    for k in range(layers):
        equations = EQUATIONS.replace("I - v", "2*I - v") if k == edited else EQUATIONS
        group = NeuronGroup(4, equations, threshold="v > 1", reset="v = 0", method="exact")
        synapses = Synapses(objects[-1], group, "w : 1", on_pre="I_post += w")
        synapses.connect()
        synapses.w = 1
        objects = [*objects, synapses, group]
    model = bep.EventPropModel(
        objects, train=[synapses.w], loss=bep.Sum(bep.Integral(objects[-1], "v/second")),
        duration=20 * ms, solver="event",
    )  # fmt: skip
    if alive is not None:
        alive.append(objects)
    assert group.name in model.source
    assert all(c.source in model.source for c in model.runtime.module.components)
    return [(c.groups[0].name, c.source) for c in model.runtime.module.components]


def test_the_same_network_built_again_is_the_same_text():
    alive = []
    first, again = components(alive=alive), components(alive=alive)
    assert {name for name, _ in first}.isdisjoint(name for name, _ in again)
    assert [text for _, text in first] == [text for _, text in again]


def test_layers_of_one_neuron_model_are_the_same_text():
    texts = [text for _, text in components(layers=4)]
    assert len(set(texts[:3])) == 1  # the synapses of the last one are trained
    assert texts[3] != texts[0]


def test_an_edited_equation_changes_one_component_only():
    before = [text for _, text in components(layers=3)]
    after = [text for _, text in components(layers=3, edited=1)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
