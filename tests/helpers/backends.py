"""What a model gives on one backend, to be compared with another."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import Quantity, ms, start_scope

import brian_eventprop as bep
from helpers.networks import random as random_networks
from helpers.networks import small as small_networks

#: Networks whose arrivals are delivered one by one take longer to emulate: shorter trials.
DURATIONS = {"coba": 40, "delta_refractory": 40, "saturating": 70}


def model_of(network, backend, duration, train=None, precision="float64", **options):
    """The model of a random network."""
    return bep.EventPropModel(
        network.objects,
        train=network.train if train is None else train,
        loss=network.loss,
        duration=duration,
        namespace=network.namespace,
        backend=backend,
        precision=precision,
        **options,
    )


def results(kind, backend, seed=4, size=0.3, trials=2, duration=None, precision="float64"):
    """Everything that a random network gives."""
    start_scope()
    network = random_networks.build(kind, seed=seed, size=size, trials=trials)
    duration = DURATIONS.get(kind, 60) * ms if duration is None else duration
    model = model_of(network, backend, duration, precision=precision)
    spikes = network.batch(duration)
    return arrays_of(model.run(spikes), model.gradient(), model)


def gradient_arrays(model):
    """The gradients of the last run without units, by key."""
    gradients = model.gradient()
    return {key: gradients.raw(key) for key in model.parameters.keys}


def arrays_of(result, gradients, model):
    """Everything that a run gives, by name."""
    found = {("grazing", "i"): np.array([gradients.grazing])}
    found |= {("readout", k): np.asarray(r) for k, r in enumerate(result.readout)}
    for name, trains in result.spikes.items():
        found |= {(name, "sample"): trains.sample, (name, "i"): trains.i}
        found[name, "t"] = np.asarray(trains.t)
    found |= {key: gradients.raw(key) for key in model.parameters.keys}
    inputs = gradients.inputs if isinstance(gradients.inputs, dict) else {"": gradients.inputs}
    return found | {("inputs", name): np.asarray(grads) for name, grads in inputs.items()}


def check_equal(found, expected, readouts=0.0, gradients=1e-10):
    """Spikes equal, readouts and gradients relative to the largest entry; 0 is bit for bit."""
    assert set(found) == set(expected)
    for key, array in expected.items():
        tolerance = readouts if key[0] == "readout" else gradients
        if key[1] in ("sample", "i", "t") or tolerance == 0:
            np.testing.assert_array_equal(found[key], array, err_msg=str(key))
        else:
            scale = np.abs(array[np.isfinite(array)]).max(initial=0.0)
            np.testing.assert_allclose(
                found[key], array, rtol=0, atol=tolerance * scale, err_msg=str(key)
            )


def run_small(backend, **options):
    """Everything that a small network with all connections gives, and its model."""
    start_scope()
    model, spikes = small_networks.all_to_all(backend=backend, **options)
    return arrays_of(model.run(spikes), model.gradient(), model), model


def trained(model, spikes):
    """The parameters after an epoch of single trials, by name."""
    rates = {
        key: Quantity(1e-3, dim=model.parameters.dimension(key)) for key in model.parameters.keys
    }
    bep.Trainer(model, bep.Adam(rates)).fit(spikes, epochs=1, batch_size=1, progress=False)
    return {".".join(key): model.parameters.raw(key).tolist() for key in model.parameters.keys}


def check_same_on_a_gpu(model, objects, emulator):
    """Compare loss and gradients of ``model(objects)`` on the CPU and on an emulated GPU."""
    expected = model(objects)
    emulator()
    found = model(objects, backend="cuda")
    assert found.run().loss == pytest.approx(expected.run().loss, rel=1e-12)
    for item, gradient in expected.gradient().items():
        np.testing.assert_allclose(found.gradient()[item], gradient, rtol=1e-9)
