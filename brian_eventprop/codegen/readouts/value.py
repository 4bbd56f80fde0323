"""`Value`: the expression at a given time.

The clock solver samples at the start of the time step, as a `StateMonitor` of Brian2 does.  The
event solver lets every neuron stop at that time: a break, as those of timed arrays, before
arrivals and spikes of the very same time.
"""

from brian_eventprop.codegen.readouts.rule import ReadoutRule, inside


class Value(ReadoutRule):
    """Its array ``sample_step`` has the time step of each readout, or the number of its break."""

    kind = "value"

    def when(self, group, readout):
        return f"n == {self._step(group, readout, group.a)}"

    def seed(self, group, readout, states):
        return inside(self.when(group, readout), group.inject(readout, states))

    def seed_in_upstroke(self, group, readout, states, hit):
        # after its true spike the neuron still climbs on the grid: no derivative is right there
        lost = f"{group.a(f'weight{readout.number}')}[trial, j] != 0"
        lines = inside(f"n <= {hit}", group.inject(readout, states))
        lines += [f"elif {lost}:", f"    {group.grazed} += 1"]
        return inside(self.when(group, readout), lines)

    def at_break(self, group, readout, state, cell, name):
        row, sample = group.position[readout.number], group.of("sample", readout)
        value = f"{sample}({state}, t, j, {name('C')}, {name('P')})"
        here = f"{cell} == {self._step(group, readout, name)}"
        return inside(here, [f"{name('VR')}[{row}, trial, j] = {value}"])

    def back_at_break(self, group, readout, state, cell):
        row = group.position[readout.number]
        here = f"{cell} == {self._step(group, readout, str)}"
        gradients = "lam, C, P, grad_shared, grad_neuron"
        inject = group.of("inject", readout)
        add = f"{inject}(WR[{row}, trial, j], {state}, t, j, {gradients})"
        return inside(here, [add])

    def _step(self, group, readout, name) -> str:
        values = [r.number for r in group.readouts if r.kind == self.kind]
        return f"{name('sample_step')}[{values.index(readout.number)}]"
