"""What a user gives as spikes, checked and brought into one form; see `spikes`."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity, second

from brian_eventprop._checks import mapping, plain_numbers
from brian_eventprop._units import to_seconds, to_si


def given_times(times) -> np.ndarray:
    if not isinstance(times, Quantity):
        times = Quantity(plain_numbers(times, "times"))
    times = Quantity(times, dtype=float)
    # Bare numbers are seconds: data comes from files, not from formulas.
    if not times.is_dimensionless:
        times = to_si(times, second.dim, "times")
    times = np.array(times, dtype=float).reshape(-1)
    if not np.all(np.isfinite(times)) or np.any(times < 0):
        raise ValueError("spike times must be finite and not negative")
    return times


def given_duration(duration) -> Any:
    """Return the length of a trial with its unit; None if it is not known."""
    if duration is None:
        return None
    seconds = to_seconds(duration, "duration")
    if not 0 <= seconds < np.inf:
        raise ValueError(f"duration must be a finite time, 0 or longer, not {duration}")
    return seconds * second


def given_indices(indices, size: int, what: str) -> np.ndarray:
    given = np.asarray(indices)
    if given.size and given.dtype.kind not in "iub":
        given = plain_numbers(given, what)
        if not np.all(given == given // 1):
            raise TypeError(
                f"{what} must be whole numbers: SpikeData(times, channels, trials, n_trials, "
                "n_channels)"
            )
    result = given.reshape(-1).astype(np.int64)
    if len(result) and (result.min() < 0 or result.max() >= size):
        raise ValueError(f"{what} must lie in 0..{size - 1}")
    return result


def check_spikes(name: str, data) -> None:
    """Refuse spikes of a batch whose arrays no longer fit: kernels take them as places in arrays.

    `SpikeData` checks what it is given; this is for arrays that were changed since.
    """
    times, channels, ptr = data.times, data.channels, data.trial_ptr
    fits = len(times) == len(channels) == ptr[-1] and ptr[0] == 0 and np.all(ptr[1:] >= ptr[:-1])
    if not fits:
        raise ValueError(f"the trials of the spikes of '{name}' do not fit their times")
    if len(times) and not (times.min() >= 0 and times.max() < np.inf):  # NaN is neither
        raise ValueError(f"spike times of '{name}' must be finite and not negative")
    if len(channels) and not (channels.min() >= 0 and channels.max() < data.n_channels):
        raise ValueError(f"channels of the spikes of '{name}' must lie in 0..{data.n_channels - 1}")


def given_extra(extra, n_trials: int) -> dict[str, np.ndarray]:
    extra = mapping(extra, "extra", "{'speaker': array}")
    columns = {name: np.array(column) for name, column in extra.items()}
    for name, column in columns.items():
        if column.shape[:1] != (n_trials,):
            raise ValueError(
                f"extra[{name!r}] must have one entry per trial ({n_trials}): {column.shape}"
            )
    return columns


def given_traces(traces, n_trials: int) -> dict:
    """The values as they are, with their unit: a model knows which one they should have."""
    traces = mapping(traces, "traces", "{'I_ext': array}")
    traces = {getattr(key, "name", key): Quantity(values) for key, values in traces.items()}
    for name, values in traces.items():
        if values.ndim not in (2, 3) or len(values) != n_trials:
            raise ValueError(
                f"traces[{name!r}] must have the shape ({n_trials}, cells) or ({n_trials}, cells, "
                f"columns), not {values.shape}"
            )
    return traces
