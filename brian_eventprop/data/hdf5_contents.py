"""What an HDF5 file of spikes holds, piece by piece, read in this process or in one of its own.

HDF5 can crash or go round in circles in a damaged file, and cannot be interrupted then.  So files
of others are read in another process (this module as a program, which imports nothing but h5py and
NumPy); one that dies, or is silent for too long, is an error here and nothing else.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator

import h5py
import numpy as np

TIMES, UNITS, LABELS, EXTRA = "spikes/times", "spikes/units", "labels", "extra"
TRACES, DIMENSIONS = "traces", "dimensions"

#: Seconds without a piece after which a file is given up.
PATIENCE = 60.0

#: What h5py raises for content that it cannot read.
READ_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)

#: Trials that are read at a time.
_BLOCK = 256


def pieces(path) -> Iterator[tuple[str, str, object]]:
    """Read a file; yield (kind, name, content) of each piece.

    Kinds are 'attribute', 'array', 'rows' (lengths and joined values of up to 256 trials),
    'dimensions' (of a trace), 'group' (of target spike trains), and 'problem', a sentence after
    which nothing follows.
    """
    place = [""]
    try:
        with h5py.File(path, "r") as file:
            yield from _spikes(file, "", place)
    except READ_ERRORS as error:
        what = f": {place[0]} cannot be read, the file is damaged" if place[0] else ""
        yield "problem", "", f"{what or ' cannot be read, it is cut off or damaged'}: {error}"


def _spikes(file, prefix: str, place: list[str]) -> Iterator:
    """Yield the spikes in the file or in a group of it, and what is known of the trials."""
    n_trials = 0
    for name in (prefix + TIMES, prefix + UNITS):
        place[0] = repr(name)
        dataset = file.get(name)
        problem = _wrong_layout(file, dataset, name)
        if problem:
            yield "problem", "", problem
            return
        n_trials = len(dataset)
        yield from _rows(dataset, name, place)
    yield from _attributes(file[prefix] if prefix else file, prefix, place)
    place[0] = repr(prefix + LABELS)
    if isinstance(file.get(prefix + LABELS), h5py.Group):  # target spike trains
        yield "group", prefix + LABELS, None
        yield from _spikes(file, f"{prefix}{LABELS}/", place)
    elif prefix + LABELS in file:
        yield "array", prefix + LABELS, np.atleast_1d(file[prefix + LABELS][()])
    yield from _columns(file, prefix + EXTRA, n_trials, place)
    yield from _traces(file, prefix + TRACES, place)


def _wrong_layout(file, dataset, name: str) -> str:
    if not isinstance(dataset, h5py.Dataset):
        names: list[str] = []
        file.visit(lambda found: names.append(str(found)) or (len(names) == 6 or None))
        found = f"it holds {', '.join(names)}" if names else "it holds nothing"
        return f" has no {name!r}: it is not in the layout of SHD; {found}"
    if dataset.ndim != 1 or h5py.check_vlen_dtype(dataset.dtype) is None:
        return (
            f": {name!r} must hold one array per trial, not {dataset.dtype} numbers of the shape "
            f"{dataset.shape}"
        )
    return ""


def _rows(dataset, name: str, place: list[str]) -> Iterator:
    kind = h5py.check_vlen_dtype(dataset.dtype)
    for start in range(0, len(dataset), _BLOCK):
        place[0] = (
            f"{name!r} between the trials {start} and {min(start + _BLOCK, len(dataset)) - 1}"
        )
        rows = dataset[start : start + _BLOCK]
        lengths = np.array([len(row) for row in rows], np.int64)
        yield "rows", name, (lengths, np.concatenate([np.empty(0, kind), *rows]))


def _attributes(group, prefix: str, place: list[str]) -> Iterator:
    for name in ("n_channels", "duration"):
        place[0] = f"the attribute {name!r}"
        if name in group.attrs:
            yield "attribute", prefix + name, np.asarray(group.attrs[name]).item()


def _columns(file, name: str, n_trials: int, place: list[str]) -> Iterator:
    """Yield what is known of every trial; names of classes and the like are left out."""
    place[0] = repr(name)
    group = file.get(name)
    for column, dataset in group.items() if isinstance(group, h5py.Group) else ():
        place[0] = repr(f"{name}/{column}")
        if (
            isinstance(dataset, h5py.Dataset)
            and dataset.shape[:1] == (n_trials,)
            and dataset.dtype.kind in "iufb"
        ):
            yield "array", f"{name}/{column}", dataset[()]


def _traces(file, name: str, place: list[str]) -> Iterator:
    """Yield continuous input, and its unit as exponents of SI's seven."""
    place[0] = repr(name)
    group = file.get(name)
    for trace, dataset in group.items() if isinstance(group, h5py.Group) else ():
        place[0] = repr(f"{name}/{trace}")
        exponents = np.asarray(dataset.attrs.get(DIMENSIONS, np.zeros(7)), float)
        yield "dimensions", f"{name}/{trace}", exponents
        yield "array", f"{name}/{trace}", dataset[()]


def pieces_from_another_process(path) -> Iterator[tuple[str, str, object]]:
    """Read a file as `pieces` does, in a process that may die or hang."""
    if not sys.executable:  # Python is part of another program
        yield from pieces(path)
        return
    command = [sys.executable, "-P", __file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            while (piece := _next_piece(process))[0] != "end":
                yield piece
        finally:
            process.kill()


def _next_piece(process) -> tuple[str, str, object]:
    gave_up = threading.Event()

    def give_up():
        gave_up.set()
        process.kill()

    timer = threading.Timer(PATIENCE, give_up)
    timer.start()
    try:
        return pickle.load(process.stdout)
    except (EOFError, pickle.UnpicklingError):
        how = "HDF5 crashes in it"
        if gave_up.is_set():
            how = f"HDF5 is still at the same place of it after {PATIENCE:g} s"
        return "problem", "", f" cannot be read, it is damaged: {how}"
    finally:
        timer.cancel()


if __name__ == "__main__":
    for piece in pieces(sys.argv[1]):
        pickle.dump(piece, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()
    pickle.dump(("end", "", None), sys.stdout.buffer)
