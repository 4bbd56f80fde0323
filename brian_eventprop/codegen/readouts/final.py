"""`Final`: a value at the end of the trial."""

from brian_eventprop.codegen.readouts.rule import ReadoutRule


class Final(ReadoutRule):
    """Sampled once, when all events are over."""

    kind = "final"
    at_end = True
