"""Run the event solver's kernels on the CPU: real-valued times, exact flows between events.

A batch is cut into a fixed number of chunks of trials; each chunk has gradients of its own, summed
in the order of the chunks, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.adjoint.pathways import INCREMENT
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.event.network import EVENT_LOG
from brian_eventprop.reading.spec import NetworkValues
from brian_eventprop.runtime.backends import COMPILED, Backend
from brian_eventprop.runtime.binding.binder import unsorted
from brian_eventprop.runtime.event.batched import (
    group_arrays,
    synapse_gradients,
    synapse_tables,
    tables_by_target,
)
from brian_eventprop.runtime.event.kernels import EventKernels
from brian_eventprop.runtime.event.samples import EventSamples
from brian_eventprop.runtime.event.sums import EventSums
from brian_eventprop.runtime.inputs import ExactSpikes, in_exact_time
from brian_eventprop.runtime.optimizer_steps import HostGradients
from brian_eventprop.runtime.readouts import (
    GroupSpikes,
    count_surrogates,
    slope_arrays,
    spike_readouts,
)
from brian_eventprop.runtime.solver import Backward
from brian_eventprop.runtime.synapse_readouts import synapse_readouts
from brian_eventprop.runtime.timed_inputs import (
    TimedGradients,
    columns,
    near_to,
    regular_times,
    rows,
    timed_input,
)

#: Relative error of one step of Runge-Kutta, unless the user asks for another.
TOLERANCE = 1e-11


@dataclass
class EventForward:
    """What a forward run leaves for the loss and for the backward pass."""

    n_trials: int
    readouts: tuple[np.ndarray, ...]
    spikes: dict[str, GroupSpikes]
    inputs: Mapping[str, ExactSpikes]
    arrays: dict[tuple[str, str], np.ndarray] = field(repr=False)
    constants: dict[str, dict] = field(repr=False)
    event_logs: list[dict[tuple[str, str], np.ndarray]] = field(repr=False)
    orders: dict[str, np.ndarray] = field(repr=False)
    windows: dict[str, int] = field(repr=False)
    kernels: object = field(repr=False)
    module: object = field(repr=False)
    values: Mapping = field(default_factory=dict, repr=False)
    samples: EventSamples = field(default_factory=EventSamples, repr=False)


class EventCPU(EventKernels):
    """The event solver on the CPU.

    Parameters
    ----------
    system
        The derived network.
    network
        Its numbers; only index arrays and shapes are kept.
    duration
        Duration of a trial in seconds.
    threads
        Number of threads; by default one per core.
    tolerance
        Relative error of one step, where equations have no closed form.
    backend
        What runs the kernels.
    """

    def __init__(
        self,
        system: AdjointSystem,
        network: NetworkValues,
        duration: float,
        threads: int | None = None,
        tolerance: float = TOLERANCE,
        backend: Backend = COMPILED,
    ):
        super().__init__(system, network, duration, tolerance, backend)
        self.shapes = {key: np.shape(value) for key, value in network.values.items()}
        self.spike_readouts = spike_readouts(self.system, self.groups, self.parameter_map)
        self.synapse_readouts = synapse_readouts(self.system, self.parameter_map)
        self.trial_pool = backend.trial_pool(threads)
        self._sums: EventSums | None = None

    def prepare(self, name: str, data) -> ExactSpikes:
        """Return the input spikes of a batch as the kernels take them."""
        del name
        return in_exact_time(data.times, data.channels, data.trial_ptr, self.trial_pool.function)

    def hold(self, arrays: Mapping) -> MutableMapping:
        """Return arrays by key as this solver wants to have them."""
        return arrays

    def prefetch(self, *batch) -> None:
        """Nothing is gained by preparing the next batch early on the CPU."""
        del batch

    # ---- forward ----
    def forward(
        self, values, inputs: Mapping[str, ExactSpikes], n_trials: int, timed_values: Mapping = {}
    ) -> EventForward:
        """Run a batch of trials; ``timed_values`` are the values of timed arrays by name."""
        windows, constants, arrays, numbers = self._settle(values)
        kernels = self.kernels
        samples = EventSamples()
        for g in self.module.groups:
            arrays |= self._pack_breaks(g, values, timed_values, n_trials, samples)
        arrays |= self._pack(values, inputs, n_trials, constants, numbers, samples)
        prepared = kernels.prepare(windows, arrays)
        event_logs = self.trial_pool.call(
            kernels.forward, n_trials, lambda chunk: prepared, title="forward pass"
        )
        spikes, orders = self._collect(event_logs, n_trials)
        readouts = []
        self._check_readouts(arrays, samples)
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                v, readout = constants.get(spec.group), self.spike_readouts[k]
                readouts.append(readout.values(v, spikes[spec.group], n_trials))
            elif k in self.synapse_readouts:
                _, final = self._final(arrays, spec.group, n_trials)
                readouts.append(self.synapse_readouts[k].values(values, final))
            else:
                found = arrays[spec.group, "VR"]
                readouts.append(samples.read(k, spec, self._code(spec.group), found))
        return EventForward(
            n_trials, tuple(readouts), spikes, inputs, arrays, constants, event_logs, orders,
            windows, kernels, self.module,
            {key: values[key] for r in self.synapse_readouts.values() for key in r.keys}, samples,
        )  # fmt: skip

    def refractory_periods(self, forward: EventForward) -> dict[str, np.ndarray]:
        """Return the refractory period (s) of the neurons of each group where it is constant."""
        groups = (g for g in forward.module.groups if g.fixed_period)
        return {g.name: forward.arrays[g.name, "period"] for g in groups}

    def _check_readouts(self, arrays, samples: EventSamples):
        """Stop if a state or what a readout makes of it is infinite or not a number."""
        for g in self.module.groups:
            for readout in g.readouts:
                if not np.all(np.isfinite(arrays[g.name, "VR"][samples.rows(g, readout.number)])):
                    raise FloatingPointError(
                        f"{g.name}: its {readout.kind} readout '{readout.expression}' is infinite "
                        "or not a number: a variable of the group is, or the expression cannot be "
                        "evaluated at a state that a neuron reaches"
                    )

    def _pack(self, values, inputs, n_trials, constants, numbers, samples: EventSamples):
        arrays, batched = {}, {}
        for g in self.module.groups:
            size = self.groups[g.name].size
            if g.batched:
                made = batched[g.name] = group_arrays(g, numbers[g.name])
                arrays |= {(g.name, role): array for role, array in made.items()}
            arrays[g.name, "VR"] = np.zeros((samples.n_rows(g), n_trials, size))
            if g.maxima:
                shape = (len(g.maxima), n_trials, size)
                arrays[g.name, "VR"][[g.position[r.number] for r in g.maxima]] = -np.inf
                arrays[g.name, "ME"] = np.full(shape, -1, np.int64)
                arrays[g.name, "MS"] = np.zeros(shape)
        for name, given in inputs.items():
            arrays[name, "ptr"], arrays[name, "spikes"] = given.ptr, given.table
        for p in self.module.pathways:
            binder = self.pathways[p.name]
            v = constants[p.name] = binder.bind(values)
            order, post, rows, targets = self.layouts[p.name]
            arrays[p.name, "C"] = binder.shared(v, float)
            arrays[p.name, "W"] = binder.per_element(v, float, order)
            arrays[p.name, "post"], arrays[p.name, "rows"] = post, rows
            if p.adjoint.pre:
                touched = binder.touched
                arrays[p.name, "senders"] = touched if order is None else touched[order]
            if p.touches_synapse:
                created = np.arange(binder.size) if order is None else order
                arrays[p.name, "created"] = np.asarray(created, np.int64)
            if p.synaptic and p.home is p:
                arrays |= self._pack_synapses(p, values, n_trials)
            delays = binder.delays(values)
            delays = delays if order is None else delays[order]
            arrays[p.name, "delay"] = np.array(delays, float)  # their own: values may change
            if p.target.batched:
                amounts = arrays[p.name, "W"][p.scope.per_element.index(INCREMENT)]
                delay, found = arrays[p.name, "delay"], numbers[p.target.name]
                own = batched[p.target.name], found, self.trial_pool
                tables = synapse_tables(p, targets, delay, amounts, *own)
                tables["longest row"] = int(np.diff(rows).max(initial=0))
                if p.target.spikes:
                    tables |= tables_by_target(
                        self.columns(p.name), delay, amounts, found.width, self.duration,
                        self.trial_pool,
                    )  # fmt: skip
                arrays |= {(p.name, role): table for role, table in tables.items()}
        for name, binder in self.couplings.items():
            v = constants[name] = binder.bind(values)
            ends = binder.ends()
            arrays[name, "C"], arrays[name, "W"] = (
                binder.shared(v, float),
                binder.per_element(v, float),
            )
            arrays[name, "ends"] = np.stack((ends["pre"], ends["post"]))
            arrays[name, "span"] = ends["span"]
        return arrays

    def _final(self, arrays, synapses: str, n_trials: int):
        """The owner of the states of synapses at the ends of the trials, and these states."""
        for p in self.module.pathways:
            if p.synapses == synapses and (p.name, "final") in arrays:
                return p.name, arrays[p.name, "final"]
        return "", np.empty((n_trials, 0, 0))

    def _pack_synapses(self, p, values, n_trials):
        """The states of synapses at the beginning of a trial, and room for those at the end."""
        size = self.pathways[p.name].size
        rows = [np.broadcast_to(values[p.synapses, s], size) for s in p.adjoint.synaptic]
        arrays = {(p.name, "initial"): np.array(rows, float)}
        if p.read_at_end:
            arrays[p.name, "final"] = np.empty((n_trials, len(rows), size))
        return arrays

    def _pack_breaks(self, g, values, given, n_trials, samples: EventSamples):
        """When neurons stop on their way, for a value or the next cell of a trace; the traces."""
        group, spec, arrays = g.adjoint.group, self.system.spec, {}
        if not g.breaks:
            return arrays
        timed = [timed_input(spec, timed_value) for timed_value in group.timed_values]
        begins = [np.arange(given[t.name].shape[1]) * t.dt for t in timed]
        jumps = [
            np.array([near_to(t, begins) for t in regular_times(r.steps, spec.dt, self.duration)])
            for r in group.regular
        ]
        times = {
            r.number: np.array([near_to(time, begins + jumps) for time in r.times])
            for r in g.at_times
        }
        breaks = np.concatenate(([0.0], *begins, *jumps, *times.values()))
        breaks = np.unique(breaks[breaks < np.inf])
        arrays[g.name, "breaks"] = breaks
        if jumps:
            arrays[g.name, "regular"] = np.stack([np.isin(breaks, times) for times in jumps])
        if times:
            arrays[g.name, "sample_row"] = samples.add(g, times, breaks)
        if not group.timed_values:
            return arrays
        cells = [np.searchsorted(begin, breaks, "right") - 1 for begin in begins]
        for k, timed_value in enumerate(group.timed_values):
            arrays[g.name, f"timed{k}"] = np.ascontiguousarray(given[timed_value.array], float)
        arrays[g.name, "cells"] = np.stack(cells)
        arrays[g.name, "trials"] = np.stack([rows(given[t.name], n_trials) for t in timed])
        arrays[g.name, "column"] = np.stack(
            [
                columns(group, timed_value, values, given[timed_value.array].shape[2])
                for timed_value in group.timed_values
            ]
        )
        return arrays

    def _collect(self, event_logs, n_trials):
        spikes, orders = {}, {}
        for g in self.module.groups:
            rows = np.concatenate([t[g.name, "spikes"] for t in event_logs] or [np.empty((0, 4))])
            trials, neurons = rows[:, 2].astype(np.int64), rows[:, 3].astype(np.int64)
            ptr = np.searchsorted(trials, np.arange(n_trials + 1)).astype(np.int64)
            # by trial already, and within a window by neuron: those at one time stay in this order
            times = rows[:, 0].copy()
            order = orders[g.name] = np.lexsort((times, trials))
            spikes[g.name] = GroupSpikes(trials, neurons[order], times[order], ptr)
        return spikes, orders

    # ---- backward ----
    def backward(
        self, forward: EventForward, weights: tuple[np.ndarray, ...], with_inputs: bool = True,
        floors: Mapping = {},
    ) -> Backward:  # fmt: skip
        """Return the gradient of the loss, given its derivatives in the readouts.

        ``floors`` are the least slopes of crossings, see `Solver`.
        """
        gradients = {key: np.zeros(self.shapes[key]) for key in self.system.trained}
        common, spiked = self._common_arrays(forward, weights, gradients)
        spiked |= _slopes_by_chunk(forward, floors)
        module = forward.module
        timed = TimedGradients(module.groups, forward.arrays)
        sums = self._sums_of(module, timed)

        arrays = {**forward.arrays, **common, **timed.by_trial}
        # the kernel ticks off the maxima that it has met
        met = {(g.name, "ME"): arrays.pop((g.name, "ME")) for g in module.groups if g.maxima}
        prepared = forward.kernels.prepare(forward.windows, arrays, (with_inputs,))

        def arguments(chunk):
            own = {pair: array.copy() for pair, array in met.items()}
            own |= {pair: by_chunk[chunk] for pair, by_chunk in spiked.items()}
            own |= sums.arrays(chunk) | forward.event_logs[chunk]
            own |= {
                (g.name, "d_spike_time"): np.zeros(len(own[g.name, "spikes"]))
                for g in module.groups
            }
            return *prepared, own

        grazing = self.trial_pool.call(
            forward.kernels.backward, forward.n_trials, arguments, title="backward pass"
        )
        total = sums.total()
        self._pull(forward, total, gradients)
        traces = timed.totals(total)
        gradients |= {("", name): grads.sum(axis=0).ravel() for name, grads in traces.items()}
        inputs = {name: common[name, "d_input_time"] for name in module.inputs}
        adjoints = {
            k: forward.samples.read(k, spec, self._code(spec.group), arrays[spec.group, "WR"])
            for k, spec in enumerate(self.system.spec.readouts)
            if spec.kind == "adjoint"
        }
        n = int(sum(grazing))
        slopes = {
            name: np.concatenate([np.empty(0), *spiked[name, "crossing_slope"]])[order]
            for name, order in forward.orders.items()
        }
        grads = HostGradients(gradients, self.trial_pool, n, slopes)
        return Backward(grads, inputs, n, traces, adjoints, slopes)

    def _sums_of(self, module, timed: TimedGradients):
        """The arrays to add gradients to; other kernels have others."""
        known = self._sums
        if known is None or known.module is not module or known.timed.shared != timed.shared:
            self._sums = EventSums(module, self.groups, self.pathways, self.trial_pool, timed)
        self._sums.begin(alone=self.trial_pool.threads == 1)
        return self._sums

    def _common_arrays(self, forward, weights, gradients):
        arrays, spiked = {}, {}
        ordered = {name: np.zeros(len(s.times)) for name, s in forward.spikes.items()}
        for g in forward.module.groups:
            arrays[g.name, "WR"] = np.zeros_like(forward.arrays[g.name, "VR"])
        for k, spec in enumerate(self.system.spec.readouts):
            if k in self.spike_readouts:
                self.spike_readouts[k].gradient(
                    forward.constants[spec.group],
                    forward.spikes[spec.group],
                    weights[k],
                    ordered[spec.group],
                    gradients,
                )
            elif k in self.synapse_readouts:
                owner, final = self._final(forward.arrays, spec.group, forward.n_trials)
                seeds = arrays.setdefault((owner, "seeds"), np.zeros_like(final))
                self.synapse_readouts[k].gradient(
                    forward.values, final, weights[k], seeds, gradients
                )
            else:
                code, into = self._code(spec.group), arrays[spec.group, "WR"]
                forward.samples.write(k, spec, code, weights[k], into)
        for name, by_time in ordered.items():
            spiked[name, "time"] = _by_chunk(forward, name, by_time)
        for name in self.system.surrogate_groups:
            surrogate = count_surrogates(
                self.system.spec.readouts, forward.spikes[name], name, weights
            )
            spiked[name, "count_surrogate"] = _by_chunk(forward, name, surrogate)
        for name, given in forward.inputs.items():
            arrays[name, "d_input_time"] = np.zeros(len(given.table))
        return arrays, spiked

    def _pull(self, forward, total, gradients):
        for g in forward.module.groups:
            binder, v = self.groups[g.name], forward.constants[g.name]
            binder.gradients(
                v, total[g.name, "grad_shared"], total[g.name, "grad_neuron"], gradients
            )
            for k, state in enumerate(g.states):
                key = g.adjoint.group.start(state)
                if key in gradients:
                    gradients[key] += total[g.name, "grad_initial"][:, k]
            if g.fixed_period:
                binder.refractory_gradient(v, total[g.name, "grad_refractory"], gradients)
        for name, binder in self.couplings.items():
            found = total[name, "grad_shared"], total[name, "grad_weight"]
            binder.gradients(forward.constants[name], *found, gradients)
        for p in forward.module.pathways:
            binder, v = self.pathways[p.name], forward.constants[p.name]
            order = self.layouts[p.name][0]
            found = self._batched_gradients(forward, p, total) if p.target.batched else None
            common, each, shifts = found or (
                total[p.name, role] for role in ("grad_shared", "grad_weight", "grad_delay")
            )
            binder.gradients(v, common, unsorted(each, order), gradients)
            if p.delay_trained:
                binder.add_delays(unsorted(shifts, order), gradients)
            for k, state in enumerate(p.adjoint.synaptic if p.synaptic and p.home is p else ()):
                if (p.synapses, state) in gradients:
                    gradients[p.synapses, state] += total[p.name, "grad_initial"][k]

    def _batched_gradients(self, forward, p, total):
        """The shared gradients, and those of weights and delays, of batched arrivals."""
        common = np.zeros(len(p.shared_grads))
        each = np.zeros((len(p.element_grads), self.pathways[p.name].size))
        if not p.sums:
            return common, each, np.zeros(each.shape[1])
        tables = {role: forward.arrays[p.name, role] for role in ("A", "G")}
        rates = forward.arrays[p.target.name, "rates"]
        amounts, shifts = synapse_gradients(
            p, tables, rates, total[p.name, "grad_sums"], self.trial_pool
        )
        if p.element_grads:
            each[p.element_grads.index(INCREMENT)] = amounts
        return common, each, shifts


def _by_chunk(forward, name: str, by_time: np.ndarray) -> list[np.ndarray]:
    """Put what belongs to the spikes of a group into the order of each chunk's own list."""
    made = np.empty_like(by_time)
    made[forward.orders[name]] = by_time
    counts = [len(event_log[name, "spikes"]) for event_log in forward.event_logs]
    return np.split(made, np.cumsum(counts)[:-1]) if counts else []


def _slopes_by_chunk(forward, floors: Mapping) -> dict[tuple[str, str], list[np.ndarray]]:
    """Return what `slope_arrays` does, for each chunk; without floors there is nothing to order."""
    found = {}
    for name in forward.spikes:
        counts = [len(event_log[name, "spikes"]) for event_log in forward.event_logs]
        found[name, "crossing_slope"] = [np.full(n, np.nan) for n in counts]
        found[name, "slope_floor"] = [np.zeros(n) for n in counts]
    for (name, role), array in slope_arrays(forward.spikes, floors, floors).items():
        if role == "slope_floor":
            found[name, role] = _by_chunk(forward, name, array)
    return found


__all__ = ["EVENT_LOG", "TOLERANCE", "EventCPU", "EventForward"]
