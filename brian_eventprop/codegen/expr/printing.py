"""Expressions as Python text, for kernels (Numba, scalars) and for the host (NumPy, arrays).

Syntax trees are printed in their own order of operations, because the forward pass must round as
Brian2 does; SymPy expressions carry derivatives, where only the value matters.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

import sympy as sp
from sympy.printing.pycode import PythonCodePrinter

from brian_eventprop.adjoint.symbolic.derivatives import guarded

_BINARY = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
    ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
_RELATION = {
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip

#: Brian2's functions as the generated modules know them (see `functions`).
KERNEL_FUNCTIONS = {
    "exp": "math.exp", "log": "math.log", "log10": "math.log10", "log1p": "math.log1p",
    "expm1": "math.expm1", "sqrt": "math.sqrt", "sin": "math.sin", "cos": "math.cos",
    "tan": "math.tan", "arcsin": "math.asin", "arccos": "math.acos", "arctan": "math.atan",
    "sinh": "math.sinh", "cosh": "math.cosh", "tanh": "math.tanh", "abs": "abs",
    "sign": "sign", "floor": "np.floor", "ceil": "np.ceil", "clip": "clip",
    "exprel": "exprel", "dexprel": "dexprel", "trunc": "np.trunc",
}  # fmt: skip
NUMPY_FUNCTIONS = {
    name: f"np.{name}"
    for name in (
        "exp", "log", "log10", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "arcsin", "arccos",
        "arctan", "sinh", "cosh", "tanh", "abs", "sign", "floor", "ceil", "trunc", "clip",
    )
} | {"exprel": "exprel_array", "dexprel": "dexprel_array"}  # fmt: skip
_SYMPY_NAMES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "Abs": "abs", "floor_": "floor",
    "ceil_": "ceil", "trunc_": "trunc", "sign_": "sign", "exprel_": "exprel",
    "dexprel_": "dexprel", "ln": "log",
}  # fmt: skip

#: Functions of `kernels.brian_functions` that have a value at the edge of a domain; see
#: `adjoint.symbolic.derivatives`.
EDGE_FUNCTIONS = ("safe_product", "inverse_root", "positive_power", "power_log")


class Style:
    """How a target spells literals, functions and case distinctions."""

    functions: dict[str, str]

    def number(self, value: float | int) -> str:
        """Return a literal."""
        raise NotImplementedError

    def fraction(self, p: int, q: int) -> str:
        """Return the literal p/q."""
        return self.number(p / q)

    def choose(self, condition: str, yes: str, no: str) -> str:
        """Return an expression that is `yes` where the condition holds."""
        raise NotImplementedError

    def logical(self, op: str, parts: list[str]) -> str:
        """Return 'and', 'or' or 'not' of conditions."""
        raise NotImplementedError

    def product(self, left: str, right: str) -> str:
        """Return a product as the user wrote it."""
        return f"({left} * {right})"

    def power(self, base: str, exponent: int) -> str:
        """Return a small whole power: multiplications, as in NumPy's square."""
        return f"({base}**{exponent})"

    def inverse_root(self, base: str) -> str:
        """Return 1/sqrt(base), infinite at 0."""
        return f"inverse_root({base})"

    def safe_product(self, first: str, second: str) -> str:
        """Return a product that is 0 where the first factor is, even if the second is infinite."""
        return f"safe_product({first}, {second})"

    def positive_power(self, base: str, exponent: str) -> str:
        """Return a power of a base that counts as 0 below 0; 0 there for any exponent but 0."""
        return f"positive_power({base}, {exponent})"

    def power_log(self, base: str, exponent: str) -> str:
        """Return base**exponent*log(base), 0 at 0 for positive exponents."""
        return f"power_log({base}, {exponent})"


class KernelStyle(Style):
    """Scalars in Numba; literals get the kernel's precision."""

    functions = KERNEL_FUNCTIONS

    def __init__(self, single: bool):
        self.single = single

    def number(self, value):
        if isinstance(value, float) and value != value or value in (float("inf"), float("-inf")):
            return f"FLOAT({'-' if value < 0 else ''}math.{'inf' if value == value else 'nan'})"
        return f"FLOAT({value!r})" if self.single else repr(float(value))

    def choose(self, condition, yes, no):
        return f"({yes} if {condition} else {no})"

    def logical(self, op, parts):
        return f"(not {parts[0]})" if op == "not" else "(" + f" {op} ".join(parts) + ")"


class NumpyStyle(Style):
    """Arrays in NumPy, double precision."""

    functions = NUMPY_FUNCTIONS

    def inverse_root(self, base):
        return f"(1.0/np.sqrt({base}))"

    def safe_product(self, first, second):
        return f"np.where(({first}) == 0, 0.0, ({first})*({second}))"

    def positive_power(self, base, exponent):
        below = f"np.where(({exponent}) == 0, 1.0, 0.0)"
        return f"np.where(({base}) <= 0, {below}, np.float64({base})**({exponent}))"

    def power_log(self, base, exponent):
        limit = f"np.where(({exponent}) > 0, 0.0, -np.inf)"
        value = f"np.float64({base})**({exponent})*np.log({base})"
        return f"np.where(({base}) == 0, {limit}, {value})"

    def number(self, value):
        return (
            repr(float(value))
            if abs(value) != float("inf")
            else f"{'-' if value < 0 else ''}np.inf"
        )

    def choose(self, condition, yes, no):
        return f"np.where({condition}, {yes}, {no})"

    def logical(self, op, parts):
        if op == "not":
            return f"np.logical_not({parts[0]})"
        result = parts[0]
        for part in parts[1:]:
            result = f"np.logical_{op}({result}, {part})"
        return result


#: The functions of `DigitsStyle` and their names in mpmath.
DIGITS_FUNCTIONS = {
    "exp": "exp", "log": "log", "log10": "log10", "log1p": "log1p", "expm1": "expm1",
    "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "abs": "fabs",
    "sign": "sign", "floor": "floor", "ceil": "ceil",
}  # fmt: skip


class DigitsStyle(NumpyStyle):
    """Arrays of numbers with more digits: functions by their bare names, literals by ``number``."""

    functions = {name: name for name in DIGITS_FUNCTIONS}

    def number(self, value):
        return f"number({float(value)!r})"

    def fraction(self, p, q):
        return f"(number({p})/number({q}))"

    def inverse_root(self, base):
        return f"(number(1)/sqrt({base}))"


def print_tree(tree: ast.expr, rename: Callable[[str], str], style: Style) -> str:
    """Print a syntax tree of a Brian2 expression."""
    return _TreePrinter(rename, style).visit(tree)


class _TreePrinter(ast.NodeVisitor):
    def __init__(self, rename, style):
        self.rename, self.style = rename, style

    def visit_Constant(self, node):
        if isinstance(node.value, bool):
            return repr(node.value)
        return self.style.number(node.value)

    def visit_Name(self, node):
        return node.id if node.id in ("True", "False") else self.rename(node.id)

    def visit_UnaryOp(self, node):
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return self.style.logical("not", [operand])
        return f"(-{operand})" if isinstance(node.op, ast.USub) else operand

    def visit_BinOp(self, node):
        left = self.visit(node.left)
        if isinstance(node.op, ast.Pow) and _small_integer(node.right):
            return self.style.power(left, _small_integer(node.right))
        if isinstance(node.op, ast.Mult):
            return self.style.product(left, self.visit(node.right))
        return f"({left} {_BINARY[type(node.op)]} {self.visit(node.right)})"

    def visit_BoolOp(self, node):
        op = "and" if isinstance(node.op, ast.And) else "or"
        return self.style.logical(op, [self.visit(v) for v in node.values])

    def visit_Compare(self, node):
        left, parts = node.left, []
        for op, right in zip(node.ops, node.comparators, strict=True):
            parts.append(f"({self.visit(left)} {_RELATION[type(op)]} {self.visit(right)})")
            left = right
        return parts[0] if len(parts) == 1 else self.style.logical("and", parts)

    def visit_IfExp(self, node):
        return self.style.choose(*(self.visit(n) for n in (node.test, node.body, node.orelse)))

    def visit_Call(self, node):
        if node.func.id == "given_":
            return self.visit(node.args[0])
        args = [self.visit(a) for a in node.args]
        if node.func.id == "int":
            if isinstance(node.args[0], ast.Compare | ast.BoolOp) or (
                isinstance(node.args[0], ast.UnaryOp) and isinstance(node.args[0].op, ast.Not)
            ):
                return self.style.choose(args[0], self.style.number(1), self.style.number(0))
            return f"{self.style.functions['trunc']}({args[0]})"
        return f"{self.style.functions[node.func.id]}({', '.join(args)})"


def _small_integer(node):
    if isinstance(node, ast.Constant) and float(node.value).is_integer():
        return int(node.value) if 2 <= node.value <= 8 else 0
    return 0


def print_sympy(expression: sp.Expr, rename: Callable[[str], str], style: Style) -> str:
    """Print a SymPy expression."""
    return _SympyPrinter(rename, style).doprint(guarded(sp.sympify(expression)))


class _SympyPrinter(PythonCodePrinter):
    def __init__(self, rename, style):
        super().__init__({"fully_qualified_modules": False})
        self.rename, self.style = rename, style

    def _print_Symbol(self, expr):
        return self.rename(expr.name)

    def _print_Integer(self, expr):
        return self.style.number(int(expr))

    _print_int = _print_Integer

    def _print_Zero(self, expr):
        return self.style.number(0)

    def _print_One(self, expr):
        return self.style.number(1)

    def _print_NegativeOne(self, expr):
        return self.style.number(-1)

    def _print_Float(self, expr):
        return self.style.number(float(expr))

    def _print_Rational(self, expr):
        return self.style.fraction(expr.p, expr.q)

    _print_Half = _print_Rational

    def _print_NumberSymbol(self, expr):
        return self.style.number(float(expr))

    def _print_Infinity(self, expr):
        return self.style.number(float("inf"))

    def _print_NegativeInfinity(self, expr):
        return self.style.number(float("-inf"))

    def _print_Exp1(self, expr):
        return self.style.number(float(expr))

    _print_Pi = _print_Exp1

    def _print_Mul(self, expr):
        # own product, because the base class would print integers without the kernel's precision
        sign, args = "", list(expr.args)
        if args[0] == -1:
            sign, args = "-", args[1:]
        over = [a for a in args if not _is_reciprocal(a)]
        under = [1 / a for a in args if _is_reciprocal(a)]
        text = "*".join(self._factor(a) for a in over) or self.style.number(1)
        if under:
            divisor = "*".join(self._factor(a) for a in under)
            text += f"/({divisor})" if len(under) > 1 else f"/{divisor}"
        return f"({sign}{text})" if sign else text

    def _factor(self, expr):
        text = self._print(expr)
        return text if expr.is_Atom or expr.is_Function else f"({text})"

    def _print_Add(self, expr, order=None):
        del order
        return " + ".join(self._factor(a) if a.is_Add else self._print(a) for a in expr.args)

    def _print_Pow(self, expr, rational=False):
        del rational
        base, power = expr.as_base_exp()
        text = self._factor(base)
        if base == sp.E:
            return f"{self.style.functions['exp']}({self._print(power)})"
        if power == sp.Rational(1, 2):
            return f"{self.style.functions['sqrt']}({self._print(base)})"
        if power.is_Integer and 1 < int(power) <= 4:
            return "(" + "*".join([text] * int(power)) + ")"
        if power.is_number and float(power) == -0.5:
            return self.style.inverse_root(self._print(base))
        if power.is_Integer and power < 0:
            return f"({self.style.number(1)}/{self._factor(base ** (-power))})"
        return f"({text}**{self._factor(power)})"

    def _print_Piecewise(self, expr):
        *cases, (last, _) = expr.args
        result = self._print(last)
        for value, condition in reversed(cases):
            result = self.style.choose(self._print(condition), self._print(value), result)
        return f"({result})"

    def _print_Relational(self, expr):
        return f"({self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)})"

    def _print_And(self, expr):
        return self.style.logical("and", [self._print(a) for a in expr.args])

    def _print_Or(self, expr):
        return self.style.logical("or", [self._print(a) for a in expr.args])

    def _print_Not(self, expr):
        return self.style.logical("not", [self._print(expr.args[0])])

    def _print_BooleanTrue(self, expr):
        return "True"

    def _print_BooleanFalse(self, expr):
        return "False"

    def _print_safe_product_(self, expr):
        return self.style.safe_product(*(self._print(a) for a in expr.args))

    def _print_positive_power_(self, expr):
        base, exponent = expr.args
        text = self._print(base)
        if base.is_Add and not exponent.is_positive:
            # what is left of a difference at the edge is rounding, and no steep derivative
            size = " + ".join(self._print(sp.Abs(term)) for term in base.args)
            edge = f"({text}) <= {self.style.number(1e-13)}*({size})"
            text = self.style.choose(edge, self.style.number(0), f"({text})")
        return self.style.positive_power(text, self._print(exponent))

    def _print_shifted_exp_(self, expr):
        shift, rest = (self._print(a) for a in expr.args)
        return f"{self.style.functions['exp']}({shift} + {rest})"

    def _print_given_(self, expr):
        return f"({self._print(expr.args[0])})"

    def _print_power_log_(self, expr):
        base, exponent, order = expr.args
        text = self.style.power_log(self._print(base), self._print(exponent))
        if order == 1:
            return text
        return self.style.safe_product(text, self._print(sp.log(base) ** (order - 1)))

    def _print_Function(self, expr):
        name = type(expr).__name__
        name = _SYMPY_NAMES.get(name, name)
        args = ", ".join(self._print(a) for a in expr.args)
        return f"{self.style.functions[name]}({args})"

    _print_exp = _print_log = _print_sin = _print_cos = _print_tan = _print_Function
    _print_asin = _print_acos = _print_atan = _print_Abs = _print_sign = _print_Function
    _print_sinh = _print_cosh = _print_tanh = _print_ExpBase = _print_Function


def _is_reciprocal(expr):
    return expr.is_Pow and expr.exp.is_Integer and expr.exp.is_negative and expr.base != sp.E
