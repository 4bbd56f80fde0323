"""Readouts of the states that synapses have at the end of a trial, and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.reading.spec import Key, ReadoutSpec
from brian_eventprop.reading.synapses.readouts import FINAL_OF_SYNAPSES


class SynapseReadout:
    """An expression of the variables of synapses at the end of each trial.

    Parameters
    ----------
    number
        Of the readout among those of the network.
    spec
        What is read.
    states
        The states of the `Synapses` object, in the order of the kernels' arrays.
    parameter_map
        The module of host functions.
    """

    def __init__(self, number: int, spec: ReadoutSpec, states: tuple[str, ...], parameter_map):
        self.spec, self.states = spec, states
        self.value = getattr(parameter_map, f"synapses_{number}")
        self.back = getattr(parameter_map, f"synapses_{number}_back")

    @property
    def keys(self) -> list[Key]:
        """The keys of all values that it reads besides the states."""
        found = (s for s in self.spec.symbols.values() if s.kind not in ("state", "number"))
        return [symbol.key for symbol in found]

    def _environment(self, values: Mapping[Key, np.ndarray], final: np.ndarray) -> dict:
        found = {}
        for name, symbol in self.spec.symbols.items():
            if symbol.kind == "state":
                found[name] = final[:, self.states.index(symbol.variable)]
            elif symbol.kind == "number":
                found[name] = symbol.value
            else:
                found[name] = values[symbol.key]
        return found

    def values(self, values: Mapping[Key, np.ndarray], final: np.ndarray) -> np.ndarray:
        """Return the readout, (trials, synapses), given final states (trials, states, synapses)."""
        shape = len(final), self.spec.stop
        return np.array(np.broadcast_to(self.value(self._environment(values, final)), shape), float)

    def gradient(self, values, final, weights, seeds: np.ndarray, into) -> None:
        """Add dL/d(final state) to `seeds`, and the gradients of parameters to `into`."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            partials = self.back(self._environment(values, final))
            terms = {n: np.where(weights == 0, 0.0, weights * p) for n, p in partials.items()}
        for name, term in terms.items():
            symbol = self.spec.symbols[name]
            if symbol.kind == "state":
                seeds[:, self.states.index(symbol.variable)] += term
            elif symbol.key in into:
                total = term.sum() if symbol.kind == "shared" else term.sum(axis=0)
                into[symbol.key] += total


def synapse_readouts(system, parameter_map) -> dict[int, SynapseReadout]:
    """Return the readouts of synapses of a network by number."""
    spec = system.spec
    return {
        k: SynapseReadout(k, r, spec.synaptic_states(r.group), parameter_map)
        for k, r in enumerate(spec.readouts)
        if r.kind == FINAL_OF_SYNAPSES
    }
