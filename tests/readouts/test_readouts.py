"""What a readout carries, and what it refuses."""

import pytest
from brian2 import NeuronGroup, SpikeMonitor

from brian_eventprop.readouts import Final, Integral, Maximum, SpikeCount, SpikeTimes


@pytest.fixture
def group():
    return NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")


@pytest.mark.parametrize(
    "make, kind, expression, which",
    [
        (lambda g: Integral(g, " v*exp(-t/T) "), "integral", "v*exp(-t/T)", ""),
        (lambda g: Final(g, "v"), "final", "v", ""),
        (lambda g: Maximum(g, "v"), "maximum", "v", ""),
        (lambda g: SpikeTimes(g), "spike_times", "t", "all"),
        (lambda g: SpikeTimes(g, "exp(-t/T)", "first"), "spike_times", "exp(-t/T)", "first"),
        (lambda g: SpikeCount(g), "spike_count", "", ""),
    ],
)
def test_contents(group, make, kind, expression, which):
    readout = make(group)
    assert (readout.kind, readout.expression, readout.which) == (kind, expression, which)
    assert readout.group is group
    assert make(group[1:3]).group.N == 2


def test_wrong_arguments(group):
    with pytest.raises(TypeError, match="NeuronGroup"):
        Integral("v", group)
    with pytest.raises(TypeError, match="NeuronGroup"):
        SpikeCount(SpikeMonitor(group))
    with pytest.raises(TypeError, match="string"):
        Integral(group, group.v)
    with pytest.raises(ValueError, match="needs an expression"):
        Final(group, " ")
    with pytest.raises(ValueError, match="which"):
        SpikeTimes(group, which="last")
