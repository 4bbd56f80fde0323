"""Is the gradient right?  Central differences against the adjoint, on the user's own model."""

from brian_eventprop.model.gradient_check.check import check_gradient
from brian_eventprop.model.gradient_check.report import ArrayCheck, GradientReport

__all__ = ["ArrayCheck", "GradientReport", "check_gradient"]
