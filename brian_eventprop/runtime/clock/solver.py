"""Run the clock solver's kernels on the CPU.

A batch is cut into a fixed number of chunks of trials; each chunk has gradients of its own, summed
in the order of the chunks, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.adjoint.coupling.jumps import check_crossed
from brian_eventprop.adjoint.pathways import INCREMENT
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen import render_clock, render_parameter_map
from brian_eventprop.codegen.clock.upstrokes import LOOKBACK
from brian_eventprop.kernels.clock import loop as clock_loop
from brian_eventprop.kernels.clock.loop import COUNT, GRAZING
from brian_eventprop.plan import plan_clock
from brian_eventprop.plan.layouts import choose_layouts
from brian_eventprop.reading.spec import NetworkValues
from brian_eventprop.runtime.array_passes import LONG, ArrayPasses, join_spikes
from brian_eventprop.runtime.backends import COMPILED, Arrays, Backend
from brian_eventprop.runtime.binding.binder import CouplingBinder, binders, unsorted
from brian_eventprop.runtime.clock.arrays import ClockArrays, events_of, work_sizes
from brian_eventprop.runtime.clock.constants import ClockConstants
from brian_eventprop.runtime.clock.program import ClockProgram
from brian_eventprop.runtime.clock.sums import ChunkSums
from brian_eventprop.runtime.inputs import InputSpikes, on_grid
from brian_eventprop.runtime.layouts import known_autapses
from brian_eventprop.runtime.optimizer_steps import HostGradients
from brian_eventprop.runtime.readouts import (
    GroupSpikes,
    Samples,
    count_surrogates,
    slope_arrays,
    spike_readouts,
    unmeasured,
)
from brian_eventprop.runtime.solver import Backward
from brian_eventprop.runtime.synapse_readouts import synapse_readouts
from brian_eventprop.runtime.timed_inputs import (
    TimedGradients,
    cells_on_grid,
    columns,
    rows,
    timed_input,
    timed_values_of,
)

#: A thread keeps the arrays that it works on between batches if they are smaller, in bytes.
KEPT = 2**24


@dataclass
class Forward:
    """What a forward run leaves for the loss and for the backward pass."""

    n_trials: int
    readouts: tuple[np.ndarray, ...]
    spikes: dict[str, GroupSpikes]
    inputs: Mapping[str, InputSpikes]
    arrays: dict[tuple[str, str], np.ndarray] = field(repr=False)
    constants: dict[str, dict] = field(repr=False)
    orders: dict[str, np.ndarray | None] = field(repr=False)
    stored: dict[tuple[str, str], np.ndarray] = field(repr=False)
    values: Mapping = field(default_factory=dict, repr=False)
    segment: int = 0
    described: tuple[Arrays, ...] = field(default=(), repr=False)


class _Pass:
    """The calls of a pass over a batch, each for some of its trials."""

    name, with_inputs = "forward", False

    def __init__(self, solver: ClockCPU, given: Sequence[Arrays], arrays: Mapping, segment: int):
        self.solver, self.program, self.segment = solver, solver.programs[self.name], segment
        self.given, self.arrays = given, arrays
        recorded = [g for g in solver.module.groups if g.recorded and g.rings]
        self.longest = max((int(arrays[g.name, "shape"][2]) for g in recorded), default=0)
        self.sizes = work_sizes(solver.module, arrays, segment)

    @property
    def key(self):
        """What calls of the same kind have in common."""
        return self.program

    @property
    def signatures(self) -> bool:
        """Whether the operations are loaded."""
        return self.program.loaded

    def work(self, first: int, private: Mapping = {}) -> ClockArrays:
        """Return the arrays that a call works on; each thread keeps its own if they are small."""
        solver = self.solver
        record_memory, kept = solver.record_memory(self.arrays), solver.kept_by_thread()
        kind = self.sizes, tuple(id(array) for array in record_memory.values())
        known, found = kept.get(self.name, (None, None))
        if known != kind:
            given = {**private, **self.arrays}
            keys = [key for key in self.program.keys if key not in given]
            found = ClockArrays(
                solver.module, keys, self.arrays, solver.sizes, self.sizes, solver.n_steps,
                solver.dtype, record_memory, self.name == "backward",
            )  # fmt: skip
            kept[self.name] = (kind, found) if found.n_bytes < KEPT else (None, None)
        found.begin(first, self.with_inputs, self.longest, solver.module.lookback)
        return found


def _final(arrays: Mapping, synapses: str, n_trials: int) -> np.ndarray:
    """Return the states of synapses at the ends of the trials; they may have none."""
    found = arrays.get((synapses, "final"))
    return np.empty((n_trials, 0, 0)) if found is None else found


def _among(keys, arrays: Mapping) -> dict:
    """Return the arrays with some keys, in the order of the keys."""
    return {key: arrays[key] for key in keys if key in arrays}


class _ForwardPass(_Pass):
    def __call__(self, first: int, last: int):
        """Run trials first..last; return steps, neurons, states and counts of the spikes."""
        own = self.work(first)
        while True:
            operations, kept = self.program.bind((*self.given, own.bound))
            rest = self.program.ends, own.table, own.run
            if not self.solver.loops.forward(last, operations, *rest):
                break
            own.grow()
        del kept
        found = []
        for g in self.solver.module.groups:
            if g.spikes:
                n = own.table[own.rows[g.name], COUNT]
                found += [
                    own.arrays[g.name, role][:n].copy()
                    for role in ("spike_step", "spike_neuron", "spike_state")
                ]
                found.append(self.arrays[g.name, "counts"][first:last])
        for p in self.solver.eventful:
            n = own.table[own.rows[events_of(p.name)], COUNT]
            found.append(own.arrays[p.name, "events"][:n].copy())
            found.append(self.arrays[p.name, "event_counts"][first:last])
        return tuple(found)


class _BackwardPass(_Pass):
    name = "backward"

    def __init__(self, solver, given, arrays, segment, with_inputs):
        super().__init__(solver, given, arrays, segment)
        self.with_inputs = with_inputs
        self.private: dict[int, Arrays] = {}

    def __call__(self, first: int, last: int, chunk: int) -> int:
        """Run the adjoint of trials first..last; return the number of grazing spikes."""
        if chunk not in self.private:
            self.private[chunk] = self.solver.sums.arrays(chunk)
        private = self.private[chunk]
        own = self.work(first, private.arrays)
        while True:
            operations, kept = self.program.bind((*self.given, private, own.bound))
            rest = self.program.ends, own.table, own.run
            if not self.solver.loops.backward(last, operations, *rest):
                break
            own.grow()
        del kept
        return int(own.table[:, GRAZING].sum())


class ClockCPU:
    """The clock solver on the CPU.

    Parameters
    ----------
    system
        The derived network.
    network
        Its numbers; only index arrays and shapes are kept.
    n_steps
        Number of time steps of a trial.
    single
        Whether states are in single precision.
    threads
        Number of threads; by default one per core.
    backend
        What runs the kernels.
    """

    #: The binders of couplings; only the CPU has any.
    couplings: Mapping[str, CouplingBinder] = {}

    def __init__(
        self,
        system: AdjointSystem,
        network: NetworkValues,
        n_steps: int,
        single: bool = False,
        threads: int | None = None,
        backend: Backend = COMPILED,
    ):
        self.system, self.n_steps = system, n_steps
        self.backend, self.loops = backend, backend.library(clock_loop)
        self.dtype = np.float32 if single else np.float64
        self.parameter_map_source = render_parameter_map(system)
        self._parameter_map = backend.load(self.parameter_map_source, "parameter_map")
        self.shapes = {key: np.shape(value) for key, value in network.values.items()}
        self.trial_pool = backend.trial_pool(threads)
        self._network, self._layout = network, None
        self._build()

    def _build(self) -> None:
        """Render the kernels, unless they fit the connections already."""
        spec, network = self.system.spec, self._network
        sizes = self.sizes = {g.name: g.size for g in (*spec.groups, *spec.inputs)}
        autapses = known_autapses(self.system, network)
        trial_bytes = self.dtype().itemsize * self.n_steps
        layouts = choose_layouts(self.system, network, autapses, trial_bytes)
        if (layouts, autapses) == self._layout:
            return
        self._layout = layouts, autapses
        plan = plan_clock(self.system, layouts, autapses)
        self.module = render_clock(self.system, plan, self.dtype == np.float32)
        rows = (*sizes, *(p.name for p in self.module.pathways if not p.ring))
        rows = {name: row for row, name in enumerate(rows)}
        self.programs = {
            "forward": ClockProgram(self.module.forward, rows, self.backend),
            "backward": ClockProgram(self.module.backward, rows, self.backend),
        }
        keys = [key for program in self.programs.values() for key in program.keys]
        self._keys, self._shared = tuple(dict.fromkeys(keys)), None
        self.groups, self.pathways = binders(
            self.module, self._parameter_map, network, sizes, spec.dt
        )
        self.couplings = {
            c.name: CouplingBinder(c, self._parameter_map, spec.dt, network)
            for c in self.module.couplings
        }
        for c in self.system.couplings:
            check_crossed(c, spec, network.pre[c.name], network.post[c.name])
        self.spike_readouts = spike_readouts(self.system, self.groups, self._parameter_map)
        self.synapse_readouts = synapse_readouts(self.system, self._parameter_map)
        self.sums = ChunkSums(
            self.module, self.groups, self.pathways, self.dtype, self.programs["backward"].keys
        )
        self._thread_memory = threading.local()
        self.constants = ClockConstants(
            self.module,
            self.groups,
            self.pathways,
            spec.dt,
            self.n_steps,
            self.dtype,
            self.trial_pool,
            self.couplings,
        )

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self.module.source

    @property
    def functions(self) -> dict[str, Callable]:
        """The generated functions that have been called, by name."""
        return self.programs["forward"].functions | self.programs["backward"].functions

    def prepare(self, name: str, data) -> InputSpikes:
        """Return the input spikes of a batch on the time grid."""
        dt = self.system.spec.dt
        given = data.times, data.channels, data.trial_ptr
        return on_grid(*given, dt, self.n_steps, name, self.trial_pool.function)

    def reconnect(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses of a pathway, as many as before."""
        self.pathways[pathway].reconnect(pre, post)
        self._network = self._network.reconnected(pathway, pre, post)
        self._build()
        self.sums.make_room()
        self.constants.forget()

    def hold(self, arrays: Mapping) -> MutableMapping:
        """Return arrays by key as this solver wants to have them."""
        return arrays

    def prefetch(self, *batch) -> None:
        """Nothing is gained by preparing the next batch early on the CPU."""
        del batch

    # ---- forward ----
    def forward(
        self, values, inputs: Mapping[str, InputSpikes], n_trials: int, timed_values: Mapping = {}
    ) -> Forward:
        """Run a batch of trials; ``timed_values`` are the values of timed arrays by name."""
        shared, arrays, constants, orders = self._pack(values, inputs, n_trials)
        for g in self.module.groups:
            arrays |= self._pack_timed_values(g, values, timed_values, n_trials)
        segment = self._checkpoints(shared, arrays, n_trials)
        for g in self.module.groups:
            if g.spikes:
                arrays[g.name, "counts"] = np.zeros(n_trials, np.int64)
        for p in self.eventful:
            arrays[p.name, "event_counts"] = np.zeros(n_trials, np.int64)
        arrays |= self._pack_synapses(values, n_trials)
        self._shared = Arrays(_among(self._keys, shared), self._shared)
        given = self._shared, Arrays(_among(self._keys, arrays))
        arrays |= shared
        kernel = _ForwardPass(self, given, arrays, segment)
        sent = [own.ptr for own in inputs.values()]
        found = self.trial_pool.call(
            kernel, n_trials, lambda _: (), sent, summed=False, title="forward pass"
        )
        spikes, stored = self._collect(found, n_trials)
        readouts = []
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                v = constants.get(spec.group)
                readout = self.spike_readouts[k]
                readouts.append(readout.values(v, spikes[spec.group], n_trials))
            elif k in self.synapse_readouts:
                final = _final(arrays, spec.group, n_trials)
                readouts.append(self.synapse_readouts[k].values(values, final))
            elif spec.kind == "adjoint":
                readouts.append(unmeasured(spec, n_trials))
            else:
                readouts.append(self._read(k, spec, arrays[spec.group, f"value{k}"]))
        return Forward(
            n_trials,
            tuple(readouts),
            spikes,
            inputs,
            arrays,
            constants,
            orders,
            stored,
            {key: values[key] for r in self.synapse_readouts.values() for key in r.keys},
            segment,
            given,
        )

    @property
    def samples(self) -> Mapping[int, Samples]:
        """Where each readout at given times is sampled, by its number."""
        return self.constants.samples

    def _shape(self, number: int, n_trials: int, size: int) -> tuple[int, ...]:
        """The shape of the values of a readout in the kernels."""
        if number not in self.samples:
            return n_trials, size
        return n_trials, len(self.samples[number].steps), size

    def _read(self, number: int, spec, array) -> np.ndarray:
        """Return a readout of states from the kernels' array."""
        if number in self.samples:
            return self.samples[number].read(array, spec)
        return array[:, spec.start : spec.stop]

    def _weight(self, number: int, spec, weight, size: int) -> np.ndarray:
        """Return dL/d(readout) as the kernels read it."""
        full = np.zeros(self._shape(number, len(weight), size), self.dtype)
        if number in self.samples:
            self.samples[number].write(weight, spec, full)
        else:
            full[:, spec.start : spec.stop] = weight
        return full

    def _checkpoints(self, shared, arrays, n_trials: int) -> int:
        """Make room for the states at the beginning of each segment; return a segment's steps."""
        recorded = [g for g in self.module.groups if g.recorded]
        if not recorded:
            return max(self.n_steps, 1)
        segment = self.segment_length([shared[g.name, "shape"][2] for g in recorded if g.rings])
        for g in recorded:
            shape = n_trials, -(-self.n_steps // segment), g.n_states, self.groups[g.name].size
            arrays[g.name, "check"] = np.empty(shape, self.dtype)
        return segment

    def segment_length(self, delays) -> int:
        """Return how many steps are recomputed at a time where the backward pass reads their
        states.

        They are several times the longest delay, so that few spikes are put on their way twice, and
        no upstroke is longer.
        """
        least = LOOKBACK if any(g.upstroke for g in self.module.groups) else 0
        steps = math.isqrt(max(self.n_steps - 1, 0)) + 1
        return max([steps, least, *(4 * int(d) for d in delays)])

    def kept_by_thread(self) -> dict:
        """Return what a thread keeps between batches."""
        return self._thread_memory.__dict__.setdefault("work", {})

    def record_memory(self, arrays):
        """Return memory for the input drive and the arrival adjoints; each thread keeps its own."""
        kept = self._thread_memory.__dict__.setdefault("record_memory", {})
        for g in self.module.groups:
            if g.rings:
                size = (len(g.in_drive) + 2 * len(g.rings)) * int(arrays[g.name, "shape"][4])
                known = kept.get((g.name, "record_memory"))
                if known is None or known.size < size:
                    kept[g.name, "record_memory"] = np.empty(size, self.dtype)
        return kept

    def _pack(self, values, inputs, n_trials):
        """Arrays that all trials share, those of this batch, constants, orders of the synapses."""
        passes = ArrayPasses(self.trial_pool)
        shared, arrays, constants, orders = self.constants(values, passes)
        for g in self.module.groups:
            size = self.groups[g.name].size
            for r in g.measured:
                arrays[g.name, f"value{r.number}"] = np.zeros(self._shape(r.number, n_trials, size))
                if r.kind == "maximum":
                    arrays[g.name, f"at{r.number}"] = np.zeros((n_trials, size), np.int32)
            for maximum in g.arrival_maxima:
                shape = n_trials, maximum.rows, size
                arrays[g.name, f"maximum_states{maximum.number}"] = np.empty(shape, self.dtype)
        for name, given in inputs.items():
            # as the kernels know the spikes of groups
            arrays[name, "ptr"], arrays[name, "i"] = given.ptr, given.neurons.astype(np.int32)
            arrays[name, "step"] = np.minimum(
                given.steps, self.n_steps, dtype=np.int32, casting="unsafe"
            )
        passes.run()
        return shared, arrays, constants, orders

    @property
    def eventful(self):
        """The pathways whose events touch more than their targets."""
        return [p for p in self.module.pathways if p.eventful]

    def _pack_synapses(self, values, n_trials: int) -> dict:
        """The states of synapses at the beginning of a trial, and room for those at the end."""
        arrays = {}
        for s in self.system.spec.synapses:
            rows = [np.broadcast_to(values[s.name, state], s.size) for state in s.states]
            arrays[s.name, "initial"] = np.array(rows, self.dtype)
            arrays[s.name, "final"] = np.empty((n_trials, *arrays[s.name, "initial"].shape))
        return arrays

    def _pack_timed_values(self, g, values, given, n_trials):
        """Values (trials, cells, columns) of each trace of a group, and where to look."""
        group, spec = g.adjoint.group, self.system.spec
        timed_values = timed_values_of(group, spec.readouts) if spec.timed else ()
        if not timed_values:
            return {}
        arrays, cells, column = {}, [], []
        for k, timed_value in enumerate(timed_values):
            timed, array = timed_input(spec, timed_value), given[timed_value.array]
            arrays[g.name, f"timed{k}"] = np.ascontiguousarray(array, self.dtype)
            grid = self.n_steps, array.shape[1], spec.dt, group.every
            cells.append(cells_on_grid(timed, timed_value, *grid))
            column.append(columns(group, timed_value, values, array.shape[2]))
        arrays[g.name, "trial"] = np.stack([rows(given[t.array], n_trials) for t in timed_values])
        arrays[g.name, "cell"], arrays[g.name, "column"] = np.stack(cells), np.stack(column)
        return arrays

    def _collect(self, found, n_trials):
        """Join the spikes of the chunks."""
        spikes, stored, passes, k = {}, {}, ArrayPasses(self.trial_pool), 0
        for g in self.module.groups:
            if not g.spikes:
                spikes[g.name] = GroupSpikes.allocate(np.zeros(n_trials, np.int64))
                continue
            parts = [chunk[k : k + 3] for chunk in found]
            counts = [chunk[k + 3] for chunk in found]
            own = GroupSpikes.allocate(counts[0] if len(counts) == 1 else np.concatenate(counts))
            whole = self._joined(parts, own, passes)
            stored |= {
                (g.name, role): x
                for role, x in zip(
                    ("spike_step", "spike_neuron", "spike_state"), whole, strict=True
                )
            }
            spikes[g.name], k = own, k + 4
        passes.run()
        for p in self.eventful:
            events, counts = ([chunk[k + place] for chunk in found] for place in (0, 1))
            stored[p.name, "events"] = np.concatenate(events)
            stored[p.name, "event_ptr"] = np.append(0, np.cumsum(np.concatenate(counts)))
            k += 2
        return spikes, stored

    def _joined(self, parts, own: GroupSpikes, passes: ArrayPasses) -> tuple[np.ndarray, ...]:
        """Return steps, neurons and states of the spikes of all chunks, and fill in `own`."""
        dt = self.system.spec.dt
        if len(parts) == 1 and len(own.times) < LONG:
            steps, own.neurons[:], _ = parts[0]
            np.multiply(steps, dt, out=own.times)
            return parts[0]
        whole = tuple(np.empty((len(own.times), *x.shape[1:]), x.dtype) for x in parts[0])
        sizes = [len(steps) for steps, _, _ in parts]
        for part, size, end in zip(parts, sizes, np.cumsum(sizes), strict=True):
            more = part, end - size, dt, whole, own.neurons, own.times
            passes.add(join_spikes, size, *more)
        return whole

    # ---- backward ----
    def backward(
        self, forward: Forward, weights, with_inputs: bool = True, floors: Mapping = {}
    ) -> Backward:
        """Return the gradient of the loss, given its derivatives in the readouts.

        Without `with_inputs`, derivatives in the times of input spikes may be left out.  ``floors``
        are the least slopes of crossings, see `Solver`.
        """
        gradients = {key: np.zeros(self.shapes[key]) for key in self.system.trained}
        timed = TimedGradients(self.module.groups, forward.arrays)
        self.sums.make_room_for(timed)
        common = self._common_arrays(forward, weights, gradients) | timed.by_trial
        common |= slope_arrays(forward.spikes, floors)

        arrays = {**forward.arrays, **forward.stored, **common}
        own = Arrays(_among(self.programs["backward"].keys, {**forward.stored, **common}))
        given = *forward.described, own
        kernel = _BackwardPass(self, given, arrays, forward.segment, with_inputs)
        sent = [own.ptr for own in (*forward.inputs.values(), *forward.spikes.values())]
        found = self.trial_pool.call(
            kernel, forward.n_trials, lambda chunk: (chunk,), sent, divisible=True,
            title="backward pass",
        )  # fmt: skip
        total = self.sums.total(len(kernel.private), self.trial_pool, forward.orders)
        orders = {**forward.orders, **dict.fromkeys(self.sums.in_order)}
        self._pull(forward.constants, orders, total, gradients)
        traces = timed.totals(total)
        gradients |= {("", name): grads.sum(axis=0).ravel() for name, grads in traces.items()}
        inputs = {i.name: common[i.name, "d_input_time"] for i in self.module.inputs}
        grazing = int(sum(found))
        adjoints = self._adjoints(lambda key: common[key])
        slopes = {name: common[name, "crossing_slope"] for name in forward.spikes}
        grads = HostGradients(gradients, self.trial_pool, grazing, slopes)
        return Backward(grads, inputs, grazing, traces, adjoints, slopes)

    def _adjoints(self, find: Callable) -> dict[int, np.ndarray]:
        """Return the adjoint variables that the backward pass has left among the weights."""
        return {
            k: self._read(k, spec, find((spec.group, f"weight{k}"))).astype(float)
            for k, spec in enumerate(self.system.spec.readouts)
            if spec.kind == "adjoint"
        }

    def _common_arrays(self, forward, weights, gradients):
        arrays = {}
        for g in self.module.groups:
            spikes = forward.spikes[g.name]
            arrays[g.name, "time"] = np.zeros(len(spikes.times))
            arrays[g.name, "tptr"] = spikes.ptr
            if g.has_count_surrogate:
                readouts = self.system.spec.readouts
                arrays[g.name, "count_surrogate"] = count_surrogates(
                    readouts, spikes, g.name, weights
                )
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                self.spike_readouts[k].gradient(
                    forward.constants[spec.group],
                    forward.spikes[spec.group],
                    weights[k],
                    arrays[spec.group, "time"],
                    gradients,
                )
            elif k in self.synapse_readouts:
                final = _final(forward.arrays, spec.group, forward.n_trials)
                seeds = arrays.setdefault((spec.group, "seeds"), np.zeros_like(final))
                self.synapse_readouts[k].gradient(
                    forward.values, final, weights[k], seeds, gradients
                )
            else:
                size = self.groups[spec.group].size
                arrays[spec.group, f"weight{k}"] = self._weight(k, spec, weights[k], size)
        for name, given in forward.inputs.items():
            arrays[name, "d_input_time"] = np.zeros(len(given.steps))
        return arrays

    @property
    def _others(self):
        """The pathways whose gradients are taken back here."""
        return self.module.pathways

    def _pull(self, constants, orders, total, gradients):
        for g in self.module.groups:
            binder, v = self.groups[g.name], constants[g.name]
            binder.gradients(
                v, total[g.name, "grad_shared"], total[g.name, "grad_neuron"], gradients
            )
            for k, state in enumerate(g.states):
                key = g.adjoint.group.start(state)
                if key in gradients:
                    gradients[key] += total[g.name, "grad_initial"][k]
            if g.fixed_period:
                binder.refractory_gradient(v, total[g.name, "grad_refractory"], gradients)
        for s in self.system.spec.synapses:
            for k, state in enumerate(s.states):
                if (s.name, state) in gradients:
                    gradients[s.name, state] += total[s.name, "grad_initial"][k]
        for name, binder in self.couplings.items():
            grads = total[name, "grad_shared"], total[name, "grad_weight"]
            binder.gradients(constants[name], *grads, gradients)
        for p in self._others:
            binder, v = self.pathways[p.name], constants[p.name]
            order = orders[p.name]
            grads = unsorted(total[p.name, "grad_weight"], order)
            binder.gradients(
                v, total[p.name, "grad_shared"], grads[: len(p.element_grads)], gradients
            )
            if p.delay_trained and p.layout.by_row:
                binder.add_row_delays(total[p.name, "grad_delay"], gradients)
            elif p.delay_trained:
                delays = unsorted(total[p.name, "grad_delay"], order)
                if p.ring:
                    delays *= v[INCREMENT]
                binder.add_delays(delays, gradients)
