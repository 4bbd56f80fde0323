"""The backward pass on a CUDA device: what goes in, the launches, and the sums that come out.

Synapses' gradients are summed per block or per group of trials and then in a fixed order, so two
runs give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from brian_eventprop.adjoint.groups import PERIOD
from brian_eventprop.runtime.binding.binder import unsorted
from brian_eventprop.runtime.clock.solver import ClockCPU, Forward
from brian_eventprop.runtime.cuda.arrays import in_flight, timed_gradients, unsorted_spikes
from brian_eventprop.runtime.cuda.results import DeviceBackward, DeviceGradients
from brian_eventprop.runtime.cuda.workspace import PARTS


class CudaBackward(ClockCPU):
    """What `ClockCUDA` does for the gradient; it has the device, the kernels and the memory."""

    def backward(
        self, forward: Forward, weights, with_inputs: bool = True, floors: Mapping = {}
    ) -> DeviceBackward:
        """Return the gradient of the loss, given its derivatives in the readouts.

        The kernels run on while the host goes on; it waits when it looks a number up.  They have no
        ``floors`` for slopes, which a model refuses before it comes to this.
        """
        if floors:
            raise ValueError("the kernels of CUDA have no least slopes of crossings")
        self._gradients_lease.take_back()
        others = [key for key in self.system.trained if key not in self.held.keys]
        gradients = {key: np.zeros(self.shapes[key]) for key in others}
        arrays = dict(forward.arrays)
        arrays |= self._weights(forward, weights, gradients)
        self._gradient_arrays(arrays, forward, with_inputs)
        self._run_backward(forward, arrays, with_inputs)
        values = forward.stored["values"]
        there = self.held.vjp(values, arrays, forward.constants, forward.orders)

        # whoever holds the gradients does not hold the spikes
        lean = replace(forward, spikes={}, arrays={}, stored={})

        def traces():
            return timed_gradients(self.module.groups, arrays, self.device.get)

        def rest():
            self._pull(lean.constants, lean.orders, self._total(arrays), gradients)
            own = {("", name): grads.sum(axis=0).ravel() for name, grads in traces().items()}
            return gradients | own

        def inputs():
            return {
                name: self._input_times(arrays, name, given) for name, given in lean.inputs.items()
            }

        def grazing():
            return int(self.device.get(arrays["", "grazing"]).sum())

        def adjoints():
            n_trials = lean.n_trials
            return self._adjoints(lambda key: self.device.get(arrays[key])[:n_trials])

        found = DeviceGradients(self.system.trained, there, rest, self.held, values, grazing)
        found = self._gradients_lease.give(found)
        return DeviceBackward(found, inputs, grazing, traces, adjoints)

    def _weights(self, forward, weights, gradients):
        """Return dL/d(what a readout measures) as the kernels read it, on the device."""
        n_trials, host = forward.n_trials, {}
        for g in self.module.groups:
            if g.timed:
                spikes = forward.spikes[g.name]
                host[g.name, "time"] = np.zeros(len(spikes.times))
                host[g.name, "tptr"] = spikes.ptr.astype(np.int32)
            if g.has_count_surrogate:
                host[g.name, "count_surrogate"] = np.zeros((n_trials, g.size))
        for k, (spec, weight) in enumerate(zip(self.system.spec.readouts, weights, strict=True)):
            if spec.kind == "spike_count":
                if spec.scale is not None:
                    host[spec.group, "count_surrogate"][:, spec.start : spec.stop] += (
                        weight / spec.scale
                    )
            elif k in self.spike_readouts:
                v, spikes = forward.constants[spec.group], forward.spikes[spec.group]
                into = host[spec.group, "time"]
                self.spike_readouts[k].gradient(v, spikes, weight, into, gradients)
            elif k in self.synapse_readouts:
                self._seed(k, spec.group, forward, weight, host, gradients)
            else:
                size = self.groups[spec.group].size
                host[spec.group, f"weight{k}"] = self._weight(k, spec, weight, size)
        kept = {k: a if a.dtype == np.int32 else a.astype(self.dtype) for k, a in host.items()}
        return {key: self.workspace.put(key, array) for key, array in kept.items()}

    def _seed(self, k, synapses, forward, weight, host, gradients):
        """Add dL/d(states of synapses at the end) of a readout to what the kernels are given."""
        final = self._final_states(synapses, forward.arrays, forward.n_trials)
        seeds, home = np.zeros_like(final), None
        for p in self.homes:
            if p.synapses == synapses:
                home = p.name, "seeds"
                seeds = host.setdefault(home, seeds)
        values = forward.stored["values"]
        self.synapse_readouts[k].gradient(values, final, weight, seeds, gradients)

    def _events(self, arrays, n_trials):
        """Put on the device where the events of each target begin; return how many there are."""
        known = {}
        for p in self.eventful:
            counts = self.device.get(arrays[p.name, "n_events"])[:n_trials]
            first = np.zeros((n_trials, p.target.size + 1), np.int32)
            np.cumsum(counts, axis=1, out=first[:, 1:])
            arrays[p.name, "first_event"] = self.workspace.put((p.name, "first_event"), first)
            known[f"events of {p.name}"] = max(int(first[:, -1].max(initial=0)), 1)
        return known

    def _input_times(self, arrays, name, given):
        """Return dL/d(time) of each spike of an input, on the host."""
        n, total = len(given.steps), np.zeros(len(given.steps))
        if (name, "d_input_time") in arrays:
            total += self.device.get(arrays[name, "d_input_time"])[:n]
        if (name, "d_sorted_time") in arrays:
            total += unsorted_spikes(given, self.device.get(arrays[name, "d_sorted_time"]))
        return total

    def _gradient_arrays(self, arrays, forward, with_inputs):
        """Put the arrays that the backward pass fills into `arrays`."""
        n_trials = forward.n_trials
        for i in self.module.inputs:
            size = len(forward.inputs[i.name].steps) if with_inputs else 1
            for role in ("d_input_time",) * i.queued + ("d_sorted_time",) * i.sorted:
                arrays[i.name, role] = self.workspace.array((i.name, role), (size,))
                self.workspace.clear(arrays[i.name, role])
        cluster = arrays["", "blocks"]
        threads = cluster * self.compiled(False, cluster)[0].threads
        arrays["", "grazing"] = self.workspace.array("grazing", (n_trials, threads), np.int32)
        for part in (*self.module.groups, *self.module.pathways, *self.module.couplings):
            if part.shared_grads:
                shape = n_trials, len(part.shared_grads), threads
                arrays[part.name, "grad_shared_out"] = self.workspace.array(
                    (part.name, "grad_shared_out"), shape
                )
        for g in self.module.groups:
            shapes = {"grad_initial": (n_trials, g.n_states, g.size)}
            if g.element_grads:
                shapes["grad_neuron_out"] = n_trials, len(g.element_grads), g.size
            if g.fixed_period:
                shapes["grad_refractory_out"] = n_trials, g.size
            for role in g.timed_gradients:
                cells = arrays[g.name, role.removeprefix("grad_")].shape[1]
                found = self.workspace.array((g.name, role), (n_trials, cells, g.size))
                self.workspace.clear(found)
                arrays[g.name, role] = found
            for role, shape in shapes.items():
                arrays[g.name, role] = self.workspace.array((g.name, role), shape)
        for p in self.homes:
            shape = n_trials, len(p.synaptic), p.adjoint.pathway.size
            key = p.name, "grad_initial"
            arrays[key] = self.workspace.array(key, shape)

    def _run_backward(self, forward, arrays, with_inputs):
        """Run the adjoint in waves of trials; return the synapses' gradients."""
        module = self.module
        known = self._rows_in_flight(forward, with_inputs)
        known |= self._events(arrays, forward.n_trials)
        blocks = self._blocks(["record", "backward"], known, forward.n_trials, arrays)
        for p in module.pathways:
            size = p.adjoint.pathway.size
            if p.ring:
                arrays[p.name, "sums"] = self.workspace.array((p.name, "sums"), (PARTS, 2, size))
            for role in ("sums", "grad_weight_all", "grad_delay_all"):
                if (p.name, role) in arrays:
                    self.workspace.clear(arrays[p.name, role])
        for c in module.couplings:
            if c.element_grads:
                self.workspace.clear(arrays[c.name, "grad_weight_all"])
        summed = [
            p
            for p in module.pathways
            if p.ring and p.adjoint.pathway.size and (p.element_grads or p.delay_trained)
        ]
        for g in module.groups:
            if any(p.source is g for p in summed):
                self.workspace.sort(g, arrays)
        for first in range(0, forward.n_trials, blocks):
            count = min(blocks, forward.n_trials - first)
            if module.recomputes:
                self._drive(arrays, first, count)
                self._launch("record", arrays, first, count)
            self._launch("backward", arrays, first, count, with_inputs=with_inputs)
            if with_inputs:
                self.input_kernels.add_times(module.pathways, arrays, first, count)
            for p in summed:
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
            most = in_flight(trials, steps, self.packing.longest[p.name]) if wanted else 1
            found[p.name] = 1 << max(most - 1, 0).bit_length()
        return found

    def _total(self, arrays):
        """Return the sums over trials of the gradients that the host's parameter map takes."""

        def added_up(name, role):
            return self.workspace.added_up(arrays[name, role], (name, role))

        total, others = {}, self._others
        for part in (*self.module.groups, *others, *self.module.couplings):
            total[part.name, "grad_shared"] = np.zeros(len(part.shared_grads))
            if part.shared_grads:
                total[part.name, "grad_shared"] = added_up(part.name, "grad_shared_out").sum(axis=1)
        for g in self.module.groups:
            total[g.name, "grad_neuron"] = (
                added_up(g.name, "grad_neuron_out") if g.element_grads else np.zeros((0, g.size))
            )
            if any(g.adjoint.group.start(state) in self.system.trained for state in g.states):
                total[g.name, "grad_initial"] = added_up(g.name, "grad_initial")
            if g.fixed_period:
                wanted = PERIOD in g.adjoint.refractory_invariants.active
                total[g.name, "grad_refractory"] = (
                    added_up(g.name, "grad_refractory_out") if wanted else np.zeros(g.size)
                )
        for p in self.homes:
            total[p.synapses, "grad_initial"] = added_up(p.name, "grad_initial")
        for c in self.module.couplings:
            total[c.name, "grad_weight"] = np.zeros((0, c.size))
            if c.element_grads and c.size:
                grads = added_up(c.name, "grad_weight_all")
                total[c.name, "grad_weight"] = unsorted(grads, self.packing.order(c.name))
        for p in others:
            if not p.adjoint.pathway.size:
                total[p.name, "grad_weight"] = np.zeros((max(len(p.element_grads), 1), 0))
                total[p.name, "grad_delay"] = np.zeros(0)
            elif not (p.element_grads or p.delay_trained):
                total[p.name, "grad_weight"] = np.zeros((1, p.adjoint.pathway.size))
            elif p.ring:
                grads = added_up(p.name, "sums")
                total[p.name, "grad_weight"], total[p.name, "grad_delay"] = grads[:1], grads[1]
            else:
                total[p.name, "grad_weight"] = added_up(p.name, "grad_weight_all")
                if p.delay_trained:
                    total[p.name, "grad_delay"] = added_up(p.name, "grad_delay_all")
        return total

    @property
    def _others(self):
        """The pathways whose variables go by the host."""
        return tuple(p for p in self.module.pathways if p.name not in self.held.pathways)
