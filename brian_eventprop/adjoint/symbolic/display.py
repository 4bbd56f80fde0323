"""SymPy expressions in the words of Brian2: what a user reads is what a user could have written."""

from __future__ import annotations

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

_NAMES = {
    "floor_": "floor", "ceil_": "ceil", "trunc_": "int", "sign_": "sign", "exprel_": "exprel",
    "dexprel_": "exprel'", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "Abs": "abs",
    "mod_": "mod", "clip_": "clip",
}  # fmt: skip


class mod_(sp.Function):
    """``a % b``, in the place of ``a - b*floor(a/b)``."""

    nargs = 2


class clip_(sp.Function):
    """``clip``, in the place of a case distinction."""

    nargs = 3


def shown(expression: sp.Expr) -> sp.Expr:
    """Return an expression with the operators that were written out put back."""
    if not expression.args:
        return expression
    args = [shown(a) for a in expression.args]
    name = type(expression).__name__
    if name == "given_":
        return args[0]
    if name == "positive_power_":
        return args[0] ** args[1]
    if name == "power_log_":
        return args[0] ** args[1] * sp.log(args[0]) ** args[2]
    if name == "shifted_exp_":
        return sp.exp(sp.Add(*args, evaluate=False), evaluate=False)
    if any(new is not old for new, old in zip(args, expression.args, strict=True)):
        expression = expression.func(*args)
    if isinstance(expression, sp.Piecewise):
        return _with_clip(expression)
    return _with_remainders(expression) if expression.is_Add else expression


def _with_clip(piecewise):
    """A case distinction, or the function of a ``clip`` that it came from."""
    if len(piecewise.args) != 3:
        return piecewise
    (least, below), (most, above), (value, _) = piecewise.args
    if not all(isinstance(c, sp.Rel) for c in (below, above)):
        return piecewise
    inner, gap = sp.Dummy(real=True), below.lhs - below.rhs
    for x, high in _ways_to_compare(above):
        function = value.xreplace({x: inner})
        for low in (x - gap, x + gap):
            limits = (function.xreplace({inner: low}), function.xreplace({inner: high}))
            if function.has(inner) and limits == (least, most):
                return function.xreplace({inner: clip_(x, low, high)})
    return piecewise


def _ways_to_compare(relation):
    """The sides that a comparison may have had, one with each term of it alone on a side."""
    sides = (relation.lhs, relation.rhs)
    yield from (sides, sides[::-1])
    if sides[1].is_zero:
        for term in sp.Add.make_args(sides[0]):
            yield sides[0] - term, -term
            yield term - sides[0], term


def _turned(relation):
    """``a < b`` in the place of ``-a > -b`` and of ``a - b < 0``."""
    sides = (relation.lhs, relation.rhs)
    if sides[1].is_zero and sides[0].is_Add:
        negative = [a for a in sides[0].args if a.could_extract_minus_sign()]
        left, right = sides[0] + sp.Add(*(-a for a in negative)), sp.Add(*(-a for a in negative))
        return relation.func(left, right) if left != 0 else relation.reversed.func(right, left)
    negative = all(side.could_extract_minus_sign() or side.is_zero for side in sides)
    return relation.reversedsign if negative else relation


def _with_remainders(total):
    """A sum in which ``a - b*floor(a/b)`` is ``a % b``."""
    terms = list(total.args)
    for term in total.args:
        floors = [f for f in sp.Mul.make_args(term) if type(f).__name__ == "floor_"]
        if len(floors) != 1:
            continue
        quotient, divisor = floors[0].args[0], -term / floors[0]
        dividend = sp.Add.make_args(sp.expand(divisor * quotient))
        own = [next((t for t in terms if _equal(t, part)), None) for part in dividend]
        if None not in own:
            for part in (*own, term):
                terms.remove(part)
            turned = divisor.could_extract_minus_sign()
            terms.append(-mod_(-sp.Add(*own), -divisor) if turned else mod_(sp.Add(*own), divisor))
    return sp.Add(*terms)


def _equal(a, b) -> bool:
    """Whether two terms are equal, but for the rounding of a number."""
    ratio = a / b
    return bool(ratio.is_number and abs(ratio - 1) < 1e-12)


class _Text(StrPrinter):
    def _print_mod_(self, expr):
        left, right = (self.parenthesize(a, PRECEDENCE["Mul"]) for a in expr.args)
        return f"({left} % {right})"

    def _print_Function(self, expr):
        name = type(expr).__name__
        return f"{_NAMES.get(name, name)}({self.stringify(expr.args, ', ')})"

    _print_Abs = _print_sign = _print_Function

    def _print_clip_(self, expr):
        return f"clip({self.stringify(expr.args, ', ')})"

    def _print_Piecewise(self, expr):
        *cases, (last, _) = expr.args
        if len(cases) == 1 and (cases[0][0], last) == (1, 0):
            return f"int({self._print(cases[0][1])})"
        text = self._print(last)
        for value, condition in reversed(cases):
            text = f"({self._print(value)} if {self._print(condition)} else {text})"
        return text

    def _print_ITE(self, expr):
        condition, yes, no = map(self._print, expr.args)
        return f"({yes} if {condition} else {no})"

    def _print_And(self, expr):
        return " and ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Or(self, expr):
        return " or ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Not(self, expr):
        return f"not ({self._print(expr.args[0])})"

    def _print_Relational(self, expr):
        expr = _turned(expr)
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"


class _Latex(LatexPrinter):
    def _print_mod_(self, expr, exp=None):
        left, right = (self.parenthesize(a, PRECEDENCE["Mul"]) for a in expr.args)
        text = rf"\left({left} \bmod {right}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"

    def _print_Relational(self, expr):
        return super()._print_Relational(_turned(expr))

    def _print_Function(self, expr, exp=None):
        name = type(expr).__name__
        if name not in _NAMES or name in ("asin", "acos", "atan"):
            return super()._print_Function(expr, exp)
        args = ", ".join(map(self._print, expr.args))
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\operatorname{{{_NAMES[name]}}}{power}\left({args}\right)"


def as_text(expression: sp.Expr) -> str:
    """Return an expression in Brian2's syntax.

    >>> from brian_eventprop.adjoint.symbolic.expressions import to_sympy
    >>> as_text(to_sympy("int(t % T0 < 2) + clip(v, 0, 1)*int(3*v) + arcsin(x)"))
    'int((t % T0) < 2) + arcsin(x) + clip(v, 0, 1)*int(3*v)'
    """
    return _Text().doprint(shown(sp.sympify(expression)))


def as_latex(expression: sp.Expr, **settings) -> str:
    """Return an expression as LaTeX."""
    return _Latex(settings).doprint(shown(sp.sympify(expression)))
