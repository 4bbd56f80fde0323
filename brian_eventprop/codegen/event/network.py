"""Render the event solver's kernels for a network: templates plus the blocks of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.flow import ContinuousFlow
from brian_eventprop.adjoint.guards import linear_guard
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.coupling.event import EventCouplingCode
from brian_eventprop.codegen.event.component import Component, build_component
from brian_eventprop.codegen.event.groups import EventGroupCode
from brian_eventprop.codegen.event.pathways import LATE, EventPathwayCode
from brian_eventprop.codegen.event.signatures import (
    SUBTHRESHOLD,
    constants,
    maxima,
    sample_rows,
    timed_values,
)
from brian_eventprop.codegen.event.work import WorkArray, backward_work, forward_work
from brian_eventprop.codegen.expr.parameter_map import render_parameter_map
from brian_eventprop.codegen.expr.printing import EDGE_FUNCTIONS, NumpyStyle, print_sympy
from brian_eventprop.codegen.templates import render


@dataclass(frozen=True)
class EventComponent:
    """The kernels of the groups that run together, and what the runtime needs to call them.

    Their text holds no name of Brian2's: what is built again, or the same once more within a
    network, is the same text, which is compiled once.

    Attributes
    ----------
    source
        The text.
    groups, pathways
        The code of its groups and of their incoming pathways.
    sources
        Names of the inputs and groups outside of it whose spikes arrive.
    arguments, event_logs, gradients
        (owner, role) of each array in the order of the signatures.
    forward_work, backward_work
        Owner and array of all that the kernels work with, in the order of the signatures.
    batched
        Whether arrivals are taken in batches.
    """

    source: str
    groups: tuple[EventGroupCode, ...]
    pathways: tuple[EventPathwayCode, ...]
    sources: tuple[str, ...]
    arguments: tuple[tuple[str, str], ...]
    forward_work: tuple[tuple[str, WorkArray], ...]
    backward_work: tuple[tuple[str, WorkArray], ...]
    event_logs: tuple[tuple[str, str], ...]
    gradients: tuple[tuple[str, str], ...]
    batched: bool
    couplings: tuple[EventCouplingCode, ...] = ()

    def text(self) -> str:
        """Return the text for somebody to read, with the names of Brian2."""
        lines = _summary(self.groups, (*self.pathways, *self.couplings))
        return "\n".join(f"# {line}" for line in lines) + f"\n{self.source}"


@dataclass(frozen=True)
class EventModule:
    """The rendered kernels of a network, in the order in which its components run."""

    components: tuple[EventComponent, ...]
    groups: tuple[EventGroupCode, ...]
    inputs: tuple[str, ...]
    pathways: tuple[EventPathwayCode, ...]
    couplings: tuple[EventCouplingCode, ...] = ()

    def incoming(self, group: str) -> tuple[EventPathwayCode, ...]:
        """Return the pathways into the group of that name."""
        return tuple(p for p in self.pathways if p.target.name == group)

    @property
    def source(self) -> str:
        """All of the text."""
        return "\n\n".join(component.text() for component in self.components)


#: What `forward` leaves for `backward`, for each group.
EVENT_LOG = ("event_log", "window_offsets", "spikes")

#: Of the spikes of a group, for the backward pass: dL/dt by readouts and by arrivals, the least
#: slope to divide by, and the slopes that it finds.
OF_SPIKES = ["time", "d_spike_time", "slope_floor", "crossing_slope"]

#: What `spread` and `gather` know of the synapses of a pathway.
TABLES = ("B", "targets", "ticks")


def render_event(
    system: AdjointSystem,
    flows: Mapping[str, ContinuousFlow],
    components: tuple[tuple[str, ...], ...],
    tolerance: float,
    batched: frozenset[str] = frozenset(),
    by_event: frozenset[tuple[str, ...]] = frozenset(),
) -> EventModule:
    """Render the kernels of the event solver.

    Parameters
    ----------
    system
        The derived network.
    flows
        The flow of each group between events.
    components
        Names of the groups in the order in which they run; those of one component share windows.
    tolerance
        Relative error of a step of Runge-Kutta.
    batched
        Names of the groups that take their arrivals in batches; whole components.
    by_event
        The components that have no windows, but take one event after the other.
    """
    built = [
        build_component(system, flows, names, batched.issuperset(names), names in by_event)
        for names in components
    ]
    rendered = tuple(_render(component, tolerance) for component in built)
    inputs = tuple(i.name for i in system.spec.inputs)
    groups = {g.name: g for component in built for g in component.groups}
    pathways = {p.name: p for component in built for p in component.pathways}
    return EventModule(
        rendered,
        tuple(groups[g.group.name] for g in system.groups),
        inputs,
        tuple(pathways[p.pathway.name] for p in system.pathways),
        tuple(c for component in built for c in component.couplings),
    )


#: What a group of coupled neurons leaves for the backward pass, and what all of them do.
COUPLED_LOG, ALL_LOG = ("spikes", "bounds"), ("coupled_log", "coupled_bounds")


def _breaks(g) -> list[str]:
    """The roles of what the breaks of a group need."""
    return [*["breaks"] * g.breaks, *sample_rows(g), *timed_values(g)]


def _render_coupled(component: Component, tolerance: float) -> EventComponent:
    """The kernels of groups whose neurons are one system of equations."""
    groups, pathways, couplings = component.groups, component.pathways, component.couplings
    arguments = [
        (g.name, role)
        for g in groups
        for role in ("X0", "C", "P", *["period"] * g.refractory, "VR", *_breaks(g))
    ]
    arguments += [(p.name, role) for p in pathways for role in ("C", "W", "post", "rows", "delay")]
    arguments += [(p.name, "created") for p in pathways if p.touches_synapse]
    arguments += [(p.name, "senders") for p in pathways if p.adjoint.pre]
    for p in component.homes:
        arguments += [(p.name, "initial"), *[(p.name, "final")] * p.read_at_end]
    arguments += [(c.name, role) for c in couplings for role in ("C", "W", "ends", "span")]
    summed = [(g.name, role) for g in groups for role in ("grad_shared", "grad_neuron", "WR")]
    summed += [(c.name, role) for c in couplings for role in ("grad_shared", "grad_weight")]
    gradients = list(summed)
    for g in groups:
        roles = ["grad_initial", *["grad_refractory"] * g.refractory]
        roles += [*["count_surrogate"] * g.has_count_surrogate, *g.timed_gradients]
        gradients += [(g.name, role) for role in (*roles, *OF_SPIKES * g.spikes)]
    each = ("grad_shared", "grad_weight", "grad_delay")
    gradients += [(p.name, role) for p in pathways for role in each]
    for p in component.homes:
        gradients += [(p.name, "grad_initial"), *[(p.name, "seeds")] * p.read_at_end]
    event_logs = [(g.name, role) for g in groups for role in COUPLED_LOG]
    event_logs += [(groups[0].name, role) for role in ALL_LOG]
    owner = {part.name: part for part in (*groups, *pathways, *couplings)}
    alias = dict(zip(ALL_LOG, ("log", "log_bounds"), strict=True))

    def identifiers(pairs):
        return [alias.get(role) or owner[name].a(role) for name, role in pairs]

    flow = [(g.name, role) for g in groups for role in ("X0", "C", "P")]
    flow += [(c.name, role) for c in couplings for role in ("C", "W", "ends", "span")]
    body = render(
        "event/coupled/module.py.j2",
        component=component,
        groups=groups,
        # what is recorded of the adjoint comes first, so last in the backward pass
        stopping=sorted((g for g in groups if g.breaks), key=lambda g: not g.adjoints),
        sources=component.sources,
        arguments=identifiers(arguments),
        constants=identifiers(flow),
        event_logs=identifiers(event_logs),
        gradients=identifiers(gradients),
        flow_gradients=identifiers(summed),
        break_roles=lambda g: [*sample_rows(g), *timed_values(g), *g.timed_gradients],
    )
    used = [f for f in EDGE_FUNCTIONS if f"{f}(" in body]
    options = dict(tolerance=repr(float(tolerance)), edge_functions=used)
    header = render("event/coupled/header.py.j2", **options)
    return EventComponent(
        header + body, groups, pathways, tuple(s.name for s in component.sources),
        tuple(arguments), (), (), tuple(event_logs), tuple(gradients), False, couplings,
    )  # fmt: skip


def _render(component: Component, tolerance: float) -> EventComponent:
    if component.coupled:
        return _render_coupled(component, tolerance)
    groups, pathways = component.groups, component.pathways
    event_logs = [(g.name, role) for g in groups for role in _event_log(g)]
    event_logs += [(groups[0].name, "loop_log")] * component.several
    arguments, gradients = _arguments(component), _gradients(component)
    work = forward_work(component), backward_work(component)
    owner = {part.name: part for part in (*groups, *pathways)}

    def identifiers(pairs):
        return [owner[name].a(getattr(role, "role", role)) for name, role in pairs]

    body = render(
        "event/module.py.j2",
        component=component,
        groups=groups,
        sources=component.sources,
        arguments=identifiers(arguments),
        work=[identifiers(arrays) for arrays in work],
        event_logs=identifiers(event_logs),
        gradients=identifiers(gradients),
    )
    header = render(
        "event/header.py.j2",
        component=component,
        tolerance=repr(float(tolerance)),
        edge_functions=[f for f in EDGE_FUNCTIONS if f"{f}(" in body],
    )
    return EventComponent(
        header + body, groups, pathways, tuple(s.name for s in component.sources), arguments,
        *work, tuple(event_logs), gradients, component.batched,
    )  # fmt: skip


def _event_log(g):
    """What a group leaves for the backward pass."""
    return (*EVENT_LOG, *["bounds"] * g.spikes, *["upstrokes"] * g.stepped)


def _arguments(component):
    pairs = []
    for g in component.groups:
        roles = ["X0", *constants(g), *["period"] * g.fixed_period, "VR", *maxima(g)]
        roles += [*["breaks"] * g.breaks, *sample_rows(g), *timed_values(g)]
        roles += [*SUBTHRESHOLD, "MODES", "ring", "bits"] * bool(g.batched)
        pairs += [(g.name, role) for role in roles]
    for p in component.pathways:
        tables = (*TABLES, *LATE * p.target.spikes) * component.batched
        pairs += [(p.name, role) for role in ("C", "W", "post", "rows", "delay", *tables)]
        pairs += [(p.name, "created")] * bool(p.synaptic)
    for p in component.homes:
        pairs += [(p.name, "initial"), *[(p.name, "final")] * p.read_at_end]
    return tuple(pairs)


def _gradients(component):
    pairs = []
    for g in component.groups:
        roles = ["grad_shared", "grad_neuron", "grad_initial"]
        roles += ["grad_refractory"] * g.fixed_period
        roles += OF_SPIKES * g.spikes
        roles += [*["count_surrogate"] * g.has_count_surrogate, *g.timed_gradients, "WR"]
        pairs += [(g.name, role) for role in roles]
    for p in component.homes:
        pairs += [(p.name, "grad_initial"), *[(p.name, "seeds")] * p.read_at_end]
    each = ("grad_sums",) if component.batched else ("grad_shared", "grad_weight", "grad_delay")
    return (*pairs, *((p.name, role) for p in component.pathways for role in each))


def _summary(groups, pathways):
    lines = []
    for g in groups:
        text = g.adjoint.group.text.splitlines()
        lines += [f"{g.name}: {line.strip()}" for line in text if line.strip()]
        lines.append(f"{g.name}: {'closed form' if g.closed else 'Runge-Kutta'} between events")
    return lines + [f"{p.name}: {p.text}" for p in pathways]


def render_event_parameter_map(system: AdjointSystem, flows: Mapping[str, ContinuousFlow]) -> str:
    """Render the parameter map.

    ``flow_NAME(v)`` gives rates and coefficients of a closed flow, ``guard_NAME(v)`` the
    derivatives of a linear guard in the states and its value at 0.
    """
    parts = [render_parameter_map(system)]
    for g in system.groups:
        flow, name = flows[g.group.name], g.group.name
        if flow.closed:
            rows = (*flow.free.rates, *flow.free.coefficients, *flow.speeds)
            parts.append(_rows_function(f"flow_{name}", rows))
            parts.append(_rows_function(f"guard_{name}", linear_guard(g) or ()))
    return "\n".join(parts)


def _rows_function(name, expressions):
    rows = [print_sympy(e, lambda n: f'v["{n}"]', NumpyStyle()) for e in expressions]
    text = "".join(f"\n        {row}," for row in rows)
    return f"\ndef {name}(v):\n    return [{text}\n    ]\n"
