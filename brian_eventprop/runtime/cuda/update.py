"""Trained variables of synapses on the device: constants from them, gradients, steps.

A variable stays on the device if it is one value per synapse, no other part of the network reads
it, and what the kernels need of it can be computed synapse by synapse.  All others (time constants,
initial states, a delay shared by all) are few numbers and go by the host.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.codegen.cuda.update import (
    as_array,
    held_pathways,
    render_update,
    update_threads,
)
from brian_eventprop.runtime.cuda.values import DeviceValues

#: Blocks of a launch at most; a thread then has several entries.
MOST_BLOCKS = 1024


class Held:
    """The variables that stay on the device, and the kernels for them.

    Parameters
    ----------
    workspace
        The memory of the solver.
    module
        The rendered kernels of the trials.
    system, shapes, binders
        The derived network, the shape of each variable, and the binders of the pathways by name.
    n_steps
        Time steps of a trial.
    """

    def __init__(self, workspace, module, system, shapes, binders: Mapping, n_steps: int):
        self.workspace, self.device, self.binders = workspace, workspace.device, binders
        self._indices: dict[str, tuple] = {}
        self.dt, self.n_steps = system.spec.dt, n_steps
        coupled = {s.key for c in system.couplings for s in c.coupling.symbols.values()}
        chosen, self.keys = held_pathways(module.pathways, system.trained, shapes, coupled)
        self.shapes, self.numbers_of = shapes, {p.name: k for k, p in enumerate(chosen)}
        self.source, texts = render_update(
            chosen, set(self.keys), workspace.dtype.itemsize == 4, self.device.target
        )
        self._kernels = self.device.load(self.source, "update")
        self._threads = update_threads(self.device.target)
        self.pathways = {p.name: (p, text) for p, text in zip(chosen, texts, strict=True)}
        self.delays = {
            p.adjoint.pathway.delay: name
            for name, (p, _) in self.pathways.items()
            if p.delay_trained
        }

    @property
    def nbytes(self) -> int:
        """Bytes of what tells how synapses are sorted."""
        return sum(4 * a.shape[0] for _, _, there in self._indices.values() for a in there)

    def launch(self, name: str, n: int, arguments) -> None:
        """Run a kernel over n entries."""
        grid = (min(-(-max(n, 1) // self._threads), MOST_BLOCKS), 1, 1)
        self.device.launch(getattr(self._kernels, name), grid, self._threads, arguments)

    # ---- before the trials ----
    def pack(self, values: DeviceValues, constants: Mapping, orders: Mapping) -> tuple[dict, dict]:
        """Return the arrays that the kernels read of held pathways, and their longest delays."""
        arrays, ends = {}, np.empty((max(len(self.pathways), 1), 2), np.int32)
        ends[:] = self.n_steps, 0
        noted = self.workspace.put("ends", ends)
        narrow = np.uint16 if self.n_steps < 2**16 else np.int32
        for name, (p, text) in self.pathways.items():
            size, kept = p.adjoint.pathway.size, self.workspace.array
            arrays[name, "W"] = into = kept((name, "W"), (max(len(text.rows), 1), size))
            if text.rows:
                self.launch(
                    f"pack_{name}", size, [*self._of(name, values, constants, orders), into]
                )
            if not p.delay_trained:
                continue
            which = self._order(name, orders)
            if p.adjoint.pathway.axonal:
                which = self._sources(name, orders)[0], True
            arrays[name, "steps"] = into = kept((name, "steps"), (size,), narrow)
            arguments = [values.there(p.adjoint.pathway.delay), *which, self.dt]
            arguments += [self.n_steps, into, noted, self.numbers_of[name]]
            self.launch("pack_steps", size, arguments)
        if not self.delays:
            return arrays, {}
        ends = self.device.get(noted)
        for name, number in self.numbers_of.items():
            if ends[number, 0] < 0:  # the kernel met a delay that is no time
                binder = self.binders[name]
                binder.check_delays(values[binder.delay])
        return arrays, {name: ends[self.numbers_of[name]] for name in self.delays.values()}

    def _of(self, name, values, constants, orders):
        """The first arguments of a pathway's kernels."""
        _, text = self.pathways[name]
        numbers = np.array([float(constants[name][n]) for n in text.numbers])
        numbers = self.workspace.send((name, "numbers"), numbers)
        return [numbers, *self._order(name, orders), *(values.there(key) for key in text.keys)]

    def _order(self, name, orders):
        """Where the kernels' synapses stand among those created, and whether that differs."""
        return self._sorted(name, orders)[0], orders[name] is not None

    def _sources(self, name, orders):
        """The source of each synapse in the order of the kernels, and where each source begins."""
        return self._sorted(name, orders)[1:]

    def _sorted(self, name, orders):
        binder, order = self.binders[name], orders[name]
        pre = binder.indices["pre"]
        known = self._indices.get(name)
        if known is None or known[0] is not pre or known[1] is not order:
            given = [np.zeros(1) if order is None else order]
            if binder.axonal:
                sources = pre if order is None else pre[order]
                given += [sources, np.searchsorted(sources, np.arange(binder.n_source + 1))]
            there = [self.device.put(array.astype(np.int32)) for array in given]
            known = self._indices[name] = pre, order, there
        return known[2]

    # ---- after them ----
    def vjp(self, values: DeviceValues, arrays, constants: Mapping, orders: Mapping) -> dict:
        """Return the gradients of the held variables, on the device."""
        gradients = {}
        for key in self.keys:
            gradients[key] = self.workspace.array(("gradient", key), self.shapes[key], np.float64)
            self.workspace.clear(gradients[key])
        for name, (p, text) in self.pathways.items():
            grads = arrays[name, "sums"] if p.ring else arrays[name, "grad_weight_all"]
            delay_grads = grads
            if p.delay_trained and not p.ring:
                delay_grads = arrays[name, "grad_delay_all"]
                delay_grads = delay_grads.reshape((delay_grads.shape[0], 1, delay_grads.shape[1]))
            into = [gradients[key] for key in text.trained]
            pathway = p.adjoint.pathway
            axonal = pathway.axonal and p.delay_trained
            if axonal:
                total = into[-1]
                into[-1] = self.workspace.array((name, "late"), (pathway.size,), np.float64)
                self.workspace.clear(into[-1])
            arguments = [*self._of(name, values, constants, orders), grads, delay_grads, *into]
            self.launch(f"vjp_{name}", pathway.size, arguments)
            if axonal:
                start = self._sources(name, orders)[1]
                which = self._order(name, orders)
                self.launch("sum_rows", total.shape[0], [into[-1], *which, start, total])
        return gradients

    def not_finite(self, gradients: Mapping) -> list:
        """Return the variables whose gradient has an entry that is not finite."""
        found = self.workspace.put("not finite", np.zeros(max(len(gradients), 1), np.int32))
        for number, gradient in enumerate(gradients.values()):
            self.launch("not_finite", gradient.shape[0], [gradient, found, number])
        marks = self.device.get(found)
        return [key for key, mark in zip(gradients, marks, strict=False) if mark]

    def step(self, kernel: str, gradient, key, values, rate, bounds, memory, numbers) -> None:
        """Take an optimiser's step of one variable.

        Parameters
        ----------
        kernel
            Its name.
        gradient, key, values
            Of the variable, and where its values are.
        rate, bounds
            One number for all entries or one for each, in SI units.
        memory
            Where the optimiser's memory is, and the keys in it.
        numbers
            What else the kernel needs.
        """
        kept, slots = memory
        given = zip(("rate", "low", "high"), (rate, *bounds), strict=True)
        limits = [self.workspace.send((role, key), as_array(value)) for role, value in given]
        changed = [values.change(key), *(kept.change(slot) for slot in slots)]
        numbers = [float(x) for x in numbers]
        self.launch(kernel, gradient.shape[0], [gradient, *changed, *limits, *numbers])

    def count(self, spike_rows, final, name: str):
        """Return the number of spikes of each neuron in each trial, on the device."""
        counts = self.workspace.array((name, "counts"), final.shape)
        self.launch("count", final.shape[0] * final.shape[1], [spike_rows, final, counts])
        return counts
