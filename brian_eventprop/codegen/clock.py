"""Render the clock solver's kernels for a network: templates plus the blocks of each part."""

from __future__ import annotations

import re
from dataclasses import dataclass

from brian_eventprop.adjoint.pathways import may_add_up
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.adjoint.tops import derive_tops
from brian_eventprop.codegen.autapses import AutapseCode
from brian_eventprop.codegen.groups import GroupCode
from brian_eventprop.codegen.names import NameTable
from brian_eventprop.codegen.pathways import PathwayCode
from brian_eventprop.codegen.printing import EDGE_FUNCTIONS, KernelStyle
from brian_eventprop.codegen.scope import Scope
from brian_eventprop.codegen.templates import render
from brian_eventprop.codegen.tops import TopCode


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
    """The rendered kernels and what the runtime needs to call them.

    ``arguments`` and ``gradients`` list (owner, role) of each array in the order of the signature.
    With ``rerun``, the way back reads the states of some groups and runs them forwards again.
    """

    source: str
    groups: tuple[GroupCode, ...]
    inputs: tuple[InputCode, ...]
    pathways: tuple[PathwayCode, ...]
    arguments: tuple[tuple[str, str], ...]
    gradients: tuple[tuple[str, str], ...]
    rerun: bool


def render_clock(
    system: AdjointSystem,
    single: bool = False,
    whole=frozenset(),
    ahead=frozenset(),
    streamed=frozenset(),
    autapses=frozenset(),
) -> ClockModule:
    """Render the kernels of the clock solver.

    Parameters
    ----------
    system
        The derived network.
    single
        Whether states are in single precision.
    whole
        Names of the pathways with whole rows: one synapse from every source onto every target, all
        of a source's with one delay.
    ahead
        Names of the pathways whose spikes, given as input, are added up before the first step.
    streamed
        Names of the pathways whose gradients are added up spike by spike.
    autapses
        Names of the groups whose spikes may arrive at their own neuron at once.
    """
    table, style = NameTable(), KernelStyle(single)
    groups, inputs, pathways = parts(system, table, style)
    choose_layout(groups, pathways, whole, ahead, streamed, autapses)
    for part in (*groups, *pathways):
        part.scope.inverts = True
    return _render(groups, inputs, pathways, single)


def parts(system, table, style, group=None, source=None, pathway=None):
    """Return the code of the groups, inputs and pathways of a network, connected to each other.

    ``group``, ``source`` and ``pathway`` are the classes of their code: by default the CPU's.
    """
    group, source, pathway = group or GroupCode, source or InputCode, pathway or PathwayCode
    groups = {}
    for g in system.groups:
        scope = Scope(g.group.name, g.hoisted.levels, table, style)
        scope.steep = g.steep
        readouts = [r for r in system.spec.readouts if r.group == g.group.name]
        groups[g.group.name] = group(g, scope, readouts)
        groups[g.group.name].pushed = g.group.name in system.pushed
    inputs = {i.name: source(i.name, table) for i in system.spec.inputs}
    pathways = []
    for p in system.pathways:
        target = groups[p.pathway.target]
        scope = Scope(p.pathway.name, p.hoisted.levels, table, style, target.scope)
        scope.steep = target.scope.steep
        sender = groups.get(p.pathway.source) or inputs[p.pathway.source]
        code = pathway(p, scope, target, sender)
        code.delay_trained = p.pathway.delay in system.trained
        pathways.append(code)
    return tuple(groups.values()), tuple(inputs.values()), tuple(pathways)


def choose_layout(
    groups,
    pathways,
    whole=frozenset(),
    ahead=frozenset(),
    streamed=frozenset(),
    autapses=frozenset(),
) -> None:
    """Use rings for the groups whose synapses all add constants.

    Elsewhere arrivals are delivered one after the other, because their order matters.  What
    arrivals are worth is recorded for each step in `waves` if they come in whole rows, else tile
    by tile in `pairs`, and for as long as spikes of groups look for it in a ring, too (`moving`).
    If each spike adds to the gradients at once, pairs in a ring are enough (`streaming`).
    What arrives is added up in a ring if it is sent step by step, and in the drive of the whole
    trial if it is known ahead.  Where a spike comes back to its own neuron at once, before a reset
    that does not commute with that, what arrives is delivered one by one.
    """
    for g in groups:
        arriving = [p for p in pathways if p.target is g]
        if g.name in autapses:
            g.autapses = tuple(p for p in arriving if p.source is g)
            for p in g.autapses:
                p.at_once = AutapseCode(p)
        if may_add_up([p.adjoint for p in arriving]) and not g.autapses:
            g.ring_rates = {p.adjoint.increment.state: p.adjoint.increment.rate for p in arriving}
            g.rings = tuple(s for s in g.states if s in g.ring_rates)
            for p in arriving:
                p.use_ring(p.name in whole, p.name in ahead, p.name in streamed)
                kind = g.waves if p.whole else g.streaming if p.streamed else g.pairs
                kind.add(p.adjoint.increment.state)
                (g.driven if p.ahead else g.ringed).add(p.adjoint.increment.state)
                if not (p.whole or p.streamed or p.source.is_input):
                    g.moving.add(p.adjoint.increment.state)
        else:
            g.replay = any(p.needs_state for p in arriving)
        if arriving and g.maxima:
            _move_tops(g)


def _move_tops(g) -> None:
    """Let the maxima of a group move with the arrivals that make or end them."""
    met = g.rings or g.states
    stages = [[s] for s in g.rings] or [g.states]
    g.tops = tuple(TopCode(g, top, met) for top in derive_tops(g.adjoint, stages))
    g.replay |= bool(g.tops) and not g.rings


def _render(groups, inputs, pathways, single):
    sources = tuple(
        s
        for s in (*inputs, *groups)
        if any(p.ring and not p.streamed and p.source is s for p in pathways)
    )
    streaming = [i for i in inputs if any(p.streamed and p.source is i for p in pathways)]
    rerun = _record(groups)
    lookback = any(g.upstroke for g in groups)
    queued = [p for p in pathways if not p.ring]
    spiking = [g for g in groups if g.spikes]
    slots = (*spiking, *inputs, *queued)
    for slot, part in enumerate(slots):
        part.slot = slot
    parts = {part.name: part for part in (*groups, *inputs, *pathways)}

    def rendered(**lists):
        source = render(
            "clock_cpu.py.j2",
            groups=groups,
            spiking=spiking,
            inputs=list(inputs),
            pathways=pathways,
            queued=queued,
            slots=len(slots),
            finals=[r for g in groups for r in g.finals],
            float="float32" if single else "float64",
            pair="float64" if single else "complex128",
            ring_sources=sources,
            streaming=streaming,
            ahead_sources=[s for s in sources if any(p.ahead and p.source is s for p in pathways)],
            rerun=rerun,
            lookback=lookback,
            former={g.a("rec"): g.a("former") for g in groups if lookback},
            summary=_summary(groups, pathways),
            constants=_MARK,
            per_step=_STEP_MARK,
            edge_functions=[f for f in EDGE_FUNCTIONS if f in read],
            **{k: [parts[owner].a(role) for owner, role in pairs] for k, pairs in lists.items()},
        )
        per_step = [line for part in (*groups, *pathways) for line in part.scope.step_lines()]
        constants = [line for part in (*groups, *pathways) for line in _constants(part)]
        return insert(_insert_read(source, _STEP_MARK, per_step), _MARK, constants)

    # what the kernels do not read is not passed, as each array is a tenth of a second to compile
    read: set[str] = set()
    read = set(re.findall(r"\w+", rendered(arguments=(), gradients=(), work=())))
    lists = {
        "arguments": _arguments(groups, inputs, pathways, sources),
        "gradients": _gradients(groups, inputs, pathways),
        "work": _work(groups, queued),
    }
    for name, pairs in lists.items():
        lists[name] = tuple(pair for pair in pairs if parts[pair[0]].a(pair[1]) in read)
    source = rendered(**lists)
    return ClockModule(
        source, groups, inputs, pathways, lists["arguments"], lists["gradients"], rerun
    )


_MARK = "# constants"
_STEP_MARK = "# once per step"


def insert(source: str, mark: str, lines: list[str]) -> str:
    """Put lines in the place of each mark, at its indentation."""
    return re.sub(
        f"^( *){mark}$", lambda m: "\n".join(m[1] + line for line in lines), source, flags=re.M
    )


def _insert_read(source: str, mark: str, lines: list[str]) -> str:
    """Put assignments in the place of each mark, of what the function reads that the mark is in."""

    def filled(function):
        read = set(re.findall(r"\w+", function))
        return insert(function, mark, [line for line in lines if line.split()[0] in read])

    return "".join(filled(f) for f in re.split(r"(?m)^(?=def )", source))


def _record(groups) -> bool:
    """Choose the groups whose states the way back reads; return whether there are any.

    ``runs`` is the condition for a step of the group, ``sends`` the one for spikes on their way.
    """
    for g in groups:
        g.recorded = g.needs_states or g.needs_final_states
    rerun = any(g.recorded for g in groups)
    for g in groups:
        g.runs, g.sends = ("n >= live", "True") if g.recorded else ("not replay", "not replay")
    return rerun


def _constants(part):
    return [
        f"{part.scope.table(part.scope.owner, name)} = {part.a('C')}[{k}]"
        for k, name in enumerate(part.scope.common)
    ] + part.scope.reciprocal_lines()


def _arguments(groups, inputs, pathways, sources):
    pairs = []
    for g in groups:
        roles = ["X0", "C", "P"] + ["R"] * g.refractory
        roles += [f"value{r.number}" for r in g.readouts]
        roles += [f"at{r.number}" for r in g.maxima] + [f"top{r.top.number}" for r in g.tops]
        roles += ["shape", "room"] * bool(g.rings)
        roles += ["trial", "cell", "column"] * bool(g.traces)
        roles += [f"trace{k}" for k in range(len(g.traces))] + ["check"] * g.recorded
        pairs += [(g.name, role) for role in roles]
    for i in inputs:
        pairs += [(i.name, role) for role in ("ptr", "step", "i")]
    for p in pathways:
        layout = ("tileoff", "tiles", *([] if p.ahead else ["rows", "off"]))
        layout = (*layout, *["pairoff"] * (p.source.is_input and not p.ahead))
        if not p.ring:
            layout = ("post", "rows", "steps", "start")
        elif p.whole:
            layout = ("lag",)
        elif p.streamed:
            layout = ("rows", "off")
        pairs += [(p.name, role) for role in ("C", "W", *layout)]
    pairs += [(s.name, "n") for s in sources]
    return tuple(pairs)


def _gradients(groups, inputs, pathways):
    pairs = []
    for g in groups:
        roles = ["CB", "PB", "X0B"] + ["RB"] * g.refractory
        roles += ["time", "tptr", "sn", "sj", "val"] * g.spikes + ["push"] * g.pushed
        roles += [f"weight{r.number}" for r in g.readouts]
        pairs += [(g.name, role) for role in roles]
    pairs += [(i.name, "TB") for i in inputs]
    for p in pathways:
        roles = ("GB",) if p.ring and not p.whole else ("WB", "DB")
        pairs += [(p.name, role) for role in ("CB", *roles)]
    return tuple(pairs)


def _work(groups, queued):
    """What a trial works on besides the arguments."""
    pairs = []
    for g in groups:
        roles = ["x"] + ["start", "sn", "sj", "val"] * g.spikes + ["free"] * g.refractory
        roles += ["was"] * bool(g.tops)
        roles += [f"ring_{state}" for state in g.rings if state in g.ringed]
        roles += [f"{role}_{s}" for s in g.rings if s in g.driven for role in ("drive", "soon")]
        roles += ["rec"] * g.recorded
        pairs += [(g.name, role) for role in roles]
    pairs += [(p.name, role) for p in queued for role in ("head", "tail", "entry")]
    return pairs


def _summary(groups, pathways):
    lines = []
    for g in groups:
        lines += [
            f"{g.name}: {line.strip()}"
            for line in g.adjoint.group.text.splitlines()
            if line.strip()
        ]
    return lines + [f"{p.name}: {p.text}" for p in pathways]
