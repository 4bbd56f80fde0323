"""Groups whose own time step is a multiple of the network's: the number in the place of ``dt``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from brian_eventprop.reading.equations.expressions import inline
from brian_eventprop.reading.spec import Group, Statement


def with_own_dt(group: Group, clock) -> Group:
    """Return a group whose code has its own time step; ``dt`` is the network's from now on."""
    if group.every == 1:
        return group

    def own(text: str | None) -> str | None:
        return text and expression_of(text, clock)

    def block(statements):
        return statements_of(statements, clock)

    rates = group.derivatives, group.derivatives_refractory
    derivatives, held = ({name: own(text) for name, text in each.items()} for each in rates)
    return replace(
        group,
        derivatives=derivatives,
        derivatives_refractory=held,
        update=block(group.update),
        update_refractory=block(group.update_refractory),
        threshold=own(group.threshold),
        reset=block(group.reset),
        refractory=own(group.refractory),
        refractory_condition=own(group.refractory_condition),
        regular=tuple(replace(r, statements=block(r.statements)) for r in group.regular),
    )


def statements_of(statements: Iterable[Statement], clock) -> tuple[Statement, ...]:
    """Return statements with the time step of a clock in the place of ``dt``."""
    return tuple(Statement(s.target, expression_of(s.expression, clock)) for s in statements)


def expression_of(text: str, clock) -> str:
    """Return an expression with the time step of a clock in the place of ``dt``.

    >>> from brian2 import Clock, ms
    >>> expression_of("x + dt/tau", Clock(0.5*ms))
    'x + 0.0005 / tau'
    """
    return inline(text, {"dt": repr(float(clock.dt_))})
