"""`Value`: the expression at a given time, or at many.

The clock solver samples at the start of the time step, as a `StateMonitor` of Brian2 does.  The
event solver lets every neuron stop at that time: a break, as those of timed arrays, before
arrivals and spikes of the very same time.  Which steps or breaks these are is data: a table has
the place of the value at each, negative where there is none, and last the place of that at the end
of a trial.
"""

from brian_eventprop.codegen.readouts.rule import ReadoutRule, inside


class Value(ReadoutRule):
    """One value for each of its times."""

    kind = "value"

    def when(self, group, readout):
        return f"{group.place(readout)} >= 0"

    def seed(self, group, readout, states):
        return inside(self.when(group, readout), group.inject(readout, states))

    def seed_in_upstroke(self, group, readout, states, hit):
        # after its true spike the neuron still climbs on the grid: no derivative is right there
        lost = f"{group.weight(readout)} != 0"
        lines = inside(f"n <= {hit}", group.inject(readout, states))
        lines += [f"elif {lost}:", f"    {group.grazed} += 1"] if lines else []
        return inside(self.when(group, readout), lines)

    def at_break(self, group, readout, state, cell, name):
        row = group.row(readout, cell, name)
        sampled = f"{group.of('sample', readout)}({state}, t, j, {name('C')}, {name('P')})"
        return inside(f"{row} >= 0", [f"{name('VR')}[{row}, trial, j] = {sampled}"])

    def back_at_break(self, group, readout, state, cell):
        row, inject = group.row(readout, cell), group.of("inject", readout)
        gradients = "lam, C, P, grad_shared, grad_neuron"
        add = f"{inject}(WR[{row}, trial, j], {state}, t, j, {gradients})"
        return inside(f"{row} >= 0", [add])
