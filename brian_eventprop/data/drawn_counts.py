"""The numbers of spikes of a `PoissonInput`, given as data, as the spikes that stand for them.

The clock solver and the event solver only know spikes: a neuron that gets 5 spikes in a time step
gets one that stands for 4 and one that stands for 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS

from brian_eventprop._units import to_si
from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.reading.spec import NetworkSpec, SpikeInput

#: About how many digits are looked at together.
TOGETHER = 2**20


def drawn_spikes(spec: NetworkSpec, traces: Mapping, n_steps: int) -> dict[str, SpikeData]:
    """Return the spikes of every `PoissonInput` of a network.

    Parameters
    ----------
    spec
        The network.
    traces
        What a batch brings, by name: for each `PoissonInput` an array (trials, steps, neurons).
    n_steps
        Number of time steps of a trial.

    Raises
    ------
    ValueError
        If numbers are missing, have another shape, or are none of spikes.
    """
    found = {}
    for source in spec.inputs:
        if source.most:
            counts = _checked(source, traces.get(source.name), n_steps, spec.dt)
            found[source.name] = _as_spikes(source, counts, spec.dt)
    return found


def _checked(source: SpikeInput, given, n_steps: int, dt: float) -> np.ndarray:
    size = source.size // source.digits
    wanted = f"(trials, {n_steps}, {size}): time steps of {dt:g} s, neurons"
    if given is None:
        raise ValueError(
            f"PoissonInput '{source.name}' draws numbers of spikes at random: give the ones to "
            f"use, traces={{'{source.name}': counts}}, of the shape {wanted}; for example "
            f"counts = np.random.binomial({source.most}, rate*dt, (trials, {n_steps}, {size}))"
        )
    counts = np.asarray(given)
    if counts.dtype.kind not in "iu":
        counts = to_si(given, DIMENSIONLESS, f"the counts of '{source.name}'")
    if counts.ndim == 2 and size == 1:
        counts = counts[:, :, np.newaxis]
    if counts.shape[1:] != (n_steps, size):
        raise ValueError(
            f"the counts of '{source.name}' must have the shape {wanted}, not {counts.shape}"
        )
    if counts.size and not (counts.min() >= 0 and counts.max() <= source.most):  # NaN is neither
        raise ValueError(f"the counts of '{source.name}' must lie in 0..{source.most}")
    if counts.dtype.kind == "f" and np.any(counts % 1):
        raise ValueError(f"the counts of '{source.name}' must be whole numbers")
    return counts


def _as_spikes(source: SpikeInput, counts: np.ndarray, dt: float) -> SpikeData:
    """Return spikes that stand for the powers of 2 that each number is the sum of."""
    small = np.min_scalar_type(source.most)
    powers = small.type(1) << np.arange(source.digits, dtype=small)
    together = max(TOGETHER // max(source.size, 1), 1)
    times, channels, counted = [np.empty(0)], [np.empty(0, np.int64)], [0]
    for trial in counts:
        counted.append(0)
        for first in range(0, len(trial), together):
            numbers = trial[first : first + together, :, np.newaxis].astype(small)
            found = np.flatnonzero(numbers & powers != 0).astype(np.int32)
            steps, members = np.divmod(found, np.int32(source.size))
            times.append((steps + first) * dt)
            channels.append(members)
            counted[-1] += len(found)
    times, channels = np.concatenate(times), np.concatenate(channels)
    return SpikeData._from_sorted(times, channels, np.cumsum(counted), source.size)
