"""A network's equations and the adjoint derived from them, to look at.

LaTeX in a notebook, text in a terminal.  The symbols are those of the literature on EventProp:
lambda is the derivative of the loss in a state, ``-`` and ``+`` stand for just before and just
after an event, dotted g is the slope of the threshold crossing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sympy as sp

from brian_eventprop.adjoint.coupling.terms import (
    ADJOINT,
    CouplingAdjoint,
    end_name,
    read_by_others,
)
from brian_eventprop.adjoint.groups import COUPLED, GroupAdjoint, moved
from brian_eventprop.adjoint.pathways import PathwayAdjoint
from brian_eventprop.adjoint.symbolic.derivatives import diff
from brian_eventprop.adjoint.symbolic.display import as_latex, as_text
from brian_eventprop.adjoint.symbolic.expressions import symbol, to_sympy
from brian_eventprop.adjoint.symbolic.reverse import compose, lam
from brian_eventprop.adjoint.system import AdjointSystem


@dataclass(frozen=True)
class Equation:
    """One line: ``left = right`` under a heading."""

    heading: str
    left: sp.Expr
    right: sp.Expr


class Equations:
    """The equations of a derived network.

    ``print(model.equations)`` shows text, a notebook shows LaTeX.
    """

    def __init__(self, system: AdjointSystem):
        self._system = system
        self.lines = tuple(self._all())

    def _all(self) -> Iterator[Equation]:
        for g in self._system.groups:
            yield from _group(g, read_by_others(self._system.spec, g.group.name))
        for p in self._system.pathways:
            yield from _pathway(p, p.pathway.delay in self._system.trained)
        for c in self._system.couplings:
            yield from _coupling(c)

    def __str__(self) -> str:
        text, heading = [], None
        for line in self.lines:
            if line.heading != heading:
                heading = line.heading
                text += ([""] if text else []) + [heading, "-" * len(heading)]
            sign = "+=" if str(line.left).startswith(("grad.", "add.")) else "="
            text.append(f"{_plain(line.left)} {sign} {_plain(line.right)}")
        return "\n".join(text)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"

    def latex(self) -> str:
        """Return the equations as one LaTeX array."""
        rows, heading = [], None
        for line in self.lines:
            if line.heading != heading:
                heading = line.heading
                name = heading.replace("_", r"\_")
                rows.append(rf"\textbf{{{name}}} & & \\")
            rows.append(f"{_latex(line.left)} &=& {_latex(line.right)} " + r"\\")
        body = "\n".join(rows)
        return "\\begin{array}{rcl}\n" + body + "\n\\end{array}"


def _group(g: GroupAdjoint, read: Iterable[str]) -> Iterator[Equation]:
    name, states = g.group.name, g.group.states
    back = _meaning(g.invariants)
    f = g.flow()
    for s in g.derivatives:
        yield Equation(f"{name}: dynamics", _rate(s), back(f[s]))
    for s in g.group.derivatives_refractory:
        yield Equation(f"{name}: dynamics while refractory", _rate(s), back(g.held[s]))
    loss = g.loss_rate
    total = sum((lam(s) * f[s] for s in states), loss)
    heading = f"{name}: adjoint, backwards in time"
    for s in g.derivatives:
        yield Equation(heading, _rate(f"lam.{s}"), back(-diff(total, symbol(s))))
    if g.crossing is None:
        return
    heading = f"{name}: at a spike, {g.group.threshold}"
    rule = g.spike["frozen" if g.group.may_be_refractory else "free"]
    yield Equation(heading, symbol("g"), back(g.crossing.g))
    yield Equation(heading, symbol("gdot"), back(g.crossing.slope))
    arrivals = symbol("arrivals") + (symbol("release") if g.release != 0 else 0)
    coupled = moved(read, compose(g.reset, states))
    yield Equation(heading, symbol("D"), arrivals + back(rule.rate + coupled))
    ratio = symbol("D") / symbol("gdot")
    for s in states:
        jump = rule.lam[s] - g.crossing.states.get(s, 0) * ratio
        yield Equation(heading, symbol(f"lam.{s}.before"), back(jump))
    if g.release != 0:
        yield Equation(f"{name}: release", symbol("release"), back(g.release))
    if g.watches_release:
        heading = f"{name}: until not {g.group.refractory_condition}"
        yield Equation(heading, symbol("h"), back(g.released.crossing.g))
        yield Equation(heading, symbol("hdot"), back(g.released.crossing.slope))


def _pathway(p: PathwayAdjoint, delay_trained: bool) -> Iterator[Equation]:
    heading = f"{p.pathway.name}: an arrival"
    back = _meaning(p.invariants)
    for s in p.free.statements:
        before = to_sympy(s.expression)
        yield Equation(heading, symbol(f"{s.target}.after"), back(before))
    for s, e in p.free.lam.items():
        if e != lam(s):
            yield Equation(heading, symbol(f"lam.{s}.before"), back(e))
    for name, e in p.free.parameters.items():
        yield Equation(heading, symbol(f"grad.{name}"), back(e))
    what = "grad.delay" if delay_trained else "grad.t"
    yield Equation(heading, symbol(what), back(p.free.rate))


def _coupling(c: CouplingAdjoint) -> Iterator[Equation]:
    """What every synapse adds to a state, and to the adjoints of what that is made of."""
    back, state = _meaning(c.invariants), c.coupling.state
    heading = f"{c.name}: each synapse, at every time step"
    received = {ADJOINT: lam(f"{state}_{c.coupling.side}")}
    known = {
        symbol(end_name(side, s)): symbol(f"{s}_{side}")
        for side, states in (("pre", c.pre), ("post", c.post))
        for s in states
    }

    def shown(expression):
        return back(expression).xreplace(received).xreplace(known)

    term = to_sympy(c.statements[-1].expression)
    yield Equation(heading, symbol(f"add.{state}_{c.coupling.side}"), shown(term))
    for side, gains in (("pre", c.pre), ("post", c.post)):
        for s, e in gains.items():
            yield Equation(heading, symbol(f"add.lam.{s}_{side}"), shown(e))
    for name, e in c.parameters.items():
        yield Equation(heading, symbol(f"grad.{name}"), shown(e))


def _meaning(invariants):
    """Return a function that puts the user's expressions in the place of extracted names."""
    known = {}
    for s in invariants.shared + invariants.per_element:
        known[symbol(s.target)] = to_sympy(s.expression).xreplace(known)
    return lambda expression: sp.sympify(expression).xreplace(known)


def _rate(name: str) -> sp.Symbol:
    return symbol(f"rate.{name}")


_WORDS = {
    "gdot": (r"\dot g", "gdot"),
    "arrivals": (r"\sum_{\mathrm{arrivals}} dL/dt_a", "sum(dL/dt_arrival)"),
    "release": (r"dL/dt_{\mathrm{release}}", "dL/dt_release"),
}


def _spell(name: str) -> tuple[str, str]:
    """Return LaTeX and text of a name."""
    if name in _WORDS:
        return _WORDS[name]
    if name.startswith("rate."):
        tex, text = _spell(name[5:])
        return rf"\frac{{d}}{{dt}}{tex}", f"d {text}/dt"
    if name.startswith("add."):
        tex, text = _spell(name[4:])
        return rf"\Delta {tex}", text
    if name.startswith("grad."):
        tex, text = _spell(name[5:])
        return rf"\Delta \frac{{\partial L}}{{\partial {tex}}}", f"dL/d{text}"
    for end, sign in ((".before", "-"), (".after", "+")):
        if name.endswith(end):
            tex, text = _spell(name.removesuffix(end))
            return f"{{{tex}}}^{{{sign}}}", f"{text}({sign})"
    if name.startswith("lam."):
        tex, text = _spell(name[4:])
        return rf"\lambda_{{{tex}}}", f"lambda_{text}"
    if name.startswith(COUPLED):
        tex, text = _spell(name.removeprefix(COUPLED))
        return rf"\frac{{d}}{{dt}}\Delta\lambda_{{{tex}}}", f"coupling_{text}"
    if name.startswith("weight."):
        number = name[7:]
        return rf"\frac{{\partial L}}{{\partial r_{{{number}}}}}", f"dL/dreadout{number}"
    name = name.removeprefix("post__")
    head, _, tail = name.partition("_")
    tail = tail.replace("_", r"\_")
    tex = head if len(head) == 1 else sp.latex(sp.Symbol(head))
    return (f"{tex}_{{{tail}}}" if tail else tex), name


def _names(expression, which: int) -> dict[sp.Symbol, str]:
    return {s: _spell(s.name)[which] for s in expression.free_symbols}


def _plain(expression) -> str:
    names = _names(expression, 1)
    return as_text(expression.xreplace({s: sp.Symbol(n) for s, n in names.items()}))


def _latex(expression) -> str:
    return as_latex(expression, symbol_names=_names(expression, 0))
