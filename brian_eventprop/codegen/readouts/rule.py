"""What a kind of readout may say to the kernels; every hook returns lines for neuron ``j``.

The group's code (`codegen.clock.groups`, `codegen.cuda.parts`, `codegen.event.groups`) gives the
names: ``result`` is where the readout's value stands, ``weight`` where dL/d(value) does, ``at`` the
step of a maximum, ``place`` and ``row`` those of a value at a time; ``VR`` and ``WR`` are the event
solver's values and their derivatives.
"""

from __future__ import annotations

from typing import ClassVar


class ReadoutRule:
    """One kind of readout; what a kind does not need stays as it is here.

    Attributes
    ----------
    kind
        As `brian_eventprop.readouts.Readout.kind` has it.
    every_step
        Whether the clock solver evaluates the expression at the start of every time step.
    at_end
        Whether it evaluates the expression when the last step is over.
    measures
        Whether there is a value at all.
    """

    kind: ClassVar[str]
    every_step = at_end = False
    measures = True

    # ---- clock solver, on the CPU and on CUDA ----
    def when(self, group, readout) -> str:
        """The condition for a sample at the start of step ``n``; empty if there is none."""
        del group, readout
        return ""

    def sample(self, group, readout, value: str) -> list[str]:
        """Take a value of the expression."""
        return [f"{group.result(readout)} = {value}"]

    def seed(self, group, readout, states: str) -> list[str]:
        """Add the derivatives at step ``n`` to the adjoint."""
        del group, readout, states
        return []

    def seed_in_upstroke(self, group, readout, states: str, hit: str) -> list[str]:
        """Do the same for a neuron on an explosive upstroke, whose true spike is in step `hit`."""
        del group, readout, states, hit
        return []

    # ---- event solver ----
    def at_break(self, group, readout, state: str, cell: str, name) -> list[str]:
        """Sample at the break number `cell`; `name` gives the identifiers of arrays."""
        del group, readout, state, cell, name
        return []

    def back_at_break(self, group, readout, state: str, cell: str) -> list[str]:
        """Add the derivatives at that break to the adjoint."""
        del group, readout, state, cell
        return []


def inside(condition: str, lines: list[str]) -> list[str]:
    """Return lines under a condition, if there are any."""
    return [f"if {condition}:", *("    " + line for line in lines)] if lines else []
