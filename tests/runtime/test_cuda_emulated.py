"""The CUDA kernels, in an emulator of a GPU, give what the CPU gives."""

import numpy as np
import pytest
from brian2 import ms, start_scope
from helpers import random_networks
from helpers.cuda_emulator import Emulator

import brian_eventprop as bep
from brian_eventprop.runtime import clock_cuda

#: Networks whose arrivals are delivered one by one take longer to emulate: shorter trials.
DURATIONS = {"coba": 40, "delta_refractory": 40, "saturating": 70}


def model_of(network, backend, duration, train=None, precision="float64"):
    """The model of a random network."""
    return bep.EventPropModel(
        network.objects,
        train=network.train if train is None else train,
        loss=network.loss,
        duration=duration,
        namespace=network.namespace,
        backend=backend,
        precision=precision,
    )


def results(kind, backend, seed=4, size=0.3, trials=2, duration=None, precision="float64"):
    """Result and gradients of a random network, run twice if need be, and the model."""
    start_scope()
    network = random_networks.build(kind, seed=seed, size=size, trials=trials)
    duration = DURATIONS.get(kind, 60) * ms if duration is None else duration
    model = model_of(network, backend, duration, precision=precision)
    spikes = network.spikes if len(network.spikes) > 1 else next(iter(network.spikes.values()))
    result = model.run(spikes)
    return result, model.gradient(), model, spikes


def arrays_of(result, gradients, model):
    """Everything that a run gives, by name."""
    found = {("readout", k): np.asarray(r) for k, r in enumerate(result.readout)}
    for name, trains in result.spikes.items():
        found |= {(name, "sample"): trains.sample, (name, "i"): trains.i}
        found[name, "t"] = np.asarray(trains.t)
    found |= {key: gradients.raw(key) for key in model.parameters.keys}
    inputs = gradients.inputs if isinstance(gradients.inputs, dict) else {"": gradients.inputs}
    return found | {("inputs", name): np.asarray(bars) for name, bars in inputs.items()}


def check_equal(found, expected, gradients=1e-10):
    """Spikes and readouts bit for bit, gradients relative to the largest entry."""
    assert set(found) == set(expected)
    for key, array in expected.items():
        if key[0] == "readout" or key[1] in ("sample", "i", "t"):
            np.testing.assert_array_equal(found[key], array, err_msg=str(key))
        else:
            scale = np.abs(array).max(initial=0.0)
            np.testing.assert_allclose(
                found[key], array, rtol=0, atol=gradients * scale, err_msg=str(key)
            )


@pytest.fixture
def emulator(monkeypatch):
    """Emulators instead of CUDA devices, one per model."""
    made = []

    def make(**options):
        def device():
            made.append(Emulator(**options))
            return made[-1]

        monkeypatch.setattr(clock_cuda, "CudaDevice", device)
        return made

    return make


@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_the_same_as_on_the_cpu(kind, emulator):
    expected = arrays_of(*results(kind, "cpu")[:3])
    emulator()
    found = results(kind, "cuda")
    assert sum(len(trains.i) for trains in found[0].spikes.values()) > 8
    check_equal(arrays_of(*found[:3]), expected)


@pytest.mark.parametrize("kind", ["lif", "delta"])
def test_no_bit_depends_on_the_order_of_the_threads(kind, emulator):
    runs = []
    for seed in (None, 1):
        emulator(seed=seed)
        runs.append(arrays_of(*results(kind, "cuda", duration=20 * ms)[:3]))
    for key, array in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], array, err_msg=str(key))
