"""Brian2 expressions as syntax trees and as SymPy.

The forward pass evaluates the tree as Brian2 wrote it, operation by operation, so that spikes agree
with Brian2's; derivatives are taken of its SymPy form.  SymPy's own parser would leave functions
such as ``clip`` or ``int`` underivable, so the translation here gives each function of Brian2 a
derivative, or 0 where it is piecewise constant.
"""

from __future__ import annotations

import ast
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy.printing.str import StrPrinter

from brian_eventprop.adjoint.symbolic.derivatives import RealFunction, cut_powers, quotient
from brian_eventprop.errors import UnsupportedError


class ExactPrinter(StrPrinter):
    """Prints numbers with all their digits."""

    def _print_Float(self, expr):
        return repr(float(expr))


class PiecewiseConstant(RealFunction):
    """A function whose derivative is 0 wherever it exists."""

    nargs = 1

    def fdiff(self, argindex=1):
        del argindex
        return sp.Integer(0)


class floor_(PiecewiseConstant):
    """Largest integer below."""


class ceil_(PiecewiseConstant):
    """Smallest integer above."""


class trunc_(PiecewiseConstant):
    """Conversion to an integer."""


class sign_(PiecewiseConstant):
    """Sign of the argument."""


class exprel_(RealFunction):
    """``(exp(x) - 1)/x``, finite at 0."""

    nargs = 1
    grows = True

    def fdiff(self, argindex=1):
        del argindex
        return dexprel_(self.args[0])


class dexprel_(RealFunction):
    """Derivative of `exprel_`, finite at 0."""

    nargs = 1
    grows = True


class shifted_exp_(RealFunction):
    """``exp(shift + x)``; SymPy would make a number of exp(shift), which may be infinite or 0."""

    nargs = 2
    grows = True

    def fdiff(self, argindex=1):
        del argindex
        return self


class given_(RealFunction):
    """A value whose derivatives are given: the value, then each argument and the derivative."""

    def _eval_derivative(self, s):
        _, *parts = self.args
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return sum((d * x.diff(s) for x, d in pairs), sp.Integer(0))


def symbol(name: str) -> sp.Symbol:
    """Return the SymPy symbol of a name; all quantities are real."""
    return sp.Symbol(name, real=True)


#: What is larger than any difference of two states, in single precision too.
_FAR = sp.Float(1e30)

#: The name of infinity, which is a number but has a symbol.
_INFINITY = symbol("inf")


def compare(relation: type[sp.Rel], left: sp.Expr, right: sp.Expr):
    """Return a comparison; of two sides that are no numbers, their difference is compared with 0.

    SymPy orders the sides of a comparison within a `Piecewise`, and swaps those of some, as
    ``v - a < a - u``, back and forth until Python's stack is full.  With a number on one side
    there is nothing to swap, also after the states in it were substituted.

    >>> v, u, a = symbol("v"), symbol("u"), symbol("a")
    >>> sp.Piecewise((1, compare(sp.StrictLessThan, v - a, a - u)), (0, True))
    Piecewise((1, -2*a + u + v < 0), (0, True))
    """
    if all(isinstance(s, sp.Expr) and s.free_symbols - {_INFINITY} for s in (left, right)):
        return relation(left - right, 0)
    return relation(left, right)


def clip(x, low, high):
    """Return ``clip`` as cases."""
    below = compare(sp.StrictLessThan, x, low)
    return sp.Piecewise((low, below), (high, compare(sp.StrictGreaterThan, x, high)), (x, True))


def _int(x):
    if isinstance(x, sp.logic.boolalg.Boolean):
        return sp.Piecewise((1, x), (0, True))
    return trunc_(x)


def _exp(x):
    """``exp``; that of a multiple of a logarithm is a power, whose derivative exists at 0."""
    factors = sp.Mul.make_args(x)
    logarithms = [f for f in factors if isinstance(f, sp.log) and f.free_symbols]
    if len(logarithms) != 1:
        shift, rest = x.as_coeff_Add()
        return shifted_exp_(shift, rest) if rest != 0 and abs(shift) > 200 else sp.exp(x)
    return logarithms[0].args[0] ** sp.Mul(*(f for f in factors if f is not logarithms[0]))


#: Brian2's functions and their SymPy form.
FUNCTIONS = {
    "exp": _exp,
    "log": sp.log,
    "log10": lambda x: sp.log(x) / sp.log(10),
    "log1p": lambda x: sp.log(1 + x),
    "expm1": lambda x: sp.exp(x) - 1,
    "exprel": exprel_,
    "sqrt": lambda x: x ** sp.Rational(1, 2),
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "arcsin": sp.asin,
    "arccos": sp.acos,
    "arctan": sp.atan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "abs": sp.Abs,
    "sign": sign_,
    "floor": floor_,
    "ceil": ceil_,
    "int": _int,
    "clip": clip,
    "given_": given_,
}

_COMPARE = {
    ast.Gt: sp.StrictGreaterThan,
    ast.GtE: sp.GreaterThan,
    ast.Lt: sp.StrictLessThan,
    ast.LtE: sp.LessThan,
    ast.Eq: sp.Eq,
    ast.NotEq: sp.Ne,
}


@lru_cache(maxsize=4096)
def parse(source: str) -> ast.expr:
    """Return the syntax tree of a Brian2 expression."""
    return ast.parse(source.strip(), mode="eval").body


def names(tree: ast.AST) -> frozenset[str]:
    """Return the identifiers in a tree, functions excluded."""
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return frozenset(
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions
    )


def sums_divided_by(tree: ast.AST) -> list[ast.expr]:
    """Return the divisors in a tree that hold a sum or a difference: they may lose digits.

    >>> [ast.unparse(d) for d in sums_divided_by(parse("v/tau + exp(1/tau)/(tau - b)"))]
    ['tau - b']
    """
    divisors = [
        node.right
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    ]
    return [
        divisor
        for divisor in divisors
        if any(isinstance(node, ast.Add | ast.Sub) for node in ast.walk(divisor))
    ]


def to_sympy(source: str | ast.expr):
    """Translate a Brian2 expression to SymPy.

    Raises
    ------
    UnsupportedError
        If the expression calls a function without a known derivative.
    """
    tree = parse(source) if isinstance(source, str) else source
    return cut_powers(_Translator().visit(tree))


class _Translator(ast.NodeVisitor):
    def visit_Constant(self, node):
        if isinstance(node.value, bool):
            return sp.true if node.value else sp.false
        if isinstance(node.value, float) and not node.value.is_integer():
            return sp.Float(node.value)
        return sp.Integer(int(node.value))

    def visit_Name(self, node):
        if node.id in ("True", "False"):
            return sp.true if node.id == "True" else sp.false
        return symbol(node.id)

    def visit_UnaryOp(self, node):
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.USub):
            return -operand
        if isinstance(node.op, ast.UAdd):
            return operand
        return sp.Not(operand)

    def visit_BinOp(self, node):
        left, right = self.visit(node.left), self.visit(node.right)
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return quotient(left, right)
            case ast.Pow() if right.is_Integer and right.is_negative:
                return quotient(sp.Integer(1), left) ** -right
            case ast.Pow():
                return left**right
            case ast.FloorDiv():
                return floor_(left / right)
            case ast.Mod():
                return left - right * floor_(left / right)
        raise UnsupportedError(f"The operator in '{ast.unparse(node)}' has no derivative.")

    def visit_BoolOp(self, node):
        values = [self.visit(v) for v in node.values]
        return sp.And(*values) if isinstance(node.op, ast.And) else sp.Or(*values)

    def visit_Compare(self, node):
        left, relations = node.left, []
        for op, right in zip(node.ops, node.comparators, strict=True):
            relations.append(compare(_COMPARE[type(op)], self.visit(left), self.visit(right)))
            left = right
        return sp.And(*relations)

    def visit_IfExp(self, node):
        condition, yes, no = (self.visit(n) for n in (node.test, node.body, node.orelse))
        return sp.Piecewise((yes, condition), (no, True))

    def visit_Call(self, node):
        if node.func.id not in FUNCTIONS:
            raise UnsupportedError(
                f"The function in '{ast.unparse(node)}' has no known derivative. "
                f"Write it with one of: {', '.join(sorted(FUNCTIONS))}."
            )
        return FUNCTIONS[node.func.id](*(self.visit(a) for a in node.args))

    def generic_visit(self, node):
        raise UnsupportedError(f"'{ast.unparse(node)}' is not an expression that Brian2 knows.")


@dataclass(frozen=True)
class Extreme:
    """The smaller or the larger of several guards: expressions, `Steady` ones or an `Extreme`."""

    smaller: bool
    parts: tuple


@dataclass(frozen=True)
class Steady:
    """A condition that changes at events only: far from its crossing on either side of it."""

    condition: sp.Basic

    @property
    def value(self) -> sp.Expr:
        """The guard as an expression."""
        return sp.Piecewise((_FAR, self.condition), (-_FAR, True))


def guard(source: str | ast.expr, moving: Container[str] | None = None):
    """Turn a threshold condition into a function g that crosses 0 upwards when it becomes true.

    ``a > b`` gives ``a - b``; ``and`` takes the smaller of two guards, ``or`` the larger: the one
    that decides the crossing has the gradient.  With the names given that move between events, a
    condition on others never decides.

    >>> guard("v > 1 and n < 3", {"v"})
    Piecewise((v - 1, n < 3), (-1.0e+30, True))
    """
    return _decisive(guard_parts(source, moving))


def guard_parts(source: str | ast.expr, moving: Container[str] | None = None):
    """Return the guard as the smaller or larger of smooth ones: an expression or an `Extreme`."""
    tree = parse(source) if isinstance(source, str) else source
    strict = isinstance(tree, ast.Compare) and isinstance(tree.ops[0], ast.Gt | ast.Lt)
    return _guard(tree, True, None if strict else moving)


def _guard(tree, positive, moving):
    if moving is not None and not any(name in moving for name in names(tree)):
        return Steady(to_sympy(tree) if positive else sp.Not(to_sympy(tree)))
    match tree:
        case ast.UnaryOp(op=ast.Not()):
            return _guard(tree.operand, not positive, moving)
        case ast.BoolOp():
            parts = [_guard(v, positive, moving) for v in tree.values]
            return Extreme(isinstance(tree.op, ast.And) == positive, tuple(parts))
        case ast.Compare():
            left, parts = tree.left, []
            for op, right in zip(tree.ops, tree.comparators, strict=True):
                parts.append(_difference(op, left, right, positive, tree))
                left = right
            return parts[0] if len(parts) == 1 else Extreme(positive, tuple(parts))
    raise UnsupportedError(
        f"the threshold '{ast.unparse(tree)}' is not a comparison, so the time of its crossing has "
        "no gradient. Write it as a comparison of quantities, for example 'v > 1'."
    )


def _difference(op, left, right, positive, tree):
    left, right = to_sympy(left), to_sympy(right)
    if isinstance(op, ast.Gt | ast.GtE):
        return left - right if positive else right - left
    if isinstance(op, ast.Lt | ast.LtE):
        return right - left if positive else left - right
    raise UnsupportedError(
        f"the threshold '{ast.unparse(tree)}' tests for equality, which no crossing satisfies. "
        "Compare with '>' or '<'."
    )


def _decisive(part):
    """Return the guard as one expression: by cases of what is steady, outermost."""
    steady = _first_steady(part)
    if steady is not None:
        yes, no = (_decisive(_known(part, steady, value)) for value in (True, False))
        return yes if yes == no else sp.Piecewise((yes, steady.condition), (no, True))
    if not isinstance(part, Extreme):
        return part
    first, *others = map(_decisive, part.parts)
    kept = sp.StrictLessThan if part.smaller else sp.StrictGreaterThan
    for other in others:
        keep = compare(kept, first, other)
        first = sp.Piecewise((first, keep), (other, True))
    return first


def _first_steady(part) -> Steady | None:
    if isinstance(part, Extreme):
        return next(filter(None, map(_first_steady, part.parts)), None)
    return part if isinstance(part, Steady) else None


def _known(part, steady: Steady, value: bool):
    """Return a guard where a steady condition is known to hold, or not to."""
    if part == steady:
        return _FAR if value else -_FAR
    if not isinstance(part, Extreme):
        return part
    parts = [_known(p, steady, value) for p in part.parts]
    decided, dropped = (-_FAR, _FAR) if part.smaller else (_FAR, -_FAR)
    left = [p for p in parts if p != dropped]
    if decided in left:
        return decided
    if len(left) < 2:
        return left[0] if left else dropped
    return Extreme(part.smaller, tuple(left))
