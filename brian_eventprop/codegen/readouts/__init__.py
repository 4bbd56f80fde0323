"""What the kernels do for each kind of state readout: a file for each kind, and this index.

Readouts of spikes need no code in the kernels; see `runtime.readouts`.
"""

from brian_eventprop.codegen.readouts.adjoint import Adjoint
from brian_eventprop.codegen.readouts.final import Final
from brian_eventprop.codegen.readouts.integral import Integral
from brian_eventprop.codegen.readouts.maximum import Maximum
from brian_eventprop.codegen.readouts.rule import ReadoutRule
from brian_eventprop.codegen.readouts.trace import Trace
from brian_eventprop.codegen.readouts.value import Value

__all__ = ["RULES", "ReadoutRule", "of_kind"]

#: The rules by kind, in the order in which their derivatives are added to the adjoint.
RULES = {rule.kind: rule for rule in (Integral(), Maximum(), Value(), Trace(), Final(), Adjoint())}


def of_kind(readouts, kind: str) -> list:
    """Return the readouts of a kind."""
    return [readout for readout in readouts if readout.kind == kind]
