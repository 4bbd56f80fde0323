"""What the chunks of a batch have found, put together: a result as if one process had run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """The result of one chunk, as it is sent.

    Parameters
    ----------
    losses, readout
        Of the trials of the chunk.
    counts
        Spikes of each neuron, summed over the trials, by group.
    """

    losses: np.ndarray
    readout: tuple[np.ndarray, ...]
    counts: Mapping[str, np.ndarray]


class SpikeCounts:
    """Numbers of spikes of all processes; the spikes themselves stay where they are."""

    def __init__(self, counts: Mapping[str, np.ndarray]):
        self._counts = counts

    def counts(self, group, size: int) -> np.ndarray:
        """Return the number of spikes of each of `size` neurons in all samples together."""
        return self._counts[getattr(group, "name", group)][:size]

    def __getitem__(self, group):
        raise KeyError(
            f"the spikes of {getattr(group, 'name', group)!r} are spread over the processes of a "
            "training with MPI; there are their numbers, spikes.counts(group, size)"
        )


@dataclass(frozen=True)
class GatheredResult:
    """The results of all chunks of a batch; see `Result`."""

    loss: float
    losses: np.ndarray
    readout: tuple[np.ndarray, ...]
    spikes: SpikeCounts


def gathered(parts: Sequence[Part]) -> GatheredResult:
    """Return the result of a batch, given those of its chunks in their order."""
    losses = np.concatenate([part.losses for part in parts])
    readouts = zip(*(part.readout for part in parts), strict=True)
    counts = {
        name: np.sum([part.counts[name] for part in parts], axis=0) for name in parts[0].counts
    }
    readout = tuple(_joined(values) for values in readouts)
    return GatheredResult(float(losses.mean()), losses, readout, SpikeCounts(counts))


def _joined(values: Sequence[np.ndarray]) -> np.ndarray:
    """Join readouts along the trials; those of each spike may have axes of different lengths."""
    if values[0].ndim == 3:
        most = max(v.shape[2] for v in values)
        values = [
            np.pad(v, ((0, 0), (0, 0), (0, most - v.shape[2])), constant_values=np.inf)
            for v in values
        ]
    return np.concatenate(values)
