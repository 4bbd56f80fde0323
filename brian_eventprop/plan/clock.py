"""What the clock solver computes for each group and pathway, and how arrivals are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.maxima import ArrivalMaximum, derive_maxima
from brian_eventprop.adjoint.pathways import PathwayAdjoint
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.plan.layouts.layout import SynapseLayout
from brian_eventprop.plan.layouts.queue import Queue


@dataclass(frozen=True)
class GroupPlan:
    """What becomes of the arrivals at a group.

    Rings are used where all synapses of a group add constants.  Elsewhere arrivals are delivered
    one after the other, because their order matters; so they are where a spike arrives at its own
    neuron at once, before a reset that does not commute with the arrival.

    The arrival adjoint of each step is recorded for the whole trial, as a history of rows for
    synapses in dense rows (`dense_states`), else tile by tile (`tiled_states`), and in a ring for
    as long as spikes of groups read it (`with_d_arrivals`).  If each spike adds to the gradients at
    once, a ring of arrival adjoints is enough (`per_spike_states`).

    Parameters
    ----------
    rings
        The states that arrivals are added to, and for each the rate of an arrival's time.
    in_ring, in_drive
        Those of them whose arrivals are summed as they are sent, and before the first step.
    tiled_states, dense_states, per_spike_states, with_d_arrivals
        How the arrival adjoints of a state are kept.
    autapses
        Names of the pathways whose spikes may arrive at their own neuron at once.
    recomputes_arrivals
        Whether the backward pass delivers the arrivals of a step again, to see the states between.
    arrival_maxima
        Maximum readouts that arrivals may make or end.
    has_count_surrogate
        Whether a spike count has a surrogate gradient.
    recorded
        Whether the states of each step are recorded whatever reads them.
    """

    rings: tuple[str, ...] = ()
    ring_rates: Mapping[str, Mapping] | None = None
    in_ring: frozenset[str] = frozenset()
    in_drive: frozenset[str] = frozenset()
    tiled_states: frozenset[str] = frozenset()
    dense_states: frozenset[str] = frozenset()
    per_spike_states: frozenset[str] = frozenset()
    with_d_arrivals: frozenset[str] = frozenset()
    autapses: tuple[str, ...] = ()
    recomputes_arrivals: bool = False
    arrival_maxima: tuple[ArrivalMaximum, ...] = ()
    has_count_surrogate: bool = False
    recorded: bool = False


@dataclass(frozen=True)
class PathwayPlan:
    """The layout of a pathway's synapses, and whether delays are trained.

    ``recomputed`` tells whether the backward pass delivers its arrivals again, ``taped`` whether
    the states of the target before each arrival are recorded instead, because events of other
    synapses change them, too.
    """

    layout: SynapseLayout
    delay_trained: bool = False
    at_once: bool = False
    recomputed: bool = False
    taped: bool = False


@dataclass(frozen=True)
class ClockPlan:
    """The plans of all groups and pathways, by name."""

    groups: Mapping[str, GroupPlan]
    pathways: Mapping[str, PathwayPlan]


def plan_clock(
    system: AdjointSystem,
    layouts: Mapping[str, SynapseLayout] | None = None,
    autapses: Collection[str] = (),
    with_states: bool = True,
) -> ClockPlan:
    """Plan the clock solver.

    Parameters
    ----------
    system
        The derived network.
    layouts
        The layout of each pathway; by default queues.
    autapses
        Names of the groups whose spikes may arrive at their own neuron at once.
    with_states
        Whether such spikes may come by synapses that have states.
    """
    layouts = layouts or {p.pathway.name: Queue() for p in system.pathways}
    groups = {}
    taped = {name for p in system.pathways for name in p.writes_others}
    for g in system.groups:
        arriving = [
            p for p in system.pathways if p.pathway.target == g.group.name and p.touches_target
        ]
        own = [p for p in arriving if p.pathway.source == g.group.name]
        own = own if g.group.name in autapses else []
        own = [p for p in own if with_states or not p.synaptic]
        is_taped = g.group.name in taped
        groups[g.group.name] = _plan_group(system, g, arriving, own, layouts, is_taped)
    pathways = {
        p.pathway.name: PathwayPlan(
            layouts[p.pathway.name],
            p.pathway.delay in system.trained,
            p.pathway.name in groups[p.pathway.target].autapses,
            groups[p.pathway.target].recomputes_arrivals and p.touches_target,
            p.pathway.target in taped and p.touches_target and needs_state(p),
        )
        for p in system.pathways
    }
    return ClockPlan(groups, pathways)


def _plan_group(system, g, arriving, autapses, layouts, taped) -> GroupPlan:
    surrogate = g.group.name in system.surrogate_groups
    rates, kept = {}, {}
    if arriving and all(layouts[p.pathway.name].ring for p in arriving):
        rates = {p.increment.state: p.increment.rate for p in arriving}
        kept = _arrays(system, arriving, layouts)
    rings = tuple(s for s in g.group.states if s in rates)
    stages = [[s] for s in rings] or [g.group.states]
    maxima = derive_maxima(g, stages) if arriving else ()
    in_order = not rings and not taped and any(needs_state(p) for p in arriving)
    return GroupPlan(
        rings, rates, **kept,
        autapses=tuple(p.pathway.name for p in autapses),
        recomputes_arrivals=in_order or (bool(maxima) and not rings),
        arrival_maxima=maxima,
        has_count_surrogate=surrogate,
        recorded=any(
            g.group.name in (p.pathway.target, *p.writes_others)
            for p in system.pathways
            if p.writes_others
        ),
    )  # fmt: skip


def _arrays(system, arriving, layouts) -> dict[str, frozenset[str]]:
    """Where arrivals that add and their adjoints are kept: the states, by field of the plan."""
    inputs = {i.name for i in system.spec.inputs}
    kept: dict[str, set[str]] = {}
    for p in arriving:
        layout, state = layouts[p.pathway.name], p.increment.state
        record = "dense" if layout.by_row else "per_spike" if layout.per_spike else "tiled"
        kept.setdefault(f"{record}_states", set()).add(state)
        kept.setdefault("in_drive" if layout.precomputed else "in_ring", set()).add(state)
        if record == "tiled" and p.pathway.source not in inputs:
            kept.setdefault("with_d_arrivals", set()).add(state)
    return {name: frozenset(states) for name, states in kept.items()}


def needs_state(pathway: PathwayAdjoint) -> bool:
    """Whether the reverse of an arrival reads the target's state."""
    return pathway.free.needs_state or pathway.frozen.needs_state or pathway.lift is not None
