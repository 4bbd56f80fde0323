"""Groups that are given their spikes: `SpikeGeneratorGroup` and a replayed `PoissonGroup`."""

from __future__ import annotations

import copy
from collections.abc import Collection as Keys
from collections.abc import Container, Mapping

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian
from brian_eventprop.reading.spec import Key, NetworkSpec, SpikeInput
from brian_eventprop.reading.unsupported import check_parts, check_schedule, unsupported

INPUTS = (brian.SpikeGeneratorGroup, brian.PoissonGroup)

_SAME_STEP = "Give all objects the same dt."


def read_input(group, dt: float, ignored: Container[int] = ()) -> SpikeInput:
    """Return the specification of an input group in a network with the time step ``dt``."""
    check_parts(group, ignored)
    if isinstance(group, brian.SpikeGeneratorGroup):
        check_schedule(group, group, "thresholds")
    else:
        check_schedule(group, group.thresholder["spike"], "thresholds")
    return SpikeInput(group.name, len(group), _own_step(group, dt))


def read_spikes(group, duration: float | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the spikes that a group holds, sorted by time, then index; None if it holds none.

    Periodic spikes are repeated until the end of a trial of that `duration` in seconds.
    """
    if not isinstance(group, brian.SpikeGeneratorGroup):
        return None
    indices = np.array(group._neuron_index, dtype=np.int64)
    times = np.array(group._spike_time, dtype=np.float64)
    order = np.lexsort((indices, times))
    indices, times = indices[order], times[order]
    period = period_of(group)
    if period is None:
        return indices, times
    if duration is None:
        raise ValueError(f"The periodic spikes of '{group.name}' need the duration of a trial.")
    return _repeated(group, indices, times, period, duration)


def holds_spikes(group) -> bool:
    """Whether a group has spikes of its own."""
    return isinstance(group, brian.SpikeGeneratorGroup) and len(group._spike_time) > 0


def period_of(group) -> float | None:
    """Return the period after which a group repeats its spikes, in seconds; None if it does not."""
    period = float(group.variables["period"].get_value().item())
    # Brian2 takes a period of more than 2**31 steps for an infinite one
    endless = not 0 < period < np.inf or np.round(period / group.clock.dt_) >= 2**31
    return None if endless else period


def _repeated(group, indices, times, period: float, duration: float):
    """Repeat spikes until the end of a trial, as often as Brian2 does."""
    dt = float(group.clock.dt_)
    steps, statement = int(np.round(period / dt)), f"period={period:g} s"
    if period < dt or abs(steps * dt - period) > period * np.finfo(float).eps:
        reason = f"it is not a whole number of time steps of {dt:g} s"
        raise unsupported(group, statement, reason, "Give a multiple of the group's dt.")
    bins = _bins(times, dt)
    if bins.max(initial=0) >= steps:
        reason = f"it has a spike at {times[-1]:g} s, after the end of the period"
        raise unsupported(group, statement, reason, "Give spikes within one period.")
    end = int(np.ceil(duration / dt - 1e-6))
    rounds = np.arange(-(-end // steps))[:, np.newaxis]
    kept = (bins + steps * rounds < end).ravel()
    times = (times + period * rounds).ravel()[kept]
    return np.tile(indices, len(rounds))[kept], times


def _bins(times, dt: float) -> np.ndarray:
    """Return the time step of each spike, as a `SpikeGeneratorGroup` counts."""
    return np.floor(np.minimum((times + 1e-3 * dt) / dt, 2.0**62)).astype(np.int64)


# --- time steps of their own -------------------------------------------------------------------


def _own_step(group, dt: float) -> float | None:
    step = getattr(group.clock, "dt_", None)
    if step is None:
        reason = "it has no regular time step"
        raise unsupported(group, f"clock '{group.clock.name}'", reason, "Give it a dt.")
    step = float(step)
    if step == dt:
        return None
    ratio = max(step / dt, dt / step)
    if abs(ratio - round(ratio)) > 1e-9 * ratio:
        reason = f"it is neither a multiple nor a part of the network's, {dt:g} s"
        raise unsupported(group, f"dt={step:g} s", reason, _SAME_STEP)
    return step


def check_input_steps(spec: NetworkSpec, values: Mapping[Key, np.ndarray], trained: Keys) -> None:
    """Refuse delays that the time grid of an input with a dt of its own rounds otherwise.

    Brian2 counts the delays of a pathway in time steps of its source.
    """
    steps = {source.name: source.dt for source in spec.inputs if source.dt is not None}
    for pathway in spec.pathways:
        step = steps.get(pathway.source)
        if step is None:
            continue
        start = (
            f"Synapses '{pathway.synapses}': '{pathway.source}' has a time step of its own, "
            f"{step:g} s instead of {spec.dt:g} s, in which Brian2 counts the delays of "
            f"'{pathway.name}'"
        )
        if pathway.delay in trained:
            raise UnsupportedError(f"{start}, so they cannot be trained. {_SAME_STEP}")
        delays = values[pathway.delay]
        there, here = (np.floor(delays / dt + 0.5) * dt for dt in (step, spec.dt))
        wrong = np.abs(there - here) > 1e-3 * min(step, spec.dt)
        if np.any(wrong):
            at = int(np.argmax(wrong))
            raise UnsupportedError(
                f"{start}: {delays[at]:g} s become {there[at]:g} s there and {here[at]:g} s on the "
                f"grid of the network. Use delays that are multiples of both. {_SAME_STEP}"
            )


def on_own_grid(source: SpikeInput, data, dt: float):
    """Return spikes at the times at which an input with a time step of its own emits them."""
    if source.dt is None:
        return data
    moved = copy.copy(data)
    moved.times = _bins(data.times, source.dt) * source.dt
    between = np.abs(moved.times / dt - np.round(moved.times / dt)) > 1e-3
    if np.any(between):
        at = int(np.argmax(between))
        raise UnsupportedError(
            f"'{source.name}' has a time step of its own, {source.dt:g} s, and its spike at "
            f"{data.times[at]:g} s falls between two time steps of the network, {dt:g} s each. "
            f"{_SAME_STEP}"
        )
    return moved
