"""Values at many times on an emulated GPU."""

import pytest

from tests.helpers.backends import check_same_on_a_gpu
from tests.readouts.test_many_times import traces_of
from tests.readouts.test_value import LINEAR, QUADRATIC, build, network


@pytest.mark.parametrize(("flow", "method"), [(LINEAR, "exact"), (QUADRATIC, "rk4")])
def test_they_are_those_of_the_cpu(emulator, flow, method):
    inputs, cells, s, r = network(flow, method)
    train = [s.w, r.w, r.delay, cells.tau, cells.v]

    def model(objects, **options):
        return build(traces_of(cells), objects, train, **options)

    check_same_on_a_gpu(model, (inputs, cells, s, r), emulator)
