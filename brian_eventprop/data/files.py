"""HDF5 files that are whole or refused: how they are written, and how they are opened.

Files written here begin with a block, which HDF5 skips, that tells the length and the digest of
the rest.  So a file that was cut off or damaged is known before HDF5 looks at it, which can fail
in any way on such files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

#: What h5py raises for content that it cannot read.
READ_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)

_BLOCK = 512
_VERSION = 1
_SEAL = "brian-eventprop {kind} {version}\nbytes {size}\nsha256 {digest}\n"
_SEALED = re.compile(rb"brian-eventprop ([a-z]+) (\d+)\nbytes (\d+)\nsha256 ([0-9a-f]{64})\n")


@contextmanager
def writing(path, kind: str) -> Iterator[h5py.File]:
    """Write a new file beside `path`, which takes its place only when it is complete.

    Whoever is interrupted in between leaves the old file as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(folder + "/x.h5", "answers") as file:
    ...         file["answer"] = 42
    ...     with reading(folder + "/x.h5", "answers") as file:
    ...         int(file["answer"][()])
    42
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with h5py.File(part, "w", userblock_size=_BLOCK) as file:
        yield file
    with open(part, "rb+") as written:
        size, digest = _size_and_digest(written)
        seal = _SEAL.format(kind=kind, version=_VERSION, size=size, digest=digest)
        written.seek(0)
        written.write(seal.encode())
        written.flush()
        os.fsync(written.fileno())
    os.replace(part, path)


@contextmanager
def reading(path, kind: str) -> Iterator[h5py.File]:
    """Open a file that was written here.

    One that is cut off, damaged or foreign gives a `ValueError` that says so.
    """
    path = Path(path)
    checked(path, kind, only_own=True)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path} cannot be read, it is cut off or damaged ({size} bytes): {error}"
        ) from error
    with file:
        yield file


def checked(path: Path, kind: str, only_own: bool = False) -> bool:
    """Return whether a file was written here and is whole; an HDF5 file of others may be damaged.

    Raises
    ------
    ValueError
        If the file is of another kind, was cut off or changed, or is no HDF5 file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with open(path, "rb") as file:
        start = file.read(_BLOCK)
        seal = _SEALED.match(start)
        if not start:
            raise ValueError(f"{path} is empty")
        if seal is not None:
            _check_seal(file, seal, path, kind)
        elif only_own:
            raise ValueError(f"{path} is not a {kind}: it begins with {start[:16]!r}")
        elif not h5py.is_hdf5(path):
            raise ValueError(f"{path} is not an HDF5 file: it begins with {start[:16]!r}")
    return seal is not None


def _check_seal(file, seal, path: Path, kind: str) -> None:
    found, version, size, digest = (part.decode() for part in seal.groups())
    if found != kind:
        raise ValueError(f"{path} is not a {kind}: it holds {found}")
    if int(version) != _VERSION:
        raise ValueError(f"{path} was written by a newer version ({kind} {version})")
    actual_size, actual_digest = _size_and_digest(file)
    if actual_size != int(size):
        raise ValueError(f"{path} is cut off: it has {actual_size} of {size} bytes")
    if actual_digest != digest:
        raise ValueError(f"{path} is damaged or was changed: its content is not what was written")


def _size_and_digest(file) -> tuple[int, str]:
    file.seek(_BLOCK)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    return max(os.fstat(file.fileno()).st_size - _BLOCK, 0), digest
