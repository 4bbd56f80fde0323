"""Numbers of spikes as spikes that stand for powers of 2, and back."""

import numpy as np
import pytest

from brian_eventprop.data import drawn_counts
from brian_eventprop.reading.spec import NetworkSpec, SpikeInput

DT = 1e-4


@pytest.mark.parametrize("most, together", [(1, 2**20), (5, 40), (300, 2**20), (300, 1)])
def test_the_spikes_add_up(most, together, monkeypatch):
    monkeypatch.setattr(drawn_counts, "TOGETHER", together)
    counts = np.random.default_rng(0).integers(0, most + 1, (3, 7, 4))
    counts[1] = 0
    source = SpikeInput("noise", 4 * most.bit_length(), most=most)
    spec = NetworkSpec((), (SpikeInput("other", 4), source), (), (), DT)
    found = drawn_counts.drawn_spikes(spec, {"noise": counts}, 7)
    assert list(found) == ["noise"]
    data = found["noise"]
    trials = np.repeat(np.arange(3), np.diff(data.trial_ptr))
    neurons, digits = np.divmod(data.channels, source.digits)
    added = np.zeros_like(counts)
    np.add.at(added, (trials, np.rint(data.times / DT).astype(int), neurons), 2**digits)
    np.testing.assert_array_equal(added, counts)
    order = np.lexsort((data.channels, data.times, trials))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    assert np.diff(data.trial_ptr)[1] == 0
