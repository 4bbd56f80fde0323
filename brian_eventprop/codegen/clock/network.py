"""Plan the clock solver's operations for a network; see `codegen.clock.operations`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.maxima import derive_maxima
from brian_eventprop.adjoint.pathways import is_additive
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.clock.autapses import AutapseCode
from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.clock.maxima import MaximumCode
from brian_eventprop.codegen.clock.operations import NEURON, SYNAPSES, ClockOperations, NeuronCode
from brian_eventprop.codegen.clock.pathways import PathwayCode
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.operations import Operation
from brian_eventprop.codegen.expr.printing import KernelStyle
from brian_eventprop.codegen.expr.scope import Scope


class InputCode:
    """A source of given spikes."""

    is_input = True

    def __init__(self, name: str, table: NameTable):
        self.name, self._table = name, table

    def a(self, role: str) -> str:
        """Identifier of an array or variable of the kernels that belongs to this input."""
        return self._table(self.name, f"${role}")

    @property
    def neurons(self) -> str:
        """The neurons of the spikes."""
        return self.a("i")

    @property
    def steps(self) -> str:
        """The time steps of the spikes."""
        return self.a("step")

    def neuron(self, spike: str) -> str:
        """The neuron that sent a spike."""
        return f"{self.a('i')}[{spike}]"


@dataclass(frozen=True)
class ClockModule:
    """The operations of a network, and what the runtime needs to know to give them arrays.

    ``forward`` and ``backward`` have the operations of each phase by its name; see
    `brian_eventprop.kernels.clock.loop`.  The backward pass runs groups again whose states it
    reads; with ``lookback`` it keeps those of the segment before, too.  ``source`` shows all of it.
    """

    source: str
    groups: tuple[GroupCode, ...]
    inputs: tuple[InputCode, ...]
    pathways: tuple[PathwayCode, ...]
    forward: Mapping[str, tuple[Operation, ...]]
    backward: Mapping[str, tuple[Operation, ...]]
    lookback: bool


def render_clock(
    system: AdjointSystem,
    single: bool = False,
    dense_rows=frozenset(),
    precomputed=frozenset(),
    per_spike=frozenset(),
    autapses=frozenset(),
) -> ClockModule:
    """Render the operations of the clock solver.

    Parameters
    ----------
    system
        The derived network.
    single
        Whether states are in single precision.
    dense_rows
        Names of the pathways with dense rows: one synapse from every source onto every target, all
        of a source's with one delay.
    precomputed
        Names of the pathways whose spikes, given as input, are summed before the first step.
    per_spike
        Names of the pathways whose gradients are accumulated spike by spike.
    autapses
        Names of the groups whose spikes may arrive at their own neuron at once.
    """
    groups, inputs, pathways = parts(system, None, KernelStyle(single), NeuronCode)
    choose_layout(groups, pathways, dense_rows, precomputed, per_spike, autapses)
    for part in (*groups, *pathways):
        part.scope.inverts = True
    _record(groups)
    operations = ClockOperations(groups, inputs, pathways, single)
    forward, backward = operations.phases()
    source, lookback = _listing(groups, pathways, forward, backward), operations.lookback
    return ClockModule(source, groups, inputs, pathways, forward, backward, lookback)


def parts(system, table, style, group=None, source=None, pathway=None):
    """Return the code of the groups, inputs and pathways of a network, connected to each other.

    ``group``, ``source`` and ``pathway`` are the classes of their code: by default the CPU's.
    Without a ``table`` that they share, each group has names of its own, the same in any network.
    """
    group, source, pathway = group or GroupCode, source or InputCode, pathway or PathwayCode
    groups = {}
    for g in system.groups:
        owner = g.group.name if table is not None else NEURON
        own = table if table is not None else NameTable()
        scope = Scope(owner, g.invariants.levels, own, style)
        scope.steep = g.steep
        readouts = [r for r in system.spec.readouts if r.group == g.group.name]
        groups[g.group.name] = group(g, scope, readouts)
        groups[g.group.name].has_count_surrogate = g.group.name in system.surrogate_groups
    inputs = {i.name: source(i.name, table or NameTable()) for i in system.spec.inputs}
    pathways = []
    recurrent: Counter[str] = Counter()
    for p in system.pathways:
        target = groups[p.pathway.target]
        owner = p.pathway.name if table is not None else SYNAPSES
        if table is None and p.pathway.source == p.pathway.target:
            # operations of the group may read all of its own
            recurrent[p.pathway.target] += 1
            owner += "_" * (recurrent[p.pathway.target] - 1)
        scope = Scope(owner, p.invariants.levels, target.scope.table, style, target.scope)
        scope.steep = target.scope.steep
        sender = groups.get(p.pathway.source) or inputs[p.pathway.source]
        code = pathway(p, scope, target, sender)
        code.delay_trained = p.pathway.delay in system.trained
        pathways.append(code)
    return tuple(groups.values()), tuple(inputs.values()), tuple(pathways)


def choose_layout(
    groups,
    pathways,
    dense_rows=frozenset(),
    precomputed=frozenset(),
    per_spike=frozenset(),
    autapses=frozenset(),
) -> None:
    """Use rings for the groups whose synapses all add constants.

    Elsewhere arrivals are delivered one after the other, because their order matters, and so they
    are where a spike arrives at its own neuron at once, before a reset that does not commute with
    the arrival.

    The arrival adjoint of each step is recorded for the whole trial: as a history of rows for
    synapses in dense rows (`dense_states`), else tile by tile (`tiled_states`); and in a ring
    for as long as spikes of groups read it (`with_d_arrivals`).  If each spike adds to the
    gradients at once, a ring of arrival adjoints is enough (`per_spike_states`).  Arrivals are
    summed in a ring if they are sent step by step (`in_ring`), and in the input drive of the whole
    trial if that is precomputed (`in_drive`).
    """
    for g in groups:
        arriving = [p for p in pathways if p.target is g]
        if g.name in autapses:
            g.autapses = tuple(p for p in arriving if p.source is g)
            for p in g.autapses:
                p.at_once = AutapseCode(p)
        if is_additive([p.adjoint for p in arriving]) and not g.autapses:
            g.ring_rates = {p.adjoint.increment.state: p.adjoint.increment.rate for p in arriving}
            g.rings = tuple(s for s in g.states if s in g.ring_rates)
            for p in arriving:
                p.use_ring(p.name in dense_rows, p.name in precomputed, p.name in per_spike)
                others = g.per_spike_states if p.per_spike else g.tiled_states
                (g.dense_states if p.dense_rows else others).add(p.adjoint.increment.state)
                (g.in_drive if p.precomputed else g.in_ring).add(p.adjoint.increment.state)
                if not (p.dense_rows or p.per_spike or p.source.is_input):
                    g.with_d_arrivals.add(p.adjoint.increment.state)
        else:
            g.recomputes_arrivals = any(p.needs_state for p in arriving)
        if arriving and g.maxima:
            _move_maxima(g)


def _move_maxima(g) -> None:
    """Let the maxima of a group move with the arrivals that make or end them."""
    receiving = g.rings or g.states
    stages = [[s] for s in g.rings] or [g.states]
    g.arrival_maxima = tuple(
        MaximumCode(g, maximum, receiving) for maximum in derive_maxima(g.adjoint, stages)
    )
    g.recomputes_arrivals |= bool(g.arrival_maxima) and not g.rings


def _record(groups) -> None:
    """Choose the groups whose states the backward pass reads.

    ``runs`` is the condition for a step of the group, ``first_run`` the one for the forward pass.
    """
    for g in groups:
        g.recorded = g.needs_states or g.needs_final_states
        g.runs, g.first_run = (
            ("n >= first_updated", "not recomputing") if g.recorded else ("True", "True")
        )


def _listing(groups, pathways, forward, backward) -> str:
    """Return the text of all operations, each once, below the equations that they are made of."""
    texts = dict.fromkeys(
        f"# {op.name}\n" + op.body for ops in (*forward.values(), *backward.values()) for op in ops
    )
    return "\n\n\n".join(("\n".join(f"# {x}" for x in summary(groups, pathways)), *texts))


def summary(groups, pathways) -> list[str]:
    """Return the equations of a network, a line each."""
    lines = []
    for g in groups:
        lines += [
            f"{g.name}: {line.strip()}"
            for line in g.adjoint.group.text.splitlines()
            if line.strip()
        ]
    return lines + [f"{p.name}: {p.text}" for p in pathways]
