"""Render the event solver's kernels for a network: templates plus the blocks of each part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from brian_eventprop.adjoint.flow import ContinuousFlow
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.event.batched import BatchedLayout, allows_batches, linear_guard
from brian_eventprop.codegen.event.groups import EventGroupCode
from brian_eventprop.codegen.event.pathways import EventPathwayCode
from brian_eventprop.codegen.event.work import (
    WorkArray,
    back_roles,
    backward_group,
    backward_pathway,
    forward_group,
    forward_loop,
    forward_pathway,
    has_partials,
    scratch_roles,
)
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.parameter_map import render_parameter_map
from brian_eventprop.codegen.expr.printing import (
    EDGE_FUNCTIONS,
    KernelStyle,
    NumpyStyle,
    print_sympy,
)
from brian_eventprop.codegen.expr.scope import Scope
from brian_eventprop.codegen.templates import render


class EventSourceCode:
    """A source of spikes outside of a component: an input, or a group that runs before it."""

    outer = True

    def __init__(self, name: str, owner: str, table: NameTable):
        self.name, self._owner, self._table = name, owner, table

    def a(self, role: str) -> str:
        """Identifier of an array that belongs to this source."""
        return self._table(self._owner, f"${role}")


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

    def text(self) -> str:
        """Return the text for somebody to read, with the names of Brian2."""
        lines = _summary(self.groups, self.pathways)
        return "\n".join(f"# {line}" for line in lines) + f"\n{self.source}"


@dataclass(frozen=True)
class EventModule:
    """The rendered kernels of a network, in the order in which its components run."""

    components: tuple[EventComponent, ...]
    groups: tuple[EventGroupCode, ...]
    inputs: tuple[str, ...]
    pathways: tuple[EventPathwayCode, ...]

    @property
    def source(self) -> str:
        """All of the text."""
        return "\n\n".join(component.text() for component in self.components)


@dataclass(frozen=True)
class _Component:
    groups: list
    sources: list

    @property
    def by_event(self) -> bool:
        """Whether it takes one event after the other."""
        return self.groups[0].by_event

    @property
    def several(self) -> bool:
        """Whether it needs a log of whose event came after which."""
        return self.by_event and len(self.groups) > 1

    @property
    def arriving(self) -> list:
        """Groups and their pathways, those of a component without windows."""
        return [(g, p) for g in self.groups for p in g.incoming]

    @property
    def defers(self) -> bool:
        """Whether arrivals at neurons that spike may come after their resets."""
        return any(p.after_reset != "False" for _, p in self.arriving)

    def a(self, role: str) -> str:
        """Identifier of an array or number of a component without windows."""
        return self.groups[0].a(f"loop_{role}")

    @property
    def batched(self) -> bool:
        return self.groups[0].batched is not None


#: What `forward` leaves for `backward`, per group.
EVENT_LOG = ("event_log", "window_offsets", "spikes")

#: What it leaves besides if a group spikes: where the spikes of each trial begin.
BOUNDS = ("bounds",)

#: What it leaves besides if a group that spikes is integrated numerically.
STEPS = ("upstrokes",)

#: What `subthreshold` knows of a group that takes its arrivals in batches.
SUBTHRESHOLD = ("PHI", "SUM", "GUARD", "MARGIN", "EACH", "EFFECT", "F", "rates")

#: What the search for the first stretch with a crossing knows of it besides.
SEARCH = ("MODES", "SUM", "EACH", "EFFECT", "rates")

#: Where the neurons that may spike in a window keep their arrivals and states.
WINDOW_SCRATCH = ("arrivals", "queued", "moments", "ranks", "profile", "x", "y", "z", "stack")

#: What `spread` and `gather` know of the synapses of a pathway.
TABLES = ("B", "targets", "ticks")

#: The synapses of a pathway by their targets, to find the arrivals of one neuron.
LATE = ("column", "pre", "late", "backs", "recent", "reach", "span", "dense")

#: What `look` knows of a pathway: the spikes of the last time, and its synapses.
LOOKING = ("near", "recent_spikes", "history", "where", "reach", "span", "dense", *LATE[:4])

#: What `arriving` knows of it.
ARRIVING = ("times", "senders", "recent_spikes", "places", "latest", *LATE[:3])


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
    groups, sources, pathways = _connect(system, flows, components)
    for name in batched:
        groups[name].batched = BatchedLayout(groups[name])
    for name in (name for names in by_event for name in names):
        groups[name].by_event = True
    rendered = [
        _render(_Component([groups[name] for name in names], sources[names]), tolerance)
        for names in components
    ]
    inputs = tuple(i.name for i in system.spec.inputs)
    return EventModule(tuple(rendered), tuple(groups.values()), inputs, pathways)


def _connect(system, flows, components):
    """The code of the groups, by name, of each component's sources, and of the pathways.

    Within a component groups, pathways and sources are called by their numbers.
    """
    style, groups, tables, sources = KernelStyle(single=False), {}, {}, {}
    place = {name: names for names in components for name in names}
    for g in system.groups:
        names = place[g.group.name]
        table = tables.setdefault(names, NameTable())
        scope = Scope(f"g{names.index(g.group.name)}", g.invariants.levels, table, style)
        scope.in_loop, scope.steep = False, g.steep
        code = groups[g.group.name] = EventGroupCode(g, flows[g.group.name], scope)
        code.one_step = repr(system.spec.dt)
        code.panels_per_second = code.bounds.panels_per_second(system.spec.dt)
        code.longest = code.bounds.longest_step(system.spec.dt)
        code.readout_symbols = [r.symbols for r in system.spec.readouts if r.group == g.group.name]
        code.timed_values = [t.name for t in g.group.timed_values]
        code.has_count_surrogate = g.group.name in system.surrogate_groups
        sources[names] = []
    counts, pathways = dict.fromkeys(tables, 0), []
    for p in system.pathways:
        target = groups[p.pathway.target]
        names = place[target.name]
        source = groups.get(p.pathway.source)
        if source is None or place[source.name] != names:
            source = _source(sources[names], p.pathway.source, tables[names])
        number = counts[names]
        counts[names] += 1
        scope = Scope(f"p{number}", p.invariants.levels, tables[names], style, target.scope)
        scope.in_loop, scope.steep = False, target.scope.steep
        code = EventPathwayCode(p, scope, target, source, number)
        code.delay_trained = p.pathway.delay in system.trained
        pathways.append(code)
        target.incoming.append(code)
        if not source.outer:
            source.outgoing.append(code)
    for part in (*groups.values(), *pathways):
        _call_weights_by_position(part)
    return groups, sources, tuple(pathways)


def _source(known, name, table):
    """The code of a source of a component, which may be known already."""
    for source in known:
        if source.name == name:
            return source
    known.append(EventSourceCode(name, f"source{len(known)}", table))
    return known[-1]


def _call_weights_by_position(part):
    """Let names of the weights of readouts not tell their numbers within the network."""
    group = part if isinstance(part, EventGroupCode) else part.target
    for number, position in group.position.items():
        part.scope.table.alias(part.scope.owner, f"weight.{number}", f"$weight.{position}")


def batched_groups(system: AdjointSystem, flows: Mapping[str, ContinuousFlow]) -> frozenset[str]:
    """Return the groups whose equations allow them to take their arrivals in batches."""
    groups, _, _ = _connect(system, flows, [(g.group.name,) for g in system.groups])
    return frozenset(name for name, g in groups.items() if allows_batches(g))


_MARK = "# edge functions"


def _insert(source: str, mark: str, lines: list[str]) -> str:
    """Put lines in the place of each mark, at its indentation."""
    return re.sub(
        f"^( *){mark}$", lambda m: "\n".join(m[1] + line for line in lines), source, flags=re.M
    )


def _render(component, tolerance):
    groups, sources = component.groups, component.sources
    pathways = sorted((p for g in groups for p in g.incoming), key=lambda p: p.number)
    for g in groups:
        _prepare(g)
    arguments, gradients = _arguments(groups, pathways), _gradients(groups, pathways)
    event_logs = [(g.name, role) for g in groups for role in _event_log(g)]
    event_logs += [(groups[0].name, "loop_log")] * component.several
    work = _work(component, groups, pathways)
    owner = {part.name: part for part in (*groups, *pathways)}

    def identifiers(pairs):
        return [owner[name].a(getattr(role, "role", role)) for name, role in pairs]

    source = render(
        "event/module.py.j2",
        groups=groups,
        sources=sources,
        component=component,
        stepped=not all(g.closed for g in groups),
        tolerance=repr(float(tolerance)),
        arguments=identifiers(arguments),
        work=[identifiers(arrays) for arrays in work],
        event_logs=identifiers(event_logs),
        gradients=identifiers(gradients),
        send=_send,
        spread=_spread,
        gather=_gather,
        edge_functions=_MARK,
    )
    used = [f for f in EDGE_FUNCTIONS if re.search(rf"\b{f}\(", source)]
    names = ", ".join(used)
    imports = [f"from brian_eventprop.kernels.brian_functions import {names}\n"] * bool(used)
    source = _insert(source, _MARK, imports)
    names = tuple(s.name for s in sources)
    return EventComponent(
        source, tuple(groups), tuple(pathways), names, arguments, *work, tuple(event_logs),
        gradients, component.batched,
    )  # fmt: skip


def _work(component, groups, pathways):
    """Owner and array of what the forward and the backward kernel work with."""
    forward = [(g.name, array) for g in groups for array in forward_group(g)]
    forward += [(p.name, array) for p in pathways for array in forward_pathway(p)]
    loop = [replace(array, role=f"loop_{array.role}") for array in forward_loop(component)]
    forward += [(groups[0].name, array) for array in loop]
    backward = [(g.name, array) for g in groups for array in backward_group(g)]
    backward += [(p.name, array) for p in pathways for array in backward_pathway(p)]
    return tuple(forward), tuple(backward)


def _event_log(g):
    """What a group leaves for the backward pass."""
    return (*EVENT_LOG, *BOUNDS * g.spikes, *STEPS * (g.spikes and not g.closed))


def _prepare(g):
    """The names under which the windows of a group get and give their arrays."""
    g.slots = "1" if g.batched else "min(windows, 1024)"
    g.skip_quiet = not g.batched and g.closed and g.spikes and g.flow.at_most_one_turn is not None
    g.skip_quiet = g.skip_quiet and not g.breaks and not g.by_event
    g.lifts = any(p.adjoint.lift is not None for p in g.incoming)
    g.extra = "K" if g.closed else "k"
    constants = ["C", "P", *["K"] * g.closed]
    maxima = ["ME", "MS"] * bool(g.maxima)
    state = ["X", "now", "until", "head", "pool", *["hint"] * (g.skip_quiet or not g.closed)]
    stepped = g.spikes and not g.closed
    g.returned = ["event_log", "events", *["spikes", "count"] * g.spikes]
    g.returned += ["upstrokes", "kept"] * stepped
    g.latest = bool(g.maxima) or stepped
    own = [*state, *["latest"] * g.latest, *g.returned, *constants]
    timed_values = ["cells", "trials", "column"] * bool(g.timed_values)
    timed_values += [f"timed{k}" for k in range(len(g.timed_values))]
    breaks = [*["breaks", "piece"] * g.breaks, *["sample_step"] * bool(g.values)]
    own += [*["period"] * g.refractory, "VR", *maxima, *breaks, *timed_values]
    into = [p.a(role) for p in g.incoming for role in ("C", "W")]
    if not g.batched:
        own += scratch_roles(g)
    if g.batched:
        own += ["candidates", "XN", *SEARCH]
        for p in g.incoming:
            p.looking = [p.a(role) for role in LOOKING]
            p.arriving = [p.a(role) for role in ARRIVING]
        into = [name for p in g.incoming for name in dict.fromkeys(p.looking + p.arriving)]
    g.carried = [g.a(role) for role in g.returned]
    g.window_parameters, g.window_arguments = own + into, [g.a(r) for r in own] + into
    if g.batched:
        _prepare_batched(g)
    if g.by_event:
        _prepare_by_event(g, timed_values)
    spiking = [
        "spikes",
        "d_spike_time",
        "time",
        "d_release",
        "d_caused",
        *["grad_refractory"] * g.refractory,
    ] * g.spikes
    spiking += (
        ["count_surrogate"] * g.has_count_surrogate
        + ["upstrokes"] * stepped
        + ["ends"] * bool(len(g.switches))
    )
    own = [
        "event_log",
        "now",
        *constants,
        "WR",
        "grad_shared",
        "grad_neuron",
        "grad_initial",
        *spiking,
        *maxima,
        *timed_values,
    ]
    own += ["sample_step"] * bool(g.values)
    g.happening = [*timed_values, *(p.a(role) for p in g.incoming for role in ("C", "W"))]
    g.from_zero = any(p.grows_from_zero for p in g.incoming)
    own += ["newest", "LATER"] * g.from_zero
    into = []
    for p in g.incoming:
        into += [
            p.a(role)
            for role in ("C", "W", "grad_shared", "grad_weight", *["grad_delay"] * p.delay_trained)
        ]
        into += [p.a("delay")] * p.grows_from_zero
    for source in dict.fromkeys(p.source for p in g.incoming):
        if source is not g:
            into.append(source.a("d_spike_time"))
    own += [*back_roles(g), *["partials"] * has_partials(g)] * (not g.batched)
    g.back_parameters = [*own, "LAM", *into]
    g.back_arguments = [*(g.a(r) for r in own), g.a("lam"), *into]

    def state_at(s, frozen="False"):
        if g.closed:
            return f"{g.a('flow')}({frozen}, x, {s}, j, K, y)"
        return f"{g.a('step')}({frozen}, x, t, {s}, j, C, P, k, y)"

    def advance_to(s):
        if g.closed:
            return f"{g.a('flow')}(frozen, y, {s}, j, K, z)"
        return f"{g.a('advance_to')}(frozen, y, t, {s}, j, C, P, stages, z, again)"

    g.crossing_parameters = ["j", "C", "P", "k", "y", "z", "stack", "hint", *["path"] * g.spikes]
    moments = ["since", "event"] * bool(g.maxima)
    g.crossing_parameters += [*moments, *["trial", "VR", "ME", "MS", "dx", "w"] * bool(g.maxima)]

    def find_crossing(searching, event="latest[j]"):
        given = {"since": "t - event_log[latest[j], 0]", "event": event}
        arguments = [given.get(name, name) for name in g.crossing_parameters]
        if g.closed:
            arguments = ["j", "C", "P", "K", "y", "z", "stack"]
        arguments = ", ".join(arguments)
        return f"{g.a('find_crossing')}({searching}, frozen, x, t, stop - t, {arguments})"

    g.state_at, g.advance_to, g.find_crossing = state_at, advance_to, find_crossing


def _prepare_by_event(g, timed_values):
    """The names of what the functions for single neurons get, where there are no windows."""
    g.quick = g.closed and g.flow.at_most_one_turn is not None
    state = ["X", "now", "until", "ahead", "expected", *["stride"] * (not g.quick)]
    constants = ["C", "P", *["K"] * g.closed]
    search = ["z", "stack", *["hint", "k", "path", "upstrokes", "kept"] * (not g.closed)]
    readouts = ["VR", *["ME", "MS", "w"] * bool(g.maxima)]
    readouts += ["dx"] * (bool(g.maxima) and not g.closed)
    events = ["event_log", "latest"] * g.latest
    timed = ["breaks", "piece"] * g.breaks
    inside = ["trial", *readouts] * (bool(g.maxima) and not g.closed)
    g.predict_parameters = [*state, *constants, *search, *events, *inside, *timed]
    g.advance_parameters = [*state, *constants, *search, *events, *readouts]
    g.timed_parameters = timed_values
    g.predict_arguments = [r if r == "trial" else g.a(r) for r in g.predict_parameters]
    g.advance_arguments = [g.a(role) for role in g.advance_parameters]
    g.timed_arguments = [g.a(role) for role in timed_values]


def _prepare_batched(g):
    g.inner = g.outgoing if g.spikes else []
    g.numbers = list(SUBTHRESHOLD)
    g.window_scratch = [g.a(r) for r in WINDOW_SCRATCH]
    g.subthreshold_arguments = [
        g.a(r) for r in ("ACC", "X", "XN", "until", *SUBTHRESHOLD, "candidates", "upper_bounds")
    ]
    own = ["X", "until", "event_log", "events", "C", "P", "VR"]
    g.finish_arguments = [g.a(role) for role in own]
    own = ["event_log", "C", "P", "K", "WR", "grad_shared", "grad_neuron"]
    own += [
        "spikes",
        "d_spike_time",
        "time",
        "d_release",
        "d_caused",
        *["grad_refractory"] * g.refractory,
    ] * g.spikes
    own += ["count_surrogate"] * g.has_count_surrogate
    g.part_parameters = [*own, "LAM", "stopped"]
    arrays = ["PH", "segment", "SUM", "F", "rates", *own, "lam", "stopped"]
    arrays += ["SEG", "segments", "done", "x"]
    g.part_arguments = [g.a(role) for role in arrays]
    arrays = ["PH", "PHI", "SUM", "F", "K", "lam", "stopped", "done"]
    g.sweep_arguments = [g.a(role) for role in arrays]


def _spread(p, t, neuron, q):
    g = p.target
    arrays = [p.a(role) for role in ("delay", "ticks")] + [g.a("bits")]
    arrays += [p.a(role) for role in ("B", "rows", "targets", "spots")]
    arrays += [g.a(role) for role in ("F", "rates", "amounts", "ring")]
    lines = [f"{p.a('spread')}({t}, {neuron}, window, windows, end, {', '.join(arrays)})"]
    if g.spikes:
        roles = ("times", "senders", "latest", "history", "where", "last")
        lines += [
            f"remember({', '.join(map(p.a, roles))}, {t}, {neuron}, {q}, window)",
            f"{p.a('last')} += 1",
        ]
    return lines


def _gather(p, with_time, t, neuron):
    g = p.target
    arrays = [p.a(role) for role in ("delay", "ticks")] + [g.a("bits")]
    arrays += [p.a(role) for role in ("B", "rows", "targets", "spots", "apart")]
    arrays += [g.a(role) for role in ("F", "rates", "due", "parted", "first_segment", "SEG")]
    arrays += [g.a("ring"), p.a("grad_sums")]
    call = f"{p.a('gather')}({with_time}, {t}, {neuron}, window, windows, end, "
    return f"{call}{', '.join(arrays)})"


def _send(p, spikes, first, last):
    target = p.target
    pool = ", ".join(target.a(role) for role in ("pool", "used"))
    arrays = ", ".join(p.a(role) for role in ("rows", "post", "delay"))
    return [
        f"{pool} = send(",
        f"    {spikes}, {first}, {last}, {p.number}, {arrays},",
        f"    end, windows, {target.a('head')}, {pool})",
    ]


def _arguments(groups, pathways):
    pairs = []
    for g in groups:
        roles = ["X0", "C", "P", *["K"] * g.closed, *["period"] * g.refractory, "VR"]
        roles += ["ME", "MS"] * bool(g.maxima)
        roles += ["breaks"] * g.breaks + ["sample_step"] * bool(g.values)
        roles += ["cells", "trials", "column"] * bool(g.timed_values)
        roles += [f"timed{k}" for k in range(len(g.timed_values))]
        roles += [*SUBTHRESHOLD, "MODES", "ring", "bits"] * bool(g.batched)
        pairs += [(g.name, role) for role in roles]
    for p in pathways:
        pairs += [(p.name, role) for role in ("C", "W", "post", "rows", "delay")]
        if p.target.batched:
            pairs += [(p.name, role) for role in (*TABLES, *LATE * p.target.spikes)]
    return tuple(pairs)


def _gradients(groups, pathways):
    pairs = []
    for g in groups:
        roles = [
            "grad_shared",
            "grad_neuron",
            "grad_initial",
            *["grad_refractory"] * g.refractory,
            *["time", "d_spike_time"] * g.spikes,
            *["count_surrogate"] * g.has_count_surrogate,
            "WR",
        ]
        pairs += [(g.name, role) for role in roles]
    for p in pathways:
        pairs += [
            (p.name, r)
            for r in (
                ("grad_sums",) if p.target.batched else ("grad_shared", "grad_weight", "grad_delay")
            )
        ]
    return tuple(pairs)


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
