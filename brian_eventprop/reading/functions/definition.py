"""`function`: a function of the user's own that has a derivative."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import sympy as sp
from sympy.printing.str import StrPrinter

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import functions, names, parse
from brian_eventprop.reading.functions.tracing import TracingError, trace

#: Brian2's functions that have a derivative here, and all operations of an expression.
KNOWN = frozenset(
    "exp log log10 log1p expm1 exprel sqrt sin cos tan arcsin arccos arctan sinh cosh tanh abs "
    "sign floor ceil int clip".split()
)


class DifferentiableFunction(brian.Function):
    """A function of Brian2 that knows what it computes.

    Attributes
    ----------
    arguments
        Names of the arguments.
    body
        What it computes of them, an expression in Brian2's syntax.
    derivatives
        The derivative in each argument if it was given; None if that of the body is right.
    """

    def __init__(self, pyfunc, arguments, body, derivatives, given=None, **options):
        super().__init__(pyfunc, arg_names=list(arguments), **options)
        self.arguments, self.body, self.derivatives = tuple(arguments), body, derivatives
        if given is not None:  # what the user wrote for other targets of Brian2
            self.implementations._implementations.update(given.implementations._implementations)


def function(
    f,
    derivative=None,
    *,
    body=None,
    arg_units: Sequence | None = None,
    return_unit=None,
) -> DifferentiableFunction:
    """Return a function of one's own for use in equations, thresholds, resets, on_pre and readouts.

    Brian2 calls `f` in its own runs; here the function is replaced by what it computes, and
    differentiated.  For that `f` is called once with names in place of numbers: it may use
    arithmetic, NumPy's functions that Brian2 has too, ``np.where``, ``np.maximum`` and
    ``np.minimum``, but not ``if``.  Numbers from outside of it are taken as they are then.

    Parameters
    ----------
    f : callable
        A Python function of plain numbers in SI units, decorated with Brian2's ``check_units`` or
        ``implementation`` or not.
    derivative : callable or tuple of callables, optional
        The derivative in each argument, as functions of all arguments; None in a tuple for 0.  By
        default the derivative of what `f` computes.
    body : str, callable or SymPy expression, optional
        What `f` computes, if `f` itself does it in some other way: an expression in Brian2's
        syntax, a function, or a SymPy expression in symbols that are called as the arguments.
    arg_units, return_unit : optional
        Units of the arguments and of the result, if ``check_units`` does not say them.

    Returns
    -------
    `brian2.Function`

    Raises
    ------
    UnsupportedError
        If what `f` computes cannot be written as an expression.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import NeuronGroup, ms
    >>> import brian_eventprop as bep
    >>> drive = bep.function(lambda v: np.tanh(2*v)**2, arg_units=[1], return_unit=1)
    >>> drive.body
    'tanh(2 * v) ** 2'
    >>> step = bep.function(lambda x: np.where(x > 0, 1, 0), lambda x: 1/(1 + abs(x))**2,
    ...                     arg_units=[1], return_unit=1)
    >>> neuron = NeuronGroup(1, "dv/dt = (drive(v) - v)/(10*ms) : 1", method="euler")
    """
    given = f if isinstance(f, brian.Function) else None
    pyfunc = f.pyfunc if given is not None else f
    if not callable(pyfunc):
        raise TypeError(f"function needs a Python function, not {f!r}")
    plain = getattr(pyfunc, "_orig_func", pyfunc)
    arguments = _arguments(plain)
    text = _body(plain if body is None else body, arguments, getattr(pyfunc, "__name__", "f"))
    derivatives = _derivatives(derivative, arguments, getattr(pyfunc, "__name__", "f"))
    if given is not None:
        arg_units = given._arg_units if arg_units is None else arg_units
        return_unit = given._return_unit if return_unit is None else return_unit
    units = {"arg_units": arg_units, "return_unit": return_unit}
    if arg_units is not None and len(arg_units) != len(arguments):
        raise ValueError(f"arg_units has {len(arg_units)} units for {len(arguments)} arguments")
    return DifferentiableFunction(pyfunc, arguments, text, derivatives, given, **units)


def _arguments(f: Callable) -> list[str]:
    parameters = inspect.signature(f).parameters.values()
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"a function in Brian2 has no arguments such as {parameter}")
    return [parameter.name for parameter in parameters]


def _derivatives(given, arguments: list[str], name: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    given = given if isinstance(given, tuple | list) else (given,)
    if len(given) != len(arguments):
        raise ValueError(
            f"derivative has {len(given)} functions for the {len(arguments)} arguments of '{name}'"
        )
    what = f"the derivative of {name}"
    return tuple("0" if d is None else _body(d, arguments, what) for d in given)


def _body(source, arguments: list[str], name: str) -> str:
    """Return an expression in Brian2's syntax."""
    if callable(source) and not isinstance(source, sp.Basic):
        source = _traced(source, arguments, name)
    elif isinstance(source, sp.Lambda):
        source = source(*(sp.Symbol(a, real=True) for a in arguments))
    text = source if isinstance(source, str) else _Printer().doprint(sp.sympify(source))
    unknown = names(text) - set(arguments)
    if unknown:
        raise ValueError(f"{name}: '{text}' uses '{min(unknown)}', which is no argument")
    strange = functions(text) - KNOWN
    if strange:
        raise _unsupported(name, f"'{min(strange)}' is none of Brian2's functions")
    parse(text)
    return text


def _traced(source: Callable, arguments: list[str], name: str) -> str | sp.Basic:
    """Call a function with names; with SymPy's symbols if it is made of SymPy's functions."""
    try:
        return trace(source, arguments)
    except TracingError as error:
        reason = str(error)
    try:
        result = source(*(sp.Symbol(a, real=True) for a in arguments))
    except Exception:  # it is not made of these either
        result = None
    if not isinstance(result, sp.Basic):
        raise _unsupported(name, reason)
    return result


def _unsupported(name: str, reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"The function '{name}' cannot be written as an expression: {reason}. Give body=..., what "
        "it computes in Brian2's syntax or as a SymPy expression."
    )


class _Printer(StrPrinter):
    """Prints SymPy expressions in Brian2's syntax, numbers with all their digits."""

    _NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "Abs": "abs", "ceiling": "ceil"}

    def _print_Float(self, expr):
        return repr(float(expr))

    def _print_Rational(self, expr):
        return f"({expr.p}/{expr.q})"

    def _print_Function(self, expr):
        name = type(expr).__name__
        return f"{self._NAMES.get(name, name)}({', '.join(map(self._print, expr.args))})"

    _print_Abs = _print_Function

    def _print_NumberSymbol(self, expr):
        return repr(float(expr))

    _print_Exp1 = _print_Pi = _print_NumberSymbol

    def _print_Piecewise(self, expr):
        *cases, (last, _) = expr.args
        text = f"({self._print(last)})"
        for value, condition in reversed(cases):
            text = f"(({self._print(value)}) if {self._print(condition)} else {text})"
        return text

    def _print_Relational(self, expr):
        return f"({self._print(expr.lhs)}) {expr.rel_op} ({self._print(expr.rhs)})"

    def _print_And(self, expr):
        return " and ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Or(self, expr):
        return " or ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Not(self, expr):
        return f"not ({self._print(expr.args[0])})"
