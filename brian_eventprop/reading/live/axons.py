"""One delay for each sending neuron: delays of the axon, which all its synapses share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from brian_eventprop._names import name_of
from brian_eventprop.reading.spec import Key, NetworkSpec, NetworkValues


class Axonal:
    """Delays with one value per sending neuron, shared by all its synapses.

    Stands for the delays in ``train=[...]``; afterwards the view itself names them, and has one
    value for each neuron of the source.

    Parameters
    ----------
    delays : `VariableView`
        The delays of a `Synapses` object; those of one neuron's synapses must be equal.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(2, [0, 1], [1, 2]*ms)
    >>> group = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1", method="exact")
    >>> s = Synapses(source, group, "w : 1", on_pre="v_post += w")
    >>> s.connect()
    >>> s.w, s.delay = 1.0, '(1 + i)*ms'
    >>> model = bep.EventPropModel([source, group, s], train=[s.w, bep.Axonal(s.delay)],
    ...                            loss=bep.Sum(bep.Final(group, "v")), duration=10*ms)
    >>> model.parameters[s.delay]
    array([1., 2.]) * msecond
    """

    def __init__(self, delays):
        self.delays = delays

    def __repr__(self) -> str:
        group = getattr(self.delays, "group", None)
        name = getattr(getattr(group, "synapses", group), "name", "synapses")
        return f"Axonal({name}.delay)"


def with_axonal_delays(spec: NetworkSpec, network: NetworkValues, key: Key):
    """Return a network in which a pathway has one delay for each neuron of its source."""
    pathway = next((p for p in spec.pathways if p.delay == key), None)
    if pathway is None:
        raise ValueError(f"'{name_of(key)}' are no delays: give Axonal a view like synapses.delay")
    if any(symbol.key == key for symbol in pathway.symbols.values()):
        raise ValueError(
            f"'{pathway.synapses}' uses its delays in on_pre ('{pathway.text}'), so they cannot be "
            "one per axon. Use a synaptic variable in their place."
        )
    size = next(s.size for s in (*spec.groups, *spec.inputs) if s.name == pathway.source)
    delays = np.broadcast_to(network.values[key], pathway.size)
    shared = np.full(size, delays.min(initial=np.inf) if pathway.size else 0.0)
    pre = network.senders(pathway)
    shared[pre] = delays
    if not np.array_equal(shared[pre], delays):
        i = pre[np.flatnonzero(shared[pre] != delays)[0]]
        raise ValueError(
            f"the synapses of neuron {i} of '{pathway.source}' have different delays in "
            f"'{pathway.synapses}': one delay per axon, for example "
            f"{pathway.synapses}.delay = delays[{pathway.synapses}.i]"
        )
    pathways = tuple(replace(p, axonal=True) if p is pathway else p for p in spec.pathways)
    values = {**network.values, key: shared}
    return replace(spec, pathways=pathways), replace(network, values=values)


def per_synapse(values: Mapping[Key, np.ndarray], spec: NetworkSpec, network: NetworkValues):
    """Return values in which delays of axons stand at each of their synapses."""
    found = dict(values)
    for p in spec.pathways:
        if p.axonal and p.delay in found:
            found[p.delay] = np.asarray(found[p.delay])[network.senders(p)]
    return found
