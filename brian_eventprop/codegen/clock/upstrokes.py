"""The code of explosive upstrokes, for the clock solver's kernels; see `adjoint.upstrokes`.

The functions of a group compute with scalars, in double precision whatever that of the states is:
near the threshold v' may be larger and lambda smaller than single precision holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sympy as sp

from brian_eventprop.adjoint.groups import COUPLED
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.codegen.expr.scope import reads
from brian_eventprop.codegen.templates import render

#: A spike whose last step has dt dv'/dv below this is read off the grid.
MILD = 0.03
#: The true flow begins at a state with dt dv'/dv below this.
TAME = 0.1
#: Most steps from there to the spike.
LOOKBACK = 128
#: How many steps later than on the grid the true flow may reach the threshold.
LATER = 10
#: A step of another variable is spoilt if it is so many times dt times its slope at both ends.
SPOILT = 10.0
#: h |df/dx| of a step of the true flow, and most of these steps within one of the grid.
STEP, MOST = 0.25, 4000


class UpstrokeCode:
    """Code of the upstrokes of a group."""

    mild, tame, lookback, later, spoilt = MILD, TAME, LOOKBACK, LATER, SPOILT

    def __init__(self, group):
        self.group, self.scope = group, group.scope
        self.rule = group.adjoint.upstroke
        self.states = group.states
        self.rows = 2 * group.n_states + 2
        #: The states, by number, that drive themselves to the threshold.
        self.driven = [self.states.index(s) for s in self.rule.driven]
        #: The states, by number, that do not drive themselves to the threshold but flow.
        self.others = [
            k
            for k, s in enumerate(self.states)
            if s not in self.rule.driven and s in group.adjoint.derivatives
        ]
        names = reads(
            self.rule.rates, self.rule.growth, self.rule.states, self.rule.parameters,
            self.rule.linear, self._guard, self._slope, self._update,
        )  # fmt: skip
        made = {s.target for s in self._update} | {"t", "dt"} | set(self.states)
        made |= {f"lam.{s}" for s in self.states}
        self.names = sorted(names - made)

    @property
    def _guard(self) -> sp.Expr:
        return self.group.adjoint.crossing.g

    @property
    def _slope(self) -> sp.Expr:
        return self.group.adjoint.crossing.slope

    @property
    def _update(self):
        return self.group.modes["free"].statements

    @property
    def others_read(self) -> list[str]:
        """Identifiers of what the loss gains where other neurons read a state on the upstroke."""
        return [self.scope.ref(name) for name in self.names if name.startswith(COUPLED)]

    # ---- names ----
    def a(self, role: str) -> str:
        """Identifier of a function or variable."""
        return self.group.a(f"upstroke_{role}")

    def each(self, prefix: str) -> list[str]:
        """Identifiers of one variable per state."""
        return [self.scope.ref(f"{prefix}.{s}") for s in self.states]

    def joined(self, prefix: str) -> str:
        """The same, as the arguments of a call or the targets of an assignment."""
        return ", ".join(self.each(prefix)) + ","

    @property
    def grads(self) -> list[str]:
        """Identifiers of dL/d(constant), for what one stretch of the flow adds to it."""
        return [self.scope.ref(f"upstroke.{n}") for n in self.rule.parameters]

    @property
    def constants(self) -> str:
        """The constants as arguments."""
        return ", ".join(["dt", *(self.scope.ref(n) for n in self.names)])

    # ---- lines of the kernels ----
    def load(self, step: str) -> list[str]:
        """Load the constants of neuron j for a time step."""
        return self.group.load_constants(self.names, step=step)

    def add_gradients(self) -> list[str]:
        """Add what the flow added to dL/d(constant)."""
        return self.group.add_gradients({n: symbol(f"upstroke.{n}") for n in self.rule.parameters})

    # ---- the functions ----
    @contextmanager
    def _in_function(self) -> Iterator[None]:
        """Render without what the kernels compute once per step or before the trials."""
        kept = self.scope.in_loop, self.scope.inverts
        self.scope.in_loop = self.scope.inverts = False
        yield
        self.scope.in_loop, self.scope.inverts = kept

    def _body(self, expressions) -> tuple[list[str], list[str]]:
        """Lines that compute common parts, and the values."""
        keyed = {str(k): e for k, e in enumerate(expressions)}
        lines, values = self.scope.shared_terms(keyed)
        return lines, list(values.values())

    def functions(self, decorator: str) -> str:
        """Return the text of the functions."""
        rule, states = self.rule, self.states
        with self._in_function():
            zero = sp.Integer(0)
            return render(
                "clock/upstroke_functions.j2",
                u=self,
                decorator=decorator,
                names=[self.scope.ref(s) for s in states],
                lams=[self.scope.ref(f"lam.{s}") for s in states],
                update=self.scope.statements(self._update),
                rate=self._body([rule.rates[s] for s in states]),
                growth=self._body(rule.growth),
                stiffness=self._body(rule.stiffness or (zero,)),
                guard=self._body([self._guard, self._slope]),
                adjoint=self._body(
                    [rule.rates[s] for s in states]
                    + [rule.states[s] for s in states]
                    + list(rule.parameters.values())
                ),
                linear=self._body([rule.linear[s] for s in states]),
                step=STEP,
                most=MOST,
            )
