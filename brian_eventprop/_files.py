"""HDF5 files that are whole or refused: how they are written, and how they are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

#: What h5py raises for content that it cannot read.
READ_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


@contextmanager
def writing(path) -> Iterator[h5py.File]:
    """Write a new file beside `path`, which takes its place only when it is complete.

    Whoever is interrupted in between leaves the old file as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(folder + "/x.h5") as file:
    ...         file["answer"] = 42
    ...     with reading(folder + "/x.h5") as file:
    ...         int(file["answer"][()])
    42
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with h5py.File(part, "w") as file:
        yield file
    _put(part, path)


def replace_content(path, content: bytes) -> None:
    """Replace a file as a whole: there is the old one or the new one, never a part.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_content(folder + "/x", b"new")
    ...     Path(folder, "x").read_bytes()
    b'new'
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    _put(part, path)


def _put(part: Path, path: Path) -> None:
    with open(part, "rb+") as written:
        os.fsync(written.fileno())
    os.replace(part, path)


@contextmanager
def reading(path) -> Iterator[h5py.File]:
    """Open a file; one that is cut off or not HDF5 gives a `ValueError` that says so."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    size = path.stat().st_size
    if not h5py.is_hdf5(path):
        with open(path, "rb") as file:
            start = file.read(8)
        raise ValueError(
            f"{path} is not an HDF5 file: its {size} bytes begin with {start!r}"
            if size
            else f"{path} is empty"
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read, it is cut off or damaged ({size} bytes): {error}"
        ) from error
    with file:
        yield file
