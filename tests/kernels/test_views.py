"""Arrays described by their addresses are the arrays themselves."""

import numba
import numpy as np
import pytest

from brian_eventprop.kernels import views

pytestmark = pytest.mark.compiled


def compiled(view):
    @numba.njit
    def change(context):
        array = view(context, 2)
        array.flat[0] = 7
        return array.shape, array.sum()

    return change


SHAPES = [(5,), (2, 3), (2, 3, 4), (2, 1, 3, 2)]
KINDS = ["f4", "f8", "u1", "u2", "u4", "u8", "i4", "i8"]
#: Every shape and every kind once; the other pairs are marked slow.
FAST = {*zip(KINDS, 2 * SHAPES, strict=True)}


@pytest.mark.parametrize(
    "kind, shape",
    [
        pytest.param(k, s, marks=() if (k, s) in FAST else pytest.mark.slow)
        for k in KINDS
        for s in SHAPES
    ],
)
def test_a_view_is_the_array(kind, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    numbers = np.array([1, 2, *views.description(array)], np.int64)
    view = getattr(views, views.view_name(array.dtype, array.ndim))
    found = compiled(view)(numbers.ctypes.data)
    assert array.flat[0] == 7
    assert found == (shape, array.sum())


def test_arrays_with_gaps_are_refused():
    with pytest.raises(ValueError, match="contiguous"):
        views.description(np.zeros((4, 4))[:, ::2])


def test_an_operation_is_called_by_its_address():
    @numba.njit("int64(int64, int64, int64)")
    def operation(context, trial, n):
        view = views.view_f8_1(context, 0)
        view[trial] = n
        return n - trial

    (version,) = operation.overloads.values()
    address = version.library.get_pointer_to_function(version.fndesc.llvm_cfunc_wrapper_name)
    call = numba.njit(lambda where, context, trial, n: views.call(where, context, trial, n))
    array = np.zeros(3)
    numbers = np.array(views.description(array), np.int64)
    assert call(address, numbers.ctypes.data, 2, 9) == 7
    np.testing.assert_array_equal(array, [0, 0, 9])
