"""The groups that run together, as the templates of their kernels see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from brian_eventprop.adjoint.coupling.terms import in_dependency
from brian_eventprop.adjoint.flow import ContinuousFlow
from brian_eventprop.adjoint.simultaneous import Arrival
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.coupling.event import EventCouplingCode
from brian_eventprop.codegen.event.groups import EventGroupCode
from brian_eventprop.codegen.event.pathways import EventPathwayCode
from brian_eventprop.codegen.event.setting import GroupSetting
from brian_eventprop.codegen.event.signatures import GroupSignatures
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.printing import KernelStyle
from brian_eventprop.codegen.expr.scope import Scope


@dataclass(frozen=True)
class EventSourceCode:
    """A source of spikes outside of a component: an input, or a group that runs before it."""

    name: str
    owner: str
    table: NameTable
    outer = True

    def a(self, role: str) -> str:
        """Identifier of an array that belongs to this source."""
        return self.table(self.owner, f"${role}")


@dataclass(frozen=True, eq=False)
class Component:
    """Groups, the pathways into them, and the sources outside of it whose spikes arrive.

    ``couplings`` are in an order in which each reads only states that are computed before it.
    """

    groups: tuple[EventGroupCode, ...]
    pathways: tuple[EventPathwayCode, ...]
    sources: tuple[EventSourceCode, ...]
    couplings: tuple[EventCouplingCode, ...] = ()

    @property
    def coupled(self) -> bool:
        """Whether the states of all its neurons are one system of equations."""
        return self.groups[0].setting.coupled

    def elsewhere(self, pathway: EventPathwayCode) -> list[tuple[int, int, str]]:
        """Return the states besides the target's that an arrival touches, for coupled neurons.

        For each its place behind those of the target, that of its adjoint, and where it stands.
        """
        groups = {g.name: g for g in self.groups}
        places = [pathway.places[s] for s in pathway.elsewhere]
        stored = pathway.stored_together(groups)
        return [(*place, at) for place, at in zip(places, stored, strict=True)]

    @property
    def touching(self) -> bool:
        """Whether an arrival touches more than the states of its target."""
        return any(p.elsewhere for p in self.pathways)

    @property
    def room(self) -> int:
        """The most states that an arrival touches."""
        return max((p.target.width + len(p.elsewhere) for p in self.pathways), default=0)

    def group(self, name: str) -> EventGroupCode:
        """Return the code of a group by its name."""
        return next(g for g in self.groups if g.name == name)

    def incoming(self, group: EventGroupCode) -> tuple[EventPathwayCode, ...]:
        """Return the pathways into a group."""
        return tuple(p for p in self.pathways if p.target is group)

    def outgoing(self, group: EventGroupCode) -> tuple[EventPathwayCode, ...]:
        """Return the pathways from a group to groups of this component."""
        return tuple(p for p in self.pathways if p.source is group)

    def signatures(self, group: EventGroupCode) -> GroupSignatures:
        """Return the signatures of the functions of a group."""
        return self._signatures[self.groups.index(group)]

    @cached_property
    def _signatures(self):
        return [GroupSignatures(g, self.incoming(g)) for g in self.groups]

    @property
    def by_event(self) -> bool:
        """Whether it takes one event after the other."""
        return self.groups[0].by_event

    @property
    def stepped(self) -> bool:
        """Whether the equations of a group are integrated numerically."""
        return not all(g.closed for g in self.groups)

    @property
    def watches_release(self) -> bool:
        """Whether refractoriness in a group ends with a condition."""
        return any(g.release for g in self.groups)

    @property
    def several(self) -> bool:
        """Whether it needs a log of whose event came after which."""
        return self.by_event and len(self.groups) > 1

    @property
    def arriving(self) -> list[tuple[EventGroupCode, EventPathwayCode]]:
        """Groups and their pathways, those of a component without windows."""
        return [(g, p) for g in self.groups for p in self.incoming(g)]

    @property
    def defers(self) -> bool:
        """Whether arrivals at neurons that spike may come after their resets."""
        return any(p.after_reset != "False" for p in self.pathways)

    @property
    def batched(self) -> bool:
        """Whether arrivals are taken in batches."""
        return self.groups[0].batched is not None

    @property
    def homes(self) -> tuple[EventPathwayCode, ...]:
        """The pathways that have the states of synapses, one of each `Synapses` object."""
        return tuple(p for p in self.pathways if p.synaptic and p.home is p)

    def a(self, role: str) -> str:
        """Identifier of an array or number of a component without windows."""
        return self.groups[0].a(f"loop_{role}")


def build_component(
    system: AdjointSystem,
    flows: Mapping[str, ContinuousFlow],
    names: tuple[str, ...],
    in_batches: bool,
    by_event: bool,
) -> Component:
    """Return the code of the groups of a component, called by their numbers.

    Parameters
    ----------
    system, flows
        The derived network and the flow of each of its groups.
    names
        Names of the groups in the order in which they run.
    in_batches, by_event
        Whether they take their arrivals in batches, and whether they have no windows.
    """
    table, groups = NameTable(), {}
    couplings = in_dependency(c for c in system.couplings if c.coupling.receiver in names)
    at_once = [p for p in system.pathways if p.pathway.target in names and p.touches_others]
    is_coupled = bool(couplings or at_once)
    arrivals = {name: _arrivals(system, name, names) for name in names}
    for name in names:
        adjoint = system.group(name)
        readouts = tuple(r.symbols for r in system.spec.readouts if r.group == name)
        surrogate = name in system.surrogate_groups
        setting = GroupSetting(
            system.spec.dt, arrivals[name], readouts, surrogate, by_event, in_batches,
            is_coupled, system.trained_arrays,
        )  # fmt: skip
        scope = _scope(f"g{len(groups)}", adjoint, table, adjoint.steep)
        groups[name] = EventGroupCode(adjoint, flows[name], scope, setting)
    own = [p for p in system.pathways if p.pathway.target in groups]
    outer = dict.fromkeys(p.pathway.source for p in own if p.pathway.source not in groups)
    sources = {name: EventSourceCode(name, f"source{k}", table) for k, name in enumerate(outer)}
    pathways, homes = [], {}
    at_end = {r.group for r in system.spec.readouts if r.kind == "final_synapses"}
    for number, p in enumerate(own):
        target, source = groups[p.pathway.target], p.pathway.source
        scope = _scope(f"p{number}", p, table, target.scope.steep, target.scope)
        arrival = next(a for a in arrivals[target.name] if a.pathway is p)
        source = groups.get(source) or sources[source]
        name = p.pathway.synapses
        made = EventPathwayCode(
            arrival, scope, target, source, number, homes.get(name), name in at_end
        )
        homes.setdefault(name, made)
        pathways.append(made)
    own = []
    for number, c in enumerate(couplings):
        scope = _scope(f"c{number}", c, table, False)
        ends = groups.get(c.coupling.source), groups.get(c.coupling.target)
        own.append(EventCouplingCode(c, scope, *ends))
    return Component(
        tuple(groups.values()), tuple(pathways), tuple(sources.values()), tuple(own)
    )  # fmt: skip


def _arrivals(system, target, names):
    """What arrives at a group; `names` are those of the groups of its component."""
    arriving = [p for p in system.pathways if p.pathway.target == target]
    at_once = tuple(p for p in arriving if p.pathway.source in names)
    return tuple(
        Arrival(p, system.group(target), at_once, p.pathway.delay in system.trained)
        for p in arriving
    )


def _scope(owner, adjoint, table, steep, post=None):
    style = KernelStyle(single=False)
    return Scope(owner, adjoint.invariants.levels, table, style, post, steep=steep, in_loop=False)
