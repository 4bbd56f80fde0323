"""Vector instructions on neighbouring entries of arrays, for the intrinsics of the kernels.

LLVM finds them by itself in simple loops, but not where arrays might overlap in many ways or where
numbers change places.  Everything here is called while an intrinsic writes its code.
"""

from __future__ import annotations

from llvmlite import ir
from llvmlite.binding import get_host_cpu_name
from numba.core import cgutils

WORD, INDEX = ir.IntType(64), ir.IntType(32)


class Arrays:
    """The arrays among the arguments of an intrinsic, by name.

    Parameters
    ----------
    context, builder, signature, arguments
        What Numba calls a code generator with.
    names
        Of all arguments, in their order.
    """

    def __init__(self, context, builder, signature, arguments, names):
        self.context, self.builder = context, builder
        self.given = dict(zip(names, arguments, strict=True))
        self._kinds = dict(zip(names, signature.args, strict=True))

    def data(self, name: str, row: str | None = None):
        """Return the pointer to an array's first entry, or to the first of a row of it."""
        array = self.context.make_array(self._kinds[name])(
            self.context, self.builder, self.given[name]
        )
        if row is None:
            return array.data
        stride = cgutils.unpack_tuple(self.builder, array.strides)[0]
        begin = self.builder.mul(self.given[row], stride)
        return cgutils.pointer_add(self.builder, array.data, begin, array.data.type)


def load(builder, data, at, n: int):
    """Load n entries from a place on."""
    place = _place(builder, data, at, n)
    numbers = builder.load(place)
    numbers.align = size_of(data.type.pointee)
    return numbers


def store(builder, numbers, data, at) -> None:
    """Store neighbouring entries from a place on."""
    place = _place(builder, data, at, numbers.type.count)
    builder.store(numbers, place).align = size_of(data.type.pointee)


def gathered(builder, data, places):
    """Load whole numbers from places that need not be neighbours."""
    number, n = data.type.pointee, places.type.count
    if get_host_cpu_name().startswith("znver"):  # where one instruction for all is slow
        numbers = ir.Constant(ir.VectorType(number, n), ir.Undefined)
        for lane in range(n):
            place = builder.gep(data, [builder.extract_element(places, INDEX(lane))])
            numbers = builder.insert_element(numbers, builder.load(place), INDEX(lane))
        return numbers
    begin = spread(builder, builder.ptrtoint(data, WORD), n)
    size = spread(builder, WORD(size_of(number)), n)
    pointers = builder.inttoptr(
        builder.add(begin, builder.mul(places, size)), ir.VectorType(data.type, n)
    )
    numbers, flags = ir.VectorType(number, n), ir.VectorType(ir.IntType(1), n)
    name = f"llvm.masked.gather.v{n}{number.intrinsic_name}.v{n}{data.type.intrinsic_name}"
    kind = ir.FunctionType(numbers, [pointers.type, INDEX, flags, numbers])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    every, nothing = ir.Constant(flags, [1] * n), ir.Constant(numbers, ir.Undefined)
    return builder.call(function, [pointers, INDEX(size_of(number)), every, nothing])


def side_by_side(builder, parts):
    """Join vectors of the same length; their number is a power of two."""
    while len(parts) > 1:
        order = constants(INDEX, range(2 * parts[0].type.count))
        couples = zip(parts[::2], parts[1::2], strict=True)
        parts = [builder.shuffle_vector(one, two, order) for one, two in couples]
    return parts[0]


def _place(builder, data, at, n):
    place = builder.gep(data, [at])
    return builder.bitcast(place, ir.VectorType(data.type.pointee, n).as_pointer())


def spread(builder, number, n: int):
    """Return a vector of n times the same number."""
    empty = ir.Constant(ir.VectorType(number.type, n), ir.Undefined)
    one = builder.insert_element(empty, number, INDEX(0))
    return builder.shuffle_vector(one, empty, constants(INDEX, [0] * n))


def in_turn(builder, first, second):
    """Return the entries of two vectors in turn: pairs."""
    n = first.type.count
    return builder.shuffle_vector(
        first, second, constants(INDEX, [k + side * n for k in range(n) for side in (0, 1)])
    )


def constants(kind, numbers):
    """Return a vector of constants."""
    return ir.Constant(ir.VectorType(kind, len(numbers)), list(numbers))


def widened(builder, whole):
    """Return an unsigned whole number as 64 bits."""
    return whole if whole.type == WORD else builder.zext(whole, WORD)


def size_of(number) -> int:
    """Return the bytes of a number of an LLVM type."""
    if isinstance(number, ir.IntType):
        return number.width // 8
    return {"float": 4, "double": 8}[str(number)]
