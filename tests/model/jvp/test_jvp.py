"""`model.jvp`: what it takes and what it returns."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, ms, mV, second

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError


def leaky(**options):
    """A neuron that two input spikes make spike; a model and its objects."""
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="source")
    neuron = NeuronGroup(
        1, "dv/dt = -v/(10*ms) : 1\nq : 1", threshold="v > 1", reset="v = 0", method="exact",
        name="neuron",
    )  # fmt: skip
    s = Synapses(source, neuron, "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    s.w, s.delay = [0.7, 0.6], [1, 2] * ms
    options = {"loss": bep.Sum(bep.SpikeTimes(neuron, "t/ms")), "train": [s.w, s.delay]} | options
    model = bep.EventPropModel(
        [source, neuron, s], duration=10 * ms, solver=options.pop("solver", "event"), **options
    )
    return model, source, neuron, s


def test_spike_times_readouts_and_losses():
    """The second arrival fires the neuron, so the spike moves with it."""
    model, source, neuron, s = leaky()
    found = model.jvp({s.delay: [5, 1] * ms, source: [0, 0.5] * ms})
    assert found.loss == pytest.approx(1.5, rel=1e-14)
    np.testing.assert_allclose(found.losses, [1.5], rtol=1e-14)
    np.testing.assert_allclose(found.readout[0], [[1.5]], rtol=1e-14)
    np.testing.assert_allclose(found.spikes[neuron] / ms, [1.5], rtol=1e-14)
    np.testing.assert_allclose(found.spikes["neuron"] / ms, [1.5], rtol=1e-14)
    assert "loss" in repr(found)


def test_what_is_not_trained_moves_too():
    model, _, neuron, s = leaky()
    assert model.jvp({neuron.v: 0.1, "s.w": [0.1, 0.0]}).loss == 0.0  # neither moves an arrival
    assert model.jvp({}).loss == 0.0


def test_a_batch_and_changed_parameters():
    """The default is the last batch, run again where parameters were changed."""
    model, _, neuron, s = leaky()
    data = bep.SpikeData([1e-3, 2e-3, 3e-3], [0, 1, 1], [0, 0, 1], 2, 2)
    model.run(data)
    found = model.jvp({s.delay: [0, 1] * ms})
    np.testing.assert_array_equal(found.losses, [1.0, 0.0])
    assert found.loss == 0.5
    model.parameters[s.w] = [2.0, 2.0]  # now the first arrival fires the neuron, too
    found = model.jvp({s.delay: [1, 10] * ms})
    np.testing.assert_allclose(found.losses, [11.0, 10.0], rtol=1e-13)
    assert len(found.spikes[neuron]) == 3


def test_a_value_that_flows():
    """dv(T)/dw is the decay since the arrival."""
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : volt", method="exact")
    s = Synapses(source, neuron, "w : volt", on_pre="v_post += w")
    s.connect()
    s.w, s.delay = 2 * mV, 3 * ms
    model = bep.EventPropModel(
        [source, neuron, s], train=[s.w], readouts=[bep.Final(neuron, "v/mV")], duration=10 * ms,
        solver="event",
    )  # fmt: skip
    model.run()
    found = model.jvp({s.w: [1] * mV, s.delay: 0.5 * ms})
    decay = np.exp(-0.6)
    assert found.loss is None and found.losses is None
    np.testing.assert_allclose(found.readout[0], [[decay * (1 + 2 * 0.05)]], rtol=1e-13)


def test_expressions():
    """The quantity that a variable is computed from moves the variable."""
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms)
    neuron = NeuronGroup(
        1, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v=0", method="exact"
    )
    s = Synapses(source, neuron, "w : 1", on_pre="v_post += w")
    s.connect()
    s.w = [0.7, 0.6]
    model = bep.EventPropModel(
        [source, neuron, s], train=[bep.Expression(s.delay, "late*(1 + i)", late=2 * ms)],
        loss=bep.Sum(bep.SpikeTimes(neuron, "t/ms")), duration=10 * ms, solver="event",
    )  # fmt: skip
    model.run()
    assert model.jvp({"late": 1 * ms}).loss == pytest.approx(2.0, rel=1e-13)


def test_timed_arrays():
    """The value of a cell moves what it drives for as long as it lasts."""
    drive = TimedArray([1.0, 2.0, 0.5], dt=2 * ms)
    neuron = NeuronGroup(1, "dv/dt = drive(t)/(10*ms) : 1", method="euler")
    model = bep.EventPropModel(
        [neuron], train=[drive], loss=bep.Sum(bep.Final(neuron, "v")), duration=5 * ms,
        solver="event", namespace={"drive": drive},
    )  # fmt: skip
    model.run()
    assert model.jvp({drive: [1.0, 10.0, 100.0]}).loss == pytest.approx(12.2, rel=1e-13)


def test_wrong_directions_are_refused():
    model, source, _, s = leaky()
    with pytest.raises(TypeError, match="a dict such as"):
        model.jvp([1.0])
    with pytest.raises(ValueError, match="must have its shape"):
        model.jvp({s.w: [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match="not finite"):
        model.jvp({s.w: np.inf})
    with pytest.raises(Exception, match="wrong unit"):
        model.jvp({s.delay: 1.0})
    with pytest.raises(ValueError, match="spike times of 'source' must have its shape"):
        model.jvp({source: [1, 2, 3] * second})


def test_what_has_no_tangent_is_refused():
    neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact", threshold="v > 1", name="n")
    loss = bep.FiringRate(neuron, lower=1, upper=2, strength=1.0)
    model = bep.EventPropModel(
        [neuron], train=[neuron.v], loss=loss, duration=5 * ms, solver="event"
    )
    with pytest.raises(UnsupportedError, match="SpikeCount of 'n' with a scale"):
        model.jvp({neuron.v: 1.0})
