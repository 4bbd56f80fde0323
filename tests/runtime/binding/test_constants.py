"""Values for which the equations have no numbers are refused when the model runs."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep

LIF = "dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1\n"
OWN = "tau_m : second\ntau_s : second (shared)"


def model_of(equations=LIF + OWN, taus=(10, 5, 20), solver="clock", **options):
    source = SpikeGeneratorGroup(1, [0], [1] * ms, name="source")
    neurons = NeuronGroup(3, equations, threshold="v > 1", reset="v = 0", method="exact", name="n")
    if OWN in equations:
        neurons.tau_m, neurons.tau_s = np.array(taus) * ms, 5 * ms
    s = Synapses(source, neurons, "w : 1", on_pre="I_post += w/unit", name="s")
    s.connect()
    s.w = 8.0
    namespace = {"tau_m": 5 * ms, "tau_s": 5 * ms, "unit": 1.0}
    return s, bep.EventPropModel(
        [source, neurons, s], train=[s.w], loss=bep.Sum(bep.Integral(neurons, "v/ms")),
        duration=20 * ms, solver=solver, namespace=namespace | options,
    )  # fmt: skip


def test_time_constants_that_coincide_name_the_neuron():
    _, model = model_of()
    message = (
        r"NeuronGroup 'n': '.*tau_m.*' is 0 for neuron 1 \(tau_m = 0.005, tau_s = 0.005, in SI "
        r"units\): .*method='exact' divides by 0.*Use method='exponential_euler' or 'rk4'"
    )
    with pytest.raises(FloatingPointError, match=message):
        model.run()


def test_constants_of_the_namespace_that_coincide():
    _, model = model_of(LIF)
    with pytest.raises(FloatingPointError, match="NeuronGroup 'n'.*tau_m = 0.005.*coincide"):
        model.run()


@pytest.mark.parametrize("equations", [LIF, LIF + OWN])
def test_in_exact_time_they_may_coincide(equations):
    s, model = model_of(equations, solver="event")
    assert np.isfinite(model.run().loss)
    assert np.all(np.isfinite(model.gradient()[s.w]))


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_a_division_by_zero(solver):
    _, model = model_of(taus=(10, 15, 20), solver=solver, unit=0.0)
    with pytest.raises(FloatingPointError, match="Synapses 's': .*is inf for synapse 0.*unit = 0"):
        model.run()


def test_rates_of_zero_and_values_that_are_none():
    source = NeuronGroup(2, "dv/dt = -v/tau*k : 1\nk : 1\ntau : second", method="exact", name="n")
    source.v, source.tau = 1.0, [0, 1] * ms
    loss = bep.Sum(bep.Final(source, "v"))
    options = {"train": [source.v], "loss": loss, "duration": 5 * ms}
    with pytest.raises(FloatingPointError, match="'tau' is 0 for neuron 0"):
        bep.EventPropModel([source], solver="event", **options).run()
    source.tau, source.v = 1 * ms, np.nan
    with pytest.raises(FloatingPointError, match="'v' of neuron 0 is nan at the beginning"):
        bep.EventPropModel([source], solver="event", **options).run()


def test_an_infinite_threshold_is_one_that_is_never_met():
    neuron = NeuronGroup(
        2, "dv/dt = 60*Hz : 1\ntheta : 1", threshold="v > theta + 1", reset="v = 0",
        method="euler", name="n",
    )  # fmt: skip
    neuron.theta = [0, np.inf]
    model = bep.EventPropModel(
        [neuron], train=[neuron.v], loss=bep.Sum(bep.SpikeTimes(neuron)), duration=20 * ms
    )
    np.testing.assert_array_equal(model.run().spikes[neuron].i, [0])


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_a_batch_without_trials(solver):
    _, model = model_of(taus=(10, 15, 20), solver=solver)
    with pytest.raises(ValueError, match="no trials to run"):
        model.run(bep.SpikeData([], [], [], 0, 1))
