"""Run the clock solver's kernels on a CUDA device.

Each trial has a block of threads, which runs its whole time loop in one launch; a large network has
several, if the device would be idle otherwise.  Arrays that a
block cannot keep on the chip lie in memory, once per block; where these are large, a batch runs in
waves of blocks.  Synapses' gradients are summed per block or per group of trials and then in a
fixed order, so two runs give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import ref

import numpy as np

from brian_eventprop.adjoint.coupling.jumps import check_crossed
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen import load_module, render_parameter_map
from brian_eventprop.codegen.cuda.network import render_cuda
from brian_eventprop.codegen.cuda.parts import connections
from brian_eventprop.codegen.cuda.stages import homes_of
from brian_eventprop.codegen.cuda.target import CLUSTER_THREADS
from brian_eventprop.plan import plan_clock
from brian_eventprop.plan.layouts import Precomputed, Queue, Tiled, choose_layouts
from brian_eventprop.reading.spec import NetworkValues
from brian_eventprop.runtime.binding.binder import CouplingBinder, binders
from brian_eventprop.runtime.clock.solver import Forward
from brian_eventprop.runtime.cuda.arrays import by_neuron, spike_table, step_pointers
from brian_eventprop.runtime.cuda.backward import CudaBackward
from brian_eventprop.runtime.cuda.device import CudaDevice
from brian_eventprop.runtime.cuda.input_copies import InputBuffers
from brian_eventprop.runtime.cuda.inputs import InputKernels
from brian_eventprop.runtime.cuda.pack import CudaPacking
from brian_eventprop.runtime.cuda.results import DeviceSpikes, Lease
from brian_eventprop.runtime.cuda.update import Held
from brian_eventprop.runtime.cuda.values import DeviceValues
from brian_eventprop.runtime.cuda.workspace import Workspace
from brian_eventprop.runtime.inputs import InputSpikes
from brian_eventprop.runtime.layouts import known_autapses
from brian_eventprop.runtime.readouts import Samples, spike_readouts, unmeasured
from brian_eventprop.runtime.synapse_readouts import synapse_readouts
from brian_eventprop.runtime.trial_pool import TrialPool

#: How long blocks that run a trial together wait for each other, in steps of one more neuron of a
#: thread: both are a few accesses to memory, one after the other.
BARRIER_COST = 1
#: Spikes per neuron and trial that there is room for at first; lists that are too short grow.
FIRST_CAPACITY = 4


class ClockCUDA(CudaBackward):
    """The clock solver on a CUDA device; see `ClockCPU`.

    Parameters
    ----------
    system, network, n_steps, single, threads
        As for `ClockCPU`; there are no threads of the CPU to choose.
    device
        Where the kernels run; by default the current CUDA device.
    """

    def __init__(
        self,
        system: AdjointSystem,
        network: NetworkValues,
        n_steps: int,
        single: bool = False,
        threads: int | None = None,
        device=None,
    ):
        del threads
        self.trial_pool = TrialPool(1)  # for what is done on the CPU before a batch
        self.device = device or CudaDevice()
        self.system, self.n_steps, self.single = system, n_steps, single
        self.dtype = np.dtype(np.float32 if single else np.float64)
        sizes = {g.name: g.size for g in (*system.spec.groups, *system.spec.inputs)}
        self.sizes, self._network = sizes, network
        self.connections, self._fixed = {}, {}
        for p in system.spec.pathways:
            self._connect(p)
        self.workspace = Workspace(self.device, self.dtype, n_steps)
        self.input_kernels = InputKernels(self.device, self.dtype, n_steps, sizes)
        self._layout = self._known_layout()
        self.module = self._render(False)
        parameter_map = load_module(render_parameter_map(system), "parameter_map")
        self.groups, self.pathways = binders(
            self.module, parameter_map, network, sizes, system.spec.dt
        )
        self.couplings = {
            c.name: CouplingBinder(c, parameter_map, system.spec.dt, network)
            for c in self.module.couplings
        }
        for c in system.couplings:
            check_crossed(c, system.spec, network.pre[c.name], network.post[c.name])
        self.shapes = {key: np.shape(value) for key, value in network.values.items()}
        self.spike_readouts = spike_readouts(system, self.groups, parameter_map)
        self.synapse_readouts = synapse_readouts(system, parameter_map)
        self._capacity = {g.name: 1 + FIRST_CAPACITY * g.size for g in self.module.groups}
        self._held_values: list[ref] = []
        self._buffers = InputBuffers(self.device)
        self._spikes_lease, self._gradients_lease = Lease(), Lease()
        self._take(self.module)

    def _take(self, module):
        """Use rendered kernels."""
        self._modules: dict[tuple[bool, int], tuple] = {}
        self.module = module
        self.held = Held(
            self.workspace, module, self.system, self.shapes, self.pathways, self.n_steps
        )
        self.packing = CudaPacking(
            module, self.groups, self.pathways, self.held, self.workspace, self.n_steps,
            self.system.spec.dt, self.couplings,
        )  # fmt: skip

    def _connect(self, p):
        """Sort the synapses of a pathway, and put the result on the device."""
        pre, post = self._network.senders(p), self._network.receivers(p)
        found = connections(pre, post, self.sizes[p.source], self.sizes[p.target])
        self.connections[p.name] = found
        for role in ("base", "bits"):
            self._fixed.pop((p.name, role), None)
            if not found.dense:
                self._fixed[p.name, role] = self.device.put(getattr(found, role))

    def reconnect(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses of a pathway, as many as before."""
        self.pathways[pathway].reconnect(pre, post)
        self._network = self._network.reconnected(pathway, pre, post)
        before, layout = self.connections[pathway], self._layout
        self._connect(next(p for p in self.system.spec.pathways if p.name == pathway))
        found = self.connections[pathway]
        self._layout = self._known_layout()
        if (found.dense, found.planes, self._layout) != (before.dense, before.planes, layout):
            self._buffers.forget()
            self._take(self._render(False))

    def _known_layout(self):
        """The layouts of the pathways, and the groups with autapses without delay."""
        autapses = known_autapses(self.system, self._network)
        found = choose_layouts(self.system, self._network, autapses)
        return {
            name: layout if isinstance(layout, Precomputed | Queue) else Tiled()
            for name, layout in found.items()
        }, autapses

    def _render(self, ring_on_chip: bool, cluster: int = 1):
        return render_cuda(
            self.system, self.connections, self.n_steps, self.single, self.device.target,
            ring_on_chip, plan_clock(self.system, *self._layout, on_device=True), cluster,
        )  # fmt: skip

    @property
    def source(self) -> str:
        """The generated kernels."""
        parts = (self.module, self.input_kernels, self.workspace, self.held)
        return "\n\n".join(part.source for part in parts)

    def compiled(self, ring_on_chip: bool, cluster: int):
        """Return the rendered module and the imported one for what is on the chip."""
        key = ring_on_chip, cluster
        if key not in self._modules:
            module = self.module if key == (False, 1) else self._render(*key)
            self._modules[key] = module, self.device.load(module.source, "clock")
        return self._modules[key]

    def _cluster(self, n_trials: int) -> int:
        """Return how many blocks run a trial: several where neurons are many and trials few.

        Enough for one neuron per thread, if the device has them; then fewer trials run at a time.
        """
        lanes = sum(32 * g.words for g in self.module.groups)
        threads = self.device.target.threads
        crowd, enough = -(-lanes // threads), -(-lanes // min(threads, CLUSTER_THREADS))
        cluster = min(enough, self.device.cores)
        waves, neurons = -(-n_trials // (self.device.cores // cluster)), -(-enough // cluster)
        return cluster if waves * (neurons + BARRIER_COST) < crowd else 1

    @property
    def memory(self) -> int:
        """Bytes on the device: of the last batch, the variables and their optimiser."""
        fixed = sum(int(np.prod(a.shape)) * a.dtype.itemsize for a in self._fixed.values())
        values = sum(r().nbytes for r in self._held_values if r() is not None)
        return self.workspace.nbytes + fixed + self._buffers.nbytes + values + self.held.nbytes

    def hold(self, arrays: Mapping) -> DeviceValues:
        """Return arrays by key that can stay on the device."""
        values = DeviceValues(self.device, arrays)
        self._held_values = [r for r in self._held_values if r() is not None] + [ref(values)]
        return values

    def prefetch(self, values, inputs: Mapping, n_trials: int, timed_values: Mapping = {}) -> None:
        """Copy the inputs of the batch that `forward` will run next while the device works."""
        host = self._inputs(inputs, n_trials)
        for g in self.module.groups:
            for pair, array in self._pack_timed_values(g, values, timed_values, n_trials).items():
                whole = array.dtype.kind == "i"
                host[pair] = array.astype(np.int32) if whole else array
        self._buffers.fill(inputs, host)

    # ---- forward ----
    def forward(
        self, values, inputs: Mapping[str, InputSpikes], n_trials: int, timed_values: Mapping = {}
    ) -> Forward:
        """Run a batch of trials; ``timed_values`` are the values of timed arrays by name."""
        values = values if isinstance(values, DeviceValues) else self.hold(values)
        self._spikes_lease.take_back()
        self._gradients_lease.take_back()
        orders = {name: found.order for name, found in self.connections.items()}
        constants, arrays = self.packing(values, orders)
        if not self._buffers.holds(inputs):
            self.prefetch(values, inputs, n_trials, timed_values)
        arrays |= self._buffers.take() | self._fixed
        needed = self._run(arrays, n_trials)
        spikes = {g.name: self._spikes(g, arrays, needed, n_trials) for g in self.module.groups}
        readouts = []
        for k, spec in enumerate(self.system.spec.readouts):
            if spec.kind == "spike_count":
                found = spikes[spec.group].per_trial()
            elif k in self.spike_readouts:
                readout, v = self.spike_readouts[k], constants.get(spec.group)
                readouts.append(readout.values(v, spikes[spec.group], n_trials))
                continue
            elif k in self.synapse_readouts:
                final = self._final_states(spec.group, arrays, n_trials)
                readouts.append(self.synapse_readouts[k].values(values, final))
                continue
            elif spec.kind == "adjoint":
                readouts.append(unmeasured(spec, n_trials))
                continue
            else:
                found = self.device.get(arrays[spec.group, f"value{k}"])[:n_trials]
            readouts.append(self._read(k, spec, found).astype(float))
        stored = {"values": values}
        return Forward(n_trials, tuple(readouts), spikes, inputs, arrays, constants, orders, stored)

    def _run(self, arrays, n_trials):
        """Run the trials until the lists of spikes are long enough; return how many there were."""
        arrays["", "blocks"] = self._cluster(n_trials)
        arrays["", "arrived"] = self.workspace.array("arrived", (n_trials,), np.int32)
        while True:
            self._outputs(arrays, n_trials)
            self._run_forward(arrays, n_trials)
            needed = {
                g.name: self.device.get(arrays[g.name, "needed"])[:n_trials]
                for g in self.module.groups
                if g.spikes
            }
            short = [g for g, n in needed.items() if n.max(initial=0) > self._capacity[g]]
            if not short:
                return needed
            for g in short:
                self._capacity[g] = 2 * max(self._capacity[g], int(needed[g].max()))

    def _inputs(self, inputs, n_trials):
        """Return the spikes of inputs as those kernels read them that need them."""
        arrays = {}
        for i in self.module.inputs:
            given = inputs[i.name]
            if i.walked:
                arrays[i.name, "spike_rows"] = spike_table(given)
                arrays[i.name, "sptr"] = step_pointers(given, n_trials, self.n_steps)
            if i.sorted:
                size = self.sizes[i.name]
                steps, bound = by_neuron(given, n_trials, size, self.n_steps)
                arrays[i.name, "given"], arrays[i.name, "bound"] = steps, bound
        return arrays

    def _outputs(self, arrays, n_trials):
        """Put the arrays that the forward pass fills into `arrays`."""
        for g in self.module.groups:
            shapes = {
                f"value{r.number}": self._shape(r.number, n_trials, g.size) for r in g.measured
            }
            shapes |= {
                f"maximum_states{r.number}": (n_trials, r.rows, g.size) for r in g.arrival_maxima
            }
            integer = {f"at{r.number}": (n_trials, g.size) for r in g.maxima}
            if g.spikes:
                capacity = self._capacity[g.name]
                shapes["stored_spike_state"] = n_trials, capacity, g.spike_columns
                integer["spike_rows"] = n_trials, capacity, 3
                integer["sptr"] = n_trials, self.n_steps + 1
                integer["final"] = n_trials, g.size
                integer["needed"] = (n_trials,)
            for role, shape in shapes.items():
                arrays[g.name, role] = self.workspace.array((g.name, role), shape)
            for role, shape in integer.items():
                arrays[g.name, role] = self.workspace.array((g.name, role), shape, np.int32)
        for p in self.eventful:
            shape, key = (n_trials, p.target.size), (p.name, "n_events")
            arrays[key] = self.workspace.array(key, shape, np.int32)
        for p in self.homes:
            if p.read_at_end:
                shape, key = (n_trials, len(p.synaptic), p.adjoint.pathway.size), (p.name, "final")
                arrays[key] = self.workspace.array(key, shape)

    @property
    def homes(self):
        """A pathway of each `Synapses` object with states that are those of no group."""
        return homes_of(self.module.pathways)

    @property
    def samples(self) -> Mapping[int, Samples]:
        """Where each readout at given times is sampled, by its number."""
        return self.packing.samples

    def _final_states(self, synapses: str, arrays, n_trials: int) -> np.ndarray:
        """Return the states of synapses at the ends of the trials; they may have none."""
        for p in self.homes:
            if p.synapses == synapses:
                return self.device.get(arrays[p.name, "final"])[:n_trials].astype(float)
        return np.empty((n_trials, 0, 0))

    def _run_forward(self, arrays, n_trials):
        """Launch the forward pass, in as many waves as memory asks for."""
        blocks = self._blocks(["forward"], {}, n_trials, arrays)
        for first in range(0, n_trials, blocks):
            count = min(blocks, n_trials - first)
            self._drive(arrays, first, count)
            self._launch("forward", arrays, first, count)

    def _drive(self, arrays, first, count):
        """Sum the input drive of some trials, as far as it is precomputed."""
        longest = self.packing.longest
        self.input_kernels.drive(self.module.pathways, longest, arrays, first, count)

    def _launch(self, name, arrays, first, count, **more):
        """Launch a kernel for the trials ``first`` to ``first + count``."""
        cluster = arrays["", "blocks"]
        ring = name != "backward" and self._ring_on_chip(cluster)
        module, kernels = self.compiled(ring, cluster)
        kernel = module.kernels[name]
        known = {"first": first, "dt": self.dtype.type(self.system.spec.dt)} | more
        arguments = [
            known[pair[1]] if not pair[0] and pair[1] in known else arrays[pair]
            for pair in kernel.arguments
        ]
        if cluster > 1:
            self.workspace.clear(arrays["", "arrived"])
        self.device.launch(
            getattr(kernels, name), count * cluster, module.threads, arguments, kernel.on_chip,
            (self.packing.ring_size, self.dtype) if ring else None, cluster,
        )  # fmt: skip

    def _ring_on_chip(self, cluster: int) -> bool:
        """Whether the rings fit on the chip, next to the other arrays of a block."""
        if cluster > 1:
            return False
        kernels = [k for name, k in self.module.kernels.items() if name != "backward"]
        used = max(
            sum(a.size * self.workspace.type_of(a).itemsize for a in k.on_chip) for k in kernels
        )
        return 0 < self.packing.ring_size * self.dtype.itemsize <= self.device.chip - 1024 - used

    def _blocks(self, names, known, n_trials, into) -> int:
        """Put the trials' arrays in memory into `into`; return how many trials run at a time."""
        cluster = into["", "blocks"]
        module = self.compiled(False, cluster)[0]
        known = known | {"ring": self.packing.ring_size}
        kernels = [module.kernels[name] for name in names if name in module.kernels]
        skip = ("ring",) if self._ring_on_chip(cluster) else ()
        most = n_trials if cluster == 1 else self.device.cores // cluster
        blocks, arrays = self.workspace.of_blocks(kernels, known, n_trials, skip, most)
        into.update(arrays)
        return blocks

    def _spikes(self, g, arrays, needed, n_trials) -> DeviceSpikes:
        """Return the spikes of a group, which are on the device."""
        if not g.spikes:
            none = np.zeros((n_trials, g.size), self.dtype)
            rows = np.zeros((n_trials, 0, 3), np.int32)
            return DeviceSpikes(
                np.zeros(n_trials), lambda: rows, lambda: none, lambda: none.sum(0), 0.0
            )
        spike_rows, final = arrays[g.name, "spike_rows"], arrays[g.name, "final"]

        def count():
            return self.held.count(spike_rows, final, g.name)

        def total():
            return self.workspace.added_up(count(), (g.name, "counts"))

        return self._spikes_lease.give(
            DeviceSpikes(
                needed[g.name],
                lambda: self.device.get(spike_rows),
                lambda: self.device.get(count()),
                total,
                self.system.spec.dt,
            )  # fmt: skip
        )
