"""Arrays and functions by their addresses, so that one loop can run the kernels of any network.

An operation of a network is a function of a context, a trial and a time step.  The context is the
address of a table that describes the arrays of the operation: for each its address and its shape.
`view_f8_2(context, 3)` is the two-dimensional array of doubles that the table describes from its
third number on.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WORD = ir.IntType(64)

#: The kinds of numbers in arrays, by what the names of the views call them.
KINDS = {
    "f4": types.float32, "f8": types.float64, "c16": types.complex128, "u1": types.uint8,
    "u2": types.uint16, "u4": types.uint32, "u8": types.uint64, "i4": types.int32,
    "i8": types.int64, "b1": types.boolean,
}  # fmt: skip

#: Most dimensions of an array.
DIMENSIONS = 4


def view_name(kind: np.dtype, ndim: int) -> str:
    """Return the name of the function that makes a view of arrays of this kind."""
    return f"view_{kind.str[1:]}_{ndim}"


def description(array: np.ndarray) -> tuple[int, ...]:
    """Return the numbers that describe an array in a context."""
    if not array.flags.c_contiguous:
        raise ValueError("only contiguous arrays can be described by their address and shape")
    return array.__array_interface__["data"][0], *array.shape


def _compiled_view(kind, ndim: int):
    array_type, size = types.Array(kind, ndim, "C"), np.dtype(kind.name.replace("boolean", "bool"))

    @intrinsic
    def view(_, context, slot):
        def generate(target, builder, signature, arguments):
            del signature
            table = builder.inttoptr(arguments[0], WORD.as_pointer())

            def number(k):
                return builder.load(builder.gep(table, [builder.add(arguments[1], WORD(k))]))

            data_type = target.get_data_type(kind).as_pointer()
            shape, strides = [number(1 + k) for k in range(ndim)], [WORD(size.itemsize)]
            for extent in reversed(shape[1:]):
                strides.insert(0, builder.mul(strides[0], extent))
            array = target.make_array(array_type)(target, builder)
            data = builder.inttoptr(number(0), data_type)
            target.populate_array(
                array, data=data, shape=shape, strides=strides,
                itemsize=WORD(size.itemsize), meminfo=None,
            )  # fmt: skip
            return array._getvalue()

        return array_type(types.int64, types.int64), generate

    return view


@intrinsic
def _call_compiled(_, address, context, trial, n):
    """Call the operation at an address."""

    def generate(target, builder, signature, arguments):
        del target, signature
        kind = ir.FunctionType(WORD, [WORD, WORD, WORD])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(types.int64, types.int64, types.int64, types.int64), generate


def _plain_view(context, slot):
    """Return an array of a context that holds the arrays themselves."""
    return context[slot]


def _call_plain(function, context, trial, n):
    return function(context, trial, n)


call = _call_plain if numba.config.DISABLE_JIT else _call_compiled
for _name, _kind in KINDS.items():
    for _ndim in range(1, DIMENSIONS + 1):
        _view = _plain_view if numba.config.DISABLE_JIT else _compiled_view(_kind, _ndim)
        globals()[f"view_{_name}_{_ndim}"] = _view
