"""Variables that follow from other trained quantities: `Expression`, and the chain rule for it."""

from brian_eventprop.expressions.definition import Expression
from brian_eventprop.expressions.tied import Tied, tied_variables, with_quantities

__all__ = ["Expression", "Tied", "tied_variables", "with_quantities"]
