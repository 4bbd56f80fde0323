"""Events of tonic: one structured array per sample, with fields ``t``, ``x``, ``y`` and ``p``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from brian_eventprop._checks import whole_number


def joined_events(samples: Iterable, sensor_size, unit: float) -> tuple:
    """Return times, channels and trials of all events, and the numbers of trials and channels.

    Parameters
    ----------
    samples
        One array per trial.
    sensor_size
        (width, height, polarities), or the first of them.
    unit
        Of the times, in seconds.
    """
    sizes = _sensor(sensor_size)
    events = [_checked_events(one) for one in samples]
    channels = [_channels(one, sizes) for one in events]
    trials = np.repeat(np.arange(len(events)), [len(one) for one in events])
    times = [np.asarray(one["t"], float) * unit for one in events]
    joined = (np.concatenate(parts) if parts else np.empty(0) for parts in (times, channels))
    return *joined, trials, len(events), int(np.prod(sizes))


def _sensor(sensor_size) -> tuple[int, ...]:
    sizes = np.atleast_1d(np.asarray(sensor_size if sensor_size is not None else ()))
    if not 1 <= sizes.size <= 3:
        raise ValueError(
            "events need sensor_size=(width, height, polarities), which a tonic dataset has, or "
            f"the number of channels alone, not {sensor_size!r}"
        )
    return tuple(whole_number(n, "sensor_size", least=1) for n in [*sizes, 1, 1][:3])


def _checked_events(sample) -> np.ndarray:
    names = getattr(getattr(sample, "dtype", None), "names", None) or ()
    if "t" not in names or "x" not in names:
        raise TypeError(
            "events are a structured array with the fields t and x (y, p), as in tonic, not "
            f"{kind_of(sample)}"
        )
    return sample


def _channels(events: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Return ``(p*height + y)*width + x``: where a flattened frame (p, y, x) has the event."""
    channel = np.zeros(len(events), np.int64)
    for name, size in zip("pyx", reversed(sizes), strict=True):
        if name not in events.dtype.names:
            if size > 1:
                raise ValueError(f"sensor_size={sizes} is for events with {name}, these have none")
            continue
        place = events[name].astype(np.int64)
        if len(place) == 0:
            continue
        first, last = place.min(), place.max()
        if name == "p" and size == 1 and first == last:
            continue  # all of one polarity, whichever it is called: tonic's audio has 1
        if not 0 <= first <= last < size:
            raise ValueError(
                f"events with {name} from {first} to {last} do not fit sensor_size={sizes}, "
                "(width, height, polarities)"
            )
        channel = channel * size + place
    return channel


def kind_of(thing) -> str:
    """Return what a thing is, in a message.

    Examples
    --------
    >>> kind_of([1, 2]), kind_of(np.zeros((2, 3)))
    ('a list of 2', 'ndarray of the shape (2, 3)')
    """
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}"
    shape = getattr(thing, "shape", None)
    return type(thing).__name__ + (f" of the shape {tuple(shape)}" if shape is not None else "")
