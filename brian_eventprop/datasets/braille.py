"""Braille letters under a robot's fingertip (Müller-Cleve et al. 2022, doi:10.5281/zenodo.7050094).

A pickle can run any code when it is opened.  The published ones hold nothing but lists, dicts,
numbers and text, so they are read by an unpickler that knows nothing else.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.datasets.splits import stratified_split

__all__ = ["braille"]

SPLITS = ("train", "validation", "test")


def braille(
    path,
    split: str = "train",
    *,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    dt=None,
    duration=None,
) -> SpikeData:
    """Return Braille letters as the events of 12 taxels, ON and OFF: 24 channels.

    Channel ``2*taxel`` holds the ON events, ``2*taxel + 1`` the OFF events.  The labels follow the
    alphabet, the space comes last.

    Parameters
    ----------
    path : path-like
        A published ``data_braille_letters_th*`` pickle (unpacked), or an ``.npz`` with the arrays
        times, channel, offsets and labels.
    split : {'train', 'validation', 'test', 'all'}
        Which part; every letter is equally frequent in each.
    fractions : sequence of float
        Sizes of the three parts; the published one is 70, 10 and 20 %.
    seed : int
        Of the choice of trials.
    dt : Quantity, optional
        Keep one event per channel and step of this grid; see `SpikeData.on_grid`.
    duration : Quantity, optional
        Duration of a trial; later events are left out.

    Raises
    ------
    ValueError
        If the file is cut off, in another layout, or asks to import anything.

    Examples
    --------
    >>> data = braille("data_braille_letters_th10.pkl", "train", dt=1*ms)  # doctest: +SKIP
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or all, not {split!r}")
    if len(fractions) != len(SPLITS):
        raise ValueError(f"fractions needs one number for each of {', '.join(SPLITS)}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    data = _from_npz(path) if is_zip else _from_pickle(path)
    if split != "all":
        data = stratified_split(data, fractions, seed)[SPLITS.index(split)]
    data = data if duration is None else data.until(duration)
    return data if dt is None else data.on_grid(dt)


# ---- the published pickle ------------------------------------------------------------------


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers and text; whatever wants to import something is refused."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, but only lists, dicts, numbers and text are allowed"
        )


def _from_pickle(path: Path) -> SpikeData:
    with open(path, "rb") as file:
        try:
            trials = _PlainUnpickler(file).load()
        # Damaged pickles raise nearly anything.
        except Exception as error:
            size = path.stat().st_size
            raise ValueError(
                f"{path} was not read, after byte {file.tell()} of {size}: "
                f"{type(error).__name__}: {error}"
            ) from error
    if not isinstance(trials, list) or not trials:
        raise ValueError(f"{path} must hold a list of trials, not {type(trials).__name__}")
    events = [_events(trial, number, path) for number, trial in enumerate(trials)]
    sizes = {len(trial) for trial in events}
    if len(sizes) != 1:
        raise ValueError(f"{path}: the trials have different numbers of taxels: {sorted(sizes)}")
    letters = [trial["letter"] for trial in trials]
    names = _alphabet(letters)
    trains = [train for trial in events for taxel in trial for train in taxel]
    n_channels = 2 * len(events[0])
    rows = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    trial, channel = np.divmod(rows, max(n_channels, 1))
    times = np.fromiter(chain.from_iterable(trains), dtype=float)
    labels = [names.index(letter) for letter in letters]
    return SpikeData(times, channel, trial, len(trials), n_channels, targets=labels)


def _events(trial, number: int, path: Path) -> list:
    """Return the times by taxel and polarity, once they are known to be that."""
    where = f"{path}, trial {number}"
    if not isinstance(trial, dict) or not {"letter", "events"} <= trial.keys():
        raise ValueError(f"{where}: it must be a dict with 'letter' and 'events'")
    if not isinstance(trial["letter"], str):
        raise ValueError(f"{where}: 'letter' must be text, not {trial['letter']!r}")
    events = trial["events"]
    nested = isinstance(events, list) and all(
        isinstance(taxel, list) and len(taxel) == 2 and all(isinstance(t, list) for t in taxel)
        for taxel in events
    )
    if not nested:
        raise ValueError(f"{where}: 'events' must be a list of taxels with two lists of times each")
    for channel, train in enumerate(t for taxel in events for t in taxel):
        wrong = [t for t in train if type(t) not in (int, float) or not 0 <= t < np.inf]
        if wrong:
            raise ValueError(f"{where}, channel {channel}: {wrong[0]!r} is no time in seconds")
    return events


def _alphabet(letters) -> list[str]:
    # The space is written out, so it is the one name with several characters.
    return sorted(set(letters), key=lambda letter: (len(letter), letter))


# ---- arrays --------------------------------------------------------------------------------


def _from_npz(path: Path) -> SpikeData:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("times", "channel", "offsets", "labels")}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} was not read: {error}; it must hold the arrays times, channel, offsets, labels"
        ) from error
    counts = np.diff(arrays["offsets"].astype(np.int64))
    n_trials, n_events = len(arrays["labels"]), len(arrays["times"])
    if len(counts) != n_trials or np.any(counts < 0) or counts.sum() != n_events:
        raise ValueError(
            f"{path}: offsets do not divide {n_events} events among {n_trials} labelled trials"
        )
    try:
        return SpikeData(
            arrays["times"].astype(np.float64),
            arrays["channel"],
            np.repeat(np.arange(n_trials), counts),
            n_trials,
            24,
            targets=arrays["labels"].astype(np.int64),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
