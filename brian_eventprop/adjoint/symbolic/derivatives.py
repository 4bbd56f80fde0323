"""Derivatives that keep a value where a function is at the edge of its domain.

SymPy writes d(x**p)/dx as ``x**p*p/x``, which is 0/0 at 0, where the derivative exists for p >= 1.
Here it is ``p*x**(p - 1)``, and the derivative in the exponent, ``x**p*log(x)``, is 0 at 0.  A
product is 0 where one factor is and another is infinite: where a condition cuts a branch off, where
nothing depends on a neuron, or where an exponential overflows within a quotient that tends to 0.
What stays infinite has an infinite derivative.
"""

from __future__ import annotations

from collections.abc import Container

import sympy as sp

#: Functions that overflow where what contains them may be finite.
_GROWING = (sp.exp, sp.sinh, sp.cosh)


_parts = sp.preorder_traversal


class RealFunction(sp.Function):
    """A function with real values: SymPy differentiates its absolute value only then.

    ``grows`` tells that it overflows as exp does.
    """

    is_extended_real = True
    grows = False


class power_(RealFunction):
    """``base**exponent`` while it is differentiated."""

    nargs = 2

    def fdiff(self, argindex=1):
        base, exponent = self.args
        if argindex == 1:
            return exponent * power_(base, exponent - 1)
        return power_log_(base, exponent, sp.Integer(1))


class power_log_(RealFunction):
    """``base**exponent * log(base)**order``; at 0 its limit for positive exponents, 0."""

    nargs = 3

    def fdiff(self, argindex=1):
        base, exponent, order = self.args
        if argindex == 2:
            return power_log_(base, exponent, order + 1)
        less = exponent - 1
        lower = power_(base, less) if order == 1 else power_log_(base, less, order - 1)
        return exponent * power_log_(base, less, order) + order * lower


class positive_power_(RealFunction):
    """``base**exponent`` of a base that a condition keeps from being negative.

    Below 0, by rounding or in the branch that is not taken, it counts as 0.  At 0 the derivative is
    that on the side where the condition holds the base at 0, if the other one is infinite.
    """

    nargs = 2

    def fdiff(self, argindex=1):
        base, exponent = self.args
        if argindex == 1:
            return exponent * positive_power_(base, exponent - 1)
        return power_log_(positive_power_(base, sp.Integer(1)), exponent, sp.Integer(1))


class step_(RealFunction):
    """``0**exponent`` or the sign of something, while it is differentiated: constant by pieces.

    The arguments are the thing itself and its kind, 0 or 1.
    """

    nargs = 2

    def fdiff(self, argindex=1):
        del argindex
        return sp.Integer(0)


class absolute_(RealFunction):
    """``abs`` of what SymPy does not know to be real, while it is differentiated."""

    nargs = 1

    def fdiff(self, argindex=1):
        del argindex
        return sp.sign(_Real(self.args[0]))


class _Real(RealFunction):
    """Its argument, marked as real while it is differentiated."""

    nargs = 1


class safe_product_(RealFunction):
    """A product that is 0 where its first factor is 0, even if the second one is infinite."""

    nargs = 2


def diff(expression: sp.Expr, variable: sp.Symbol) -> sp.Expr:
    """Return the derivative of an expression in a variable.

    >>> x, p = sp.symbols("x p", real=True)
    >>> diff(x**p, x)
    p*x**(p - 1)
    >>> diff(x**p, p)
    power_log_(x, p, 1)
    """
    expression = sp.sympify(expression)
    if variable not in expression.free_symbols:
        return sp.Integer(0)
    if not any(_special(part) for part in _parts(expression)):
        return sp.diff(expression, variable)
    return _rebuilt(sp.diff(_rebuilt(expression, _hide), variable), _show)


def _special(part) -> bool:
    """Whether SymPy's own rule for a part has no value at an edge."""
    if isinstance(part, sp.sign) or part.is_Pow and part.base.is_zero:
        return True
    return _free_power(part) or isinstance(part, sp.Abs) and not part.args[0].is_extended_real


def _free_power(part) -> bool:
    """Whether a part is a power of a variable whose exponent is no integer."""
    return part.is_Pow and not part.exp.is_Integer and not part.base.is_number


def free_power(expression: sp.Expr) -> bool:
    """Return whether an expression has a power of a variable whose exponent is no integer.

    >>> x = sp.Symbol("x", real=True)
    >>> free_power(1 + sp.sqrt(x)), free_power(1/x + x**2)
    (True, False)
    """
    return any(_free_power(part) for part in _parts(expression))


def _hide(part):
    if part.is_Pow and part.base.is_zero:
        return step_(part.exp, sp.Integer(0))
    if isinstance(part, sp.sign):
        return step_(part.args[0], sp.Integer(1))
    if _free_power(part):
        return power_(*part.args)
    if isinstance(part, sp.Abs) and not part.args[0].is_extended_real:
        return absolute_(part.args[0])
    return part


def _show(part):
    if isinstance(part, power_):
        return sp.Pow(*part.args)
    if isinstance(part, step_):
        inner, kind = part.args
        return sp.sign(inner) if kind == 1 else sp.Integer(0) ** inner
    if isinstance(part, absolute_):
        return sp.Abs(part.args[0])
    return part.args[0] if isinstance(part, _Real) else part


def _rebuilt(expression, change):
    """Rebuild an expression from its leaves on, every part changed."""
    if not expression.args:
        return expression
    args = [_rebuilt(a, change) for a in expression.args]
    if any(new is not old for new, old in zip(args, expression.args, strict=True)):
        expression = expression.func(*args)
    return change(expression)


def cut_powers(expression: sp.Expr) -> sp.Expr:
    """Mark the powers whose base is cut off at 0 by the conditions around them.

    >>> x = sp.Symbol("x", real=True)
    >>> cut_powers(sp.sqrt(sp.Piecewise((0, x < 0), (x, True))))
    Piecewise((0, x < 0), (positive_power_(x, 1/2), True))
    """
    pieces = [p for p in expression.atoms(sp.Piecewise) if p.has(sp.Pow)]
    return _rebuilt(expression, _cut) if any(map(_powers_of_pieces, pieces)) else expression


def _powers_of_pieces(piece):
    powers = {p for value, _ in piece.args for p in value.atoms(sp.Pow) if _free_power(p)}
    edges = set()
    for _, condition in piece.args:
        for relation in condition.atoms(sp.core.relational.Relational):
            gap = relation.lhs - relation.rhs
            edges |= {gap, -gap}
    return {p for p in powers if p.base in edges}


def _cut(part):
    if not isinstance(part, sp.Piecewise):
        return part
    return part.xreplace({p: positive_power_(*p.args) for p in _powers_of_pieces(part)})


def quotient(numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
    """Return a quotient, extended by what makes terms of its denominator infinite.

    ``1/(1 + k/x)`` has a derivative at 0, but its parts are infinite there.

    >>> k, x, n = sp.symbols("k x n", real=True)
    >>> quotient(sp.Integer(1), 1 + k/x), quotient(sp.Integer(1), 1 + (k/x)**n)
    (x/(k + x), (x/k)**n/((x/k)**n + 1))
    """
    terms = [list(sp.Mul.make_args(t)) for t in sp.Add.make_args(denominator)]
    if len(terms) == 1:
        return numerator / denominator
    poles: dict[sp.Expr, sp.Expr] = {}
    for base, exponent in (f.as_base_exp() for factors in terms for f in factors if _has_pole(f)):
        known = poles.get(base)
        if known is None or (exponent - known).is_negative:
            poles[base] = exponent
    for base, exponent in poles.items():
        numerator *= _inverse(base, exponent)
        for factors in terms:
            own = next((f for f in factors if _has_pole(f) and f.as_base_exp()[0] == base), None)
            if own is None:
                factors.append(_inverse(base, exponent))
            else:
                factors.remove(own)
                factors.append(base ** (own.exp - exponent))
    return numerator / sp.Add(*(sp.Mul(*factors) for factors in terms))


def _inverse(base, exponent):
    """The inverse of a power with a pole, as a power without one."""
    return base**-exponent if exponent.could_extract_minus_sign() else (1 / base) ** exponent


def _has_pole(factor) -> bool:
    """Whether a factor is a power that is infinite where a variable is 0."""
    if not factor.is_Pow or factor.base.is_number:
        return False
    if factor.exp.is_number:
        return bool(factor.exp.is_negative)
    if factor.exp.could_extract_minus_sign() and not factor.exp.is_Add:
        return True
    return any(f.is_Pow and f.exp.is_negative for f in sp.Mul.make_args(factor.base))


def guarded(
    expression: sp.Expr,
    moving: Container[sp.Symbol] = (),
    infinite: Container[sp.Symbol] = (),
) -> sp.Expr:
    """Let factors of 0 win over infinite ones in the products of an expression.

    ``moving`` are the variables that may pass 0, where exp(-1/x) is 0 and 1/x infinite;
    ``infinite`` those that may be infinite themselves.

    >>> x, w = sp.symbols("x w", real=True)
    >>> guarded(w/sp.sqrt(x)), guarded(w*x)
    (safe_product_(w, 1/sqrt(x)), w*x)
    """
    if not any(_infinite(p) or _grows(p) or p in infinite for p in _parts(expression)):
        return expression
    return _rebuilt(expression, lambda part: _guarded_product(part, moving, infinite))


def may_be_infinite(expression: sp.Expr, infinite: Container[sp.Symbol] = ()) -> bool:
    """Return whether the derivative of something may be infinite at the edge of its domain."""
    return any(_infinite(part) or part in infinite for part in _parts(expression))


def singular_arguments(expression: sp.Expr) -> set[sp.Expr]:
    """Return what makes an expression infinitely steep where it is 0: the arguments of its roots.

    >>> x, p = sp.symbols("x p", real=True)
    >>> sorted(singular_arguments(sp.sqrt(x) + (1 + x)**p + x**sp.Rational(3, 2)), key=str)
    [x, x + 1]
    """
    found = set()
    for part in _parts(expression):
        if isinstance(part, positive_power_) or _free_power(part):
            base, exponent = part.args
            if not (exponent.is_number and exponent >= 1):
                found.add(base)
        elif isinstance(part, sp.asin | sp.acos):
            found.add(1 - part.args[0] ** 2)
        elif isinstance(part, sp.log):
            found.add(part.args[0])
    return found


def _infinite(part) -> bool:
    if isinstance(part, power_log_):
        return True
    return _free_power(part) and not (part.exp.is_number and part.exp.is_positive)


def _guarded_product(part, moving, known):
    if not part.is_Mul:
        return part
    number, factors = part.as_coeff_mul()
    infinite = [f for f in factors if may_be_infinite(f, known)]
    falling = [f for f in factors if isinstance(f, sp.exp) and _falls(f, moving)]
    growing = [f for f in factors if f not in infinite + falling and _grows(f)]
    growing += [f for f in factors if falling and _pole(f, moving)]
    others = [f for f in factors if f not in infinite and f not in growing]
    if any(_outweighs(f, growing, moving) for f in infinite):
        infinite, growing = [safe_product_(sp.Mul(*infinite), sp.Mul(*growing))], []
    if infinite and others:
        return number * safe_product_(sp.Mul(*others), sp.Mul(*infinite, *growing))
    if any(_outweighs(f, growing, moving) for f in others):
        return number * safe_product_(sp.Mul(*others), sp.Mul(*growing))
    return part


def _pole(part, moving) -> bool:
    negative = part.is_Pow and part.exp.is_Integer and part.exp.is_negative
    return negative and any(s in moving for s in part.base.free_symbols)


def _grows(part) -> bool:
    base = part.base if part.is_Pow and part.exp.is_positive else part
    return isinstance(base, _GROWING) or getattr(base, "grows", False)


def _falls(factor, moving) -> bool:
    """Whether a function tends to a limit where its argument overflows: exp(-exp(x)), tanh."""
    parts = (p for a in factor.args for p in _parts(a))
    return any(_grows(p) or _pole(p, moving) for p in parts)


def _outweighs(factor, growing, moving) -> bool:
    """Whether a factor tends to 0 faster than others grow where one of its parts overflows."""
    if not growing:
        return False
    if factor.is_Pow:
        # exp(x)/(1 + exp(x)) does not tend to 0
        terms = [term.as_coeff_Mul()[1] for term in sp.Add.make_args(factor.base)]
        falls = factor.exp.is_negative or not factor.exp.is_number
        ratio = factor.exp == -1 and any(g in terms for g in growing)
        return falls and not ratio and any(_grows(p) for p in _parts(factor.base))
    return any(_falls(f, moving) for f in factor.atoms(sp.Function))
