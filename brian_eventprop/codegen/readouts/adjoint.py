"""The adjoint variable of a state at given times: dL/d(state) just before what happens then.

It measures nothing.  The backward pass leaves it where it finds dL/d(value) of other readouts;
NaN stands for what an explosive upstroke skips, see `adjoint.upstrokes`.
"""

from brian_eventprop.codegen.readouts.rule import ReadoutRule, inside


class Adjoint(ReadoutRule):
    """Recorded when all other readouts of the same time have been added to it.

    The clock solver records it in an operation of its own where neurons are coupled, since what
    others read of a state comes last.
    """

    kind = "adjoint"
    measures = False

    def record(self, group, readout) -> list[str]:
        """Leave the adjoint variable of neuron j at step ``n``, or at the end."""
        lam = f"{group.a('lam')}[{group.states.index(readout.expression)}, j]"
        if group.upstroke is not None and group.scope.in_loop:
            # between its true spike and that of the grid a neuron has no adjoint
            low, hit = (group.upstroke.a(role) for role in ("low", "hit"))
            lam = f"FLOAT(math.nan) if {low}[j] <= n and n > {hit}[j] else {lam}"
        return inside(f"{group.place(readout)} >= 0", [f"{group.weight(readout)} = {lam}"])

    def record_at_break(self, group, readout, cell, adjoint="lam", name=str) -> list[str]:
        """Leave it at the break number `cell`, or at the end, whose cell is -1."""
        row, state = group.row(readout, cell, name), group.states.index(readout.expression)
        return inside(f"{row} >= 0", [f"{name('WR')}[{row}, trial, j] = {adjoint}[{state}]"])
