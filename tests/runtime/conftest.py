"""What the tests of the CUDA backend share."""

import pytest
from helpers.cuda.emulator import Emulator

from brian_eventprop.runtime.cuda import solver as clock_cuda


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
