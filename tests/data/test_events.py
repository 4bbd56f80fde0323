"""Events of tonic: which channel they have, and what is no event."""

import numpy as np
import pytest
from brian2 import ms

from brian_eventprop import SpikeData

FIELDS = [("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", bool)]


def test_a_channel_is_the_place_in_a_flattened_frame():
    sizes = (3, 2, 2)  # width, height, polarities
    places = [(t, x, y, p) for t, (p, y, x) in enumerate(np.ndindex(2, 2, 3))]
    data = SpikeData.from_events([np.array(places, FIELDS)], sizes)
    np.testing.assert_array_equal(data.channels, np.arange(12))
    np.testing.assert_allclose(data.times, 1e-6 * np.arange(12))
    frames = np.zeros((12, 2, 2, 3), int)
    for t, x, y, p in places:
        frames[t, int(p), y, x] = 1
    raster = SpikeData.from_raster(frames.reshape(1, 12, -1), 1e-3 * ms)
    np.testing.assert_array_equal(raster.channels, data.channels)


def test_trials_units_and_targets():
    one, two = np.array([(7, 1), (3, 0)], FIELDS[:2]), np.array([], FIELDS[:2])
    data = SpikeData.from_events([one, two, one], 2, [4, 5, 6], unit=1 * ms, duration=9 * ms)
    np.testing.assert_allclose(data.times, [3e-3, 7e-3, 3e-3, 7e-3])
    np.testing.assert_array_equal(data.channels, [0, 1, 0, 1])
    np.testing.assert_array_equal(data.trials, [0, 0, 2, 2])
    np.testing.assert_array_equal(data.targets, [4, 5, 6])
    assert data.n_channels == 2 and data.duration == 9 * ms
    assert len(SpikeData.from_events([], 2)) == 0


def test_one_polarity_says_nothing_two_do():
    audio = [("t", int), ("x", int), ("p", int)]
    only = np.array([(1, 0, 1), (2, 3, 1)], audio)
    for size in (4, (4,), (4, 1, 1), np.array([4, 1, 1])):
        np.testing.assert_array_equal(SpikeData.from_events([only], size).channels, [0, 3])
    both = np.array([(1, 0, 1), (2, 3, 0)], audio)
    np.testing.assert_array_equal(SpikeData.from_events([both], (4, 1, 2)).channels, [4, 3])
    with pytest.raises(ValueError, match="events with p from 0 to 1 do not fit"):
        SpikeData.from_events([both], 4)


@pytest.mark.parametrize(
    "events, size, error, message",
    [
        (np.array([(1, 4)], FIELDS[:2]), 4, ValueError, "events with x from 4 to 4 do not fit"),
        (np.array([(1, 0, 2)], FIELDS[:3]), 4, ValueError, "events with y from 2 to 2 do not fit"),
        (np.array([(1, 0)], FIELDS[:2]), (2, 2), ValueError, "is for events with y, these have no"),
        (np.array([(1, 0)], FIELDS[:2]), None, ValueError, "need sensor_size=.width, height, pol"),
        (np.array([(1, 0)], FIELDS[:2]), (1, 2, 3, 4), ValueError, "need sensor_size"),
        (np.array([(1, 0)], FIELDS[:2]), 0, ValueError, "sensor_size must be 1 or more"),
        (np.zeros((3, 2)), 4, TypeError, "structured array.*not ndarray of the shape .3, 2."),
        ([0.1, 0.2], 4, TypeError, "structured array.*not a list of 2"),
    ],
)
def test_what_does_not_fit_is_refused(events, size, error, message):
    with pytest.raises(error, match=message):
        SpikeData.from_events([events], size)
