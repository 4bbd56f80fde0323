"""Values of the readouts from what the kernels return, and their gradients back into the kernels.

State readouts are computed inside the kernels; spike times and counts are sums over the recorded
spikes, done here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GroupSpikes:
    """Spikes of one group for a batch, sorted by trial, then time; times as Brian2 records them."""

    trials: np.ndarray
    neurons: np.ndarray
    times: np.ndarray
    ptr: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """Whether each spike is the first of its neuron in its trial."""
        first = np.zeros(len(self.times), bool)
        if len(first):
            width = int(self.neurons.max()) + 1
            _, index = np.unique(self.trials * width + self.neurons, return_index=True)
            first[index] = True
        return first


class SpikeReadout:
    """A readout that is a function of a group's spikes."""

    def __init__(self, number, spec, packer, host):
        self.spec, self.packer = spec, packer
        self.value = getattr(host, f"spikes_{number}", None)
        self.back = getattr(host, f"spikes_{number}_back", None)

    def _chosen(self, spikes):
        chosen = (spikes.neurons >= self.spec.start) & (spikes.neurons < self.spec.stop)
        return chosen & spikes.first if self.spec.which == "first" else chosen

    def _environment(self, v, spikes, chosen):
        at = spikes.neurons[chosen]
        symbols = self.packer.symbols
        local = {"t": spikes.times[chosen], "dt": v["dt"]}
        for name, value in v.items():
            each = name in symbols and symbols[name].kind in ("neuron", "index")
            local[name] = value[at] if each else value
        return local | {"t": spikes.times[chosen]}

    def values(self, v, spikes, n_trials) -> np.ndarray:
        """Return the readout, (trials, neurons)."""
        chosen = self._chosen(spikes)
        first = self.spec.which == "first"
        result = np.full((n_trials, self.spec.stop - self.spec.start), np.inf if first else 0.0)
        at = spikes.trials[chosen], spikes.neurons[chosen] - self.spec.start
        if self.spec.kind == "spike_count":
            np.add.at(result, at, 1.0)
        elif first:
            result[at] = self.value(self._environment(v, spikes, chosen))
        else:
            np.add.at(result, at, self.value(self._environment(v, spikes, chosen)))
        return result

    def gradient(self, v, spikes, weights, times, into) -> None:
        """Add dL/d(time of each spike) to `times` and gradients of parameters to `into`."""
        if self.spec.kind == "spike_count":
            return
        chosen = self._chosen(spikes)
        scale = weights[spikes.trials[chosen], spikes.neurons[chosen] - self.spec.start]
        for name, partial in self.back(self._environment(v, spikes, chosen)).items():
            if name == "t":
                times[chosen] += scale * partial
                continue
            symbol = self.packer.symbols[name]
            if symbol.kind == "shared":
                into[symbol.key] += np.sum(scale * partial)
            else:
                np.add.at(into[symbol.key], spikes.neurons[chosen], scale * partial)
