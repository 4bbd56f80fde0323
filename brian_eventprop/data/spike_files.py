"""`SpikeData` as HDF5, in the layout of the Spiking Heidelberg Digits.

``spikes/times`` and ``spikes/units`` hold one array of its own length per trial, ``labels`` the
targets, ``extra`` what else is known of every trial, ``traces`` continuous input.  Files that this
module writes also say, as attributes, how many channels there are and how long a trial lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from brian2 import Quantity, get_dimensions, second
from brian2.units.fundamentalunits import get_or_create_dimension

from brian_eventprop.data.files import checked, writing
from brian_eventprop.data.hdf5_contents import (
    DIMENSIONS,
    EXTRA,
    LABELS,
    TIMES,
    TRACES,
    UNITS,
    pieces,
    pieces_from_another_process,
)

if TYPE_CHECKING:  # `SpikeData` itself reads and writes its files here
    from brian_eventprop.data.spikes import SpikeData

__all__ = ["read_spikes", "write_spikes"]


def write_spikes(data: SpikeData, path) -> None:
    """Write data to a file, which is replaced when everything is written; see `SpikeData.save`."""
    with writing(path, "spikes") as file:
        _write(file, data)


def _write(file, data: SpikeData) -> None:
    unit_type = np.uint16 if data.n_channels <= 2**16 else np.uint32
    _write_ragged(file, TIMES, data.times, data.trial_ptr, np.float64)
    _write_ragged(file, UNITS, data.channels, data.trial_ptr, unit_type)
    if isinstance(data.targets, type(data)):  # spike trains as targets
        _write(file.create_group(LABELS), data.targets)
    elif data.targets is not None:
        file[LABELS] = data.targets
    file.create_group(EXTRA)
    for name, column in data.extra.items():
        file[EXTRA][name] = column
    for name, values in data.traces.items():
        file[f"{TRACES}/{name}"] = np.asarray(values)
        file[f"{TRACES}/{name}"].attrs[DIMENSIONS] = get_dimensions(values)._dims
    file.attrs["n_channels"] = data.n_channels
    if data.duration is not None:
        file.attrs["duration"] = float(data.duration)


def _write_ragged(file, name: str, values, pointers, dtype) -> None:
    n_trials = len(pointers) - 1
    rows = file.create_dataset(name, (n_trials,), h5py.vlen_dtype(dtype))
    for trial in range(n_trials):
        rows[trial] = values[pointers[trial] : pointers[trial + 1]].astype(dtype)


def read_spikes(path, n_channels: int | None, from_sorted: Callable[..., SpikeData]) -> SpikeData:
    """Return the content of a file, made by `from_sorted`; see `SpikeData.load`."""
    path = Path(path)
    if checked(path, "spikes"):
        content = _Content.of(pieces(path), path)
    else:
        content = _Content.of(pieces_from_another_process(path), path)
    return _spike_data(content, "", n_channels, path, from_sorted)


@dataclass
class _Content:
    """The pieces of a file by their names."""

    attributes: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, list[np.ndarray]] = field(default_factory=dict)
    dimensions: dict[str, np.ndarray] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, found, path) -> _Content:
        """Gather the pieces; a problem is an error that names the file."""
        content = cls(rows={})
        for kind, name, piece in found:
            if kind == "problem":
                raise ValueError(f"{path}{piece}")
            if kind == "attribute":
                content.attributes[name] = piece
            elif kind == "array":
                content.arrays[name] = piece
            elif kind == "dimensions":
                content.dimensions[name] = piece
            elif kind == "group":
                content.groups.add(name)
            else:
                lengths, joined = piece
                rows = np.split(joined, np.cumsum(lengths)[:-1])
                content.rows.setdefault(name, []).extend(rows)
        return content

    def below(self, group: str) -> dict[str, np.ndarray]:
        """Return the arrays of a group by their names there."""
        prefix = group + "/"
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}


def _spike_data(
    content: _Content, prefix: str, n_channels: int | None, path, from_sorted
) -> SpikeData:
    """Return the spikes of a file, or of a group of it."""
    if n_channels is None:
        n_channels = _stored_channels(content, prefix, path)
    times, units = (content.rows.get(prefix + name, []) for name in (TIMES, UNITS))
    if len(times) != len(units):
        raise ValueError(f"{path}: {TIMES} has {len(times)} trials, but {UNITS} has {len(units)}")
    n_trials = len(times)
    return from_sorted(
        *_joined(times, units, n_channels, path),
        n_channels,
        _labels(content, prefix, n_trials, path, from_sorted),
        _duration(content, prefix, path),
        content.below(prefix + EXTRA),
        _traces(content, prefix, path),
    )


def _traces(content: _Content, prefix: str, path) -> dict[str, Quantity]:
    """Return continuous input with its unit."""
    traces = {}
    for name, values in content.below(prefix + TRACES).items():
        exponents = content.dimensions[f"{prefix}{TRACES}/{name}"]
        if exponents.shape != (7,) or not np.all(np.isfinite(exponents)):
            raise ValueError(f"{path}: the unit of '{TRACES}/{name}' is not seven exponents")
        traces[name] = Quantity(values, dim=get_or_create_dimension(list(exponents)))
    return traces


def _labels(content: _Content, prefix: str, n_trials: int, path, from_sorted):
    if prefix + LABELS in content.groups:
        labels = _spike_data(content, f"{prefix}{LABELS}/", None, path, from_sorted)
    else:
        labels = content.arrays.get(prefix + LABELS)
    if labels is not None and len(labels) != n_trials:
        raise ValueError(f"{path}: {LABELS} has {len(labels)} entries for {n_trials} trials")
    return labels


def _stored_channels(content: _Content, prefix: str, path) -> int:
    found = content.attributes.get(prefix + "n_channels")
    if found is None:
        raise ValueError(f"{path} does not say how many channels there are: give n_channels=...")
    if isinstance(found, str | bytes) or not (found >= 0 and found == int(found)):
        raise ValueError(f"{path}: {found!r} is no number of channels: give n_channels=...")
    return int(found)


def _duration(content: _Content, prefix: str, path):
    found = content.attributes.get(prefix + "duration")
    if found is None:
        return None
    if isinstance(found, str | bytes) or not (np.isfinite(found) and found > 0):
        raise ValueError(f"{path}: {found!r} s is no duration of a trial")
    return float(found) * second


def _joined(times: list, units: list, n_channels: int, path):
    """Return all spikes in one array each, sorted within every trial, and where trials begin."""
    pointers = np.concatenate(([0], np.cumsum([len(row) for row in times]))).astype(np.int64)
    all_times = np.empty(pointers[-1])
    channels = np.empty(pointers[-1], dtype=np.int64)
    for trial, (start, stop) in enumerate(zip(pointers[:-1], pointers[1:], strict=True)):
        # Half precision is cast before anything is computed: 60 000 steps do not fit into it.
        row, unit = times[trial].astype(np.float64), units[trial]
        times[trial] = units[trial] = None  # only one copy of the data at a time
        where = f"{path}, trial {trial}"
        if len(row) != len(unit):
            raise ValueError(f"{where}: {len(row)} times, but {len(unit)} units")
        if not np.all(np.isfinite(row)) or np.any(row < 0):
            first = row[~(np.isfinite(row) & (row >= 0))][0]
            raise ValueError(f"{where}: the time {first} s is not finite and not negative")
        if unit.dtype.kind not in "iu":
            raise ValueError(f"{where}: units must be whole numbers, not {unit.dtype}")
        if len(unit) and not 0 <= unit.min() <= unit.max() < n_channels:
            raise ValueError(
                f"{where}: units from {unit.min()} to {unit.max()} are not in 0..{n_channels - 1}"
            )
        order = np.lexsort((unit, row))
        all_times[start:stop], channels[start:stop] = row[order], unit[order]
    return all_times, channels, pointers
