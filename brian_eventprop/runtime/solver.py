"""What a model asks of a solver, whichever it is and wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from brian_eventprop.runtime.readouts import GroupSpikes
from brian_eventprop.runtime.trial_pool import TrialPool


class ForwardRun(Protocol):
    """What a forward run leaves for the loss; the rest of it is for the backward pass."""

    n_trials: int
    inputs: Mapping
    readouts: tuple[np.ndarray, ...]
    spikes: Mapping[str, GroupSpikes]


@dataclass
class Backward:
    """What a backward pass returns.

    Parameters
    ----------
    gradients
        By key.
    inputs
        dL/d(time) of each input spike, by name of the input.
    grazing
        The number of spikes whose gradient is uncertain.
    traces
        dL/d(values) of the timed arrays where that is wanted, (trials or 1, cells, columns).
    adjoints
        The adjoint variables that the readouts of the kind 'adjoint' name, (trials, neurons,
        times), by the number of the readout.
    slopes
        By group, the slope of the threshold's crossing at each spike, in the order of the forward
        run; NaN where there was none, since an arrival fired the neuron.  Not on CUDA.
    """

    gradients: Mapping
    inputs: Mapping[str, np.ndarray]
    grazing: int
    traces: Mapping[str, np.ndarray] = field(default_factory=dict)
    adjoints: Mapping[int, np.ndarray] = field(default_factory=dict)
    slopes: Mapping[str, np.ndarray] = field(default_factory=dict)


@runtime_checkable
class Solver(Protocol):
    """A derived network that can be run forward and backward.

    A new one is a class with these methods, and a line of `SOLVERS` in `brian_eventprop.runtime`.
    """

    #: Threads for what is done for all trials.
    trial_pool: TrialPool

    @property
    def source(self) -> str:
        """The generated code."""

    def prepare(self, name: str, data) -> object:
        """Return the spikes of an input in the form that `forward` reads."""

    def hold(self, arrays: Mapping) -> MutableMapping:
        """Return arrays by key where this solver wants to have them."""

    def prefetch(self, values, inputs: Mapping, n_trials: int, timed_values: Mapping = {}) -> None:
        """Prepare the next batch while this one runs, if anything is gained by that."""

    def forward(
        self, values, inputs: Mapping, n_trials: int, timed_values: Mapping = {}
    ) -> ForwardRun:
        """Run a batch of trials."""

    def backward(
        self, forward: ForwardRun, weights, with_inputs: bool = True, floors: Mapping = {}
    ) -> Backward:
        """Return gradients, given dL/d(value) of each readout.

        ``floors`` are, by group, the least slopes (per second) that dL/dt of a spike is divided by:
        one number, or one for each spike, infinite for a spike that is held at its time.
        """

    def reconnect(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses of a pathway, as many as before."""
