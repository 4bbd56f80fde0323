"""`Integral`: the sum over the time steps; between events, part of the flow."""

from brian_eventprop.codegen.readouts.rule import ReadoutRule


class Integral(ReadoutRule):
    """The event solver integrates along with the states; see `codegen.event.groups`."""

    kind = "integral"
    every_step = True

    def sample(self, group, readout, value):
        return [f"{group.result(readout)} += {group.scope.style.product(value, 'dt')}"]

    def seed(self, group, readout, states):
        return group.inject(readout, states, " * dt")
