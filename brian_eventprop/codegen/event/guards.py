"""How finely the event solver looks for a crossing: the rise of a guard within a piece of time.

A smooth guard stays below its cubic's control points, which its values and slopes at both ends of
the piece give; the smaller of several stays below the lowest of their bounds, the larger below the
highest.
"""

from __future__ import annotations

from brian_eventprop.adjoint.guards import smooth_parts, watches_time
from brian_eventprop.adjoint.symbolic.expressions import Extreme
from brian_eventprop.codegen.expr.scope import reads

#: Columns of the stack of pieces before those of the parts: time, guard, slope.
COLUMNS = 3


class GuardCode:
    """Bounds of a guard, for steps of Brian2 of `dt` seconds; without parts if it is smooth.

    ``crossing`` is that of the guard, and ``rate`` the flow on the way there.
    """

    def __init__(self, group, dt: float, crossing, rate):
        self.group, self.dt = group, dt
        self.parts = smooth_parts(crossing, rate)
        self.timed = watches_time(group.adjoint)

    @property
    def columns(self) -> int:
        """Columns of the stack: a piece ends with the value and the slope of every part."""
        return COLUMNS + 2 * len(self.parts.values)

    def values(self) -> list[str]:
        """Write value and slope of every part into a row of the stack."""
        both = zip(self.parts.values, self.parts.slopes, strict=True)
        wanted = dict(enumerate(e for pair in both for e in pair))
        lines = self.group.load(reads(wanted))
        common, text = self.group.scope.shared_terms(wanted)
        return lines + common + [f"row[{COLUMNS + n}] = {e}" for n, e in text.items()]

    def highest(self) -> str:
        """An upper bound of the guard between the rows a and b, ``w`` apart."""
        return self._bound(self.parts.tree, "max", "+ 1e-3 * w * (abs(a[{1}]) + abs(b[{1}]))")

    def lowest(self) -> str:
        """A lower bound."""
        return self._bound(self.parts.tree, "min", "- 1e-3 * w * (abs(a[{1}]) + abs(b[{1}]))")

    def _bound(self, tree, extreme, margin):
        if isinstance(tree, Extreme):
            bounds = [self._bound(part, extreme, margin) for part in tree.parts]
            return f"{'min' if tree.smaller else 'max'}({', '.join(bounds)})"
        value, slope = COLUMNS + 2 * tree, COLUMNS + 2 * tree + 1
        points = "a[{0}], a[{0}] + w * a[{1}] / 3, b[{0}] - w * b[{1}] / 3, b[{0}]"
        return f"{extreme}({points}) {margin}".format(value, slope)

    @property
    def panels_per_second(self) -> str:
        """How many pieces of a second a closed flow is looked at in: no pulse is stepped over."""
        own = f"K[{self.group.n_coefficients - 1}, j] / 0.5" if self.group.closed else ""
        return f"larger({own}, {1 / self.dt!r})" if self.timed else own

    @property
    def longest_step(self) -> str:
        """The longest step of Runge-Kutta in seconds; empty if there is none."""
        if self.timed:
            return repr(self.dt)
        return repr(5 * self.dt) if self.group.flow.timed else ""
