"""What is computed for a network, in which layout: frozen, between the adjoint and its code."""

from brian_eventprop.plan.clock import ClockPlan, GroupPlan, PathwayPlan, plan_clock

__all__ = ["ClockPlan", "GroupPlan", "PathwayPlan", "plan_clock"]
