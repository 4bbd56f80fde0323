"""`model.hvp` against second derivatives that are known, and against what they must fulfil."""

import numpy as np
import pytest
from brian2 import NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, ms
from helpers.agreement import direction
from helpers.networks.combined import combine

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.model.curvature.extrapolation import extrapolate

#: Gradients have an error of 1e-14 at best; differences at a relative step of 1e-3 keep this.
SECOND = 1e-9


class Squares:
    """The sum of the squares of all readouts."""

    def __call__(self, readouts, targets):
        del targets
        seen = [np.where(np.isfinite(r), r, 0.0) for r in readouts]
        return np.array([sum(np.sum(r**2) for r in seen)]), tuple(2 * r for r in seen)


def driven(readout=None, **options):
    """A neuron that spikes at tau log(I/(I - 1))."""
    neuron = NeuronGroup(
        1, "dv/dt = (I - v)/tau : 1\nI : 1\ntau : second", threshold="v > 1", reset="v = 0",
        method="exact", name="driven",
    )  # fmt: skip
    neuron.I, neuron.tau = 1.5, 10 * ms
    loss = bep.Sum(bep.SpikeTimes(neuron, "t/ms", which="first"))
    options = {"train": [neuron.I, neuron.tau], "loss": loss, "solver": "event"} | options
    if readout is not None:
        options |= {"readouts": [readout(neuron)], "loss": options["loss"] and Squares()}
    return bep.EventPropModel([neuron], duration=15 * ms, **options), neuron


def test_a_spike_time_has_the_second_derivatives_of_its_formula():
    model, neuron = driven()
    model.run()
    current = 1.5
    by_current = model.hvp({neuron.I: 1.0})
    curved = 10 * (1 / (current - 1) ** 2 - 1 / current**2)
    mixed = 1 / current - 1 / (current - 1)
    np.testing.assert_allclose(by_current[neuron.I], curved, rtol=SECOND)
    np.testing.assert_allclose(by_current[neuron.tau] * ms, mixed, rtol=SECOND)
    both = model.hvp({neuron.I: 0.3, neuron.tau: 2 * ms})
    np.testing.assert_allclose(both[neuron.I], 0.3 * curved + 2 * mixed, rtol=SECOND)
    np.testing.assert_allclose(both.flatten()[1], 0.3 * mixed, rtol=SECOND)
    assert abs(both[neuron.I] - 0.3 * curved - 2 * mixed) <= 2 * both.error["driven.I"]
    assert both.error["driven.I"] < 1e-7 and "driven.tau to" in repr(both)


@pytest.mark.parametrize("solver", ["event", "clock"])
def test_a_quadratic_loss(solver):
    """With mean squares, H is that of the decays; the grid has it while nothing spikes."""
    neuron = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact", name="quiet")
    neuron.v = [1.0, 2.0]
    model = bep.EventPropModel(
        [neuron], train=[neuron.v], duration=10 * ms, solver=solver,
        loss=bep.MeanSquaredError(bep.Final(neuron, "v"), target=[0.3, -0.4]),
    )  # fmt: skip
    found = model.hvp({neuron.v: [3.0, -1.0]})
    np.testing.assert_allclose(found[neuron.v], np.exp(-2) * np.array([3.0, -1.0]), rtol=1e-12)


def network():
    net = combine("lif", "exponential", "recurrent", "integrals", seed=3)
    return bep.EventPropModel(
        net.objects, train=net.train, duration=15 * ms, solver="event", tolerance=1e-13,
        loss=Squares(), readouts=net.readouts,
    )  # fmt: skip


def test_a_recurrent_network_has_a_symmetric_hessian():
    model = network()
    model.run()
    assert sum(len(s) for s in model.result.spikes.values()) > 3
    u, v = direction(model, 1), direction(model, 2)
    Hu, Hv = model.hvp(u), model.hvp(v)

    def product(a, H):
        return [float(np.sum(np.asarray(a[k]) * np.asarray(H[k]))) for k in model.parameters.keys]

    there, back = product(u, Hv), product(v, Hu)
    # both are as exact as their differences: relative to the parts, which may cancel
    assert abs(sum(there) - sum(back)) < 1e-6 * sum(map(abs, there))
    curved = sum(product(u, Hu))
    start = {k: np.array(model.parameters.raw(k)) for k in model.parameters.keys}

    def slope(step):
        for k, own in start.items():
            model.parameters.set_raw(k, own + step * np.asarray(u[k]))
        model.run()
        found = model.gradient()
        return sum(np.sum(found.raw(k) * np.asarray(u[k])) for k in start)

    step = 1e-5
    assert (slope(step) - slope(-step)) / (2 * step) == pytest.approx(curved, rel=1e-5)


def test_the_model_stays_as_it_is():
    model, neuron = driven()
    result = model.run()
    before, values = model.gradient().flatten(), model.parameters.flatten()
    model.hvp({neuron.I: 1.0})
    assert model.result is result
    np.testing.assert_array_equal(model.gradient().flatten(), before)
    np.testing.assert_array_equal(model.parameters.flatten(), values)


def test_what_has_no_hessian_is_refused():
    model, neuron = driven(solver="clock")
    with pytest.raises(UnsupportedError, match="'driven' spikes: on the time grid"):
        model.hvp({neuron.I: 1.0})
    model, neuron = driven()
    with pytest.raises(ValueError, match="the direction is 0"):
        model.hvp({neuron.I: 0.0})
    with pytest.raises(KeyError, match="'driven.v' is not in train"):
        model.hvp({neuron.v: 1.0})
    model, neuron = driven(lambda n: bep.Final(n, "v"), loss=None)
    with pytest.raises(ValueError, match="the model has no loss"):
        model.hvp({neuron.I: 1.0})
    model, neuron = driven(lambda n: bep.SpikeCount(n, scale=1.0))
    with pytest.raises(UnsupportedError, match="spike counts of 'driven' is a surrogate"):
        model.hvp({neuron.I: 1.0})


def lifted(weight, delay):
    source = SpikeGeneratorGroup(1, [0], [1] * ms, name="source")
    neuron = NeuronGroup(
        1, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="target"
    )
    s = Synapses(source, neuron, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    s.w, s.delay = weight, delay
    loss = bep.Sum(bep.SpikeTimes(neuron, "(t/ms)**2"))
    return bep.EventPropModel(
        [source, neuron, s], train=[s.w, s.delay], duration=5 * ms, solver="event", loss=loss
    ), s


def test_delays():
    model, s = lifted(1.5, 1 * ms)
    found = model.hvp({s.delay: 1 * ms})  # of (1 ms + delay)**2
    np.testing.assert_allclose(found[s.delay] * ms, 2.0, rtol=1e-10)
    model, s = lifted(1.5, 0 * ms)
    with pytest.raises(ValueError, match="'s.delay' has delays of 0, which can only grow"):
        model.hvp({s.delay: 1 * ms})


def test_a_spike_that_vanishes_within_every_step():
    model, s = lifted(1 + 1e-9, 1 * ms)
    with pytest.raises(FloatingPointError, match="a spike appears or vanishes"):
        model.hvp({s.w: 1.0})


def test_differences_know_their_error():
    """With noise and without: what is wrong is not more than some times what is said."""
    for noise in (0.0, 1e-6):
        random = np.random.default_rng(0)

        def difference(h, noise=noise, random=random):
            disturbed = noise * random.normal(size=5)
            return [(np.sin(1 + h) - np.sin(1 - h) + disturbed) / (2 * h)]

        (value,), (error,) = extrapolate(difference, 0.5)
        assert np.abs(value - np.cos(1)).max() < max(4 * error, 1e-12) and error < 1e-4
    assert extrapolate(lambda h: None, 1.0) is None
    (value,), _ = extrapolate(lambda h: None if h > 0.1 else [np.array([2.0])], 1.0)
    assert value == [2.0]


def test_directions_have_units():
    model, neuron = driven()
    with pytest.raises(Exception, match="tau"):
        model.hvp({neuron.tau: Quantity(1.0)})
