"""A trace: what is recorded of an expression at given times; no loss depends on it."""

from brian_eventprop.codegen.readouts.value import Value


class Trace(Value):
    """As a `Value`, but without derivatives.

    Where neurons are coupled the clock solver takes it before the sums of the step, as a
    `StateMonitor` does.
    """

    kind = "trace"

    def back_at_break(self, group, readout, state, cell):
        return []
