"""Gradients of random networks in exact time: every neuron model with every synapse model.

Each network is tested three ways: every trained array against central differences, the Taylor
remainder, and the dot product of tangent and adjoint.
"""

import pytest
from helpers.derivatives import Along, Weighted, assert_gradient
from helpers.networks.combined import DURATION, combine, every_pair

import brian_eventprop as bep

#: These run by default; `-m slow` runs all.
FAST = {("adaptive", "saturating"), ("soft", "biexponential")}

#: Synapses so many times stronger, where the network would hardly spike.
DRIVE = {("izhikevich", "saturating", "populations", "timed"): 4.0}

CASES = [
    pytest.param(*case, id="-".join(case), marks=[] if case[:2] in FAST else pytest.mark.slow)
    for case in every_pair()
]


@pytest.mark.parametrize("neuron, synapse, topology, readouts", CASES)
def test_gradient(neuron, synapse, topology, readouts):
    case = (neuron, synapse, topology, readouts)
    net = combine(*case, seed=1, drive=DRIVE.get(case, 1.0))
    loss = Weighted()
    model = bep.EventPropModel(
        net.objects, train=net.train, loss=loss, readouts=net.readouts, duration=DURATION,
        solver="event",
    )  # fmt: skip
    along = Along(model)
    assert sum(len(counts) and counts.sum() for counts in along.spikes) >= 4
    assert_gradient(model, tolerance=2e-6)  # room for rounding in the differences
    along.assert_taylor()
    along.assert_dot_product(loss.weights, 2e-6)
