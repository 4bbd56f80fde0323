"""The operations of the clock solver for a network, phase by phase; see `kernels.clock.loop`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from brian_eventprop.codegen.clock import library
from brian_eventprop.codegen.clock.making import OperationMaker
from brian_eventprop.codegen.expr.operations import Operation
from brian_eventprop.kernels.clock import loop as clock_loop

Operations = Iterable[Operation]


class ClockOperations(OperationMaker):
    """The operations of connected groups, inputs and pathways."""

    def __init__(self, groups, inputs, pathways, single: bool, read_at_end=(), couplings=()):
        super().__init__(groups, pathways, single)
        self.groups, self.inputs, self.pathways = groups, inputs, pathways
        self.couplings = couplings
        self.coupled = [g for g in groups if any(g in c.groups for c in couplings)]
        #: A pathway of each `Synapses` object with states, by the name of the object.
        self.synapses = {p.synapses: p for p in pathways if p.synaptic and not p.own_group}
        self.eventful = [p for p in self.queued if p.eventful]
        #: The `Synapses` objects whose states the loss reads at the end of a trial.
        self.read_at_end = [name for name in self.synapses if name in read_at_end]
        self.spiking = [g for g in groups if g.spikes]
        self.recorded = [g for g in groups if g.recorded]
        self.lookback = any(g.upstroke for g in groups)

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
