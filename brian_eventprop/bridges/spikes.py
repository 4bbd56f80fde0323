"""Input spikes as arrays of another library: `SpikeData`, and where each spike stood in the array.

Derivatives in the spikes' times go back to these places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import second

from brian_eventprop.data.spikes import SpikeData


@dataclass(frozen=True)
class GivenSpikes:
    """Spikes of one input.

    Parameters
    ----------
    data
        The spikes, sorted.
    shape
        Of the array of times that was given; None if there was none, so that nothing goes back.
    places
        Where in that array, as one row, the time of each spike of `data` stood.
    """

    data: SpikeData
    shape: tuple[int, ...] | None = None
    places: np.ndarray | None = None

    def spread(self, derivatives: np.ndarray) -> np.ndarray:
        """Return derivatives by spike in the shape of the given times; 0 where there was none."""
        found = np.zeros(int(np.prod(self.shape)))
        found[self.places] = derivatives
        return found.reshape(self.shape)


def from_spikes(times, channels, trials, n_trials: int, n_channels: int) -> GivenSpikes:
    """Return spikes given as three rows, as `SpikeData` takes them, in any order.

    Parameters
    ----------
    times : array (E,)
        In seconds.
    channels, trials : array (E,)
        Of each spike.
    n_trials, n_channels
        Numbers of trials and of neurons of the input.

    Examples
    --------
    >>> given = from_spikes([0.003, 0.001], [0, 1], [0, 0], 1, 2)
    >>> given.data.times, given.spread(np.array([10.0, 20.0]))
    (array([0.001, 0.003]), array([20., 10.]))
    """
    times = np.array(times, float)
    channels, trials = (np.asarray(a, np.int64).ravel() for a in (channels, trials))
    data = SpikeData(times, channels, trials, n_trials, n_channels)
    return GivenSpikes(data, times.shape, np.lexsort((channels, times.ravel(), trials)))


def from_padded(times, n_channels: int) -> GivenSpikes:
    """Return spikes given as an array (trials, channels) or (trials, channels, spikes) of times.

    Parameters
    ----------
    times
        In seconds; infinite where a channel has fewer spikes than there is room for.
    n_channels
        Number of neurons of the input.

    Raises
    ------
    ValueError
        If the array has another shape, or a time is negative or not a number.

    Examples
    --------
    >>> given = from_padded([[0.002, np.inf], [0.001, 0.003]], 2)
    >>> given.data
    SpikeData(2 trials, 2 channels, 3 spikes)
    >>> given.spread(np.array([1.0, 2.0, 3.0]))
    array([[1., 0.],
           [2., 3.]])
    """
    times = np.asarray(times, float)
    if times.ndim not in (2, 3) or times.shape[1] != n_channels:
        raise ValueError(
            f"spike times must have the shape (trials, {n_channels}) or (trials, {n_channels}, "
            f"spikes), infinite where there is no spike, not {times.shape}"
        )
    there = ~np.isposinf(times)
    trials, channels = np.nonzero(there)[:2]
    found = from_spikes(times[there], channels, trials, len(times), n_channels)
    places = np.flatnonzero(there)[found.places]
    return GivenSpikes(found.data, times.shape, places)


def from_raster(raster, layout: str, dt: float, n_channels: int) -> GivenSpikes:
    """Return spikes given as counts on a time grid; there is no derivative in counts.

    Parameters
    ----------
    raster
        Spike counts.
    layout : {'BTN', 'TBN'}
        Whether its axes are trials, time steps and neurons, or time steps, trials and neurons.
    dt
        The grid's time step in seconds.
    n_channels
        Number of neurons of the input.

    Examples
    --------
    >>> raster = np.zeros((5, 1, 2), int)
    >>> raster[3, 0, 1] = 1
    >>> from_raster(raster, "TBN", 0.001, 2).data.times
    array([0.003])
    """
    raster = np.asarray(raster)
    if raster.ndim != 3 or raster.shape[2] != n_channels:
        axes = "trials, time steps" if layout == "BTN" else "time steps, trials"
        raise ValueError(
            f"a raster with spikes={layout!r} must have the shape ({axes}, {n_channels}), not "
            f"{raster.shape}"
        )
    raster = raster.transpose(1, 0, 2) if layout == "TBN" else raster
    return GivenSpikes(SpikeData.from_raster(raster, dt * second))
