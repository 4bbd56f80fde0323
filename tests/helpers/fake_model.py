"""A model without neurons: logistic regression on when each channel spikes.

It fulfils the part of the model's interface that optimisers and trainers rely on.
"""

from copy import copy, deepcopy
from types import SimpleNamespace

import numpy as np
from brian2 import NeuronGroup, second
from brian2.units.fundamentalunits import DIMENSIONLESS

from brian_eventprop.losses import CrossEntropy
from brian_eventprop.readouts import Final

WEIGHT, DELAY = ("syn", "w"), ("syn_pre", "delay")


class FakeParameters:
    """Raw SI arrays by key."""

    def __init__(self, arrays, dimensions):
        self._arrays, self._dimensions = arrays, dimensions
        self.keys = list(arrays)

    def raw(self, key):
        return self._arrays[key]

    def set_raw(self, key, array):
        assert array.shape == self._arrays[key].shape
        self._arrays[key][...] = array

    take = set_raw

    def beside(self, arrays):
        return arrays

    def dimension(self, key):
        return self._dimensions[key]


class FakeModel:
    """Logits ``w @ exp(-(t + delay) / 10 ms)``, differentiated by hand."""

    spec, n_steps = SimpleNamespace(groups=(), inputs=(), dt=1e-3), 60

    def __init__(self, channels=5, classes=3, seed=0):
        random = np.random.default_rng(seed)
        group = NeuronGroup(classes, "v : 1")
        self.loss = CrossEntropy(Final(group, "v"))
        self.shape = (classes, channels)
        arrays = {
            WEIGHT: random.normal(size=classes * channels),
            DELAY: random.uniform(0, 5e-3, channels),
        }
        dimensions = {WEIGHT: DIMENSIONLESS, DELAY: second.dim}
        self.parameters = FakeParameters(arrays, dimensions)
        self.runs = self.gradients = 0

    def __deepcopy__(self, memo):
        twin = memo[id(self)] = copy(self)
        twin.parameters = deepcopy(self.parameters, memo)
        return twin

    def key_of(self, view):
        return view

    def run(self, spikes=None, targets=None, seed=None):
        self.runs += 1
        weights = self.parameters.raw(WEIGHT).reshape(self.shape)
        times = np.zeros((len(spikes), self.shape[1]))
        times[spikes.trials, spikes.channels] = spikes.times
        trace = np.exp(-(times + self.parameters.raw(DELAY)) / 10e-3)
        values = (trace @ weights.T,)
        losses, (slope,) = self.loss(values, targets)
        slope = slope / len(losses)
        self._gradient = {
            WEIGHT: (slope.T @ trace).ravel(),
            DELAY: -np.sum((slope @ weights) * trace, axis=0) / 10e-3,
        }
        return SimpleNamespace(loss=losses.mean(), losses=losses, readout=values, spikes={})

    def look_ahead(self, spikes):
        pass

    def gradient_arrays(self):
        self.gradients += 1
        return self._gradient
