"""What a Python function computes, as an expression: it is called with names in place of numbers.

Every operation becomes a node of a syntax tree, in the order in which the function does it, so that
the expression rounds as the function does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

import numpy as np

from brian_eventprop.reading import brian

_BINARY = {
    "add": ast.Add, "subtract": ast.Sub, "multiply": ast.Mult, "divide": ast.Div,
    "true_divide": ast.Div, "floor_divide": ast.FloorDiv, "remainder": ast.Mod, "power": ast.Pow,
    "float_power": ast.Pow,
}  # fmt: skip
_COMPARE = {
    "greater": ast.Gt, "greater_equal": ast.GtE, "less": ast.Lt, "less_equal": ast.LtE,
    "equal": ast.Eq, "not_equal": ast.NotEq,
}  # fmt: skip
_LOGICAL = {
    "logical_and": ast.And, "logical_or": ast.Or, "bitwise_and": ast.And, "bitwise_or": ast.Or,
}  # fmt: skip
#: NumPy's functions and what Brian2 calls them.
_CALLS = {
    name: name
    for name in (
        "exp", "log", "log10", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "arcsin", "arccos",
        "arctan", "sinh", "cosh", "tanh", "sign", "floor", "ceil", "clip",
    )
} | {"absolute": "abs", "fabs": "abs"}  # fmt: skip


class TracingError(TypeError):
    """What a function does cannot be written as an expression."""


def trace(function: Callable, names: Sequence[str]) -> str:
    """Return what a function computes of arguments with these names.

    Raises
    ------
    TracingError
        If it does anything else than arithmetic, comparisons and Brian2's functions.

    Examples
    --------
    >>> import numpy as np
    >>> trace(lambda v, k: k*v**3 + np.exp(-v)/2, ["v", "k"])
    'k * v ** 3 + exp(-v) / 2'
    >>> trace(lambda x: np.where(x > 0, x, 0.1*x), ["x"])
    'x if x > 0 else 0.1 * x'
    """
    try:
        result = function(*(Traced(ast.Name(name)) for name in names))
    except TracingError:
        raise
    except Exception as error:
        raise TracingError(f"{type(error).__name__}: {error}") from error
    return ast.unparse(ast.fix_missing_locations(_number(_node(result))))


class Traced:
    """A value that is not known yet: the expression that computes it."""

    #: Brian2's own functions ask for the unit of their argument.
    dim = brian.DIMENSIONLESS

    def __init__(self, node: ast.expr):
        self._node = node

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        name = ufunc.__name__
        if method != "__call__" or options:
            raise TracingError(f"NumPy's {name}.{method} is no expression")
        return _apply(name, [_node(x) for x in inputs])

    def __array_function__(self, function, types, args, options):
        if function is np.where and len(args) == 3:
            condition, yes, no = args
            return Traced(ast.IfExp(_node(condition), *(_number(_node(x)) for x in (yes, no))))
        if function is np.clip and len(args) == 3 and not options:
            return _apply("clip", [_node(x) for x in args])
        raise TracingError(f"NumPy's {function.__name__} is no expression")

    def __bool__(self):
        raise TracingError(
            "it branches on the value of an argument: use np.where(condition, a, b), np.clip or "
            "int(condition) in Brian2's syntax"
        )

    def _no_number(self):
        raise TracingError("it needs the value of an argument, as functions of math do: use NumPy")

    __float__ = __int__ = __index__ = _no_number

    def __neg__(self):
        return Traced(ast.UnaryOp(ast.USub(), _number(self._node)))

    def __pos__(self):
        return self

    def __abs__(self):
        return _apply("absolute", [self._node])

    def __invert__(self):
        return _apply("logical_not", [self._node])

    def clip(self, low, high):
        """Return the value within bounds."""
        return _apply("clip", [self._node, _node(low), _node(high)])

    __hash__ = None


def _method(name: str, swapped: bool = False):
    def method(self, other):
        nodes = [self._node, _node(other)]
        return _apply(name, nodes[::-1] if swapped else nodes)

    return method


for _operator, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "mod": "remainder",
    "floordiv": "floor_divide", "pow": "power", "and": "logical_and", "or": "logical_or",
}.items():  # fmt: skip
    setattr(Traced, f"__{_operator}__", _method(_name))
    setattr(Traced, f"__r{_operator}__", _method(_name, swapped=True))
for _operator, _name in {
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
    "ne": "not_equal",
}.items():  # fmt: skip
    setattr(Traced, f"__{_operator}__", _method(_name))


for _name in _CALLS.keys() - {"clip"}:  # as NumPy calls them for an array of objects
    setattr(Traced, _name, lambda self, _name=_name: _apply(_name, [self._node]))


def _apply(name: str, nodes: list[ast.expr]) -> Traced:
    """Return the result of an operation that NumPy calls `name`."""
    if name in _LOGICAL:
        return Traced(ast.BoolOp(_LOGICAL[name](), nodes))
    if name in ("logical_not", "invert"):
        return Traced(ast.UnaryOp(ast.Not(), nodes[0]))
    nodes = [_number(node) for node in nodes]
    if name in _BINARY:
        return Traced(ast.BinOp(nodes[0], _BINARY[name](), nodes[1]))
    if name in _COMPARE:
        return Traced(ast.Compare(nodes[0], [_COMPARE[name]()], [nodes[1]]))
    if name in _CALLS:
        return Traced(ast.Call(ast.Name(_CALLS[name]), nodes, []))
    if name in ("negative", "positive"):
        return Traced(ast.UnaryOp(ast.USub(), nodes[0]) if name == "negative" else nodes[0])
    if name in ("square", "reciprocal"):
        power, one = ast.BinOp(nodes[0], ast.Pow(), ast.Constant(2)), ast.Constant(1)
        return Traced(power if name == "square" else ast.BinOp(one, ast.Div(), nodes[0]))
    if name in ("maximum", "minimum"):
        first, second = nodes
        relation = ast.Gt() if name == "maximum" else ast.Lt()
        return Traced(ast.IfExp(ast.Compare(first, [relation], [second]), first, second))
    raise TracingError(f"NumPy's {name} is none of Brian2's functions")


def _node(value) -> ast.expr:
    """Return the node of a value: traced, or a number."""
    if isinstance(value, Traced):
        return value._node
    if isinstance(value, bool | np.bool_):
        return ast.Constant(bool(value))
    if isinstance(value, brian.Quantity) and not value.is_dimensionless:
        raise TracingError(
            f"it uses {value!r}, but in Brian2's code a function gets plain numbers, in SI units"
        )
    if isinstance(value, int | np.integer):
        return _signed(int(value))
    if np.ndim(value) == 0 and np.isreal(value):
        return _signed(float(value))
    raise TracingError(f"it uses {value!r}, which is no number")


def _signed(value: float) -> ast.expr:
    if not np.isfinite(value):
        raise TracingError(f"it uses {value!r}, which is no number")
    constant = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), constant) if value < 0 else constant


def _number(node: ast.expr) -> ast.expr:
    """Return a node as a number: 0 or 1 for a condition."""
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    literal = isinstance(node, ast.Constant) and isinstance(node.value, bool)
    if literal:
        return ast.Constant(int(node.value))
    condition = negated or isinstance(node, ast.Compare | ast.BoolOp)
    return ast.Call(ast.Name("int"), [node], []) if condition else node
