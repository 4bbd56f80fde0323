"""Functions that are only ever parts of others: they get no machine code of their own.

Numba optimises each function together with all that it calls, writes machine code, and for every
caller does both once more.  A part is kept as it was lowered, and a whole function is optimised
together with all of its parts, once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from numba.core import typed_passes, types, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.environment import lookup_environment

from brian_eventprop.kernels.inference import REPLACED

#: Passes for what the generated code has none of: closures, ``with``, literals as types, array
#: expressions, calls to be inlined.  After each, Numba analyses the whole function once more.
_NOT_NEEDED = frozenset({
    untyped_passes.WithLifting, untyped_passes.InlineClosureLikes,
    untyped_passes.RewriteSemanticConstants, untyped_passes.DeadBranchPrune,
    untyped_passes.MakeFunctionToJitFunction, untyped_passes.InlineInlinables,
    untyped_passes.FindLiterallyCalls, untyped_passes.LiteralUnroll,
    untyped_passes.LiteralPropagationSubPipelinePass, typed_passes.InlineOverloads,
    typed_passes.NopythonRewrites, typed_passes.DumpParforDiagnostics,
})  # fmt: skip

#: How the names of Numba's variables for the environment of a function begin.
_ENVIRONMENT = "_ZN08NumbaEnv"


class _Library(JITCodeLibrary):
    """Machine code of a whole function, with that of all of its parts and their parts."""

    def _optimize_functions(self, ll_module) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def add_linking_library(self, library) -> None:
        for other in getattr(library, "with_parts", lambda: [library])():
            super().add_linking_library(other)

    def _finalize_final_module(self) -> None:
        super()._finalize_final_module()
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT):
                environment = lookup_environment(variable.name)
                if environment is not None:
                    self._codegen.set_env(variable.name, environment)


class _PartLibrary(_Library):
    """The code of a part, neither optimised nor linked with what it calls."""

    @property
    def codegen(self):
        return _NoEnvironments

    def with_parts(self) -> list[JITCodeLibrary]:
        """Return what a caller is to be linked with."""
        return [self, *self._linking_libraries]

    def add_linking_library(self, library) -> None:
        for other in getattr(library, "with_parts", lambda: [library])():
            if other not in self._linking_libraries:
                super().add_linking_library(other)

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._final_module.verify()
        self._finalized = True

    def get_pointer_to_function(self, name) -> int:
        del name
        self._ensure_finalized()
        return 0


class _NoEnvironments:
    """In place of the memory in which the environments of functions are noted."""

    @staticmethod
    def set_env(name, environment) -> None:
        del name, environment


def without_literals(dispatcher) -> None:
    """Let a function be compiled once for `False` and for a variable, not once for each."""
    resolve = dispatcher.get_call_template

    def get_call_template(args, keywords):
        plain = {name: types.unliteral(kind) for name, kind in keywords.items()}
        return resolve(tuple(map(types.unliteral, args)), plain)

    dispatcher.get_call_template = get_call_template


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let Python look for cycles of garbage less often while something is compiled.

    Numba makes many objects, and each search goes through those of NumPy, SymPy and Brian2 as well:
    all in all an eighth of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 200_000) if before[0] else 0, *(max(n, 20) for n in before[1:]))
    try:
        yield
    finally:
        gc.set_threshold(*before)


class WholeCompiler(Compiler):
    """Compiles a function that Python calls."""

    library = _Library

    def define_pipelines(self):
        (full,) = super().define_pipelines()
        manager = PassManager("generated code")
        manager.passes = [
            (REPLACED.get(step, step), text)
            for step, text in full.passes
            if step not in _NOT_NEEDED
        ]
        manager.finalize()
        return [manager]

    def compile_extra(self, func):
        self.state.library = self.library(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        with seldom_collected():
            return super().compile_extra(func)


class PartCompiler(WholeCompiler):
    """Compiles a function that only others call."""

    library = _PartLibrary
