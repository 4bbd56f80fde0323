"""An `AdjointSystem` to Python source: kernels for the trials, NumPy for what surrounds them."""

from brian_eventprop.codegen.cache import load_module
from brian_eventprop.codegen.clock import ClockModule, render_clock
from brian_eventprop.codegen.host import render_host

__all__ = ["ClockModule", "load_module", "render_clock", "render_host"]
