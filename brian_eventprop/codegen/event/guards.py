"""How finely the event solver looks for a crossing: the rise of a guard within a piece of time.

A guard is smooth, or the smaller or larger of several smooth ones (``and``, ``or``).  A smooth one
stays below its cubic's control points, which its values and slopes at both ends of the piece give;
the smaller of several stays below the lowest of their bounds, the larger below the highest.
"""

from __future__ import annotations

from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.expressions import Extreme, guard_parts, symbol, to_sympy
from brian_eventprop.codegen.expr.scope import reads

#: Columns of the stack of pieces before those of the parts: time, guard, slope.
COLUMNS = 3


class GuardCode:
    """Bounds of a guard; without parts if it is smooth."""

    def __init__(self, group):
        self.group, self.parts, self.tree = group, [], None
        crossing = group.adjoint.crossing
        tree = None if crossing is None else guard_parts(crossing.condition)
        if isinstance(tree, Extreme):
            self.tree = self._numbered(tree)

    def _numbered(self, tree):
        if isinstance(tree, Extreme):
            return Extreme(tree.smaller, tuple(map(self._numbered, tree.parts)))
        self.parts.append(tree)
        return len(self.parts) - 1

    @property
    def columns(self) -> int:
        """Columns of the stack: a piece ends with the value and the slope of every part."""
        return COLUMNS + 2 * len(self.parts)

    def values(self) -> list[str]:
        """Write value and slope of every part into a row of the stack."""
        f, states = self.group.flow.rate, self.group.states
        wanted = {}
        for k, part in enumerate(self.parts):
            slope = sum((diff(part, symbol(s)) * f[s] for s in states), diff(part, _T))
            wanted |= {f"part.{k}": part, f"slope.{k}": slope}
        lines = self.group.load(reads(wanted))
        common, text = self.group.scope.shared_terms(wanted)
        return lines + common + [f"row[{COLUMNS + n}] = {e}" for n, e in enumerate(text.values())]

    def highest(self) -> str:
        """An upper bound of the guard between the rows a and b, ``w`` apart."""
        return self._bound(self.tree, "max", "+ 1e-3 * w * (abs(a[{1}]) + abs(b[{1}]))")

    def lowest(self) -> str:
        """A lower bound."""
        return self._bound(self.tree, "min", "- 1e-3 * w * (abs(a[{1}]) + abs(b[{1}]))")

    def _bound(self, tree, extreme, margin):
        if isinstance(tree, Extreme):
            bounds = [self._bound(part, extreme, margin) for part in tree.parts]
            return f"{'min' if tree.smaller else 'max'}({', '.join(bounds)})"
        value, slope = COLUMNS + 2 * tree, COLUMNS + 2 * tree + 1
        points = "a[{0}], a[{0}] + w * a[{1}] / 3, b[{0}] - w * b[{1}] / 3, b[{0}]"
        return f"{extreme}({points}) {margin}".format(value, slope)

    @property
    def timed(self) -> bool:
        """Whether the threshold or a maximum changes with the time itself."""
        group = self.group
        crossing = group.adjoint.crossing
        watched = [to_sympy(r.expression) for r in group.maxima]
        watched += [crossing.g] if crossing is not None else []
        return any(_T in e.free_symbols for e in watched)

    def panels_per_second(self, step: float) -> str:
        """How many pieces of a second a closed flow is looked at in: no pulse is stepped over."""
        own = f"K[{self.group.n_coefficients - 1}, j] / 0.5" if self.group.closed else ""
        return f"larger({own}, {1 / step!r})" if self.timed else own

    def longest_step(self, step: float) -> str:
        """The longest step of Runge-Kutta in seconds; empty if there is none."""
        if self.timed:
            return repr(step)
        return repr(5 * step) if self.group.flow.timed else ""


_T = symbol("t")
