"""Run the clock solver's kernels on the CPU.

A batch is cut into a fixed number of chunks of trials; each chunk has gradients of its own, summed
in the order of the chunks, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.adjoint.system import STATE_READOUTS, AdjointSystem
from brian_eventprop.codegen import load_module, render_clock, render_host
from brian_eventprop.reading.spec import Key, NetworkValues
from brian_eventprop.runtime.inputs import InputSpikes
from brian_eventprop.runtime.packing import packers
from brian_eventprop.runtime.readouts import GroupSpikes, SpikeReadout

#: Largest number of chunks that a batch is cut into.
CHUNKS = 8


@dataclass
class Forward:
    """What a forward run leaves for the loss and for the way back."""

    n_trials: int
    readouts: tuple[np.ndarray, ...]
    spikes: dict[str, GroupSpikes]
    inputs: Mapping[str, InputSpikes]
    arrays: dict[tuple[str, str], np.ndarray] = field(repr=False)
    constants: dict[str, dict] = field(repr=False)
    orders: dict[str, np.ndarray] = field(repr=False)


@dataclass
class Backward:
    """Gradients by key, dL/d(time) of each input spike, and the number of grazing spikes."""

    gradients: dict[Key, np.ndarray]
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
        self.module = render_clock(system, single)
        self.host_source = render_host(system)
        self.kernels = load_module(self.module.source, "clock")
        host = load_module(self.host_source, "host")
        dt = system.spec.dt
        sizes = {g.name: g.size for g in (*system.spec.groups, *system.spec.inputs)}
        self.groups, self.pathways = packers(self.module, host, network, sizes, dt)
        self.shapes = {key: np.shape(value) for key, value in network.values.items()}
        self.spike_readouts = {
            k: SpikeReadout(k, r, self.groups[r.group], host)
            for k, r in enumerate(system.spec.readouts)
            if r.kind not in STATE_READOUTS
        }
        self.threads = threads or len(os.sched_getaffinity(0))
        self._pool: ThreadPoolExecutor | None = None
        self._pid = None

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self.module.source

    # ---- forward ----
    def forward(self, values, inputs: Mapping[str, InputSpikes], n_trials: int) -> Forward:
        """Run a batch of trials."""
        arrays, constants, orders = self._pack(values, inputs, n_trials)
        empty = {**self._private_arrays(0), **self._no_weights()}
        pairs = (*self.module.arguments, *self.module.gradients)
        arguments = [(arrays if pair in arrays else empty)[pair] for pair in pairs]
        found = self._chunks(False, n_trials, lambda _: arguments)
        spikes = self._collect(found, n_trials)
        readouts = []
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                v = constants.get(spec.group)
                readout = self.spike_readouts[k]
                readouts.append(readout.values(v, spikes[spec.group], n_trials))
            else:
                readouts.append(arrays[spec.group, f"value{k}"][:, spec.start : spec.stop])
        return Forward(n_trials, tuple(readouts), spikes, inputs, arrays, constants, orders)

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
        for name, given in inputs.items():
            arrays[name, "ptr"], arrays[name, "step"] = given.ptr, given.steps
            arrays[name, "i"] = given.neurons
        for p in self.module.pathways:
            packer = self.pathways[p.name]
            v = constants[p.name] = packer.environment(values)
            order, post, rows, steps, start = packer.layout(values)
            orders[p.name] = order
            arrays[p.name, "C"] = packer.common(v, self.dtype)
            arrays[p.name, "W"] = packer.each(v, self.dtype, order)
            roles = ("post", "rows", "steps", "start")
            for role, array in zip(roles, (post, rows, steps, start), strict=True):
                arrays[p.name, role] = array
        return arrays, constants, orders

    def _collect(self, found, n_trials):
        spikes = {}
        spiking = [g for g in self.module.groups if g.spikes]
        dt = self.system.spec.dt
        for k, g in enumerate(spiking):
            rows = np.concatenate([chunk[k] for chunk in found]) if found else np.empty((0, 3), int)
            trials = rows[:, 0].astype(np.int64)
            ptr = np.searchsorted(trials, np.arange(n_trials + 1)).astype(np.int64)
            spikes[g.name] = GroupSpikes(trials, rows[:, 2].astype(np.int64), rows[:, 1] * dt, ptr)
        for g in self.module.groups:
            if not g.spikes:
                none = np.empty(0, np.int64)
                ptr = np.zeros(n_trials + 1, np.int64)
                spikes[g.name] = GroupSpikes(none, none, np.empty(0), ptr)
        return spikes

    # ---- backward ----
    def backward(self, forward: Forward, weights: tuple[np.ndarray, ...]) -> Backward:
        """Return the gradient of the loss, given its derivatives in the readouts."""
        gradients = {key: np.zeros(self.shapes[key]) for key in self.system.trained}
        common = self._common_arrays(forward, weights, gradients)
        private = []

        def arguments(_):
            own = self._private_arrays()
            private.append(own)
            arrays = {**forward.arrays, **common, **own}
            return [arrays[pair] for pair in (*self.module.arguments, *self.module.gradients)]

        found = self._chunks(True, forward.n_trials, arguments)
        total = private[0] if private else self._private_arrays()
        for other in private[1:]:
            for pair, array in other.items():
                total[pair] += array
        self._pull(forward, total, gradients)
        inputs = {i.name: common[i.name, "TB"] for i in self.module.inputs}
        return Backward(gradients, inputs, int(sum(chunk[-1] for chunk in found)))

    def _common_arrays(self, forward, weights, gradients):
        arrays = {}
        for g in self.module.groups:
            spikes = forward.spikes[g.name]
            arrays[g.name, "time"] = np.zeros(len(spikes.times))
            arrays[g.name, "tptr"] = spikes.ptr
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

    def _private_arrays(self, scale: int = 1):
        """Arrays that a chunk of trials adds to; with ``scale=0`` empty ones."""
        arrays = {}
        for g in self.module.groups:
            size = scale * self.groups[g.name].size
            arrays[g.name, "CB"] = np.zeros(len(g.common_bars))
            arrays[g.name, "PB"] = np.zeros((len(g.each_bars), size))
            arrays[g.name, "X0B"] = np.zeros((g.n_states, size))
            if g.refractory:
                arrays[g.name, "RB"] = np.zeros(size)
        for p in self.module.pathways:
            size = scale * self.pathways[p.name].size
            arrays[p.name, "CB"] = np.zeros(len(p.common_bars))
            arrays[p.name, "WB"] = np.zeros((len(p.each_bars), size))
            arrays[p.name, "DB"] = np.zeros(size if p.delay_trained else 0)
        return arrays

    def _no_weights(self):
        """Empty arrays in place of what only the way back reads."""
        arrays = {}
        for g in self.module.groups:
            arrays[g.name, "time"], arrays[g.name, "tptr"] = np.empty(0), np.empty(0, np.int64)
            for r in g.readouts:
                arrays[g.name, f"weight{r.number}"] = np.empty((0, 0), self.dtype)
        for i in self.module.inputs:
            arrays[i.name, "TB"] = np.empty(0)
        return arrays

    def _pull(self, forward, total, gradients):
        for g in self.module.groups:
            packer, v = self.groups[g.name], dict(forward.constants[g.name])
            packer.gradients(v, total[g.name, "CB"], total[g.name, "PB"], gradients)
            for k, state in enumerate(g.states):
                if (g.name, state) in gradients:
                    gradients[g.name, state] += total[g.name, "X0B"][k]
            if g.refractory:
                packer.refractory_gradient(v, total[g.name, "RB"], gradients)
        for p in self.module.pathways:
            packer, v = self.pathways[p.name], dict(forward.constants[p.name])
            order = forward.orders[p.name]
            bars = np.empty_like(total[p.name, "WB"])
            bars[:, order] = total[p.name, "WB"]
            packer.gradients(v, total[p.name, "CB"], bars, gradients)
            if p.delay_trained:
                delays = np.empty(packer.size)
                delays[order] = total[p.name, "DB"]
                into = gradients[packer.delay]
                into += delays if len(into) == packer.size and packer.size > 1 else np.sum(delays)

    # ---- threads ----
    def _chunks(self, record, n_trials, arguments):
        """Call the kernel for every chunk of trials; the chunks do not depend on the threads."""
        kernel = self.kernels.trials
        bounds = np.unique(np.linspace(0, n_trials, min(CHUNKS, n_trials) + 1).astype(np.int64))
        calls = [
            (first, last, self.n_steps, self.system.spec.dt, record, *arguments(first))
            for first, last in zip(bounds[:-1], bounds[1:], strict=True)
        ]
        if self.threads == 1 or len(calls) == 1:
            return [kernel(*call) for call in calls]
        # the first call compiles; doing so in several threads at once would only wait for a lock
        if not kernel.signatures:
            return [kernel(*calls[0]), *self._executor().map(lambda c: kernel(*c), calls[1:])]
        return list(self._executor().map(lambda call: kernel(*call), calls))

    def _executor(self):
        """Return the pool of threads, a new one after a fork."""
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(self.threads), os.getpid()
        return self._pool
