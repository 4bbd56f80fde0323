"""What a gradient must fulfil along a direction in all trained arrays and input times at once.

- Taylor: the remainder of the loss without the gradient falls with slope 1, with it with slope 2.
- Dot product: <J x, y> = <x, J^T y>, where J takes the arrays to the readouts.  The adjoint gives
  the right side, the tangent J x is the derivative of the readouts themselves along x.
"""

from __future__ import annotations

import numpy as np

import brian_eventprop as bep
from brian_eventprop.reading import read_spikes

INPUTS = "inputs"


def spikes_of(model, name):
    """The spikes that an input group holds, as one trial."""
    group = next(obj for obj in model.objects if obj.name == name)
    indices, times = read_spikes(group, float(model.duration))
    return bep.SpikeData(times, indices, np.zeros(len(times), int), 1, len(group))


def assert_gradient(model, spikes=None, tolerance=None, entries=1):
    """Every entry of the gradient is that of differences.

    In each array the largest entry is compared alone, with more `entries` some others too, and all
    of them together along a random direction, which must be exact enough to tell.
    """
    report = bep.check_gradient(model, spikes, entries=entries, tolerance=tolerance, show=False)
    assert report.ok, str(report)
    assert "not compared" not in str(report), str(report)


class Weighted:
    """A loss: the readouts times fixed random weights y."""

    def __init__(self, seed=0):
        self.rng, self.weights = np.random.default_rng(seed), None

    def __call__(self, readouts, targets):
        del targets
        if self.weights is None:
            self.weights = [self.rng.normal(size=r.shape) for r in readouts]
        seen = [np.where(np.isfinite(r), r, 0.0) for r in readouts]  # silent: inf
        total = sum(np.sum(w * r) for w, r in zip(self.weights, seen, strict=True))
        slopes = [w * np.isfinite(r) for w, r in zip(self.weights, readouts, strict=True)]
        return np.array([total]), slopes


class Along:
    """A model with one input group, on its way along a random direction.

    Every entry of every array moves by its own share of the array's mean size, an input spike by
    its share of 1 ms.  ``slope`` is the derivative along the direction that the adjoint gives.
    """

    def __init__(self, model, seed=0):
        rng = np.random.default_rng(seed)
        (source,) = model.spec.inputs
        self.model, self.name = model, source.name
        self.own = spikes_of(model, source.name)
        self.start = {key: model.parameters.raw(key).copy() for key in model.parameters.keys}
        self.start[INPUTS] = self.own.times.copy()
        self.direction = {
            key: rng.normal(size=v.shape) * (1e-3 if key == INPUTS else np.abs(v).mean())
            for key, v in self.start.items()
        }
        self.spikes, self.loss = None, None
        self.loss = self.at(0.0)[0]
        gradients = model.gradient()
        found = {key: gradients.raw(key) for key in model.parameters.keys}
        found[INPUTS] = np.asarray(gradients.inputs)
        self.grazing = gradients.grazing
        self.parts = {k: np.sum(found[k] * self.direction[k]) for k in found}
        self.slope = sum(self.parts.values())

    def at(self, step):
        """Return the loss, the readouts, and whether the neurons spike as often as at 0."""
        for key, value in self.start.items():
            if key != INPUTS:
                self.model.parameters.set_raw(key, value + step * self.direction[key])
        times = self.start[INPUTS] + step * self.direction[INPUTS]
        trials = np.zeros(len(times), int)
        data = bep.SpikeData(times, self.own.channels, trials, 1, self.own.n_channels)
        result = self.model.run({self.name: data})
        counts = [np.bincount(s.i) for s in result.spikes.values()]
        self.spikes = counts if self.spikes is None else self.spikes
        same = all(np.array_equal(a, b) for a, b in zip(counts, self.spikes, strict=True))
        return result.loss, result.readout, same

    # ---- one difference ----
    def assert_slope(self, tolerance=1e-6, steps=(1e-5, 1e-6, 1e-7)):
        """The slope is that of differences of fourth order, relative to its largest part.

        The widest step is wrong by what the loss bends, the narrowest by the noise of the loss.
        """
        scale = max(abs(part) for part in self.parts.values())
        gaps = []
        for step in steps:
            far, near = (self.at(h)[0] - self.at(-h)[0] for h in (2 * step, step))
            gaps.append(abs((8 * near - far) / (12 * step) - self.slope) / scale)
            if gaps[-1] < tolerance:
                return
        raise AssertionError(f"{gaps} of {scale}")

    # ---- Taylor ----
    def orders(self, step, halvings=3):
        """Return how fast both remainders fall: without the gradient, with it."""
        rows = []
        for k in range(halvings + 1):
            h = step / 2**k
            loss, _, same = self.at(h)
            if not same:
                return None
            rows.append((abs(loss - self.loss), abs(loss - self.loss - h * self.slope)))
        return np.log2(np.array(rows[:-1]) / np.array(rows[1:]))

    def assert_taylor(self, steps=(2e-3, 5e-4, 1e-4, 2e-5, 4e-6)):
        """The remainders fall with slopes 1 and 2 once the step is small enough.

        The tolerance leaves room for the third order, which is what is left at the largest step.
        """
        found = []
        for orders in map(self.orders, steps):
            found.append(orders)
            if orders is not None and np.allclose(orders, [1, 2], atol=0.1, rtol=0):
                return
        raise AssertionError(f"orders of the remainders: {found}")

    # ---- dot product ----
    def tangent(self, step):
        """J x by central differences of the readouts, extrapolated; None if a spike appears."""
        found = []
        for h in (step, step / 2):
            (_, above, same), (_, below, also) = self.at(h), self.at(-h)
            if not (same and also):
                return None
            seen = [np.isfinite(a) for a in above]  # a first spike that is not there is inf
            found.append(
                [
                    np.where(s, np.where(s, a, 0) - np.where(s, b, 0), 0) / (2 * h)
                    for a, b, s in zip(above, below, seen, strict=True)
                ]
            )
        return [(4 * narrow - wide) / 3 for wide, narrow in zip(*found, strict=True)]

    def assert_dot_product(self, weights, tolerance, steps=(1e-4, 2e-5, 4e-6, 1e-6)):
        """<J x, y> = <x, J^T y>, relative to the largest contribution of an array to it."""
        scale, gaps = max(abs(part) for part in self.parts.values()), []
        for tangent in map(self.tangent, steps):
            if tangent is None:
                continue
            found = sum(np.sum(w * t) for w, t in zip(weights, tangent, strict=True))
            gaps.append(abs(found - self.slope))
            if gaps[-1] <= tolerance * scale:
                return
        assert gaps, "every step makes a spike appear or vanish"
        raise AssertionError(f"{gaps} of {scale}")
