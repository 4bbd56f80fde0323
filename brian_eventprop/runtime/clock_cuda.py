"""Run the clock solver's kernels on a CUDA device.

Each trial has a block of threads, which runs its whole time loop in one launch.  Arrays that a
block cannot keep on the chip lie in memory, once per block; where these are large, a batch runs in
waves of blocks.  Synapses' gradients are summed per block or per group of trials and then in a
fixed order, so two runs give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen import load_module, render_host
from brian_eventprop.codegen.cuda import ON_CHIP, render_cuda
from brian_eventprop.codegen.cuda_parts import connections
from brian_eventprop.reading.spec import NetworkValues
from brian_eventprop.runtime.clock_cpu import Backward, ClockCPU, Forward
from brian_eventprop.runtime.cuda_arrays import in_flight, spike_table, step_pointers
from brian_eventprop.runtime.cuda_device import CudaDevice
from brian_eventprop.runtime.cuda_workspace import PARTS, Workspace
from brian_eventprop.runtime.inputs import InputSpikes
from brian_eventprop.runtime.packing import packers
from brian_eventprop.runtime.readouts import GroupSpikes, spike_readouts

#: Spikes per neuron and trial that there is room for at first; lists that are too short grow.
FIRST_ROOM = 4


class ClockCUDA(ClockCPU):
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
        self.device = device or CudaDevice()
        self.system, self.n_steps, self.single = system, n_steps, single
        self.dtype = np.dtype(np.float32 if single else np.float64)
        sizes = {g.name: g.size for g in (*system.spec.groups, *system.spec.inputs)}
        self.sizes = sizes
        self.connections, self._fixed = {}, {}
        for p in system.spec.pathways:
            self._connect(p, network.pre[p.name], network.post[p.name])
        self._modules: dict[bool, tuple] = {}
        self.module = self._render(False)
        host = load_module(render_host(system), "host")
        self.groups, self.pathways = packers(self.module, host, network, sizes, system.spec.dt)
        self.shapes = {key: np.shape(value) for key, value in network.values.items()}
        self.spike_readouts = spike_readouts(system, self.groups, host)
        self.workspace = Workspace(self.device, self.dtype, n_steps)
        self._room = {g.name: 1 + FIRST_ROOM * g.size for g in self.module.groups}
        self._longest: dict[str, int] = {}
        self._copied = 0

    def _connect(self, p, pre, post):
        """Sort the synapses of a pathway, and put the result on the device."""
        found = connections(pre, post, self.sizes[p.source], self.sizes[p.target])
        self.connections[p.name] = found
        for role in ("base", "bits"):
            self._fixed.pop((p.name, role), None)
            if not found.dense:
                self._fixed[p.name, role] = self.device.put(getattr(found, role))

    def reconnect(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses of a pathway, as many as before."""
        super().reconnect(pathway, pre, post)
        before = self.connections[pathway]
        self._connect(next(p for p in self.system.spec.pathways if p.name == pathway), pre, post)
        found = self.connections[pathway]
        if (found.dense, found.planes) != (before.dense, before.planes):
            self._modules.clear()
            self.module = self._render(False)

    def _render(self, ring_on_chip: bool):
        return render_cuda(
            self.system, self.connections, self.n_steps, self.single, self.device.target,
            ring_on_chip,
        )  # fmt: skip

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self.module.source + "\n\n" + self.workspace.source

    def _compiled(self, ring_on_chip: bool):
        """Return the rendered module and the imported one, with the ring on the chip or not."""
        if ring_on_chip not in self._modules:
            module = self._render(ring_on_chip) if ring_on_chip else self.module
            self._modules[ring_on_chip] = module, self.device.load(module.source, "clock")
        return self._modules[ring_on_chip]

    @property
    def memory(self) -> int:
        """Bytes on the device that the last batch used."""
        fixed = sum(int(np.prod(a.shape)) * a.dtype.itemsize for a in self._fixed.values())
        return self.workspace.nbytes + fixed + self._copied

    # ---- forward ----
    def forward(
        self, values, inputs: Mapping[str, InputSpikes], n_trials: int, traces: Mapping = {}
    ) -> Forward:
        """Run a batch of trials; ``traces`` are the values of timed arrays by name."""
        constants, arrays = self._constants(values)
        arrays |= self._inputs(inputs, n_trials)
        for g in self.module.groups:
            for pair, array in self._pack_traces(g, values, traces, n_trials).items():
                whole = array.dtype.kind == "i"
                arrays[pair] = array.astype(np.int32) if whole else array
        host = {k: a for k, a in arrays.items() if isinstance(a, np.ndarray)}
        self._copied = sum(a.nbytes for a in host.values())
        arrays |= {pair: self.device.put(array) for pair, array in host.items()}
        arrays |= self._fixed
        while True:
            self._outputs(arrays, n_trials)
            self._run_forward(arrays, n_trials)
            needed = {
                g.name: self.device.get(arrays[g.name, "needed"])
                for g in self.module.groups
                if g.spikes
            }
            short = [g for g, n in needed.items() if n.max(initial=0) > self._room[g]]
            if not short:
                break
            for g in short:
                self._room[g] = 2 * max(self._room[g], int(needed[g].max()))
        spikes = self._spikes(arrays, needed, n_trials)
        readouts = []
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                readout, v = self.spike_readouts[k], constants.get(spec.group)
                readouts.append(readout.values(v, spikes[spec.group], n_trials))
            else:
                found = self.device.get(arrays[spec.group, f"value{k}"])[:n_trials]
                readouts.append(found[:, spec.start : spec.stop].astype(float))
        orders = {name: found.order for name, found in self.connections.items()}
        return Forward(n_trials, tuple(readouts), spikes, inputs, arrays, constants, orders, {})

    def _constants(self, values):
        """Return the names' values of every part, and the arrays of constants and delays."""
        constants, arrays = {}, {}
        for g in self.module.groups:
            packer = self.groups[g.name]
            v = constants[g.name] = packer.environment(values)
            arrays[g.name, "X0"] = packer.initial(values, self.dtype)
            arrays[g.name, "C"] = packer.common(v, self.dtype)
            arrays[g.name, "P"] = packer.each(v, self.dtype)
            if g.refractory:
                limit = np.iinfo(np.int32).max // 2
                steps = np.minimum(packer.refractory_steps(v), limit)
                arrays[g.name, "R"] = steps.astype(np.int32)
        narrow = np.uint16 if self.n_steps < 2**16 else np.int32
        longest = dict.fromkeys(self.groups, 0)
        for p in self.module.pathways:
            packer, order = self.pathways[p.name], self.connections[p.name].order
            v = constants[p.name] = packer.environment(values)
            steps = np.minimum(packer.steps(values), self.n_steps)
            arrays[p.name, "C"] = packer.common(v, self.dtype)
            arrays[p.name, "W"] = packer.each(v, self.dtype, order)
            arrays[p.name, "steps"] = (steps if order is None else steps[order]).astype(narrow)
            if not p.ring:
                ends = [steps.min(initial=self.n_steps), steps.max(initial=0)]
                arrays[p.name, "delays"] = np.array(ends, np.int32)
            self._longest[p.name] = int(steps.max(initial=0))
            longest[p.target.name] = max(longest[p.target.name], self._longest[p.name])
        arrays["", "shape"] = self._ring_shape(longest)
        arrays["", "times"] = (np.arange(self.n_steps + 1) * self.system.spec.dt).astype(self.dtype)
        return constants, arrays

    def _ring_shape(self, longest):
        """Return, per group, the number of slots of its rings and where each ring begins."""
        most = max((len(g.rings) for g in self.module.groups), default=0)
        shape, used = np.zeros((len(self.module.groups), 1 + most), np.int32), 0
        for g in self.module.groups:
            shape[g.number, 0] = slots = longest[g.name] + 1
            for k in range(len(g.rings)):
                shape[g.number, 1 + k] = used
                used += slots * g.size
        self._ring_size = used
        return shape

    def _inputs(self, inputs, n_trials):
        arrays = {}
        for name, given in inputs.items():
            table, final = spike_table(given, n_trials, self.sizes[name])
            arrays[name, "spk"], arrays[name, "final"] = table, final
            arrays[name, "sptr"] = step_pointers(given, n_trials, self.n_steps)
        return arrays

    def _outputs(self, arrays, n_trials):
        """Put the arrays that the way forwards fills into `arrays`."""
        for g in self.module.groups:
            shapes = {f"value{r.number}": (n_trials, g.size) for r in g.readouts}
            integer = {f"at{r.number}": (n_trials, g.size) for r in g.maxima}
            if g.spikes:
                room = self._room[g.name]
                shapes["storedval"] = n_trials, room, 2 * g.n_states + 1
                integer["spk"] = n_trials, room, 3
                integer["sptr"] = n_trials, self.n_steps + 1
                integer["final"] = n_trials, g.size
                integer["needed"] = (n_trials,)
            for role, shape in shapes.items():
                arrays[g.name, role] = self.workspace.array((g.name, role), shape)
            for role, shape in integer.items():
                arrays[g.name, role] = self.workspace.array((g.name, role), shape, np.int32)

    def _run_forward(self, arrays, n_trials):
        """Launch the way forwards, in as many waves as memory asks for."""
        blocks = self._blocks([self.module.kernels["forward"]], {}, n_trials, arrays)
        for first in range(0, n_trials, blocks):
            self._launch("forward", arrays, first, min(blocks, n_trials - first))

    def _launch(self, name, arrays, first, count, **more):
        """Launch a kernel for the trials ``first`` to ``first + count``."""
        module, kernels = self._compiled(self._ring_on_chip and name != "backward")
        kernel = module.kernels[name]
        known = {"first": first, "dt": self.dtype.type(self.system.spec.dt)} | more
        arguments = [
            known[pair[1]] if not pair[0] and pair[1] in known else arrays[pair]
            for pair in kernel.arguments
        ]
        ring = self._ring_on_chip and name != "backward"
        self.device.launch(
            getattr(kernels, name), count, module.threads, arguments, kernel.on_chip,
            (self._ring_size, self.dtype) if ring else None,
        )  # fmt: skip

    @property
    def _ring_on_chip(self) -> bool:
        """Whether the rings fit on the chip beside the other arrays of a block."""
        kernels = [k for name, k in self.module.kernels.items() if name != "backward"]
        used = max(
            sum(a.size * self.workspace.type_of(a).itemsize for a in k.on_chip) for k in kernels
        )
        return 0 < self._ring_size * self.dtype.itemsize <= ON_CHIP - 1024 - used

    def _blocks(self, kernels, known, n_trials, into) -> int:
        """Put the blocks' arrays in memory into `into`; return how many trials run at a time."""
        known = known | {"ring": self._ring_size}
        skip = ("ring",) if self._ring_on_chip else ()
        blocks, arrays = self.workspace.of_blocks(kernels, known, n_trials, skip)
        into.update(arrays)
        return blocks

    def _spikes(self, arrays, needed, n_trials):
        """Return the spikes of every group from the lists of the trials."""
        found, dt = {}, self.system.spec.dt
        for g in self.module.groups:
            counts = needed.get(g.name, np.zeros(n_trials, np.int64)).astype(np.int64)
            ptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
            rows = np.empty((0, 3), np.int32)
            if g.spikes:
                most = int(counts.max(initial=0))
                lists = self.device.get(arrays[g.name, "spk"])[:, :most]
                rows = lists[np.arange(most) < counts[:, None]]
            trials = np.repeat(np.arange(n_trials), counts)
            found[g.name] = GroupSpikes(trials, rows[:, 1].astype(np.int64), rows[:, 0] * dt, ptr)
        return found

    # ---- backward ----
    def backward(self, forward: Forward, weights, with_inputs: bool = True) -> Backward:
        """Return the gradient of the loss, given its derivatives in the readouts."""
        gradients = {key: np.zeros(self.shapes[key]) for key in self.system.trained}
        arrays = dict(forward.arrays)
        common = self._common_arrays(forward, weights, gradients)
        for (name, role), array in common.items():
            kept = array.astype(np.int32) if role == "tptr" else array.astype(self.dtype)
            arrays[name, role] = self.device.put(kept if kept.size else np.zeros(1, kept.dtype))
        self._gradient_arrays(arrays, forward.n_trials)
        self._run_backward(forward, arrays, with_inputs)
        self._pull(forward, self._total(forward, arrays), gradients)
        inputs = {
            i.name: self.device.get(arrays[i.name, "TB"])[: len(forward.inputs[i.name].steps)]
            .astype(float)
            for i in self.module.inputs
        }  # fmt: skip
        grazing = int(self.device.get(arrays["", "grazing"]).sum())
        return Backward(gradients, inputs, grazing)

    def _gradient_arrays(self, arrays, n_trials):
        """Put the arrays that the way back fills into `arrays`."""
        threads = self.module.threads
        arrays["", "grazing"] = self.workspace.array("grazing", (n_trials, threads), np.int32)
        for part in (*self.module.groups, *self.module.pathways):
            if part.common_bars:
                shape = n_trials, len(part.common_bars), threads
                arrays[part.name, "CBout"] = self.workspace.array((part.name, "CBout"), shape)
        for g in self.module.groups:
            shapes = {"X0B": (n_trials, g.n_states, g.size)}
            if g.each_bars:
                shapes["PBout"] = n_trials, len(g.each_bars), g.size
            if g.refractory:
                shapes["RBout"] = n_trials, g.size
            for role, shape in shapes.items():
                arrays[g.name, role] = self.workspace.array((g.name, role), shape)

    def _run_backward(self, forward, arrays, with_inputs):
        """Run the adjoint in waves of trials; return the synapses' gradients."""
        module = self.module
        kernels = [k for name, k in module.kernels.items() if name != "forward"]
        known = self._rows_in_flight(forward, with_inputs)
        blocks = self._blocks(kernels, known, forward.n_trials, arrays)
        for p in module.pathways:
            size = p.adjoint.pathway.size
            if p.ring:
                arrays[p.name, "sums"] = self.workspace.array((p.name, "sums"), (PARTS, 2, size))
            for role in ("sums", "WB_all", "DB_all"):
                if (p.name, role) in arrays:
                    self.workspace.clear(arrays[p.name, role])
        for first in range(0, forward.n_trials, blocks):
            count = min(blocks, forward.n_trials - first)
            if module.rerun:
                self._launch("record", arrays, first, count)
            self._launch("backward", arrays, first, count, with_inputs=with_inputs)
            for p in module.pathways:
                if p.ring and p.adjoint.pathway.size:
                    self.workspace.collect(p, arrays, self.sizes, first, count)

    def _rows_in_flight(self, forward, with_inputs) -> dict[str, int]:
        """Return how many spikes of each queued pathway can be under way at a time."""
        found = {}
        for p in self.module.pathways:
            if p.ring:
                continue
            if p.source.is_input:
                given = forward.inputs[p.source.name]
                trials = np.repeat(np.arange(forward.n_trials), np.diff(given.ptr))
                steps = given.steps
            else:
                spikes = forward.spikes[p.source.name]
                trials = spikes.trials
                steps = np.round(spikes.times / self.system.spec.dt).astype(np.int64)
            wanted = with_inputs or not p.source.is_input
            most = in_flight(trials, steps, self._longest[p.name]) if wanted else 1
            found[p.name] = 1 << max(most - 1, 0).bit_length()
        return found

    def _total(self, forward, arrays):
        """Return the sums over trials of all gradients, as `ClockCPU` names them."""

        def added_up(name, role):
            return self.workspace.added_up(arrays[name, role], (name, role))

        total = {}
        for part in (*self.module.groups, *self.module.pathways):
            total[part.name, "CB"] = np.zeros(len(part.common_bars))
            if part.common_bars:
                total[part.name, "CB"] = added_up(part.name, "CBout").sum(axis=1)
        for g in self.module.groups:
            total[g.name, "PB"] = np.zeros((0, g.size))
            for role, name in {"X0B": "X0B", "PBout": "PB", "RBout": "RB"}.items():
                if (g.name, role) in arrays:
                    total[g.name, name] = added_up(g.name, role)
        for p in self.module.pathways:
            if not p.adjoint.pathway.size:
                total[p.name, "WB"] = np.zeros((max(len(p.each_bars), 1), 0))
                total[p.name, "DB"] = np.zeros(0)
            elif p.ring:
                bars = added_up(p.name, "sums")
                total[p.name, "WB"], total[p.name, "DB"] = bars[:1], bars[1]
            else:
                total[p.name, "WB"] = added_up(p.name, "WB_all")
                if p.delay_trained:
                    total[p.name, "DB"] = added_up(p.name, "DB_all")
        return total
