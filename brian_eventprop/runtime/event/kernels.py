"""Which kernels the event solver runs: order of the groups, windows, and batched arrivals.

All of it may follow the trained values: delays decide the order within a loop and the length of
windows, time constants and delays whether arrivals are taken in batches.  Kernels are rendered once
for each choice that comes up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from brian2.utils.logger import get_logger

from brian_eventprop.adjoint.coupling.jumps import check_exact
from brian_eventprop.adjoint.flow import derive_flow
from brian_eventprop.adjoint.integrals import integrals_as_states
from brian_eventprop.adjoint.symbolic.display import as_text
from brian_eventprop.adjoint.system import AdjointSystem, derive
from brian_eventprop.codegen.event.batched import batched_groups
from brian_eventprop.codegen.event.network import render_event, render_event_parameter_map
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues, Symbol
from brian_eventprop.runtime.backends import Backend
from brian_eventprop.runtime.binding.binder import (
    CouplingBinder,
    GroupBinder,
    PathwayBinder,
    unless_sorted,
)
from brian_eventprop.runtime.binding.constants import check_value
from brian_eventprop.runtime.binding.remembered import Remembered
from brian_eventprop.runtime.event.batched import Columns, dense_enough, plan, target_table
from brian_eventprop.runtime.event.chain import EventChain
from brian_eventprop.runtime.event.components import components, window_counts
from brian_eventprop.runtime.event.zero_delays import check_zero_delays
from brian_eventprop.runtime.timed_inputs import timed_values_of

logger = get_logger(__name__)


class EventKernels:
    """The kernels of a network, chosen by its values; see `EventCPU`."""

    def __init__(
        self,
        system: AdjointSystem,
        network: NetworkValues,
        duration: float,
        tolerance: float,
        backend: Backend,
    ):
        system = derive(_without_steps(system.spec), system.trained)
        together = _coupled(system)
        system, self.flows = _with_integrals(system, network, duration, together)
        check_exact(system, self.flows, together)
        self.system, self.duration, self.tolerance = system, duration, tolerance
        self.backend = backend
        self.parameter_map_source = render_event_parameter_map(system, self.flows)
        self.parameter_map = backend.load(self.parameter_map_source, "event_parameter_map")
        self.sizes = {g.name: g.size for g in (*system.spec.groups, *system.spec.inputs)}
        self._network = network
        self._candidates, self._built = batched_groups(system, self.flows) - together, {}
        self._loaded: tuple | None = None
        order, _, by_event = self._order(self._edges(network.values))
        self._build(order, self._candidates, by_event)
        _warn_of_missing_resets(self.module)
        check_zero_delays(self.module, system, network)
        self.layouts = {p.name: self._layout(self.pathways[p.name]) for p in self.module.pathways}
        self._columns: dict[str, Columns] = {}

    def _build(self, order, batched, by_event):
        """Use the kernels for an order of the groups, some of which take arrivals in batches.

        The components ``by_event`` take one event after the other.
        """
        spec = self.system.spec
        whole = [names for names in order if set(names) <= batched and dense_enough(names, spec)]
        whole = [names for names in whole if names not in by_event]
        key = order, frozenset(name for names in whole for name in names), by_event
        if key not in self._built:
            module = render_event(self.system, self.flows, key[0], self.tolerance, *key[1:])
            links = self._network.links
            groups = {
                g.name: GroupBinder(g, self.parameter_map, spec.dt, links.get(g.name, {}))
                for g in module.groups
            }
            pathways = {
                p.name: PathwayBinder(
                    p, self.parameter_map, spec.dt, self._network, self.sizes[p.source.name]
                )
                for p in module.pathways
            }
            couplings = {
                c.name: CouplingBinder(c, self.parameter_map, spec.dt, self._network)
                for c in module.couplings
            }
            constants = {g.name: _remembered(g, groups[g.name]) for g in module.groups}
            self._built[key] = module, groups, pathways, constants, couplings
        self.order, self.batched, _ = key
        built = self._built[key]
        self.module, self.groups, self.pathways, self._of_groups, self.couplings = built

    def _made(self, g, values):
        """The values of a group's names, and the arrays that are made of them."""
        binder = self.groups[g.name]
        v = binder.bind(values)
        arrays = {
            (g.name, "X0"): np.ascontiguousarray(binder.initial(values, float).T),
            (g.name, "C"): binder.shared(v, float),
            (g.name, "P"): binder.per_element(v, float),
        }
        if g.closed:
            arrays[g.name, "K"] = self._flow_constants(g, binder, v)
        if g.fixed_period:
            period = np.broadcast_to(binder.period(v), binder.size)
            arrays[g.name, "period"] = np.array(period, float)
        return v, arrays

    def _flow_constants(self, g, binder, v):
        """Rates and coefficients of the closed flow, and the fastest rate in the last row."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rows = getattr(self.parameter_map, f"flow_{g.name}")(v)
        expressions = (*g.flow.free.rates, *g.flow.free.coefficients, *g.flow.speeds)
        for expression, row in zip(expressions, rows, strict=True):
            if not np.all(np.isfinite(row)):
                invariants = g.adjoint.invariants
                known = {s.target: s.expression for s in invariants.shared + invariants.per_element}
                check_value(binder, as_text(expression), row, v, known)
        result = np.empty((g.n_coefficients, binder.size))
        kept = g.n_coefficients - 1
        for k in range(kept):
            result[k] = rows[k]
        speeds = [*rows[: len(g.flow.free.rates)], *rows[kept:]]
        result[-1] = 0.0
        for speed in speeds:
            result[-1] = np.maximum(result[-1], np.abs(speed))
        return result

    @property
    def kernels(self):
        """The kernels as the backend runs them."""
        if self._loaded is None or self._loaded[0] is not self.module:  # looking it up takes time
            chain = EventChain(
                self.module, lambda text: self.backend.load(text, "event"), self.duration
            )
            self._loaded = self.module, chain
        return self._loaded[1]

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self.module.source

    @property
    def functions(self) -> dict[str, Callable]:
        """The generated functions by name."""
        return self.kernels.functions

    def reconnect(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses of a pathway, as many as before."""
        network = self._network
        ends = {**network.pre, pathway: pre}, {**network.post, pathway: post}
        self._network = replace(network, pre=ends[0], post=ends[1])
        for _, _, pathways, *_ in self._built.values():
            pathways[pathway].reconnect(pre, post)
        self.layouts[pathway] = self._layout(self.pathways[pathway])
        self._columns.pop(pathway, None)

    def columns(self, pathway: str) -> Columns:
        """The synapses of a pathway by target."""
        if pathway not in self._columns:
            binder, (order, post, *_) = self.pathways[pathway], self.layouts[pathway]
            shape = binder.n_source, self.sizes[binder.code.target.name]
            pre = binder.senders
            pre = pre if order is None else pre[order]
            self._columns[pathway] = Columns(pre, post, shape)
        return self._columns[pathway]

    @property
    def _names(self):
        return [g.group.name for g in self.system.groups]

    def _edges(self, values):
        return {
            # coupled groups act on each other at every time
            **{name: (*pair, 0.0) for name, pair in _couples(self.system)},
            **self._delayed(values),
        }

    def _delayed(self, values):
        return {
            p.name: (p.source, p.target, float(np.min(values[p.delay])))
            for p in self.system.spec.pathways
            if p.source in self._names and p.size
        }

    def _order(self, edges, order=None):
        """Return an order of the groups, the windows of its components, and those without windows.

        A given order is kept if it allows windows: trained delays may ask for another one.
        """
        counts = window_counts(order, edges, self.duration) if order is not None else [0]
        if 0 in counts:
            order = components(self._names, edges)
            counts = window_counts(order, edges, self.duration)
        # within a component without windows the order does not matter, and stays the same
        fixed = zip(order, counts, strict=True)
        order = tuple(tuple(sorted(names)) if count == 0 else names for names, count in fixed)
        by_event = frozenset(names for names, count in zip(order, counts, strict=True) if not count)
        return order, [max(count, 1) for count in counts], by_event

    def _settle(self, values):
        """Choose the order of the groups and who takes arrivals in batches.

        Returns the number of windows of each group, the constants of the groups, the arrays that
        are made of them, and the numbers of those that take arrivals in batches.
        """
        edges = self._edges(values)
        order, counts, by_event = self._order(edges, self.order)
        batched = self._candidates
        while True:
            self._build(order, batched, by_event)
            found = {
                g.name: self._of_groups[g.name](partial(self._made, g), values)
                for g in self.module.groups
            }
            constants = {name: v for name, (v, _) in found.items()}
            numbers, unfit = {}, set()
            for place, names in enumerate(order):
                if set(names) <= self.batched:
                    try:
                        numbers |= self._plan(names, constants, values, edges)
                        counts[place] = round(self.duration / numbers[names[0]].width)
                    except ValueError:
                        unfit |= set(names)
            if not unfit:
                windows = {n: c for names, c in zip(order, counts, strict=True) for n in names}
                arrays = {key: array for _, own in found.values() for key, array in own.items()}
                return windows, constants, arrays, numbers
            batched = self.batched - unfit

    def _plan(self, names, constants, values, edges):
        groups = [self._code(name) for name in names]
        delays = {
            name: [self.pathways[p.name].delays(values) for p in self.module.incoming(name)]
            for name in names
        }
        inner = [d for source, target, d in edges.values() if source in names and target in names]
        return plan(
            groups, constants, self.parameter_map, delays, self.duration, min(inner, default=None)
        )

    def _layout(self, binder):
        """Synapses sorted by source: (order, targets, rows, table of targets in batches).

        The order is None if they are sorted already.
        """
        pre, post = binder.senders, binder.receivers
        order = np.argsort(pre, kind="stable")
        rows = np.searchsorted(pre[order], np.arange(binder.n_source + 1)).astype(np.int64)
        post = post[order].astype(np.uint32)
        targets = target_table(post, rows, self.sizes[binder.code.target.name])
        return unless_sorted(order), post, rows, targets

    def _code(self, name):
        return next(g for g in self.module.groups if g.name == name)


def _remembered(g, binder) -> Remembered:
    """What is made of the values of a group."""
    return Remembered([*binder.keys, *map(g.adjoint.group.start, g.states)])


def _warn_of_missing_resets(module) -> None:
    for g in module.groups:
        if g.spikes and not g.refractory and not g.resets_guard:
            logger.warn(
                f"NeuronGroup '{g.name}': its reset changes nothing that the threshold "
                f"'{g.adjoint.group.threshold}' compares, so in exact time a neuron spikes once "
                "each time it crosses the threshold; Brian2 lets it spike in every time step "
                "while it is above. Give the group a reset or a refractory period, and both agree.",
                "no_reset",
            )


def _couples(system: AdjointSystem):
    """The ends of each coupling in both directions, with names of their own.

    An arrival that touches two groups needs the states of both at its time, so it couples them.
    """
    groups = {g.name for g in system.spec.groups}
    for p in system.pathways:
        for other in p.touches_others:
            yield f"{p.pathway.name} there {other}", (other, p.pathway.target)
            yield f"{p.pathway.name} back {other}", (p.pathway.target, other)
    for c in system.spec.couplings:
        if {c.source, c.target} <= groups:
            yield f"{c.name} there", (c.source, c.target)
            yield f"{c.name} back", (c.target, c.source)
        else:
            yield c.name, (c.receiver, c.receiver)


def _coupled(system: AdjointSystem) -> frozenset[str]:
    """Return the groups that are one system with coupled neurons; refuse what these cannot have."""
    spec = system.spec
    names = [g.name for g in spec.groups]
    edges = {p.name: (p.source, p.target, 1.0) for p in spec.pathways if p.source in names}
    edges |= {name: (*pair, 0.0) for name, pair in _couples(system)}
    receivers = {c.receiver for c in spec.couplings}
    receivers |= {p.pathway.target for p in system.pathways if p.touches_others}
    return frozenset(
        name for members in components(names, edges) if receivers & set(members) for name in members
    )


def _with_integrals(
    system: AdjointSystem, network: NetworkValues, duration: float, together: frozenset[str]
):
    """The network and its flows, integrals as states where that lets arrivals come in batches.

    The groups ``together`` have no closed form.
    """
    flows = {g.group.name: derive_flow(g) for g in system.groups}
    flows |= {name: replace(flows[name], free=None, frozen=None) for name in together}
    for name in list(flows):
        if not (flows[name].closed and dense_enough((name,), system.spec)):
            continue
        spec = integrals_as_states(system.spec, name, system.trained, network.values, duration)
        if spec is not system.spec:
            other = derive(spec, system.trained)
            others = {g.group.name: derive_flow(g) for g in other.groups}
            if name in batched_groups(other, others):
                system, flows = other, others
    return system, flows


def _without_steps(spec: NetworkSpec) -> NetworkSpec:
    """The network without Brian2's update statements, which divide by tau_m - tau_s and more.

    Timed arrays become states: they stand still between two events, and each break sets them.
    """
    groups = []
    for g in spec.groups:
        timed_values = tuple(
            timed_values_of(replace(g, timed_values=_now(g.timed_values)), spec.readouts)
        )
        known = {s.name: s for s in _states(g.name, timed_values)}
        groups.append(
            replace(
                g, update=(), update_refractory=(), every=1, timed_values=timed_values,
                symbols=_constants(g.symbols) | known, states=(*g.states, *known),
            )
        )  # fmt: skip
    by_name = {g.name: g.timed_values for g in groups}
    readouts = []
    for r in spec.readouts:
        known = {s.name: s for s in _states(r.group, by_name.get(r.group, ()))}
        used = {name: s for name, s in known.items() if name in r.symbols}
        readouts.append(replace(r, symbols=_constants(r.symbols) | used))
    pathways = []
    for p in spec.pathways:
        known = {s.name: replace(s, side="post") for s in _states(p.target, p.timed_values)}
        pathways.append(replace(p, symbols=_constants(p.symbols) | known))
    readouts, pathways = tuple(readouts), tuple(pathways)
    return replace(spec, groups=tuple(groups), readouts=readouts, pathways=pathways)


def _now(timed_values):
    return tuple(timed_value for timed_value in timed_values if timed_value.offset == 0)


def _states(group: str, timed_values):
    return [Symbol(t.name, "state", t.name, (group, t.name)) for t in timed_values]


def _constants(symbols):
    """Return the symbols of anything but timed arrays."""
    return {name: symbol for name, symbol in symbols.items() if symbol.kind != "timed"}
