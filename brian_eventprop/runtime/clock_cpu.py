"""Run the clock solver's kernels on the CPU.

A batch is cut into a fixed number of chunks of trials; each chunk has gradients of its own, summed
in the order of the chunks, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from brian_eventprop.adjoint.pathways import INCREMENT
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen import load_module, render_clock, render_host
from brian_eventprop.codegen.upstrokes import LOOKBACK
from brian_eventprop.reading.spec import NetworkValues
from brian_eventprop.runtime.chunks import Chunks, completed
from brian_eventprop.runtime.host_update import HostGradients
from brian_eventprop.runtime.inputs import InputSpikes, on_grid
from brian_eventprop.runtime.layouts import known_ahead, known_autapses, known_streamed, ring_shape
from brian_eventprop.runtime.packing import packers, unsorted, whole_rows
from brian_eventprop.runtime.passes import Passes, join_spikes
from brian_eventprop.runtime.readouts import GroupSpikes, pushes, spike_readouts
from brian_eventprop.runtime.sums import ChunkSums
from brian_eventprop.runtime.traces import cells_on_grid, columns, rows, timed_input, traces_of


@dataclass
class Forward:
    """What a forward run leaves for the loss and for the way back."""

    n_trials: int
    readouts: tuple[np.ndarray, ...]
    spikes: dict[str, GroupSpikes]
    inputs: Mapping[str, InputSpikes]
    arrays: dict[tuple[str, str], np.ndarray] = field(repr=False)
    constants: dict[str, dict] = field(repr=False)
    orders: dict[str, np.ndarray | None] = field(repr=False)
    stored: dict[tuple[str, str], np.ndarray] = field(repr=False)
    segment: int = 0


@dataclass
class Backward:
    """Gradients by key, dL/d(time) of each input spike, and the number of grazing spikes."""

    gradients: HostGradients
    inputs: dict[str, np.ndarray]
    grazing: int


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
    """

    def __init__(
        self,
        system: AdjointSystem,
        network: NetworkValues,
        n_steps: int,
        single: bool = False,
        threads: int | None = None,
    ):
        self.system, self.n_steps = system, n_steps
        self.dtype = np.float32 if single else np.float64
        self.host_source = render_host(system)
        self._host = load_module(self.host_source, "host")
        self.shapes = {key: np.shape(value) for key, value in network.values.items()}
        self.chunks = Chunks(threads)
        self._network, self._whole, self._autapses = network, None, None
        self._build()

    def _build(self) -> None:
        """Render the kernels, unless they fit the connections already."""
        spec, network = self.system.spec, self._network
        sizes = {g.name: g.size for g in (*spec.groups, *spec.inputs)}
        whole = whole_rows(spec, network, sizes, self.system.trained)
        autapses = known_autapses(self.system, network)
        if (whole, autapses) == (self._whole, self._autapses):
            return
        self._whole, self._autapses = whole, autapses
        ahead = known_ahead(spec, whole)
        layout = whole, ahead, known_streamed(spec, whole | ahead), autapses
        self.module = render_clock(self.system, self.dtype == np.float32, *layout)
        self.kernels = load_module(self.module.source, "clock")
        self.groups, self.pathways = packers(self.module, self._host, network, sizes, spec.dt)
        self.spike_readouts = spike_readouts(self.system, self.groups, self._host)
        self._sums = ChunkSums(self.module, self.groups, self.pathways, self.dtype)
        self._rooms = threading.local()

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self.module.source

    def prepare(self, name: str, data) -> InputSpikes:
        """Return the input spikes of a batch on the time grid."""
        dt = self.system.spec.dt
        return on_grid(data.times, data.channels, data.trial_ptr, dt, self.n_steps, name)

    def reconnect(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses of a pathway, as many as before."""
        self.pathways[pathway].reconnect(pre, post)
        self._network = self._network.reconnected(pathway, pre, post)
        self._build()
        self._sums.make_room()

    def hold(self, arrays: Mapping) -> Mapping:
        """Return arrays by key as this solver wants to have them."""
        return arrays

    def look_ahead(self, *batch) -> None:
        """Nothing is gained by preparing the next batch early on the CPU."""
        del batch

    # ---- forward ----
    def forward(
        self, values, inputs: Mapping[str, InputSpikes], n_trials: int, traces: Mapping = {}
    ) -> Forward:
        """Run a batch of trials; ``traces`` are the values of timed arrays by name."""
        arrays, constants, orders = self._pack(values, inputs, n_trials)
        for g in self.module.groups:
            arrays |= self._pack_traces(g, values, traces, n_trials)
        segment = self._checkpoints(arrays, n_trials)
        grid = (self.n_steps, self.system.spec.dt, segment)
        complete = completed(grid, self.module.arguments, arrays)

        def arguments(_):
            return complete(self._room(arrays))

        given = [own.ptr for own in inputs.values()]
        found = self.chunks.call(self.kernels.forward, n_trials, arguments, given, summed=False)
        spikes, stored = self._collect(found, n_trials)
        readouts = []
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                v = constants.get(spec.group)
                readout = self.spike_readouts[k]
                readouts.append(readout.values(v, spikes[spec.group], n_trials))
            else:
                readouts.append(arrays[spec.group, f"value{k}"][:, spec.start : spec.stop])
        return Forward(
            n_trials, tuple(readouts), spikes, inputs, arrays, constants, orders, stored, segment
        )

    def _checkpoints(self, arrays, n_trials: int) -> int:
        """Make room for the states at the beginning of each segment; return a segment's steps."""
        recorded = [g for g in self.module.groups if g.recorded]
        if not recorded:
            return max(self.n_steps, 1)
        segment = self._segment([arrays[g.name, "shape"][2] for g in recorded if g.rings])
        for g in recorded:
            shape = n_trials, -(-self.n_steps // segment), g.n_states, self.groups[g.name].size
            arrays[g.name, "check"] = np.empty(shape, self.dtype)
        return segment

    def _segment(self, delays) -> int:
        """Return how many steps are run again at a time where the way back reads their states.

        They are several times the longest delay, so that few spikes are put on their way twice, and
        no upstroke is longer.
        """
        least = LOOKBACK if any(g.upstroke for g in self.module.groups) else 0
        steps = math.isqrt(max(self.n_steps - 1, 0)) + 1
        return max([steps, least, *(4 * int(d) for d in delays)])

    def _room(self, arrays):
        """Return memory for what arrives at the groups and its worth; each thread keeps its own."""
        rooms = self._rooms.__dict__
        for g in self.module.groups:
            if g.rings:
                size = (len(g.driven) + 2 * len(g.rings)) * int(arrays[g.name, "shape"][4])
                known = rooms.get((g.name, "room"))
                if known is None or known.size < size:
                    rooms[g.name, "room"] = np.empty(size, self.dtype)
        return rooms

    def _pack(self, values, inputs, n_trials):
        arrays, constants, orders = {}, {}, {}
        for g in self.module.groups:
            packer = self.groups[g.name]
            v = constants[g.name] = packer.environment(values)
            arrays[g.name, "X0"] = packer.initial(values, self.dtype)
            arrays[g.name, "C"] = packer.common(v, self.dtype)
            arrays[g.name, "P"] = packer.each(v, self.dtype)
            if g.refractory:
                arrays[g.name, "R"] = packer.refractory_steps(v)
            for r in g.readouts:
                arrays[g.name, f"value{r.number}"] = np.zeros((n_trials, packer.size))
                if r.kind == "maximum":
                    arrays[g.name, f"at{r.number}"] = np.zeros((n_trials, packer.size), np.int32)
            for top in g.tops:
                shape = n_trials, top.rows, packer.size
                arrays[g.name, f"top{top.top.number}"] = np.empty(shape, self.dtype)
        for name, given in inputs.items():
            # as the kernels know the spikes of groups
            arrays[name, "ptr"], arrays[name, "i"] = given.ptr, given.neurons.astype(np.int32)
            arrays[name, "step"] = np.minimum(
                given.steps, self.n_steps, dtype=np.int32, casting="unsafe"
            )
        passes = Passes(self.chunks)
        delays = {
            p.name: self.pathways[p.name].delays(values) for p in self.module.pathways if p.ring
        }
        for g in self.module.groups:
            if g.rings:
                names = [p.name for p in self.module.pathways if p.target is g]
                arriving = [self.pathways[name] for name in names]
                longest = [self.pathways[name].longest(delays[name]) for name in names]
                size = self.groups[g.name].size
                arrays[g.name, "shape"] = ring_shape(g.name, arriving, longest, size, self.n_steps)
        for p in self.module.pathways:
            v = constants[p.name] = self.pathways[p.name].environment(values)
            orders[p.name] = self._pack_pathway(p, v, values, delays.get(p.name), arrays, passes)
        passes.run()
        return arrays, constants, orders

    def _pack_traces(self, g, values, given, n_trials):
        """Values (trials, cells, columns) of each trace of a group, and where to look."""
        group, spec = g.adjoint.group, self.system.spec
        traces = traces_of(group, spec.readouts)
        if not traces:
            return {}
        arrays, cells, column = {}, [], []
        for k, trace in enumerate(traces):
            timed, array = timed_input(spec, trace), given[trace.array]
            arrays[g.name, f"trace{k}"] = np.ascontiguousarray(array, self.dtype)
            cells.append(cells_on_grid(timed, trace, self.n_steps, array.shape[1], spec.dt))
            column.append(columns(group, trace, values, array.shape[2]))
        arrays[g.name, "trial"] = np.stack([rows(given[t.array], n_trials) for t in traces])
        arrays[g.name, "cell"], arrays[g.name, "column"] = np.stack(cells), np.stack(column)
        return arrays

    def _pack_pathway(self, p, v, values, delays, arrays, passes):
        """Pack a pathway; return the order of its synapses' gradients."""
        packer = self.pathways[p.name]
        if p.whole:
            layout = packer.row_layout(delays, self.n_steps)
            order = back = layout.pop("order")
        elif p.streamed:
            shape = arrays[p.target.name, "shape"]
            layout = packer.lane_layout(delays, shape, self.n_steps, passes)
            order = back = layout.pop("order")
        elif p.ring:
            shape = arrays[p.target.name, "shape"]
            layout = packer.tile_layout(delays, shape, self.n_steps, passes)
            order = back = layout.pop("order")
            if not p.ahead:
                layout |= packer.ring_layout(delays, shape, self.n_steps, passes)
                order = layout.pop("order")
        else:
            order, post, rows, steps, start = packer.layout(values)
            back, layout = order, {"post": post, "rows": rows, "steps": steps, "start": start}
        arrays[p.name, "C"] = packer.common(v, self.dtype)
        arrays[p.name, "W"] = packer.each(v, self.dtype, order, passes)
        arrays[p.source.name, "n"] = np.array([packer.n_source], np.int64)
        for role, array in layout.items():
            arrays[p.name, role] = array
        return back

    def _collect(self, found, n_trials):
        """Join the spikes of the chunks."""
        silent = np.zeros(n_trials, np.int64)
        spikes = {g.name: GroupSpikes.room(silent) for g in self.module.groups}
        stored, passes = {}, Passes(self.chunks)
        for k, g in enumerate(g for g in self.module.groups if g.spikes):
            parts = [chunk[4 * k : 4 * k + 3] for chunk in found]
            counts = np.concatenate([chunk[4 * k + 3] for chunk in found])
            own = spikes[g.name] = GroupSpikes.room(counts)
            whole = tuple(np.empty((own.ptr[-1], *x.shape[1:]), x.dtype) for x in parts[0])
            stored |= {
                (g.name, role): x for role, x in zip(("sn", "sj", "val"), whole, strict=True)
            }
            sizes = [len(steps) for steps, _, _ in parts]
            for part, size, end in zip(parts, sizes, np.cumsum(sizes), strict=True):
                more = part, end - size, self.system.spec.dt, whole, own.neurons, own.times
                passes.add(join_spikes, size, *more)
        passes.run()
        return spikes, stored

    # ---- backward ----
    def backward(self, forward: Forward, weights, with_inputs: bool = True) -> Backward:
        """Return the gradient of the loss, given its derivatives in the readouts.

        Without `with_inputs`, derivatives in the times of input spikes may be left out.
        """
        gradients = {key: np.zeros(self.shapes[key]) for key in self.system.trained}
        common = self._common_arrays(forward, weights, gradients)

        arrays = {**forward.arrays, **forward.stored, **common}
        grid = (self.n_steps, self.system.spec.dt, forward.segment, with_inputs)
        complete = completed(grid, (*self.module.arguments, *self.module.gradients), arrays)
        private: dict[int, dict] = {}

        def arguments(chunk):
            if chunk not in private:
                private[chunk] = self._sums.arrays(chunk)
            return complete(private[chunk] | self._room(arrays))

        sent = [own.ptr for own in (*forward.inputs.values(), *forward.spikes.values())]
        kernel = self.kernels.backward
        found = self.chunks.call(kernel, forward.n_trials, arguments, sent, divisible=True)
        total = self._sums.total(len(private), self.chunks, forward.orders)
        orders = {**forward.orders, **dict.fromkeys(self._sums.in_order)}
        self._pull(replace(forward, orders=orders), total, gradients)
        inputs = {i.name: common[i.name, "TB"] for i in self.module.inputs}
        return Backward(HostGradients(gradients, self.chunks), inputs, int(sum(found)))

    def _common_arrays(self, forward, weights, gradients):
        arrays = {}
        for g in self.module.groups:
            spikes = forward.spikes[g.name]
            arrays[g.name, "time"] = np.zeros(len(spikes.times))
            arrays[g.name, "tptr"] = spikes.ptr
            if g.pushed:
                readouts = self.system.spec.readouts
                arrays[g.name, "push"] = pushes(readouts, spikes, g.name, weights)
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                self.spike_readouts[k].gradient(
                    forward.constants[spec.group],
                    forward.spikes[spec.group],
                    weights[k],
                    arrays[spec.group, "time"],
                    gradients,
                )
            else:
                full = np.zeros((forward.n_trials, self.groups[spec.group].size), self.dtype)
                full[:, spec.start : spec.stop] = weights[k]
                arrays[spec.group, f"weight{k}"] = full
        for name, given in forward.inputs.items():
            arrays[name, "TB"] = np.zeros(len(given.steps))
        return arrays

    @property
    def _others(self):
        """The pathways whose gradients are pulled back here."""
        return self.module.pathways

    def _pull(self, forward, total, gradients):
        for g in self.module.groups:
            packer, v = self.groups[g.name], dict(forward.constants[g.name])
            packer.gradients(v, total[g.name, "CB"], total[g.name, "PB"], gradients)
            for k, state in enumerate(g.states):
                if (g.name, state) in gradients:
                    gradients[g.name, state] += total[g.name, "X0B"][k]
            if g.refractory:
                packer.refractory_gradient(v, total[g.name, "RB"], gradients)
        for p in self._others:
            packer, v = self.pathways[p.name], dict(forward.constants[p.name])
            order = forward.orders[p.name]
            bars = unsorted(total[p.name, "WB"], order)
            packer.gradients(v, total[p.name, "CB"], bars[: len(p.each_bars)], gradients)
            if p.delay_trained and p.whole:
                packer.add_row_delays(total[p.name, "DB"], gradients)
            elif p.delay_trained:
                delays = unsorted(total[p.name, "DB"], order)
                if p.ring:
                    delays *= v[INCREMENT]
                packer.add_delays(delays, gradients)
