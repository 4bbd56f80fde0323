"""Render the clock solver's operations for a network; see `codegen.clock.operations`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from brian_eventprop.adjoint.symbolic.derivatives import may_be_infinite
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.clock.making import NEURON, SYNAPSES
from brian_eventprop.codegen.clock.neurons import NeuronCode
from brian_eventprop.codegen.clock.operations import ClockOperations
from brian_eventprop.codegen.clock.pathways import PathwayCode
from brian_eventprop.codegen.coupling.clock import TERMS, CouplingCode
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.operations import Operation
from brian_eventprop.codegen.expr.printing import KernelStyle
from brian_eventprop.codegen.expr.scope import Scope
from brian_eventprop.plan.clock import ClockPlan, plan_clock
from brian_eventprop.reading.synapses.readouts import FINAL_OF_SYNAPSES


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
    couplings: tuple[CouplingCode, ...] = ()


def render_clock(
    system: AdjointSystem, plan: ClockPlan | None = None, single: bool = False
) -> ClockModule:
    """Render the operations of the clock solver.

    Parameters
    ----------
    system
        The derived network.
    plan
        The layouts of its synapses; by default arrivals are queued.
    single
        Whether states are in single precision.
    """
    plan = plan or plan_clock(system)
    groups, inputs, pathways = parts(system, plan, KernelStyle(single), group=NeuronCode)
    couplings = couplings_of(system, groups, KernelStyle(single))
    at_end = {r.group for r in system.spec.readouts if r.kind == FINAL_OF_SYNAPSES}
    operations = ClockOperations(groups, inputs, pathways, single, at_end, couplings)
    forward, backward = operations.phases()
    listed = *pathways, *couplings
    source, lookback = _listing(groups, listed, forward, backward), operations.lookback
    parts_of = groups, inputs, pathways
    return ClockModule(source, *parts_of, forward, backward, lookback, couplings)


def couplings_of(
    system: AdjointSystem, groups, style, table=None, coupling=CouplingCode
) -> tuple[CouplingCode, ...]:
    """Return the code of the couplings between groups; see `parts`."""
    known, found = {g.name: g for g in groups}, []
    for c in system.couplings:
        steep = any(may_be_infinite(e) for e in (*c.pre.values(), *c.post.values()))
        owner, own = (c.name, table) if table is not None else (TERMS, NameTable())
        inverts = table is None
        scope = Scope(owner, c.invariants.levels, own, style, steep=steep, inverts=inverts)
        ends = known.get(c.coupling.source), known.get(c.coupling.target)
        found.append(coupling(c, scope, *ends))
    return tuple(found)


def parts(
    system, plan: ClockPlan, style, table=None, group=GroupCode, source=InputCode,
    pathway=PathwayCode,
):  # fmt: skip
    """Return the code of the groups, inputs and pathways of a network, connected to each other.

    ``group``, ``source`` and ``pathway`` make it: by default the classes of the CPU.  Without a
    ``table`` that they share, each group has names of its own, the same in any network.
    """
    inverts = table is None
    groups = {}
    for g in system.groups:
        owner = g.group.name if table is not None else NEURON
        own = table if table is not None else NameTable()
        scope = Scope(owner, g.invariants.levels, own, style, steep=g.steep, inverts=inverts)
        readouts = [r for r in system.spec.readouts if r.group == g.group.name]
        groups[g.group.name] = group(g, scope, readouts, plan.groups[g.group.name])
    inputs = {i.name: source(i.name, table or NameTable()) for i in system.spec.inputs}
    pathways = []
    homes: dict[str, PathwayCode] = {}  # which share their names
    recurrent: Counter[str] = Counter()
    for p in system.pathways:
        target = groups[p.pathway.target]
        owner = p.pathway.name if table is not None else SYNAPSES
        if table is None and p.pathway.source == p.pathway.target:
            # operations of the group may read all of its own
            recurrent[p.pathway.target] += 1
            owner += "_" * (recurrent[p.pathway.target] - 1)
        post = target.scope
        scope = Scope(owner, p.invariants.levels, post.table, style, post, post.steep, inverts)
        sender = groups.get(p.pathway.source) or inputs[p.pathway.source]
        more = {"pre": p.pathway.pre_group, "own": p.pathway.synapses if p.of_group else ""}
        more = {role: groups[name] for role, name in more.items() if name}
        if table is not None and p.synaptic:
            more["home"] = homes.get(p.pathway.synapses)
        planned = plan.pathways[p.pathway.name]
        pathways.append(pathway(p, scope, target, sender, planned, **more))
        homes.setdefault(p.pathway.synapses, pathways[-1])
    return tuple(groups.values()), tuple(inputs.values()), tuple(pathways)


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
