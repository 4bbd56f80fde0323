"""An `AdjointSystem` to Python source: kernels for the trials, NumPy for what surrounds them."""

from brian_eventprop.codegen.clock.network import ClockModule, render_clock
from brian_eventprop.codegen.expr.parameter_map import render_parameter_map
from brian_eventprop.kernels.cache import load_module

__all__ = ["ClockModule", "load_module", "render_clock", "render_parameter_map"]
