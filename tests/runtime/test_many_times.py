"""Values and adjoint variables at many times on an emulated GPU."""

import brian2
import numpy as np
import pytest
from brian2 import ms, mV

import brian_eventprop as bep
from tests.helpers.backends import check_same_on_a_gpu
from tests.model.test_recording import explosive
from tests.readouts.test_many_times import traces_of
from tests.readouts.test_value import LINEAR, QUADRATIC, build, network


@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
def test_they_are_those_of_the_cpu(emulator, flow, method):
    inputs, cells, s, r = network(flow, method)
    train = [s.w, r.w, r.delay, cells.tau, cells.v]

    def model(objects, **options):
        return build(traces_of(cells), objects, train, **options)

    check_same_on_a_gpu(model, (inputs, cells, s, r), emulator)


@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_what_is_recorded_is_that_of_the_cpu(emulator, flow, method, precision):
    records, times = [], [0, 3.1, 7, 20] * ms
    data = bep.SpikeData([1, 2, 9, 1.5, 4] * ms, [0, 2, 1, 3, 0], [0, 0, 0, 1, 1], 2, 4)
    for backend in ("cpu", "cuda"):
        brian2.start_scope()
        inputs, cells, s, r = network(flow, method)
        readouts = [bep.Integral(cells, "v"), bep.SpikeTimes(cells), bep.Final(cells, "v")]
        if backend == "cuda":
            emulator()
        options = {"backend": backend, "precision": precision}
        model = build(readouts, (inputs, cells, s, r), [s.w], **options)
        model.run(data)
        records.append(model.record(cells, ["v", "tau"], 1, times, adjoint=True))
    host, device = records
    close = {"rtol": 1e-9} if precision == "float64" else {"rtol": 2e-3, "atol": 1e-5}
    np.testing.assert_allclose(device.v, host.v, **close)
    np.testing.assert_allclose(device.tau / ms, host.tau / ms, rtol=1e-6)
    for state in ("v", "I"):
        np.testing.assert_allclose(device.adjoint[state], host.adjoint[state], **close)
        assert np.any(host.adjoint[state] != 0)


def test_so_is_that_of_explosive_upstrokes(emulator):
    records = []
    for backend in ("cpu", "cuda"):
        if backend == "cuda":
            emulator()
        model = explosive(backend=backend)
        model.run()
        records.append(model.record("cells", ["v"], adjoint=True).adjoint.v * mV)
    assert np.any(np.isnan(records[0]))
    np.testing.assert_allclose(records[1], records[0], rtol=1e-9)
