"""Products with the Jacobian of the readouts: gradients without a loss, per trial, the Jacobian."""

from brian_eventprop.model.vjp.cotangents import cotangents_of
from brian_eventprop.model.vjp.trials import jacobians, per_trial, single_trials

__all__ = ["cotangents_of", "jacobians", "per_trial", "single_trials"]
