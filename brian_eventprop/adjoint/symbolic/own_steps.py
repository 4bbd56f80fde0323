"""What does not happen in every time step of the network: conditions around statements.

Code that runs regularly, and groups whose own dt is a multiple of the network's.
"""

from __future__ import annotations

from collections.abc import Iterable

from brian_eventprop.reading.spec import Group, ReadoutSpec, Statement


def regular_on_grid(group: Group) -> tuple[Statement, ...]:
    """Return what `run_regularly` does at the start of a step, in the steps in which it runs."""
    made = []
    for regular in group.regular:
        for s in regular.statements:
            expression = s.expression
            if regular.steps > 1 and s.target in group.states:
                runs = due(regular.steps)
                expression = f"({expression}) if {runs} else {s.target}"
            made.append(Statement(s.target, expression))
    return tuple(made)


def due(steps: int) -> str:
    """Return the condition for every so many time steps."""
    return f"int(t / dt + 0.5) % {steps} < 0.5"


def at_own_steps(group: Group, statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Return the state update of a group whose dt is a multiple of the network's.

    Between its own time steps the states stay as they are.
    """
    if group.every == 1:
        return tuple(statements)
    runs = due(group.every)
    return tuple(
        Statement(s.target, f"({s.expression}) if {runs} else {s.target}")
        if s.target in group.states
        else s
        for s in statements
    )


def per_own_step(group: Group, readout: ReadoutSpec) -> str:
    """Return what an integral sums in a time step of the network: nothing between its own ones."""
    if group.every == 1:
        return readout.expression
    runs = due(group.every)
    return f"({readout.expression}) * {group.every} if {runs} else 0"
