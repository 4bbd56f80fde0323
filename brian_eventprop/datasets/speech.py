"""Spoken words as spikes: the Heidelberg Digits (SHD), the Speech Commands (SSC), and files alike.

SHD and SSC (Cramer et al. 2020) are published at https://zenkelab.org/datasets as HDF5 files; the
unpacked files are read as they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brian_eventprop.data.spikes import SpikeData

__all__ = ["speech"]

#: What the published files call each split.
SPLITS = {"train": ("train",), "validation": ("valid", "validation"), "test": ("test",)}


def speech(
    path, split: str | None = None, *, n_channels: int = 700, pool: int = 1, duration=None
) -> SpikeData:
    """Return spoken words in the file layout of SHD and SSC.

    The labels are the targets; ``data.extra`` holds what else the file knows of every trial, such
    as the speaker (see `hold_out` and `leave_one_out`).  SHD has no validation split: take some
    speakers or a `stratified_split` of the training trials.

    Parameters
    ----------
    path : path-like or a tonic dataset
        The HDF5 file, or the folder in which the one of `split` lies; or an object of tonic's own
        classes, ``tonic.datasets.SHD("data", train=True)`` or ``SSC``, which also download the
        files.  Of such an object the file is read as it is: its transforms are not applied, and
        half-precision times become double before anything is computed with them.
    split : {'train', 'validation', 'test'}, optional
        For a folder: which of its files, ``*_train.h5``, ``*_valid.h5`` or ``*_test.h5``.
    n_channels : int
        Number of channels of the file.
    pool : int
        So many neighbouring channels are joined into one.
    duration : Quantity, optional
        Duration of a trial; later spikes are left out.

    Raises
    ------
    ValueError
        If the file is cut off, damaged or in another layout; the message says where.

    Examples
    --------
    >>> data = speech("SHD/shd_train.h5", pool=5)  # doctest: +SKIP
    >>> data = speech("SSC", "validation", duration=1*second)  # doctest: +SKIP
    >>> data = speech(tonic.datasets.SHD("data", train=True))  # doctest: +SKIP
    """
    file = _tonic_file(path, split) if hasattr(path, "data_filename") else _file(Path(path), split)
    data = SpikeData.load(file, n_channels)
    if not isinstance(data.targets, np.ndarray) or data.targets.dtype.kind not in "iu":
        raise ValueError(f"{file} has no 'labels' that are whole numbers")
    data.targets = data.targets.astype(np.int64)
    data = data if duration is None else data.until(duration)
    return data if pool == 1 else data.pooled(pool)


def _tonic_file(dataset, split: str | None) -> Path:
    """The file behind a dataset of tonic's."""
    what = type(dataset).__name__
    if split is not None:
        raise ValueError(f"tonic's {what} object is one split already: leave {split=} out")
    for name in ("transform", "target_transform", "transforms"):
        if getattr(dataset, name, None) is not None:
            raise ValueError(
                f"tonic's {what} object has a {name}, which is not applied to the file: create it "
                "without, and use augment= of Trainer.fit or methods of SpikeData"
            )
    return Path(dataset.location_on_system) / dataset.data_filename


def _file(path: Path, split: str | None) -> Path:
    if not path.is_dir():
        if split is not None:
            raise ValueError(f"{path} is not a folder: {split=} chooses a file of a folder")
        return path
    if split not in SPLITS:
        raise ValueError(f"{path} is a folder: split must be one of {', '.join(SPLITS)}")
    names = [f"*_{word}.{ending}" for word in SPLITS[split] for ending in ("h5", "hdf5")]
    found = sorted(file for name in names for file in path.glob(name))
    if len(found) != 1:
        what = ", ".join(file.name for file in found) or "no file"
        raise FileNotFoundError(
            f"{path} holds {what} named {' or '.join(names)}, but one is needed: give the file"
        )
    return found[0]
