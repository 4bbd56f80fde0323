"""`SpikeData` as HDF5, in the layout of the Spiking Heidelberg Digits.

``spikes/times`` and ``spikes/units`` hold one array of its own length per trial, ``labels`` the
targets, ``extra`` what else is known of every trial, ``traces`` continuous input.  Files that this
module writes also say, as attributes, how many channels there are and how long a trial lasts.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from brian2 import Quantity, get_dimensions, second
from brian2.units.fundamentalunits import get_or_create_dimension

from brian_eventprop._files import READ_ERRORS, reading, writing
from brian_eventprop.spikes import SpikeData

__all__ = ["read_spikes", "write_spikes"]

TIMES, UNITS, LABELS, EXTRA = "spikes/times", "spikes/units", "labels", "extra"
TRACES = "traces"

#: Trials that are read or written at a time.
_BLOCK = 256


def write_spikes(data: SpikeData, path) -> None:
    """Write data to a file, which is replaced when everything is written; see `SpikeData.save`."""
    with writing(path, "spikes") as file:
        _write(file, data)


def _write(file, data: SpikeData) -> None:
    unit_type = np.uint16 if data.n_channels <= 2**16 else np.uint32
    _write_ragged(file, TIMES, data.times, data.trial_ptr, np.float64)
    _write_ragged(file, UNITS, data.channels, data.trial_ptr, unit_type)
    if isinstance(data.targets, SpikeData):
        _write(file.create_group(LABELS), data.targets)
    elif data.targets is not None:
        file[LABELS] = data.targets
    file.create_group(EXTRA)
    for name, column in data.extra.items():
        file[EXTRA][name] = column
    for name, values in data.traces.items():
        file[f"{TRACES}/{name}"] = np.asarray(values)
        file[f"{TRACES}/{name}"].attrs["dimensions"] = get_dimensions(values)._dims
    file.attrs["n_channels"] = data.n_channels
    if data.duration is not None:
        file.attrs["duration"] = float(data.duration)


def _write_ragged(file, name: str, values, pointers, dtype) -> None:
    n_trials = len(pointers) - 1
    rows = file.create_dataset(name, (n_trials,), h5py.vlen_dtype(dtype))
    for trial in range(n_trials):
        rows[trial] = values[pointers[trial] : pointers[trial + 1]].astype(dtype)


def read_spikes(path, n_channels: int | None = None) -> SpikeData:
    """Return the content of a file; see `SpikeData.load`."""
    path = Path(path)
    with reading(path, "spikes") as file:
        return _read(file, n_channels, path)


def _read(file, n_channels: int | None, path) -> SpikeData:
    if n_channels is None:
        n_channels = _stored_channels(file, path)
    times, units = _ragged(file, TIMES, path), _ragged(file, UNITS, path)
    if len(times) != len(units):
        raise ValueError(f"{path}: {TIMES} has {len(times)} trials, but {UNITS} has {len(units)}")
    extra, duration = _columns(file, len(times), path), file.attrs.get("duration")
    return SpikeData._from_sorted(
        *_joined(times, units, n_channels, path),
        n_channels,
        _labels(file, len(times), path),
        None if duration is None else float(duration) * second,
        extra,
        _traces(file, path),
    )


def _traces(file, path) -> dict[str, Quantity]:
    """Return continuous input with its unit, which stands beside it as exponents of SI's seven."""
    group = file.get(TRACES)
    if not isinstance(group, h5py.Group):
        return {}
    found = {}
    for name, dataset in group.items():
        exponents = np.asarray(dataset.attrs.get("dimensions", np.zeros(7)), float)
        dimension = get_or_create_dimension(list(exponents))
        found[name] = Quantity(_array(group, name, path), dim=dimension)
    return found


def _labels(file, n_trials: int, path):
    if LABELS not in file:
        return None
    if isinstance(file[LABELS], h5py.Group):  # target spike trains
        labels = _read(file[LABELS], None, path)
    else:
        labels = np.atleast_1d(_array(file, LABELS, path))
    if len(labels) != n_trials:
        raise ValueError(f"{path}: {LABELS} has {len(labels)} entries for {n_trials} trials")
    return labels


def _stored_channels(file, path) -> int:
    if "n_channels" not in file.attrs:
        raise ValueError(f"{path} does not say how many channels there are: give n_channels=...")
    return int(file.attrs["n_channels"])


def _ragged(file, name: str, path) -> list[np.ndarray]:
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{path} has no {name!r}: it is not in the layout of SHD; {_found(file)}")
    if dataset.ndim != 1 or h5py.check_vlen_dtype(dataset.dtype) is None:
        raise ValueError(
            f"{path}: {name!r} must hold one array per trial, not {dataset.dtype} numbers of "
            f"the shape {dataset.shape}"
        )
    rows: list[np.ndarray] = []
    for start in range(0, len(dataset), _BLOCK):
        try:
            rows.extend(dataset[start : start + _BLOCK])
        except READ_ERRORS as error:
            raise ValueError(
                f"{path}: {name!r} cannot be read between the trials {start} and "
                f"{min(start + _BLOCK, len(dataset)) - 1}, the file is damaged: {error}"
            ) from error
    return rows


def _array(file, name: str, path) -> np.ndarray:
    try:
        return file[name][()]
    except READ_ERRORS as error:
        raise ValueError(f"{path}: {name!r} cannot be read: {error}") from error


def _columns(file, n_trials: int, path) -> dict[str, np.ndarray]:
    """Return what is known of every trial; names of classes and the like are left out."""
    group = file.get(EXTRA)
    if not isinstance(group, h5py.Group):
        return {}
    return {
        name: _array(group, name, path)
        for name, dataset in group.items()
        if isinstance(dataset, h5py.Dataset)
        and dataset.shape[:1] == (n_trials,)
        and dataset.dtype.kind in "iufb"
    }


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


def _found(file) -> str:
    names: list[str] = []
    file.visit(names.append)
    return f"it holds {', '.join(names[:6])}" if names else "it holds nothing"
