"""Additive inputs of a batch: their drive before the trials, their spike-time gradients after."""

from __future__ import annotations

from collections.abc import Mapping

from brian_eventprop.codegen.cuda.collect import collect_threads
from brian_eventprop.codegen.cuda.inputs import (
    drive_cells,
    drive_shape,
    inputs_chip,
    render_inputs,
)

#: Blocks that take the spike-time gradients of the inputs of a trial, each every n-th neuron.
BLOCKS = 64


class InputKernels:
    """Launches the kernels of inputs.

    Parameters
    ----------
    device
        See `brian_eventprop.runtime.cuda.device`.
    dtype
        Precision of the states.
    n_steps
        Time steps of a trial.
    sizes
        Number of neurons of each group and input.
    """

    def __init__(self, device, dtype, n_steps: int, sizes: Mapping[str, int]):
        self.device, self.n_steps, self.sizes = device, n_steps, sizes
        self.source = render_inputs(n_steps, dtype.itemsize == 4, device.target)
        self._kernels = device.load(self.source, "inputs")
        self._threads = collect_threads(device.target)
        self._cells = drive_cells(device.target, dtype.itemsize)
        self._chip = inputs_chip(device.target, dtype.itemsize)

    def drive(self, pathways, longest, arrays, first: int, count: int) -> None:
        """Sum the input drive of some trials, through the pathways with a precomputed one.

        ``longest`` is the longest delay of each in steps.
        """
        begun = set()
        # source by source, as the CPU does
        for source in dict.fromkeys(p.source for p in pathways if p.precomputed):
            for p in pathways:
                if not p.precomputed or p.source is not source or not p.adjoint.pathway.size:
                    continue
                n_target, into = p.target.size, (p.target.name, f"input_drive_{self._state(p)}_all")
                width, length = drive_shape(
                    n_target, self.n_steps, longest[p.name], self._threads, self._cells
                )
                numbers = [first, self.sizes[source.name], n_target, width, length]
                numbers += [longest[p.name], into not in begun, p.row]
                grid = (-(-n_target // width), -(-self.n_steps // length), count)
                kernel = self._kernels.drive_dense if p.dense else self._kernels.drive_sparse
                arguments = [*numbers, *self._given(p, arrays), arrays[into]]
                self.device.launch(kernel, grid, width, arguments, self._chip[0])
                begun.add(into)

    def add_times(self, pathways, arrays, first: int, count: int) -> None:
        """Add dL/d(time) of each spike of the inputs, in some trials."""
        for p in pathways:
            if not (p.source.is_input and p.ring and p.adjoint.pathway.size):
                continue
            n_source = self.sizes[p.source.name]
            kernel = self._kernels.d_time_dense if p.dense else self._kernels.d_time_sparse
            adjoints = arrays[p.target.name, f"record_{self._state(p)}_all"]
            numbers = [first, n_source, p.target.size, p.row]
            arguments = [
                *numbers,
                *self._given(p, arrays),
                adjoints,
                arrays[p.source.name, "d_sorted_time"],
            ]
            grid = (count, min(n_source, BLOCKS))
            self.device.launch(kernel, grid, self._threads, arguments, self._chip[1])

    @staticmethod
    def _state(p) -> str:
        return p.adjoint.increment.state

    @staticmethod
    def _given(p, arrays):
        """What the kernels read of the spikes and of the synapses."""
        connected = () if p.dense else ("base", "bits")
        spikes = [arrays[p.source.name, role] for role in ("given", "bound")]
        return spikes + [arrays[p.name, role] for role in ("steps", *connected, "W")]
