"""What the clock solver computes for each group and pathway, and how arrivals are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.coupling.terms import read_by_others
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
    coupled, received
        The states that other neurons read at every step, and those that are computed from others.
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
    coupled: tuple[str, ...] = ()
    received: tuple[str, ...] = ()


@dataclass(frozen=True)
class PathwayPlan:
    """The layout of a pathway's synapses, and whether delays are trained.

    ``recomputed`` tells whether the backward pass delivers its arrivals again, ``taped`` whether
    the states of the target before each arrival are recorded instead, because events of other
    synapses change them, too, or because one thread delivers all arrivals.  In the latter case they
    may be ``found_again`` where recorded states have become those of an explosive upstroke.
    """

    layout: SynapseLayout
    delay_trained: bool = False
    at_once: bool = False
    recomputed: bool = False
    taped: bool = False
    found_again: bool = False


@dataclass(frozen=True)
class ClockPlan:
    """The plans of all groups and pathways, by name."""

    groups: Mapping[str, GroupPlan]
    pathways: Mapping[str, PathwayPlan]


def plan_clock(
    system: AdjointSystem,
    layouts: Mapping[str, SynapseLayout] | None = None,
    autapses: Collection[str] = (),
    on_device: bool = False,
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
    on_device
        Whether neurons have threads of their own.  Then states are recorded, too, before arrivals
        that one thread delivers for all of them.
    """
    layouts = layouts or {p.pathway.name: Queue() for p in system.pathways}
    groups = {}
    taped = taped_groups(system, on_device)
    for g in system.groups:
        arriving = [
            p for p in system.pathways if p.pathway.target == g.group.name and p.touches_target
        ]
        own = [p for p in arriving if p.pathway.source == g.group.name]
        own = own if g.group.name in autapses else []
        is_taped = g.group.name in taped
        groups[g.group.name] = _plan_group(system, g, arriving, own, layouts, is_taped, on_device)
    pathways = {
        p.pathway.name: PathwayPlan(
            layouts[p.pathway.name],
            p.pathway.delay in system.trained,
            p.pathway.name in groups[p.pathway.target].autapses,
            groups[p.pathway.target].recomputes_arrivals and p.touches_target,
            _is_taped(p, taped) or (on_device and _has_maxima(p, taped, groups)),
            p.pathway.target not in taped_groups(system),
        )
        for p in system.pathways
    }
    return ClockPlan(groups, pathways)


def taped_groups(system: AdjointSystem, on_device: bool = False) -> set[str]:
    """Return the groups whose states are recorded before every arrival that reads them."""
    taped = {name for p in system.pathways for name in p.writes_others}
    return taped | {p.pathway.target for p in system.pathways if on_device and p.in_turn}


def _is_taped(p: PathwayAdjoint, taped: Collection[str]) -> bool:
    return p.pathway.target in taped and p.touches_target and needs_state(p)


def _has_maxima(p: PathwayAdjoint, taped: Collection[str], groups) -> bool:
    target = p.pathway.target
    return target in taped and p.touches_target and bool(groups[target].arrival_maxima)


def _plan_group(system, g, arriving, autapses, layouts, taped, on_device) -> GroupPlan:
    surrogate = g.group.name in system.surrogate_groups
    rates, kept = {}, {}
    if arriving and all(layouts[p.pathway.name].ring for p in arriving):
        rates = {p.increment.state: p.increment.rate for p in arriving}
        kept = _arrays(system, arriving, layouts)
    rings = tuple(s for s in g.group.states if s in rates)
    stages = [[s] for s in rings] or [g.group.states]
    maxima = derive_maxima(g, stages) if arriving else ()
    coupled, received = _coupled(system, g)
    in_order = (
        not rings
        and not taped
        and any(needs_state(p) or bool(coupled) and p.increment is None for p in arriving)
    )
    return GroupPlan(
        rings, rates, **kept,
        autapses=tuple(p.pathway.name for p in autapses),
        recomputes_arrivals=in_order or (bool(maxima) and not rings and not (on_device and taped)),
        arrival_maxima=maxima,
        has_count_surrogate=surrogate,
        recorded=any(
            g.group.name in (p.pathway.target, *p.writes_others)
            for p in system.pathways
            if p.writes_others
        ),
        coupled=coupled,
        received=received,
    )  # fmt: skip


def _coupled(system, g) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The states of a group that couplings read, and those that they compute."""
    computed = {c.coupling.state for c in system.couplings if c.coupling.receiver == g.group.name}
    received = tuple(s for s in g.group.states if s in computed)
    return read_by_others(system.spec, g.group.name), received


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
    caused = pathway.lift is not None or pathway.freeing is not None
    return pathway.free.needs_state or pathway.frozen.needs_state or caused
