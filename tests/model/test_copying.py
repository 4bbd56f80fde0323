"""Copies of models and of what they return, in this process and in others."""

import pickle
from copy import copy, deepcopy

import numpy as np
import pytest
from brian2 import (
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    get_dimensions,
    ms,
    mV,
    start_scope,
)
from helpers.cuda.emulator import Emulator
from helpers.networks import small

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import solver as clock_cuda

SIZES = {"n_inputs": 4, "n_hidden": 5, "n_steps": 20, "trials": 3}


def values(model):
    return {key: model.parameters.raw(key).copy() for key in model.parameters.keys}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=str(key))


def gradients_of(model, spikes):
    model.run(spikes)
    return {key: model.gradient().raw(key) for key in model.parameters.keys}


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_a_copy_learns_on_its_own(backend, monkeypatch):
    monkeypatch.setattr(clock_cuda, "CudaDevice", Emulator)
    model, spikes = small.all_to_all(backend=backend, **SIZES)
    for key in model.parameters.keys:  # values that the Brian2 objects do not have
        model.parameters.set_raw(key, 1.25 * model.parameters.raw(key))
    before = values(model)
    expected = gradients_of(model, spikes)
    twin = deepcopy(model)
    assert_same(values(twin), before)
    assert twin.objects[0] is model.objects[0]
    with pytest.raises(RuntimeError, match="run"):
        twin.gradient()
    assert_same(gradients_of(twin, spikes), expected)
    run = model.run(spikes)
    for key in twin.parameters.keys:
        twin.parameters.set_raw(key, 2 * twin.parameters.raw(key))
    other = twin.run(spikes)
    assert other.loss != run.loss
    assert_same({key: model.gradient().raw(key) for key in expected}, expected)
    assert_same(values(model), before)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_a_copy_has_the_options_and_connections_of_its_model(solver):
    start_scope()
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms)
    group = NeuronGroup(2, "dv/dt = -v/(10*ms) : volt", method="exact")
    s = Synapses(source, group, "w : volt", on_pre="v_post += w")
    s.connect(j="i")
    s.w = [1, 2] * mV
    options = {"tolerance": 1e-6} if solver == "event" else {"precision": "float32"}
    loss = bep.Sum(bep.Final(group, "v/mV"))
    model = bep.EventPropModel(
        [source, group, s], train=[s.w], loss=loss, duration=5 * ms, solver=solver, **options
    )
    model.reconnect(s, [0, 1], [1, 1])
    twin = deepcopy(model)
    assert twin.run().losses == model.run().losses
    np.testing.assert_array_equal(twin.run().readout, model.run().readout)
    np.testing.assert_array_equal(twin.connections(s), [[0, 1], [1, 1]])
    twin.reconnect(s, [0, 1], [0, 0])
    np.testing.assert_array_equal(model.connections(s), [[0, 1], [1, 1]])
    assert twin.run().readout[0][0, 1] == 0 < model.run().readout[0][0, 1]
    assert list(deepcopy(twin).wiring()) == [s.name]


def test_timed_arrays_of_a_copy():
    start_scope()
    current = TimedArray(np.arange(6.0).reshape(3, 2), dt=1 * ms)
    group = NeuronGroup(2, "dv/dt = (I(t, i) - v)/(5*ms) : 1", method="exact")
    loss = bep.Sum(bep.Final(group, "v"))
    options = {"loss": loss, "duration": 3 * ms, "namespace": {"I": current}}
    model = bep.EventPropModel([group], train=[current], **options)
    twin = deepcopy(model)
    for each in (model, twin):
        each.run()
    np.testing.assert_array_equal(twin.parameters[current], model.parameters[current])
    gradients = model.gradient()
    found = pickle.loads(pickle.dumps(gradients))
    np.testing.assert_array_equal(found["I"], gradients[current])
    np.testing.assert_array_equal(found.traces["I"], gradients.traces["I"])
    np.testing.assert_array_equal(twin.gradient()[current], gradients[current])


def test_a_shallow_copy_shares_the_values():
    model, spikes = small.all_to_all(**SIZES)
    twin = copy(model)
    twin.parameters.set_raw(("s_in", "w"), 2 * twin.parameters.raw(("s_in", "w")))
    assert model.run(spikes).loss == twin.run(spikes).loss


def test_a_model_is_not_pickled():
    model, _ = small.all_to_all(**SIZES)
    with pytest.raises(TypeError, match=r"an EventPropModel cannot be pickled.*model\.save\(path"):
        pickle.dumps(model)


@pytest.mark.parametrize("again", [deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_gradients_travel_without_the_model(again):
    model, spikes = small.all_to_all(**SIZES)
    s_in = next(obj for obj in model.objects if obj.name == "s_in")
    model.run(spikes)
    gradients = model.gradient()
    found = again(gradients)
    assert list(found) == list(gradients) and found.grazing == gradients.grazing
    for item in (s_in.w, "s_in.w", ("s_in", "w"), s_in.delay, "s_in.delay"):
        np.testing.assert_array_equal(found[item], gradients[item])
        assert get_dimensions(found[item]) is get_dimensions(gradients[item])
    np.testing.assert_array_equal(found.inputs, gradients.inputs)
    np.testing.assert_array_equal(found.flatten(), gradients.flatten())
    with pytest.raises(ValueError, match="'s_in.x' is none of s_in.w"):
        found["s_in.x"]
    with pytest.raises(TypeError, match=r"by views such as s.w or by names, 's_in.w'.* not by 3"):
        found[3]
    found.raw("s_in.w")[:] = 0
    assert np.any(gradients.raw("s_in.w") != 0)


def test_a_gradient_that_is_not_finite_stays_refused():
    start_scope()
    group = NeuronGroup(1, "dv/dt = (sqrt(b) - v)/(5*ms) : 1\nb : 1 (constant)", method="euler")
    model = bep.EventPropModel(
        [group], train=[group.b], loss=bep.Sum(bep.Final(group, "v")), duration=1 * ms
    )
    model.run()
    found = pickle.loads(pickle.dumps(model.gradient()))
    with pytest.raises(FloatingPointError, match="b"):
        found[group.b]


@pytest.mark.parametrize("again", [deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_results_travel(again, backend, monkeypatch):
    monkeypatch.setattr(clock_cuda, "CudaDevice", Emulator)
    model, spikes = small.all_to_all(backend=backend, **SIZES)
    result = model.run(spikes)
    found = again(result)
    assert found.loss == result.loss and list(found.spikes) == list(result.spikes)
    np.testing.assert_array_equal(found.losses, result.losses)
    for mine, theirs in zip(found.readout, result.readout, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for name, trains in result.spikes.items():
        for part in ("sample", "i", "t"):
            np.testing.assert_array_equal(getattr(found.spikes[name], part), getattr(trains, part))
        counts = [each.spikes.counts(name, 5) for each in (found, result)]
        np.testing.assert_array_equal(*counts)
    assert len(found.spikes["hidden"]) > 0
    assert found.spikes["hidden"].t.dim is ms.dim


@pytest.mark.parametrize("again", [deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_parameters_travel_as_they_are_now(again):
    model, _ = small.all_to_all(**SIZES)
    s_in = next(obj for obj in model.objects if obj.name == "s_in")
    kept, before = again(model.parameters), values(model)
    model.parameters.set_raw(("s_in", "w"), 0.0)
    for item, quantity in model.parameters.items():
        assert get_dimensions(kept[item]) is get_dimensions(quantity)
    assert_same({key: kept.raw(key) for key in kept.keys}, before)
    assert len(kept.flatten({s_in.w: 0.5})) == sum(array.size for array in before.values())
    model.parameters[s_in.w] = kept[s_in.w]
    assert_same(values(model), before)
