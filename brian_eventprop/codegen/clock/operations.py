"""The operations of the clock solver for a network, phase by phase; see `kernels.clock.loop`.

What the equations say is rendered here, per group and pathway, with the same names in any network;
the rest is in `codegen.clock.library`.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable
from dataclasses import replace

from brian_eventprop.codegen.clock import library
from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.coupling.clock import TERMS
from brian_eventprop.codegen.expr.operations import (
    ArrayKey,
    Operation,
    free_names,
    may_be_array,
    operation,
)
from brian_eventprop.codegen.expr.printing import EDGE_FUNCTIONS
from brian_eventprop.codegen.expr.straight_line import Piece, pieces
from brian_eventprop.codegen.templates import render
from brian_eventprop.kernels.cache import load_module
from brian_eventprop.kernels.clock import loop as clock_loop

#: What a group and a pathway are called in their own operations.
NEURON, SYNAPSES = "neuron", "synapses"

_DECORATOR = '@njit(nogil=True, error_model="numpy", cache=True, no_cpython_wrapper=True)\n'
_INLINED = _DECORATOR.replace(")\n", ", forceinline=True)\n")

#: Longer code than so many characters is cut into functions.
LONG = 4000

Operations = Iterable[Operation]


class NeuronCode(GroupCode):
    """Code of a group whose long assignments become functions."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pieces: dict[Piece, str] = {}
        self.recorded = self.needs_states or self.needs_final_states or self.plan.recorded
        #: The conditions for a step of the group, and for one of the forward pass.
        self.runs, self.first_run = (
            ("n >= first_updated", "not recomputing") if self.recorded else ("True", "True")
        )

    def cut(self, lines, wanted):
        """Return calls of functions in place of long code; equal ones are one function."""
        if sum(map(len, lines)) <= LONG:
            return lines
        calls = []
        for piece in pieces(lines, wanted):
            if piece not in self.pieces:
                self.pieces[piece] = self.a(f"part{len(self.pieces)}")
            calls.append(piece.call(self.pieces[piece]))
        return calls

    def module(self) -> str:
        """Return the text of the functions, those of explosive upstrokes among them."""
        texts = [piece.function(name, _INLINED) for piece, name in self.pieces.items()]
        if self.upstroke is not None:
            texts.append(self.upstroke.functions(_DECORATOR))
        return "\n\n".join(texts)


class ClockOperations:
    """The operations of connected groups, inputs and pathways."""

    def __init__(self, groups, inputs, pathways, single: bool, read_at_end=(), couplings=()):
        self.groups, self.inputs, self.pathways, self.single = groups, inputs, pathways, single
        self.couplings = couplings
        self.coupled = [g for g in groups if any(g in c.groups for c in couplings)]
        self.queued = [p for p in pathways if not p.ring]
        #: A pathway of each `Synapses` object with states, by the name of the object.
        self.synapses = {p.synapses: p for p in pathways if p.synaptic and not p.own_group}
        self.eventful = [p for p in self.queued if p.eventful]
        #: The `Synapses` objects whose states the loss reads at the end of a trial.
        self.read_at_end = [name for name in self.synapses if name in read_at_end]
        self.spiking = [g for g in groups if g.spikes]
        self.recorded = [g for g in groups if g.recorded]
        self.lookback = any(g.upstroke for g in groups)
        self._bodies = {part.name: self._render(part) for part in (*groups, *self.queued)}
        self._functions = {g.name: self._load_functions(g) for g in groups}

    def phases(self):
        """Return the operations of each phase, forward and backward."""
        forward = {
            "begin": self._begin(),
            "checkpoint": (self._of(g, "checkpoint", library.CHECKPOINT) for g in self.recorded),
            "neurons": self._neurons(self.groups),
            "arrivals": self._arrivals(self.groups),
            "end": self._end(),
        }
        backward = {
            "prepare": self._prepare(),
            "begin": self._begin_back(),
            "restore": (self._own(g, "restore") for g in self.recorded),
            "warm_up": self._warm_up(),
            "neurons_recomputed": self._recomputed(self._neurons(self.recorded)),
            "arrivals_recomputed": self._recomputed(self._arrivals(self.recorded, again=True)),
            "recorded": (self._record_end(g) for g in self.recorded),
            "final": (self._own(g, "final_back") for g in self.groups if g.ended or g.upstroke),
            "neurons": self._neurons_back(),
            "arrivals": self._arrivals_back(),
            "after_segment": self._after_segment(),
            "end": self._end_back(),
        }
        return tuple(
            {name: tuple(found[name]) for name in names}
            for found, names in ((forward, clock_loop.FORWARD), (backward, clock_loop.BACKWARD))
        )

    # ---- what the equations say ----
    def _render(self, part) -> dict[str, str]:
        """Render the bodies of a group or of a pathway with a queue."""
        if part in self.queued:
            names = [
                "deliver",
                "deliver_back",
                *["deliver_recomputed"] * part.recomputed,
            ]
            return {name: render(f"clock/synapses/{name}.py.j2", p=part) for name in names}
        names = ["trial_begin", "advance", "trial_begin_back", "update_back"]
        names += ["settle", "resets_back"] * bool(part.rings or part.spikes)
        names += ["restore"] * part.recorded + ["recompute_states"] * part.recomputes_arrivals
        names += ["traces"] * bool(part.early) + ["adjoints_back"] * bool(part.adjoints)
        names += ["final_back"] * bool(part.ended or part.upstroke)
        moving = any(maximum.jumps for maximum in part.arrival_maxima)
        names += ["trial_end"] * bool(part.sampled_last or moving)
        return {name: render(f"clock/groups/{name}.py.j2", g=part) for name in names}

    def _load_functions(self, g) -> dict[str, str]:
        """The functions that the operations of a group call, and the module that they stand in."""
        text = g.module()
        if not text:
            return {}
        used = ["clip", "dexprel", "exprel", "sign", *EDGE_FUNCTIONS]
        number = "float32" if self.single else "float64"
        source = (
            "import math\n\nimport numpy as np\n\n"
            "from brian_eventprop.kernels.cache import njit\n"
            f"from brian_eventprop.kernels.brian_functions import {', '.join(sorted(used))}\n\n"
            f"FLOAT = np.{number}\n\n\n{text}"
        )
        module = load_module(source, "neuron").__name__
        return {node.name: module for node in ast.parse(text).body}

    def _own(self, part, name: str, body="", **others: ArrayKey) -> Operation:
        """One of a part's rendered operations, or one with another body.

        ``others`` are arrays under other identifiers.
        """
        group = part.target if part in self.queued else part
        # two pathways may have the same names, and no operation reads both
        pathways = group.autapses if part is group else (part,)
        owners = {NEURON: group.name} | {p.scope.owner: p.name for p in pathways}

        def find(identifier):
            if identifier in others:
                return others[identifier]
            owner, role = group.scope.table.name(identifier) or ("", "")
            return (owners[owner], role[1:]) if role.startswith("$") else None

        constants = _constants(group)
        for p in pathways:
            constants |= _constants(p)
        functions = self._functions[group.name]
        body = body or _timed((group, *pathways), self._bodies[part.name][name])
        options = {"functions": functions, "owner": part.name}
        return operation(name, body, find, self.single, constants, **options)

    def _step(self, g) -> Operation:
        """The end of the time step before n, then the beginning of step n.

        Nothing that happens between them concerns the group.
        """
        before = self._within(g, "settle", "n > start", before=True)
        return self._own(g, "step", before + self._within(g, "advance", "n < stop"))

    def _step_back(self, g) -> Operation:
        """Backwards through the beginning of step n, then through the end of the one before."""
        begin = self._within(g, "update_back", "n < n1")
        begin += self._within(g, "adjoints_back", "n < n1")
        end = self._within(g, "resets_back", "n > n0", before=True)
        others = {i: key for p in g.autapses for i, key in self._others(p).items()}
        return self._own(g, "step_back", begin + end, **others)

    def _neurons(self, groups) -> Operations:
        """Steps of groups; those that are coupled take each part of a step together."""
        yield from (self._step(g) for g in groups if g not in self.coupled)
        for g in self._changing:
            yield self._own(g, "settle", self._within(g, "settle", "n > start", before=True))
        for g in self.coupled:
            if g.early:
                yield self._own(g, "traces", self._within(g, "traces", "n < stop"))
        yield from (self._couple(c, "couple") for c in self.couplings if not c.late)
        for g in self.coupled:
            yield from (self._couple(c, "couple") for c in self._late(g))
            yield self._own(g, "advance", self._within(g, "advance", "n < stop"))

    def _neurons_back(self) -> Operations:
        """The same backwards."""
        yield from (self._step_back(g) for g in self.groups if g not in self.coupled)
        yield from (
            self._of(g, "coupling_begin", library.COUPLING_BEGIN) for g in self.coupled if g.coupled
        )
        for g in reversed(self.coupled):
            yield self._own(g, "update_back", self._within(g, "update_back", "n < n1"))
            yield from (self._couple(c, "couple_back") for c in self._late(g)[::-1])
        early = [c for c in self.couplings if not c.late]
        yield from (self._couple(c, "couple_back") for c in reversed(early))
        yield from (
            self._of(g, "coupling_end", library.COUPLING_END) for g in self.coupled if g.coupled
        )
        for g in self.coupled:
            if g.adjoints:
                body = self._within(g, "adjoints_back", "n < n1")
                yield self._own(g, "adjoints_back", body)
        for g in reversed(self._changing):
            end = self._within(g, "resets_back", "n > n0", before=True)
            yield self._own(g, "resets_back", end)

    @property
    def _changing(self) -> list:
        """The coupled groups that arrivals or resets change at the end of a step."""
        return [g for g in self.coupled if "settle" in self._bodies[g.name]]

    def _late(self, g) -> list:
        """The couplings that Brian2 computes just before it updates a group."""
        return [c for c in self.couplings if c.late and c.receiver is g]

    def _couple(self, c, name: str) -> Operation:
        owners = {TERMS: c.name} | {side: g.name for side, g in c.ends.items() if g is not None}

        def find(identifier):
            owner, role = c.scope.table.name(identifier) or ("", "")
            return (owners[owner], role[1:]) if role.startswith("$") else None

        body = _timed((c,), render(f"clock/couplings/{name}.py.j2", c=c))
        return operation(name, body, find, self.single, _constants(c), owner=c.name)

    def _within(self, g, name: str, condition: str, before: bool = False) -> str:
        """One of a group's bodies, if there is such a step, or for the step `before` that."""
        if name not in self._bodies[g.name]:
            return ""
        body = _timed((g, *g.autapses), self._bodies[g.name][name])
        body = f"n -= 1\n{body}\nn += 1" if before else body
        return f"if {condition}:\n{textwrap.indent(body, '    ')}\n"

    # ---- what no equation is part of ----
    def _of(
        self, part, name: str, body: str, source=None, numbers=None, finds=False, **others
    ) -> Operation:
        """An operation of the library on the arrays of a part and some others."""
        constants = {n: repr(value) for n, value in (numbers or {}).items()}
        arrays = (i for i in free_names(body) if may_be_array(i) and i not in constants)
        keys = {i: others.get(i, (part.name, i)) for i in arrays}
        options = {"source": source, "finds": finds, "owner": part.name}
        return operation(name, body, keys, self.single, constants, **options)

    def _from(
        self, part, name: str, body: str, source=None, numbers=None, finds=False, **others
    ) -> Operation:
        """An operation of the library on the spikes of a source and the arrays of a part."""
        sender = getattr(part, "source", part)
        steps, neurons = ("step", "i") if sender.is_input else ("spike_step", "spike_neuron")
        roles = {
            "steps": steps,
            "neurons": neurons,
            "d_time": "d_input_time" if sender.is_input else "d_spike_time",
        }
        for role in ("table", "ptr", "counts", "order", "bound", "base"):
            roles[role] = role
        given = {f"source_{i}": (sender.name, role) for i, role in roles.items()}
        if sender is not part:
            given["target_shape"] = part.target.name, "shape"
            given["target_due"] = part.target.name, "due"
        source = sender.name if finds else source
        return self._of(part, name, body, source, numbers, finds, **(given | others))

    # ---- forward pass ----
    def _begin(self) -> Operations:
        yield from (self._own(g, "trial_begin") for g in self.groups)
        yield from (self._from(i, "input_begin", library.INPUT_BEGIN) for i in self.inputs)
        yield from (self._of(p, "queue_begin", library.QUEUE_BEGIN) for p in self.queued)
        for name in self.synapses:
            yield self._of_synapses(name, "synapses_begin", library.SYNAPSES_BEGIN)
        yield from (self._of(p, "events_begin", library.EVENTS_BEGIN) for p in self.eventful)
        yield from self._input_drive(self.pathways)

    def _input_drive(self, pathways) -> Operations:
        """Add the spikes of inputs up by time step, all of a trial."""
        begun = set()
        for i in self.inputs:
            own = [p for p in pathways if p.precomputed and p.source is i]
            if own:
                yield self._from(i, "sort", library.SORT)
            for p in own:
                drive = p.target.name, f"input_drive_{p.state}"
                numbers = {"ROW": p.row, "FRESH": drive not in begun}
                begun.add(drive)
                yield self._from(
                    p, "add_drive", library.ADD_DRIVE, numbers=numbers,
                    target_drive=drive, weights=(p.name, "W"),
                )  # fmt: skip

    def _arrivals(self, groups, again: bool = False) -> Operations:
        """What arrives at some groups; ``again`` if only their own states matter."""
        for source in (*self.inputs, *(g for g in self.spiking if g not in groups)):
            yield self._from(source, "known_spikes", library.KNOWN_SPIKES, finds=True)
        yield from (
            self._send(p)
            for p in self.pathways
            if p.target in groups
            and not p.precomputed
            and (p.adjoint.touches_target or p.adjoint.writes_others or not again)
        )

    def _send(self, p) -> Operation:
        if not p.ring:
            return self._own(p, "deliver", **self._source(p), **self._others(p))
        body = getattr(library, p.layout.send)
        return self._from(
            p, "send", body, p.source.name, {"ROW": p.row}, weights=(p.name, "W"),
            target_ring=(p.target.name, f"ring_{p.state}"),
        )  # fmt: skip

    def _others(self, p):
        """What a pathway's rendered operations call the arrays that are not its own.

        They belong to the `Synapses` object and to the group of the pre-synaptic neurons.
        """
        found = {p.a(role): (p.synapses, role) for role in ("synaptic", "lam_synaptic")}
        if p.pre_group is not None:
            found |= {p.a(f"pre_{role}"): (p.pre_group.name, role) for role in ("x", "lam")}
        if p.own_group is not None:
            found |= {p.a(f"own_{role}"): (p.own_group.name, role) for role in ("x", "lam")}
        return found if p.others else {}

    def _of_synapses(self, name: str, operation_name: str, body: str) -> Operation:
        """An operation of the library on the states of a `Synapses` object."""
        arrays = (i for i in free_names(body) if may_be_array(i))
        keys = {i: (name, "grad_initial" if i == "gradient" else i) for i in arrays}
        return operation(operation_name, body, keys, self.single, owner=name)

    def _source(self, p):
        """What a pathway's rendered operations call the arrays of its source."""
        name, given = p.source.name, p.source.is_input
        return {
            "source_steps": (name, "step" if given else "spike_step"),
            "source_neurons": (name, "i" if given else "spike_neuron"),
            "source_table": (name, "table"),
            "source_d_time": (name, "d_input_time" if given else "d_spike_time"),
        }

    def _end(self) -> Operations:
        yield from (self._from(g, "count_spikes", library.COUNT_SPIKES) for g in self.spiking)
        yield from (self._of(p, "count_events", library.COUNT_EVENTS) for p in self.eventful)
        for name in self.read_at_end:
            yield self._of_synapses(name, "synapses_end", library.SYNAPSES_END)
        ending = [g for g in self.groups if "trial_end" in self._bodies[g.name]]
        yield from (self._own(g, "trial_end") for g in ending)

    # ---- backward pass ----
    def _prepare(self) -> Operations:
        for g in self.groups:
            for state in g.rings:
                if state in g.tiled_states:
                    record = g.name, f"record_{state}"
                    yield self._of(g, "clear_after_end", library.CLEAR_AFTER_END, record=record)

    def _begin_back(self) -> Operations:
        yield from (self._own(g, "trial_begin_back") for g in self.groups)
        yield from (
            self._from(i, "input_begin_back", library.INPUT_BEGIN_BACK) for i in self.inputs
        )
        yield from self._input_drive([p for p in self.pathways if p.target.recorded])
        for p in self.queued:
            yield self._from(p, "queue_begin_back", library.QUEUE_BEGIN_BACK)
            if p.recomputed:
                yield self._from(p, "count_due", library.COUNT_DUE, begins=(p.name, "start"))
            if p.eventful:
                yield self._of(p, "first_events", library.FIRST_EVENTS, begins=(p.name, "start"))
        for name in self.synapses:
            seeded = name in self.read_at_end
            body = library.SYNAPSES_BEGIN_BACK_SEEDED if seeded else library.SYNAPSES_BEGIN_BACK
            yield self._of_synapses(name, "synapses_begin_back", body)
        yield from (
            self._of(g, "check_due", library.CHECK_DUE)
            for g in self.groups
            if g.recomputes_arrivals
        )

    def _warm_up(self) -> Operations:
        if not self.recorded:
            return
        yield from (
            self._from(g, "first_spike", library.FIRST_SPIKE) for g in self.recorded if g.spikes
        )
        for source in (*self.inputs, *(g for g in self.spiking if not g.recorded)):
            yield self._from(source, "first_known_spike", library.FIRST_KNOWN_SPIKE)

    def _recomputed(self, operations: Operations) -> Operations:
        """The same operations where a segment is recomputed."""
        if not self.recorded:
            return
        for op in operations:
            arrays = ((i, self._record(*key)) for i, key in op.arrays)
            yield replace(op, arrays=tuple(arrays))

    def _record(self, owner, role):
        """Where the states of the segment go that is recomputed."""
        return owner, "former" if self.lookback and role == "rec" else role

    def _record_end(self, g) -> Operation:
        return self._of(g, "record_end", library.RECORD_END, record=self._record(g.name, "rec"))

    def _after_segment(self) -> Operations:
        for g in self.recorded if self.lookback else ():
            yield self._of(g, "keep_record", library.KEEP_RECORD, record=(g.name, "rec"))

    def _arrivals_back(self) -> Operations:
        for i in self.inputs:
            if any(p.layout.per_spike and p.source is i for p in self.pathways):
                yield self._from(i, "input_step_back", library.INPUT_STEP_BACK, finds=True)
        for g in self.groups:
            if g.recomputes_arrivals:
                yield self._own(g, "recompute_states")
                own = [p for p in self.pathways if p.target is g and p.recomputed]
                yield from (self._own(p, "deliver_recomputed", **self._others(p)) for p in own)
        for p in self.pathways:
            if p.layout.per_spike:
                yield self._accumulate(p)
        for p in self.pathways:
            # after the last step for inputs
            if p.layout.during.startswith("add_times") and not p.source.is_input:
                yield getattr(self, f"_{p.layout.during}")(p)
        for p in reversed(self.queued):
            yield self._own(p, "deliver_back", **self._source(p), **self._others(p))

    def _accumulate(self, p) -> Operation:
        body = library.ACCUMULATE_INPUTS if p.source.is_input else library.ACCUMULATE
        return self._from(
            p, "accumulate", body, p.source.name, {"ROW": p.row}, weights=(p.name, "W"),
            target_adjoints=(p.target.name, f"arrival_adjoints_{p.state}"),
            gradient=(p.name, "grad_synapses_flat"),
        )  # fmt: skip

    def _add_times(self, p) -> Operation:
        """The derivatives in the times of spikes, from their arrivals."""
        return self._from(
            p, "add_times", library.ADD_TIMES, p.source.name, {"ROW": p.row}, weights=(p.name, "W"),
            target_d_arrivals=(p.target.name, f"d_arrivals_{p.state}"),
        )  # fmt: skip

    def _add_times_of_rows(self, p) -> Operation:
        """The same for dense rows, and the derivatives in the delays."""
        return self._from(
            p, "add_times", library.ADD_TIMES_OF_ROWS, p.source.name, {"ROW": p.row},
            weights=(p.name, "W"), delay_gradient=(p.name, "grad_delay"),
            target_history=(p.target.name, f"history_rate_{p.state}"),
        )  # fmt: skip

    def _end_back(self) -> Operations:
        for g in self.groups:
            yield self._of(g, "add_initial", library.ADD_INITIAL, gradient=(g.name, "grad_initial"))
        for name in self.synapses:
            yield self._of_synapses(name, "synapses_end_back", library.SYNAPSES_END_BACK)
        for source in (*self.inputs, *self.groups):
            own = [p for p in self.pathways if p.layout.after and p.source is source]
            if own:
                yield self._from(source, "sort", library.SORT)
            for p in own:
                yield from getattr(self, f"_{p.layout.after}")(p)

    def _collect_rows(self, p) -> Operations:
        """The gradients of synapses in dense rows, from the record of the whole trial."""
        yield self._from(
            p, "collect_rows", library.COLLECT_ROWS, gradient=(p.name, "grad_weight"),
            target_history=(p.target.name, f"history_lam_{p.state}"),
        )  # fmt: skip
        if p.source.is_input:
            yield self._from(
                p, "add_times_of_input_rows", library.ADD_TIMES_OF_INPUT_ROWS,
                numbers={"ROW": p.row, "DELAYS": p.delay_trained},
                weights=(p.name, "W"), delay_gradient=(p.name, "grad_delay"),
                target_history=(p.target.name, f"history_rate_{p.state}"),
            )  # fmt: skip

    def _collect_tiles(self, p) -> Operations:
        """The gradients of synapses by tiles, from the record of the whole trial."""
        target = p.target.name
        yield self._from(
            p, "collect_tiles", library.COLLECT, gradient=(p.name, "grad_synapses"),
            target_adjoints=(target, f"paired_record_{p.state}"),
        )  # fmt: skip
        if p.source.is_input:
            body = library.ADD_TIMES_OF_DRIVE if p.precomputed else library.ADD_TIMES_OF_INPUTS
            yield self._from(
                p, "add_times_of_inputs", body, numbers={"ROW": p.row}, weights=(p.name, "W"),
                target_record=(target, f"record_{p.state}"),
            )  # fmt: skip


def _constants(part) -> dict[str, str]:
    """Where the constants of a part are: those common to all, then reciprocals of some of them."""
    scope = part.scope
    names = [*scope.shared, *(f"per.{name}" for name in scope.inverted)]
    return {scope.table(scope.owner, name): f"{part.a('C')}[{k}]" for k, name in enumerate(names)}


def _timed(parts, body: str) -> str:
    """Put before a body what it reads of some parts that depends on the time step."""
    body = textwrap.dedent(body).strip("\n") or "pass"
    known = dict.fromkeys(line for part in parts for line in part.scope.step_lines())
    read, lines = free_names(body), []
    for line in reversed(known):
        if line.split(" = ")[0] in read:
            lines.insert(0, line)
            read |= free_names(line)
    if "t" in read:
        lines.insert(0, "t = FLOAT(n * dt64)")
    return "\n".join((*lines, body))
