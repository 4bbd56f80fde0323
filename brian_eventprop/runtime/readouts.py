"""Values of the readouts from what the kernels return, and their gradients back into the kernels.

State readouts are computed inside the kernels; spike times and counts are taken from the recorded
spikes, here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from brian2 import Clock, second

from brian_eventprop.adjoint.system import SPIKE_READOUTS
from brian_eventprop.data.spikes import occurrence
from brian_eventprop.reading.spec import ReadoutSpec


@dataclass(frozen=True)
class GroupSpikes:
    """Spikes of one group for a batch, sorted by trial, then time; times as Brian2 records them."""

    trials: np.ndarray
    neurons: np.ndarray
    times: np.ndarray
    ptr: np.ndarray

    @classmethod
    def allocate(cls, counts: np.ndarray) -> GroupSpikes:
        """Return arrays for as many spikes per trial; neurons and times are to be filled in."""
        ptr = np.zeros(len(counts) + 1, np.int64)
        counts.cumsum(out=ptr[1:])
        trials, n = np.arange(len(counts)).repeat(counts), int(ptr[-1])
        return cls(trials, np.empty(n, np.int64), np.empty(n), ptr)

    def counts(self, size: int) -> np.ndarray:
        """Return the number of spikes of each of `size` neurons, summed over the trials."""
        return np.bincount(self.neurons, minlength=size)

    @cached_property
    def rank(self) -> np.ndarray:
        """How many spikes of its neuron come before each spike in its trial."""
        width = int(self.neurons.max(initial=-1)) + 1
        return occurrence(self.trials * width + self.neurons)


def count_surrogates(readouts, spikes: GroupSpikes, group: str, weights) -> np.ndarray:
    """Return dL/dg at each spike of a group: the surrogate gradients of its spike counts.

    ``readouts`` are all of the network, ``weights`` dL/d(value) of each.
    """
    surrogate = np.zeros(len(spikes.times))
    for spec, weight in zip(readouts, weights, strict=True):
        if spec.group == group and spec.scale is not None:
            chosen = (spikes.neurons >= spec.start) & (spikes.neurons < spec.stop)
            at = spikes.trials[chosen], spikes.neurons[chosen] - spec.start
            surrogate[chosen] += weight[at] / spec.scale
    return surrogate


def slope_arrays(spikes: Mapping[str, GroupSpikes], floors: Mapping, names=None) -> dict:
    """Return by (group, role) what the backward pass reads and leaves of crossings' slopes.

    ``floors`` are the least slopes by group, 0 where there is none: what they are below is divided
    by them.  The slopes are NaN for those spikes that cross no threshold.  ``names`` are those of
    the groups, by default of all.
    """
    arrays = {}
    for name in spikes if names is None else names:
        n = len(spikes[name].times)
        arrays[name, "slope_floor"] = np.array(np.broadcast_to(floors.get(name, 0.0), n), float)
        arrays[name, "crossing_slope"] = np.full(n, np.nan)
    return arrays


def spike_readouts(system, groups, parameter_map) -> dict[int, SpikeReadout]:
    """Return the readouts of a network that are functions of spikes, by number.

    ``groups`` are the binders of the groups by name, ``parameter_map`` the module of host
    functions.
    """
    return {
        k: SpikeReadout(k, spec, groups[spec.group], parameter_map)
        for k, spec in enumerate(system.spec.readouts)
        if spec.kind in SPIKE_READOUTS
    }


@dataclass(frozen=True)
class Samples:
    """Where the kernels take the values of a readout at its times, and where these stand.

    Attributes
    ----------
    steps
        The time steps or breaks, once each and in order; the number of them all is the end.
    places
        Which of them each time of the readout is, in the order in which times were given.
    """

    steps: np.ndarray
    places: np.ndarray

    @classmethod
    def at(cls, steps: np.ndarray) -> Samples:
        """Return those of times by their steps."""
        return cls(*np.unique(steps, return_inverse=True))

    def read(self, array: np.ndarray, spec: ReadoutSpec) -> np.ndarray:
        """Return a readout, (trials, neurons) or (trials, neurons, times), from the kernels' array.

        That has the axes trials, steps, neurons.
        """
        found = array[:, self.places, spec.start : spec.stop].swapaxes(1, 2)
        return found if isinstance(spec.at, tuple) else found[..., 0]

    def write(self, weight: np.ndarray, spec: ReadoutSpec, array: np.ndarray) -> None:
        """Add what belongs to a readout to such an array."""
        each = weight if isinstance(spec.at, tuple) else weight[..., None]
        chosen = array[:, :, spec.start : spec.stop]
        np.add.at(chosen, (slice(None), self.places), each.swapaxes(1, 2))


def unmeasured(spec: ReadoutSpec, n_trials: int) -> np.ndarray:
    """Return zeros for a readout that only the backward pass knows."""
    return np.zeros((n_trials, spec.stop - spec.start, len(spec.at)))


def sample_table(samples: Sequence[np.ndarray], rows: Sequence, n_steps: int) -> np.ndarray:
    """Return the table of the kernels, whose last column is the end of a trial.

    Parameters
    ----------
    samples
        The steps of each readout.
    rows
        Where the value at each of these steps goes.
    n_steps
        How many steps or breaks there are.

    Examples
    --------
    >>> sample_table([np.array([0, 2]), np.array([3])], [[0, 1], [0]], 3)
    array([[ 0, -1,  1, -1],
           [-1, -1, -1,  0]], dtype=int32)
    """
    table = np.full((len(samples), n_steps + 1), -1, np.int32)
    for k, (steps, own) in enumerate(zip(samples, rows, strict=True)):
        table[k, steps] = own
    return table


def grid_samples(group, dt: float, n_steps: int) -> dict[int, Samples]:
    """Return where a group is sampled on the time grid, by the number of the readout.

    ``group`` is the group's code; ``dt`` the time step in seconds.
    """
    return {r.number: Samples.at(_steps(group, r, dt, n_steps)) for r in group.at_times}


def places_on_grid(samples: Iterable[Samples], n_steps: int) -> np.ndarray:
    """Return the place of a value among those of its own readout, for each step and the end."""
    steps = [own.steps for own in samples]
    return sample_table(steps, [np.arange(len(own)) for own in steps], n_steps)


def _steps(group, readout, dt: float, n_steps: int) -> np.ndarray:
    times = np.array(readout.times)
    times[times == np.inf] = n_steps * dt
    steps = np.rint(times / dt)
    wrong = np.abs(steps * dt - times) > Clock.epsilon_dt * dt
    if np.any(wrong):
        at = float(times[wrong][0])
        near = " or ".join(str(n * dt * second) for n in (int(at / dt), int(at / dt) + 1))
        raise ValueError(
            f"NeuronGroup '{group.name}': the Value of '{readout.expression}' is at "
            f"{at * second}, which is no time of the time grid with "
            f"dt={dt * second}. Take {near}, or solver='event'."
        )
    return steps.astype(np.int64)


class SpikeReadout:
    """A readout that is a function of a group's spikes."""

    def __init__(self, number, spec, binder, parameter_map):
        self.spec, self.binder = spec, binder
        self.value = getattr(parameter_map, f"spikes_{number}", None)
        self.back = getattr(parameter_map, f"spikes_{number}_back", None)

    def _chosen(self, spikes):
        chosen = (spikes.neurons >= self.spec.start) & (spikes.neurons < self.spec.stop)
        return chosen & (spikes.rank == 0) if self.spec.which == "first" else chosen

    def _at(self, spikes, chosen):
        """Where the chosen spikes stand in the readout: trial, neuron and, for each, number."""
        at = spikes.trials[chosen], spikes.neurons[chosen] - self.spec.start
        return (*at, spikes.rank[chosen]) if self.spec.which == "each" else at

    def _environment(self, v, spikes, chosen):
        at = spikes.neurons[chosen]
        symbols = self.binder.symbols
        local = {"t": spikes.times[chosen], "dt": v["dt"]}
        for name, value in v.items():
            each = name in symbols and symbols[name].kind in ("neuron", "index")
            local[name] = value[at] if each else value
        return local | {"t": spikes.times[chosen]}

    def values(self, v, spikes, n_trials) -> np.ndarray:
        """Return the readout, (trials, neurons), with a third axis if it is of each spike."""
        chosen = self._chosen(spikes)
        single = self.spec.which in ("first", "each")
        at = self._at(spikes, chosen)
        most = [int(rank.max(initial=-1)) + 1 for rank in at[2:]]
        shape = (n_trials, self.spec.stop - self.spec.start, *most)
        result = np.full(shape, np.inf if single else 0.0)
        if self.spec.kind == "spike_count":
            np.add.at(result, at, 1.0)
        elif single:
            result[at] = self.value(self._environment(v, spikes, chosen))
        else:
            np.add.at(result, at, self.value(self._environment(v, spikes, chosen)))
        return result

    def gradient(self, v, spikes, weights, times, into) -> None:
        """Add dL/d(time of each spike) to `times` and gradients of parameters to `into`."""
        if self.spec.kind == "spike_count":
            return
        chosen = self._chosen(spikes)
        scale = weights[self._at(spikes, chosen)]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            partials = self.back(self._environment(v, spikes, chosen))
            terms = {n: np.where(scale == 0, 0.0, scale * p) for n, p in partials.items()}
        for name, term in terms.items():
            if name == "t":
                times[chosen] += term
                continue
            symbol = self.binder.symbols[name]
            if symbol.kind == "shared":
                into[symbol.key] += np.sum(term)
            else:
                np.add.at(into[symbol.key], spikes.neurons[chosen], term)
