"""Input spikes of a batch on the time grid, in the order in which Brian2 emits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brian_eventprop.runtime.array_passes import compiled


def _as_it_is(function):
    return function


@dataclass(frozen=True)
class InputSpikes:
    """Spikes of one input for a batch: trial ``b`` has the spikes ``ptr[b]:ptr[b + 1]``.

    ``original`` is the position of each spike in the data it came from.
    """

    ptr: np.ndarray
    steps: np.ndarray
    neurons: np.ndarray
    original: np.ndarray


def on_grid(
    times, channels, trial_ptr, dt: float, n_steps: int, name: str, run: Callable = _as_it_is
) -> InputSpikes:
    """Sort spikes into time steps as a `SpikeGeneratorGroup` does; see `TrialPool.function` for
    `run`.

    Raises
    ------
    ValueError
        If a neuron spikes twice in one step, which Brian2 refuses, too.
    """
    trial_ptr = np.asarray(trial_ptr, np.int64)
    steps, neurons = np.empty(len(times), np.int32), np.asarray(channels, np.int64)
    in_steps = run(_in_steps)
    if in_steps(np.asarray(times, float), neurons, trial_ptr, dt, steps):  # as most data come
        return InputSpikes(trial_ptr, steps, neurons, np.arange(len(steps)))
    trials = np.repeat(np.arange(len(trial_ptr) - 1), np.diff(trial_ptr))
    width = int(channels.max(initial=0)) + 1
    keys = (trials * (max(n_steps, int(steps.max(initial=0))) + 1) + steps) * width + channels
    order = np.lexsort((channels, times, trials))
    by_neuron = order[np.argsort(keys[order], kind="stable")]
    same = np.diff(keys[by_neuron]) == 0
    steps, neurons = steps[order], channels[order]
    if np.any(same):
        at = by_neuron[np.flatnonzero(same)[0]]
        raise ValueError(
            f"Neuron {channels[at]} of '{name}' spikes more than once in the time step of the "
            f"spike at {times[at]:g} s in trial {trials[at]} (dt = {dt:g} s), which a "
            "SpikeGeneratorGroup cannot do. Use a smaller dt, or keep one spike per step."
        )
    return InputSpikes(trial_ptr, steps, neurons.astype(np.int64), order)


@compiled
def _in_steps(times, neurons, ptr, dt, steps):
    """Fill in the time step of each spike; return whether all stand in the order of Brian2."""
    late, never = 1e-3 * dt, float(2**31 - 1)  # a very late step has no integer
    for k in range(np.uint64(times.shape[0])):
        steps[k] = np.int64(min((times[k] + late) / dt, never))
    in_order = True
    for trial in range(ptr.shape[0] - 1):
        for k in range(np.uint64(ptr[trial] + 1), np.uint64(ptr[trial + 1])):
            before = k - np.uint64(1)
            later = neurons[k] > neurons[before]
            in_order &= (steps[k] > steps[before]) | ((steps[k] == steps[before]) & later)
    return in_order


@dataclass(frozen=True)
class ExactSpikes:
    """Spikes of one input for a batch with real-valued times; see `InputSpikes`.

    ``table`` has the columns that the event solver's kernels know: time, 0, trial, neuron.
    """

    ptr: np.ndarray
    table: np.ndarray
    original: np.ndarray


def in_exact_time(times, channels, trial_ptr, run: Callable = _as_it_is) -> ExactSpikes:
    """Keep spikes at their own times; simultaneous ones stand in the order of their neurons.

    See `TrialPool.function` for `run`.
    """
    in_table = run(_in_table)
    ptr, times = np.asarray(trial_ptr, np.int64), np.asarray(times, float)
    neurons, order = np.asarray(channels, np.int64), np.arange(len(times))
    table = np.empty((len(times), 4))
    if not in_table(times, neurons, ptr, order, table):  # most data come in order
        order = np.lexsort((neurons, times, table[:, 2]))
        in_table(times, neurons, ptr, order, table)
    return ExactSpikes(ptr, table, order)


@compiled
def _in_table(times, neurons, ptr, order, table):
    """Fill in the table of `ExactSpikes`; return whether it is sorted by trial, time and neuron."""
    in_order = True
    for trial in range(ptr.shape[0] - 1):
        before, last = -np.inf, np.int64(-1)
        for n in range(np.uint64(ptr[trial]), np.uint64(ptr[trial + 1])):
            k = np.uint64(order[n])
            t, neuron = times[k], neurons[k]
            in_order &= (t > before) | ((t == before) & (neuron >= last))
            row = table[n]
            row[0], row[1], row[2], row[3] = t, 0.0, trial, neuron
            before, last = t, neuron
    return in_order
