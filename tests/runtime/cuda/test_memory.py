"""How much memory of a device a training step asks for, summed without a device."""

import importlib
from pathlib import Path

import numpy as np
from helpers.cuda.compile import DryDevice

from brian_eventprop.runtime.cuda import solver as clock_cuda

MIB = 2**20
#: Spikes of a hidden neuron in a trial, three times those of the delay-learning paper's networks.
SPIKES = 30


class Delayed(DryDevice):
    """Knows one thing that a device would have computed: the longest delays."""

    def get(self, array):
        """Return zeros, or for each pathway the shortest and the longest delay."""
        found = super().get(array)
        if found.dtype == np.int32 and found.shape == (3, 2):
            found[:, 1] = 512
        return found


def test_the_shape_of_the_delay_learning_paper(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    benchmark = importlib.import_module("memory")
    monkeypatch.setattr(clock_cuda, "CudaDevice", Delayed)
    monkeypatch.setattr(clock_cuda, "FIRST_CAPACITY", SPIKES)
    rng = np.random.default_rng(0)
    model, optimizer = benchmark.network(rng, backend="cuda")
    data = benchmark.spikes(rng, 256, 700, 1127, 8000)
    solver = model.runtime
    for _ in range(2):
        device = solver.device
        device.down = device.up = device.copied_async = 0
        model.run(data)
        gradients = model.gradient_arrays()
        model.look_ahead(data)
        assert not gradients.suspect()
        optimizer.step(gradients)
        del gradients
    # 256 trials have 20 readouts and their derivatives; 4 MB of parameters stay
    assert device.down < 25_000 and device.up < 25_000
    assert sum(model.parameters.raw(key).nbytes for key in model.parameters.keys) > 3.9e6
    # of an input spike its step goes down, sorted by neuron
    spikes = 2 * len(data.times)
    assert spikes < device.copied_async < spikes + 256 * 4 * 701 + 1024
    waves = [launch[:2] for launch in device.launches if launch[0] in ("forward", "backward")]
    print(waves[len(waves) // 2 :])
    assert [n for name, n in waves if name == "forward"] == 4 * [128]
    assert solver.packing.ring_size == 513 * (256 + 20)  # none for what is known ahead
    # no list grew: two batches
    assert sum(count for name, count in waves if name == "forward") == 2 * 256
    used = solver.memory / MIB
    print(f"{used:.0f} MiB")
    # mlGeNN needs 4056 MiB and DCLS 11512 MiB for it; the context of a process comes on top
    assert 200 < used < 600
    # what grows with the batch is spikes and readouts, not states or synapses
    per_trial = sum(
        np.prod(a.shape) * a.dtype.itemsize / 256
        for name, a in solver.workspace.kept.items()
        if a.shape[0] == 256
    )
    spikes = 2 * 256 * SPIKES * (3 * 4 + 5 * 4)
    assert per_trial < 1.2 * spikes
