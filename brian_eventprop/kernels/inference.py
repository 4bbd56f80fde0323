"""Numba's inference of types, which remembers what operators and functions of numbers return.

For ``a + b`` Numba goes through all that + may mean, texts and dates among it, each time that an
addition is in the code.  A sum of two doubles is a double in every kernel.
"""

from __future__ import annotations

from numba.core import types
from numba.core.compiler import Flags
from numba.core.compiler_machinery import register_pass
from numba.core.dispatcher import Dispatcher
from numba.core.typed_passes import AnnotateTypes, NopythonTypeInference

_NAMES = hash(Flags())


class ComparedFlags(Flags):
    """Flags of Numba's compiler, of which only those are compared that are set.

    Numba keeps the functions that it compiles for its own by the flags of the caller.
    """

    __slots__ = ()

    def __hash__(self):
        return _NAMES  # as that of Numba's flags, which is the same for all of them

    def __eq__(self, other):
        if not isinstance(other, Flags):
            return NotImplemented
        mine, others = self._values, other._values
        return mine == others or all(
            getattr(self, name) == getattr(other, name) for name in {*mine, *others}
        )


def with_compared_flags(dispatcher: Dispatcher) -> None:
    """Compile a function with flags that are compared fast."""
    dispatcher._compiler._customize_flags = ComparedFlags


class _Remembering:
    """A context of types that looks functions of numbers and elements of arrays up once."""

    #: The signatures of each function by the types of its arguments, and the function itself, so
    #: that no other one gets its address.
    _known: dict[int, tuple[types.Function, dict]] = {}

    def __init__(self, context):
        self._context = context

    def __getattr__(self, name):
        return getattr(self._context, name)

    def resolve_function_type(self, func, args, kws):
        """Return the signature of a call."""
        if kws or not isinstance(func, types.Function):
            return self._context.resolve_function_type(func, args, kws)
        _, signatures = self._known.setdefault(id(func), (func, {}))
        if args not in signatures:
            found = self._context.resolve_function_type(func, args, kws)
            # what Numba compiles for a call depends on the flags of the caller
            built_in = found is not None and func.get_impl_key(found) is func.typing_key
            if not (built_in and all(map(_is_number, args))):
                return found
            signatures[args] = found
        return signatures[args]


def _is_number(kind) -> bool:
    return isinstance(kind, types.Number | types.Boolean)


@register_pass(mutates_CFG=True, analysis_only=False)
class RememberingInference(NopythonTypeInference):
    """The pass that infers types."""

    _name = "remembering_type_inference"

    def run_pass(self, state):
        """Infer types with a context that remembers."""
        context = state.typingctx
        state.typingctx = _Remembering(context)
        try:
            return super().run_pass(state)
        finally:
            state.typingctx = context


@register_pass(mutates_CFG=False, analysis_only=False)
class WithoutAnnotation(AnnotateTypes):
    """In place of the pass that writes down the type of each line, for people."""

    _name = "without_annotation"

    def run_pass(self, state):
        """Keep nothing."""
        state.type_annotation = ""
        return False


#: What takes the place of passes of Numba.
REPLACED = {NopythonTypeInference: RememberingInference, AnnotateTypes: WithoutAnnotation}
