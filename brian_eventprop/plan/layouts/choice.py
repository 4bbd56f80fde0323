"""Choose the layout of every pathway of a network."""

from __future__ import annotations

from collections.abc import Collection

from brian_eventprop.adjoint.pathways import is_additive
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.plan.layouts import limits
from brian_eventprop.plan.layouts.dense_rows import DenseRows, has_dense_rows
from brian_eventprop.plan.layouts.layout import Facts, SynapseLayout
from brian_eventprop.plan.layouts.per_spike import PerSpike
from brian_eventprop.plan.layouts.precomputed import Precomputed
from brian_eventprop.plan.layouts.queue import Queue
from brian_eventprop.plan.layouts.tiled import Tiled
from brian_eventprop.reading.spec import NetworkValues

#: All of them; the first one that fits is taken.
LAYOUTS = (DenseRows, Precomputed, PerSpike, Tiled, Queue)


def choose_layouts(
    system: AdjointSystem,
    network: NetworkValues,
    autapses: Collection[str],
    trial_bytes: int = 0,
) -> dict[str, SynapseLayout]:
    """Return the layout of each pathway by its name.

    Parameters
    ----------
    system
        The derived network.
    network
        Its numbers: which synapses there are, and their delays.
    autapses
        Names of the groups whose spikes may arrive at their own neuron at once.
    trial_bytes
        Bytes of one number at every time step of a trial; 0 if memory does not matter.
    """
    spec = system.spec
    sizes = {g.name: g.size for g in (*spec.groups, *spec.inputs)}
    inputs = {i.name for i in spec.inputs}
    arriving: dict[str, list] = {g.name: [] for g in spec.groups}
    for p in system.pathways:
        if p.touches_target:
            arriving[p.pathway.target].append(p)
    # what is read in between must be there: arrivals at such a group come one by one
    read = {p.pathway.pre_group for p in system.pathways}
    read |= {p.pathway.synapses for p in system.pathways if p.of_group}
    chosen = {}
    for adjoint in system.pathways:
        p = adjoint.pathway
        size = sizes[p.source], sizes[p.target]
        facts = Facts(
            size=p.size,
            n_target=sizes[p.target],
            additive=adjoint.touches_target
            and p.target not in autapses
            and p.target not in read
            and is_additive(arriving[p.target]),
            from_input=p.source in inputs,
            # two numbers for each neuron and time step
            has_record=2 * trial_bytes * sizes[p.target] <= limits.RECORD,
            has_dense_rows=has_dense_rows(p, network, *size, system.trained),
        )
        chosen[p.name] = next(layout for layout in LAYOUTS if layout.fits(facts))()
    return chosen
